//! The threads that turns run on: usually one.
//!
//! A turn that takes long, because the script computes or a call of the library or the system hangs,
//! keeps its thread; whoever waits for one gets another after [`RELIEF`]. So plugins share the
//! processors as threads do, and those that sleep have none.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::model::Clock;
use crate::telemetry::events::Events;
use crate::telemetry::log::chain;

/// How long a turn waits for a thread before another one is started.
const RELIEF: Duration = Duration::from_millis(10);

/// When no thread can be had for a turn, it asks less and less often, at last once in that time.
const RELIEF_MAX: Duration = Duration::from_millis(640);

/// The most threads: so many turns can hang at once.
pub(super) const THREADS_MAX: usize = 32;

/// The name of the event that no thread can be had.
const NO_THREAD: &str = "plugin.thread";

/// How long a thread beyond the first stays without work.
const IDLE: Duration = Duration::from_secs(5);

/// The turn was not run to its end: it panicked, or no thread could be started.
#[derive(Debug, thiserror::Error)]
#[error("the turn was lost: {0}")]
pub(super) struct Lost(&'static str);

type Job = Box<dyn FnOnce() + Send>;

/// The pool; clones share it. Its threads end when the last one is dropped.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    shared: Arc<Shared>,
    _alive: Arc<Alive>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    ready: Condvar,
    events: Events,
}

/// What came of a wish for another thread.
enum Relief {
    /// There is one, or one is free.
    Given,
    /// There are as many as there may be.
    Full,
    /// The system gives none; how many there are.
    Refused(io::Error, usize),
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    idle: usize,
    threads: usize,
    closed: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut queue = out.debug_struct("Queue");
        queue.field("jobs", &self.jobs.len());
        queue.field("idle", &self.idle);
        queue.field("threads", &self.threads);
        queue.finish_non_exhaustive()
    }
}

/// Closes the pool when nobody can submit to it any more.
#[derive(Debug)]
struct Alive {
    shared: Arc<Shared>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.ready.notify_all();
    }
}

impl Pool {
    pub(super) fn new(clock: Clock) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            ready: Condvar::new(),
            events: Events::new(clock),
        });
        let alive = Alive {
            shared: Arc::clone(&shared),
        };
        Self {
            shared,
            _alive: Arc::new(alive),
        }
    }

    /// Runs `turn` on a thread of the pool. When this future is given up, a turn that has begun
    /// goes on without anybody waiting, and one that has not is left out.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        turn: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lost> {
        let (result, mut answer) = oneshot::channel();
        let begun = Arc::new(AtomicBool::new(false));
        let mark = Arc::clone(&begun);
        self.submit(Box::new(move || {
            mark.store(true, Ordering::Relaxed);
            if !result.is_closed() {
                // Nobody waits any more, and the result goes where they went.
                drop(result.send(turn()));
            }
        }));
        let mut patience = RELIEF;
        loop {
            let relief = async {
                if begun.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                } else {
                    tokio::time::sleep(patience).await;
                }
            };
            tokio::select! {
                biased;
                result = &mut answer => return result.map_err(|_| Lost("it panicked")),
                () = relief => {
                    let is_long = patience == RELIEF_MAX;
                    patience = (patience * 2).min(RELIEF_MAX);
                    if !begun.load(Ordering::Relaxed) && !self.shared.relieve(is_long) {
                        return Err(Lost("no thread could be started for it"));
                    }
                }
            }
        }
    }

    /// Has a thread of the pool drop this.
    pub(super) fn discard(&self, thing: impl Send + 'static) {
        if !self.submit(Box::new(move || drop(thing))) {
            // Nobody waits for it who would see to another thread.
            self.shared.relieve(false);
        }
    }

    /// Puts a job where threads take it; whether it was the first and had one started.
    fn submit(&self, job: Job) -> bool {
        let mut queue = self.shared.lock();
        queue.jobs.push_back(job);
        let first = queue.threads == 0;
        drop(queue);
        if first {
            // If that fails, the relief tries again and reports it.
            self.shared.relieve(false);
        } else {
            self.shared.ready.notify_one();
        }
        first
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts another thread when there is work that no thread is free for. False when there is no
    /// thread at all. That there are as many as there may be is told when a turn has waited long.
    fn relieve(self: &Arc<Self>, is_long: bool) -> bool {
        match self.start() {
            Relief::Given => true,
            Relief::Full => {
                if is_long && let Some(suppressed) = self.events.admit(NO_THREAD, "") {
                    tracing::warn!(
                        threads = THREADS_MAX,
                        suppressed,
                        "plugins wait for a thread: every one has a turn that computes or hangs"
                    );
                }
                true
            }
            Relief::Refused(error, threads) => {
                if let Some(suppressed) = self.events.admit(NO_THREAD, "") {
                    tracing::error!(
                        error = %chain(&error),
                        threads,
                        suppressed,
                        "plugins wait for a thread: the system gives no more"
                    );
                }
                threads > 0
            }
        }
    }

    fn start(self: &Arc<Self>) -> Relief {
        let mut queue = self.lock();
        if queue.idle >= queue.jobs.len() {
            return Relief::Given;
        }
        if queue.threads >= THREADS_MAX {
            return Relief::Full;
        }
        queue.threads += 1;
        let shared = Arc::clone(self);
        let started = std::thread::Builder::new()
            .name("lua-turn".to_owned())
            // Address space, most of it never touched: functions of the engine may be inside each
            // other (`prelude.lua` limits that), and each parser of the library below them.
            .stack_size(8 * 1_048_576)
            .spawn(move || shared.work());
        match started {
            Ok(_) => Relief::Given,
            Err(error) => {
                queue.threads -= 1;
                Relief::Refused(error, queue.threads)
            }
        }
    }

    fn work(&self) {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                // A panic inside is the turn's, which its waiter learns from the lost result.
                if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
                    tracing::error!("a turn of a script panicked");
                }
                queue = self.lock();
                continue;
            }
            if queue.closed {
                break;
            }
            queue.idle += 1;
            let (after, waited) = self
                .ready
                .wait_timeout(queue, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            queue = after;
            queue.idle -= 1;
            if waited.timed_out() && queue.jobs.is_empty() && queue.threads > 1 {
                break;
            }
        }
        queue.threads -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn turns_run_one_after_the_other_on_one_thread() {
        let pool = Pool::new(Clock::System);
        let first = pool.run(|| std::thread::current().id()).await.unwrap();
        for _ in 0..10 {
            assert_eq!(
                pool.run(|| std::thread::current().id()).await.unwrap(),
                first
            );
        }
        assert_eq!(pool.shared.lock().threads, 1);
    }

    #[tokio::test]
    async fn a_turn_that_hangs_delays_nobody_for_long() {
        let pool = Pool::new(Clock::System);
        let (release, hung) = mpsc::channel::<()>();
        let hanging = pool.clone();
        let hanging = tokio::spawn(async move { hanging.run(move || hung.recv().is_ok()).await });
        while pool.shared.lock().threads == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(|| 7).await.unwrap(), 7);
        release.send(()).unwrap();
        assert!(hanging.await.unwrap().unwrap());
    }

    #[tokio::test]
    async fn a_panic_costs_its_own_turn_alone() {
        let pool = Pool::new(Clock::System);
        assert!(pool.run(|| panic!("no luck")).await.is_err());
        assert_eq!(pool.run(|| 7).await.unwrap(), 7);
    }
}
