//! Change per second of a counter, with reset detection.
//!
//! A counter that goes down was reset: its rate is unknown for that interval, never a spike.

use super::clock::Moment;

/// What is known of a counter's speed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Change per second over the last interval.
    PerSecond(f64),
    /// There was no earlier value, or the counter was reset, or no time has passed.
    Unknown,
}

impl Rate {
    /// The number, if there is one.
    pub fn per_second(self) -> Option<f64> {
        match self {
            Self::PerSecond(rate) => Some(rate),
            Self::Unknown => None,
        }
    }
}

/// The last value of a counter and the speed it had then.
#[derive(Clone, Copy, Debug)]
pub struct RateState {
    value: f64,
    at: Moment,
    rate: Option<f64>,
    resets: u32,
}

impl RateState {
    /// Starts with the first value.
    pub fn first(value: f64, at: Moment) -> Self {
        Self {
            value,
            at,
            rate: None,
            resets: 0,
        }
    }

    /// Goes on from a state that was written down: its last value and moment, the speed it had
    /// then and how often it had gone down.
    pub fn restored(value: f64, at: Moment, rate: Rate, resets: u32) -> Self {
        Self {
            value,
            at,
            rate: rate.per_second(),
            resets,
        }
    }

    /// Takes the next value.
    pub fn next(&mut self, value: f64, at: Moment) {
        let elapsed = at.since(self.at).as_secs_f64();
        if value < self.value {
            self.rate = None;
            self.resets = self.resets.saturating_add(1);
        } else if elapsed > 0.0 {
            self.rate = Some((value - self.value) / elapsed);
        } else {
            // Two values of one moment say nothing about speed; keep what was known.
            self.value = value;
            return;
        }
        self.value = value;
        self.at = at;
    }

    /// The speed over the last interval.
    pub fn rate(&self) -> Rate {
        self.rate.map_or(Rate::Unknown, Rate::PerSecond)
    }

    /// How often the counter went down.
    pub fn resets(&self) -> u32 {
        self.resets
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_value_has_no_rate() {
        assert_eq!(RateState::first(5.0, at(1)).rate(), Rate::Unknown);
    }

    #[test]
    fn a_reset_makes_the_rate_unknown_for_one_interval() {
        let mut state = RateState::first(100.0, at(1));
        state.next(200.0, at(11));
        assert_eq!(state.rate(), Rate::PerSecond(10.0));
        state.next(5.0, at(21));
        assert_eq!(state.rate(), Rate::Unknown);
        assert_eq!(state.resets(), 1);
        state.next(25.0, at(31));
        assert_eq!(state.rate(), Rate::PerSecond(2.0));
    }

    #[test]
    fn two_values_of_one_moment_keep_the_rate() {
        let mut state = RateState::first(0.0, at(0));
        state.next(10.0, at(10));
        state.next(12.0, at(10));
        assert_eq!(state.rate(), Rate::PerSecond(1.0));
    }
}
