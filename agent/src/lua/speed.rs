//! The last samples of values that are wanted as speeds, by series, shared by all plugins.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::model::Moment;

/// The most series that are remembered; when there are more, those that were not sampled for
/// [`FORGOTTEN`] make room, and if none does, a new one is not remembered.
const SERIES_MAX: usize = 100_000;

/// After this long without a sample a series may make room for others.
const FORGOTTEN: Duration = Duration::from_hours(1);

/// The last samples.
#[derive(Debug, Default)]
pub(crate) struct Speeds {
    last: Mutex<HashMap<Box<str>, (f64, Moment)>>,
}

impl Speeds {
    /// Remembers a sample; gives the difference to the one before it per second, when there was
    /// one at an earlier time.
    pub(crate) fn next(&self, series: &str, value: f64, now: Moment) -> Option<f64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((before, at)) = last.get_mut(series) {
            let seconds = now.since(*at).as_secs_f64();
            let difference = value - *before;
            (*before, *at) = (value, now);
            return (seconds > 0.0).then(|| difference / seconds);
        }
        if last.len() >= SERIES_MAX {
            last.retain(|_, (_, at)| now.since(*at) < FORGOTTEN);
        }
        if last.len() < SERIES_MAX {
            last.insert(series.into(), (value, now));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_takes_two_samples() {
        let speeds = Speeds::default();
        let at = |seconds: u64| Moment(seconds * 1_000_000_000);
        assert_eq!(speeds.next("a", 10.0, at(1)), None);
        assert_eq!(speeds.next("b", 0.0, at(1)), None);
        assert_eq!(speeds.next("a", 30.0, at(5)), Some(5.0));
        assert_eq!(speeds.next("a", 28.0, at(7)), Some(-1.0));
        assert_eq!(speeds.next("a", 29.0, at(7)), None, "no time has passed");
    }
}
