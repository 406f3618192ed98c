//! How long something took, on the clock that never goes backwards.

use std::fmt;
use std::time::{Duration, Instant};

/// Measures from its start.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch {
    started: Instant,
}

impl Stopwatch {
    /// Starts to measure.
    #[expect(
        clippy::disallowed_methods,
        reason = "the workshop measures its own stages; it does not outlive a suspend"
    )]
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// Time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.started.elapsed()
    }
}

impl fmt::Display for Stopwatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.1} s", self.elapsed().as_secs_f64())
    }
}
