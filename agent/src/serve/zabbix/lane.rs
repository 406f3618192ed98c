//! The slow lane: checks that may block run on a few workers, never on the door's thread.
//!
//! A worker that hangs (a dead NFS server) is lost until the kernel lets it go; the queue behind it
//! is short, and what does not fit is refused at once. Fast checks notice nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::answer::{Answer, NotSupported};
use super::counters::Counters;
use super::item_key::ItemKey;
use super::wake::Waker;

/// Two can be stuck in the kernel and two still work.
const WORKERS: usize = 4;

/// More would not be answered within the deadline anyway.
const QUEUE: usize = 64;

/// What a worker is to find out, and for whom.
pub(super) struct Job {
    pub(super) token: u64,
    pub(super) key: String,
}

/// What a worker found out.
pub(super) struct Done {
    pub(super) token: u64,
    pub(super) result: Result<String, NotSupported>,
}

/// The workers and the way back from them.
pub(super) struct Lane {
    shared: Arc<Shared>,
    jobs: Option<SyncSender<Job>>,
}

struct Shared {
    answer: Arc<dyn Answer>,
    counters: Arc<Counters>,
    waker: Waker,
    done: Mutex<Vec<Done>>,
}

impl Lane {
    pub(super) fn new(answer: Arc<dyn Answer>, counters: Arc<Counters>, waker: Waker) -> Self {
        let shared = Shared {
            answer,
            counters,
            waker,
            done: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            jobs: None,
        }
    }

    /// Hands a check to the workers, which start with the first one.
    pub(super) fn submit(&mut self, job: Job) -> Result<(), NotSupported> {
        let refused = match self.sender().map(|jobs| jobs.try_send(job)) {
            Some(Ok(())) => return Ok(()),
            Some(Err(TrySendError::Full(_))) => "Too many slow checks are waiting.",
            Some(Err(TrySendError::Disconnected(_))) | None => "No worker for slow checks.",
        };
        self.shared.counters.slow_given_up.add_one();
        Err(NotSupported::because(refused))
    }

    /// Takes what the workers have finished.
    pub(super) fn take_done(&self) -> Vec<Done> {
        std::mem::take(
            &mut *self
                .shared
                .done
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn sender(&mut self) -> Option<&SyncSender<Job>> {
        if self.jobs.is_none() {
            let (sender, receiver) = sync_channel(QUEUE);
            let receiver = Arc::new(Mutex::new(receiver));
            let mut started = 0;
            for _ in 0..WORKERS {
                let (shared, receiver) = (Arc::clone(&self.shared), Arc::clone(&receiver));
                // Not joined at the end: one that hangs must not keep the service from stopping.
                let spawned = thread::Builder::new()
                    .name("zabbix-slow".into())
                    .spawn(move || work(&shared, &receiver));
                started += usize::from(spawned.is_ok());
            }
            if started > 0 {
                self.jobs = Some(sender);
            }
        }
        self.jobs.as_ref()
    }
}

/// Runs until the lane is dropped.
fn work(shared: &Shared, jobs: &Mutex<Receiver<Job>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        let result = catch_unwind(AssertUnwindSafe(|| fetch(&*shared.answer, &job.key)))
            .unwrap_or_else(|_| {
                shared.counters.panics.add_one();
                Err(NotSupported::because("Internal error."))
            });
        let done = Done {
            token: job.token,
            result,
        };
        shared
            .done
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(done);
        shared.waker.wake();
    }
}

fn fetch(answer: &dyn Answer, text: &str) -> Result<String, NotSupported> {
    let key = ItemKey::parse(text).map_err(|error| NotSupported(error.to_string().into()))?;
    let mut value = String::new();
    answer.answer_slowly(&key, &mut value)?;
    Ok(value)
}
