//! Every task of the agent has a name, a page on the status board and somebody who notices when it
//! ends.
//!
//! A task that ends or panics before it was told to is a fault: it is reported and started again
//! after a back-off. Nothing here ends the agent.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::telemetry::{Part, Verdict};

/// The first pause before a task that ended is started again; it doubles up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_secs(1);

/// The longest pause before a task is started again.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// A task that ran this long is taken to have worked, and its back-off begins anew.
const STEADY: Duration = Duration::from_mins(2);

/// Tells a task to end.
#[derive(Clone, Debug)]
pub struct Shutdown {
    told: watch::Receiver<bool>,
}

impl Shutdown {
    /// Returns when the agent is to end.
    pub async fn wait(&mut self) {
        // An error means that the supervisor is gone, which is as good a reason to end.
        if self.told.wait_for(|told| *told).await.is_err() {}
    }

    /// Whether the agent is to end.
    pub fn told(&self) -> bool {
        *self.told.borrow()
    }
}

/// Keeps the tasks.
#[derive(Debug)]
pub struct Supervisor {
    tasks: JoinSet<&'static str>,
    tell: watch::Sender<bool>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self {
            tasks: JoinSet::new(),
            tell: watch::Sender::new(false),
        }
    }
}

impl Supervisor {
    /// What tells tasks to end.
    pub fn shutdown(&self) -> Shutdown {
        Shutdown {
            told: self.tell.subscribe(),
        }
    }

    /// Runs what `make` makes, again and again until told to end. Must be called inside a
    /// [`tokio::task::LocalSet`].
    pub fn spawn<F>(
        &mut self,
        name: &'static str,
        part: Option<Arc<Part>>,
        mut make: impl FnMut(Shutdown) -> F + 'static,
    ) where
        F: Future<Output = Result<(), String>> + 'static,
    {
        let mut shutdown = self.shutdown();
        self.tasks.spawn_local(async move {
            let mut pause = PAUSE_FIRST;
            loop {
                let started = tokio::time::Instant::now();
                let ended = outcome(make(shutdown.clone())).await;
                if shutdown.told() {
                    return name;
                }
                let reason = ended
                    .err()
                    .unwrap_or_else(|| "ended without being told to".into());
                if started.elapsed() > STEADY {
                    pause = PAUSE_FIRST;
                }
                tracing::error!(task = name, reason, again_in = ?pause, "a task has ended");
                if let Some(part) = &part {
                    part.set(Verdict::Failed(reason));
                    part.erred(1);
                }
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = shutdown.wait() => return name,
                }
                pause = (pause * 2).min(PAUSE_MAX);
            }
        });
    }

    /// Tells all tasks to end and waits for them, at most `grace`; says how many did not end in
    /// time and were given up.
    pub async fn drain(mut self, grace: Duration) -> usize {
        self.tell.send_replace(true);
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(error = %error, "a task did not end cleanly");
                }
            }
        };
        if tokio::time::timeout(grace, all).await.is_ok() {
            return 0;
        }
        let left = self.tasks.len();
        self.tasks.abort_all();
        left
    }
}

/// What the work comes to. It is a task of its own, so that a panic ends nothing else; it ends
/// when this future is given up.
async fn outcome(work: impl Future<Output = Result<(), String>> + 'static) -> Result<(), String> {
    let mut alone = JoinSet::new();
    alone.spawn_local(work);
    match alone.join_next().await {
        Some(Ok(ended)) => ended,
        Some(Err(error)) => Err(match error.try_into_panic() {
            Ok(panic) => format!("it panicked: {}", words(&*panic)),
            Err(error) => error.to_string(),
        }),
        None => Ok(()),
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::telemetry::{Room, StatusBoard};

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        tokio::task::LocalSet::new().block_on(&runtime.unwrap(), test);
    }

    #[test]
    fn a_task_that_ends_is_reported_and_started_again() {
        run(async {
            let board = StatusBoard::new();
            let part = board.part(Room::Door, "control", Verdict::Active);
            let starts = Rc::new(Cell::new(0));
            let mut supervisor = Supervisor::default();
            let counted = Rc::clone(&starts);
            supervisor.spawn("control", Some(Arc::clone(&part)), move |_| {
                counted.set(counted.get() + 1);
                async { Err("the socket is gone".to_owned()) }
            });
            tokio::time::sleep(Duration::from_millis(7500)).await;
            // At 0, 1, 3 and 7 seconds.
            assert_eq!(starts.get(), 4);
            assert_eq!(part.verdict(), Verdict::Failed("the socket is gone".into()));
            assert_eq!(supervisor.drain(Duration::from_secs(1)).await, 0);
        });
    }

    #[test]
    fn a_task_that_panics_is_reported_and_started_again() {
        run(async {
            let board = StatusBoard::new();
            let part = board.part(Room::Door, "control", Verdict::Active);
            let starts = Rc::new(Cell::new(0));
            let mut supervisor = Supervisor::default();
            let counted = Rc::clone(&starts);
            supervisor.spawn("control", Some(Arc::clone(&part)), move |_| {
                counted.set(counted.get() + 1);
                async { panic!("no {}", "luck") }
            });
            tokio::time::sleep(Duration::from_millis(1500)).await;
            assert_eq!(starts.get(), 2);
            let reason = "it panicked: no luck".to_owned();
            assert_eq!(part.verdict(), Verdict::Failed(reason));
            assert_eq!(supervisor.drain(Duration::from_secs(1)).await, 0);
        });
    }

    #[test]
    fn a_task_that_does_not_end_is_counted_and_left() {
        run(async {
            let mut supervisor = Supervisor::default();
            supervisor.spawn("stubborn", None, |_| std::future::pending());
            supervisor.spawn("obedient", None, |mut shutdown| async move {
                shutdown.wait().await;
                Ok(())
            });
            tokio::task::yield_now().await;
            assert_eq!(supervisor.drain(Duration::from_secs(5)).await, 1);
        });
    }
}
