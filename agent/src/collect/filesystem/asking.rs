//! Asks file systems that may never answer, each on a thread of its own.
//!
//! `statvfs(3)` on a mount whose server is gone sleeps without an end and cannot be interrupted. A
//! thread that is stuck so stays stuck; while it is, its mount gets no second one. The round waits
//! for all answers together at most [`WAIT`]; a late answer counts for the round that finds it.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::answer::{Answer, Statvfs};
use crate::model::{Clock, Moment};

/// How long one round waits for the slow ones, all together.
pub const WAIT: Duration = Duration::from_millis(250);

/// The most threads at one time, stuck ones included.
pub const THREADS_MAX: usize = 64;

/// Enough for one system call.
const STACK_BYTES: usize = 64 * 1024;

/// What became of a question.
#[derive(Debug)]
pub enum Outcome {
    /// The file system answered, or refused to.
    Answered(io::Result<Answer>),
    /// It has been asked and has not answered for so long.
    Waiting(Duration),
    /// It was not asked: no thread could be had.
    NotAsked(String),
}

/// The threads that ask.
#[derive(Debug)]
pub struct Asking {
    clock: Clock,
    wait: Duration,
    /// When which mount point was asked, for those that have not answered.
    pending: HashMap<String, Moment>,
    sender: Sender<(String, io::Result<Answer>)>,
    receiver: Receiver<(String, io::Result<Answer>)>,
}

impl Asking {
    /// Without any threads yet. `wait` bounds what a round waits.
    pub fn new(clock: Clock, wait: Duration) -> Self {
        let (sender, receiver) = channel();
        Self {
            clock,
            wait,
            pending: HashMap::new(),
            sender,
            receiver,
        }
    }

    /// How many threads have not come back.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Asks about every mount point that is not being asked already, waits a bounded time and says
    /// what became of each, in their order.
    pub fn ask(&mut self, source: &Arc<dyn Statvfs>, points: &[&str]) -> Vec<Outcome> {
        let mut answers: HashMap<String, io::Result<Answer>> = HashMap::new();
        let mut refused: HashMap<&str, String> = HashMap::new();
        // Late answers first: they are this round's, and free their threads' places.
        while let Ok((point, answer)) = self.receiver.try_recv() {
            self.pending.remove(&point);
            answers.insert(point, answer);
        }
        for point in points {
            if answers.contains_key(*point) || self.pending.contains_key(*point) {
                continue;
            }
            match self.start(source, point) {
                Ok(()) => {
                    self.pending.insert((*point).to_owned(), self.clock.now());
                }
                Err(reason) => {
                    refused.insert(point, reason);
                }
            }
        }
        let begin = self.clock.now();
        while points.iter().any(|point| self.pending.contains_key(*point)) {
            let left = self.wait.saturating_sub(self.clock.now().since(begin));
            let Ok((point, answer)) = self.receiver.recv_timeout(left) else {
                break;
            };
            self.pending.remove(&point);
            answers.insert(point, answer);
        }
        let now = self.clock.now();
        points
            .iter()
            .map(|point| {
                if let Some(answer) = answers.remove(*point) {
                    Outcome::Answered(answer)
                } else if let Some(since) = self.pending.get(*point) {
                    Outcome::Waiting(now.since(*since))
                } else {
                    Outcome::NotAsked(refused.remove(point).unwrap_or_default())
                }
            })
            .collect()
    }

    fn start(&self, source: &Arc<dyn Statvfs>, point: &str) -> Result<(), String> {
        if self.pending.len() >= THREADS_MAX {
            return Err(format!("{THREADS_MAX} other mounts have not answered"));
        }
        let source = Arc::clone(source);
        let sender = self.sender.clone();
        let point = point.to_owned();
        std::thread::Builder::new()
            .name("statvfs".into())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let answer = source.ask(&point);
                // Nobody listens any more once the collector is gone; then nothing is owed.
                drop(sender.send((point, answer)));
            })
            .map(drop)
            .map_err(|error| format!("no thread could be started: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, Mutex};

    use super::*;

    /// A file system whose mount points under `/stuck` answer only when let go.
    #[derive(Debug, Default)]
    struct Sticky {
        free: Mutex<bool>,
        freed: Condvar,
        asked: AtomicUsize,
    }

    impl Statvfs for Sticky {
        fn ask(&self, point: &str) -> io::Result<Answer> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if point.starts_with("/stuck") {
                let free = self.free.lock().unwrap();
                drop(self.freed.wait_while(free, |free| !*free).unwrap());
            }
            Ok(Answer {
                blocks: 7,
                ..Answer::default()
            })
        }
    }

    fn blocks(outcome: &Outcome) -> Option<u64> {
        match outcome {
            Outcome::Answered(Ok(answer)) => Some(answer.blocks),
            _ => None,
        }
    }

    #[test]
    fn a_stuck_mount_is_asked_once_and_delays_nobody() {
        let sticky = Arc::new(Sticky::default());
        let source: Arc<dyn Statvfs> = Arc::clone(&sticky) as _;
        let (clock, hand) = Clock::manual();
        let mut asking = Asking::new(clock, Duration::from_millis(50));
        let first = asking.ask(&source, &["/stuck", "/fine"]);
        assert!(matches!(first[0], Outcome::Waiting(_)), "{first:?}");
        assert_eq!(blocks(&first[1]), Some(7));
        for round in 1..=3 {
            hand.advance(Duration::from_secs(4));
            let next = asking.ask(&source, &["/stuck"]);
            assert!(
                matches!(next[0], Outcome::Waiting(age) if age == Duration::from_secs(4 * round)),
                "{next:?}"
            );
        }
        assert_eq!(sticky.asked.load(Ordering::SeqCst), 2);
        assert_eq!(asking.pending(), 1);
        // The server is back: the answer is the next round's.
        *sticky.free.lock().unwrap() = true;
        sticky.freed.notify_all();
        while asking.pending() > 0 {
            let late = asking.ask(&source, &["/stuck"]);
            assert!(blocks(&late[0]) == Some(7) || asking.pending() > 0);
        }
    }

    #[test]
    fn stuck_threads_are_bounded() {
        let sticky = Arc::new(Sticky::default());
        let source: Arc<dyn Statvfs> = Arc::clone(&sticky) as _;
        let mut asking = Asking::new(Clock::System, Duration::from_millis(1));
        let names: Vec<String> = (0..THREADS_MAX + 5)
            .map(|number| format!("/stuck{number}"))
            .collect();
        let points: Vec<&str> = names.iter().map(String::as_str).collect();
        let outcomes = asking.ask(&source, &points);
        let not_asked = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::NotAsked(_)))
            .count();
        assert_eq!((asking.pending(), not_asked), (THREADS_MAX, 5));
        *sticky.free.lock().unwrap() = true;
        sticky.freed.notify_all();
    }
}
