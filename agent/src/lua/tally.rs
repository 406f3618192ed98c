//! What a script has done so far, for its page and its series.
//!
//! A script that has its functions run by `plugin.every` is counted by their runs. One that goes on
//! for ever by itself, as ZaLua's do, is counted by what it does between two pauses.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::host::nanoseconds;
use crate::model::{Clock, Moment};

/// The counts of one script; the host and the library write to them.
#[derive(Debug)]
pub(crate) struct Tally {
    clock: Clock,
    runs: AtomicU64,
    last_run: AtomicU64,
    samples: AtomicU64,
    /// When the script began, or its last pause ended.
    began: AtomicU64,
    /// The script itself has come to its end.
    is_past_main: AtomicBool,
}

impl Tally {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            runs: AtomicU64::default(),
            last_run: AtomicU64::default(),
            samples: AtomicU64::default(),
            began: AtomicU64::default(),
            is_past_main: AtomicBool::default(),
        }
    }

    /// The script begins.
    pub(super) fn begins(&self) {
        self.began.store(self.clock.now().0, Ordering::Relaxed);
    }

    /// A pause that the script asked for begins.
    pub(crate) fn pauses(&self) {
        if !self.is_past_main.load(Ordering::Relaxed) {
            let began = Moment(self.began.load(Ordering::Relaxed));
            self.ran(self.clock.now().since(began));
        }
    }

    /// The pause has ended.
    pub(crate) fn goes_on(&self) {
        self.begins();
    }

    /// The script has come to its end; what runs from now on is told by [`Tally::ran`].
    pub(super) fn main_ended(&self) {
        self.pauses();
        self.is_past_main.store(true, Ordering::Relaxed);
    }

    /// One run has come to its end.
    pub(super) fn ran(&self, took: Duration) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.last_run.store(nanoseconds(took), Ordering::Relaxed);
    }

    /// A sample was put.
    pub(crate) fn sampled(&self) {
        self.samples.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    pub(super) fn last_run(&self) -> Duration {
        Duration::from_nanos(self.last_run.load(Ordering::Relaxed))
    }

    pub(super) fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_between_pauses_is_a_run_until_the_script_has_ended() {
        let (clock, hand) = Clock::manual();
        let tally = Tally::new(clock);
        tally.begins();
        hand.advance(Duration::from_secs(2));
        tally.pauses();
        assert_eq!(
            (tally.runs(), tally.last_run()),
            (1, Duration::from_secs(2))
        );
        hand.advance(Duration::from_mins(1));
        tally.goes_on();
        hand.advance(Duration::from_secs(1));
        tally.main_ended();
        assert_eq!(
            (tally.runs(), tally.last_run()),
            (2, Duration::from_secs(1))
        );
        tally.pauses();
        tally.goes_on();
        assert_eq!(tally.runs(), 2, "a pause within a run of plugin.every");
        tally.ran(Duration::from_secs(5));
        assert_eq!(
            (tally.runs(), tally.last_run()),
            (3, Duration::from_secs(5))
        );
    }
}
