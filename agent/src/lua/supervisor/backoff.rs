//! When a plugin that has failed runs again.

use std::time::Duration;

/// The pauses after failures in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after a failure: `first`, and twice as long each time, at most `longest`. A run
    /// that was `steady` makes it begin anew.
    pub(super) fn failed(
        &mut self,
        ran: Duration,
        steady: Duration,
        first: Duration,
        longest: Duration,
    ) -> Duration {
        if ran > steady {
            self.failures = 0;
        }
        let factor = 2_u32.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        first.saturating_mul(factor).min(longest)
    }

    /// The next pause is the first again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_steady_run() {
        let mut backoff = Backoff::default();
        let mut pause = |ran| {
            let seconds = Duration::from_secs;
            let steady = seconds(120);
            backoff
                .failed(seconds(ran), steady, seconds(5), seconds(300))
                .as_secs()
        };
        let pauses: Vec<u64> = (0..9).map(|_| pause(1)).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(pause(120), 300, "not yet steady");
        assert_eq!(pause(121), 5);
        assert_eq!(pause(0), 10);
        for _ in 0..100 {
            assert!(pause(0) <= 300);
        }
    }
}
