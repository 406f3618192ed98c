//! The sign of life of a thread or task, for the watchdog.
//!
//! Who works beats; who watches looks at ages. A heartbeat also says what its owner is working on
//! and since when, so that a part that hangs has a name.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::model::{Clock, Moment};

/// One owner's sign of life; clones share it.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    clock: Clock,
    at: AtomicU64,
    work: Mutex<Option<Work>>,
}

/// What the owner of a heartbeat is working on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The name of the work, such as a collector's.
    pub what: &'static str,
    /// When it began.
    pub since: Moment,
}

impl Heartbeat {
    /// A heartbeat that beats for the first time now.
    pub fn new(name: &str, clock: Clock) -> Self {
        let at = AtomicU64::new(clock.now().0);
        Self {
            inner: Arc::new(Inner {
                name: name.to_owned(),
                clock,
                at,
                work: Mutex::default(),
            }),
        }
    }

    /// The owner's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Says: alive now.
    pub fn beat(&self) {
        let now = self.inner.clock.now();
        self.inner.at.store(now.0, Ordering::Release);
    }

    /// Says: alive, and beginning `what`.
    pub fn begin(&self, what: &'static str) {
        self.beat();
        let since = self.last();
        self.set(Some(Work { what, since }));
    }

    /// Says: alive, and done with what was begun.
    pub fn end(&self) {
        self.set(None);
        self.beat();
    }

    /// When it beat last.
    pub fn last(&self) -> Moment {
        Moment(self.inner.at.load(Ordering::Acquire))
    }

    /// How long ago it beat last.
    pub fn age(&self) -> Duration {
        self.inner.clock.now().since(self.last())
    }

    /// What the owner is working on, if anything.
    pub fn work(&self) -> Option<Work> {
        self.lock().clone()
    }

    fn set(&self, work: Option<Work>) {
        *self.lock() = work;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Work>> {
        self.inner
            .work
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_grow_until_the_next_beat() {
        let (clock, hand) = Clock::manual();
        let heart = Heartbeat::new("collect", clock);
        let watcher = heart.clone();
        hand.advance(Duration::from_secs(7));
        assert_eq!(watcher.age(), Duration::from_secs(7));
        heart.beat();
        assert_eq!(watcher.age(), Duration::ZERO);
        assert_eq!(watcher.name(), "collect");
    }

    #[test]
    fn work_has_a_name_until_it_ends() {
        let (clock, hand) = Clock::manual();
        let heart = Heartbeat::new("collect", clock);
        hand.advance(Duration::from_secs(1));
        heart.begin("filesystem");
        hand.advance(Duration::from_secs(30));
        let work = heart.work().unwrap();
        assert_eq!(work.what, "filesystem");
        assert_eq!(heart.age(), Duration::from_secs(30));
        assert_eq!(work.since, Moment(1_000_000_000));
        heart.end();
        assert_eq!(heart.work(), None);
        assert_eq!(heart.age(), Duration::ZERO);
    }
}
