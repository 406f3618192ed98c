//! When what runs: intervals, and which collectors are off.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::Moment;

/// Which collectors run, and how often. Names that no collector has are left to the configuration
/// to complain about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timetable {
    /// How often a collector runs that has no interval of its own.
    pub interval: Duration,
    /// The intervals of single collectors by name (`cpu`) and of probes by room and name
    /// (`probe.block`): a collector and a probe may have one name.
    pub intervals: BTreeMap<String, Duration>,
    /// The collectors that do not run.
    pub off: BTreeSet<String>,
}

impl Default for Timetable {
    fn default() -> Self {
        Self {
            interval: Self::INTERVAL,
            intervals: BTreeMap::new(),
            off: BTreeSet::new(),
        }
    }
}

impl Timetable {
    /// How often collectors run unless something else is said.
    pub const INTERVAL: Duration = Duration::from_secs(10);

    /// The shortest interval; a shorter one is taken as this. Below it a round of all collectors
    /// would keep a small machine busy.
    pub const INTERVAL_MIN: Duration = Duration::from_millis(100);

    /// The longest interval; a longer one is taken as this. It keeps arithmetic far from its ends.
    pub const INTERVAL_MAX: Duration = Duration::from_hours(24);

    /// How long a value holds at least, however short the interval.
    const TTL_MIN: Duration = Duration::from_mins(1);

    /// How often the collector runs; `None` when it is off.
    pub fn interval_of(&self, name: &str) -> Option<Duration> {
        if self.off.contains(name) {
            return None;
        }
        let interval = self.intervals.get(name).unwrap_or(&self.interval);
        Some((*interval).clamp(Self::INTERVAL_MIN, Self::INTERVAL_MAX))
    }

    /// How long values hold that come every `interval`: three rounds, at least a minute, so that
    /// one or two rounds that fail make no hole.
    pub fn ttl(interval: Duration) -> Duration {
        (interval * 3).max(Self::TTL_MIN)
    }

    /// The first multiple of `interval` after `now`, so that all collectors of one interval wake
    /// the machine together.
    pub fn tick_after(now: Moment, interval: Duration) -> Moment {
        let interval = nanoseconds(interval);
        Moment(
            (now.0 / interval)
                .saturating_add(1)
                .saturating_mul(interval),
        )
    }

    /// How many ticks after `due` have passed by `now`.
    pub fn ticks_missed(due: Moment, now: Moment, interval: Duration) -> u64 {
        now.0.saturating_sub(due.0) / nanoseconds(interval)
    }
}

fn nanoseconds(interval: Duration) -> u64 {
    u64::try_from(interval.as_nanos())
        .unwrap_or(u64::MAX)
        .max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn own_intervals_and_off_come_before_the_default() {
        let table = Timetable {
            intervals: BTreeMap::from([
                ("process".to_owned(), Duration::from_mins(1)),
                ("zero".to_owned(), Duration::ZERO),
            ]),
            off: BTreeSet::from(["numa".to_owned()]),
            ..Timetable::default()
        };
        assert_eq!(table.interval_of("cpu"), Some(Duration::from_secs(10)));
        assert_eq!(table.interval_of("process"), Some(Duration::from_mins(1)));
        assert_eq!(table.interval_of("zero"), Some(Timetable::INTERVAL_MIN));
        assert_eq!(table.interval_of("numa"), None);
    }

    #[test]
    fn values_hold_three_rounds_and_at_least_a_minute() {
        for (interval, ttl) in [(1, 60), (10, 60), (20, 60), (30, 90), (300, 900)] {
            let interval = Duration::from_secs(interval);
            assert_eq!(Timetable::ttl(interval), Duration::from_secs(ttl));
        }
    }

    proptest! {
        #[test]
        fn a_tick_is_a_multiple_and_at_most_one_interval_away(
            now in 0_u64..u64::MAX / 4,
            milliseconds in 100_u64..100_000_000,
        ) {
            let interval = Duration::from_millis(milliseconds);
            let tick = Timetable::tick_after(Moment(now), interval);
            prop_assert!(tick.0 > now);
            prop_assert_eq!(tick.0 % (milliseconds * 1_000_000), 0);
            prop_assert!(tick.since(Moment(now)) <= interval);
            prop_assert_eq!(Timetable::ticks_missed(tick, Moment(now), interval), 0);
            prop_assert_eq!(Timetable::ticks_missed(Moment(now), Moment(now) + interval, interval), 1);
        }
    }
}
