//! What the door counts. Nothing that it refuses or gives up is lost silently.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one door since it was opened.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests answered with a value.
    pub answered: Counter,
    /// Requests answered with a reason instead of a value.
    pub not_supported: Counter,
    /// Connections closed because the peer is not in `Server`.
    pub denied: Counter,
    /// Connections closed because of bytes that are not a request.
    pub malformed: Counter,
    /// Connections closed by their deadline, or by the peer, before they had a whole answer.
    pub unfinished: Counter,
    /// Waiting connections closed to make room for newer ones.
    pub evicted: Counter,
    /// Connections that the kernel could not hand over, mostly for want of file descriptors.
    pub accept_errors: Counter,
    /// Slow checks refused because all workers were busy, or given up at the deadline.
    pub slow_given_up: Counter,
    /// Answers that ended in a panic of the code that computes them: a bug.
    pub panics: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// So many more.
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// Every counter with its name, for the status board and the store.
    pub fn list(&self) -> [(&'static str, u64); 9] {
        [
            ("answered", self.answered.get()),
            ("not_supported", self.not_supported.get()),
            ("denied", self.denied.get()),
            ("malformed", self.malformed.get()),
            ("unfinished", self.unfinished.get()),
            ("evicted", self.evicted.get()),
            ("accept_errors", self.accept_errors.get()),
            ("slow_given_up", self.slow_given_up.get()),
            ("panics", self.panics.get()),
        ]
    }
}
