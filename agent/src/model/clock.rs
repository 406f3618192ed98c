//! The two clocks: boot time for durations, wall time for people.
//!
//! `CLOCK_BOOTTIME` goes on in suspend and is not moved by anybody (clock_gettime(2)), so a TTL, a
//! rate or a deadline is never early or late after a suspend or a clock step. It is also the same
//! clock for every process of one boot, which is what lets a snapshot be read back.

use std::ops::{Add, Sub};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds on the boot clock, suspend included (`CLOCK_BOOTTIME`), counted from ten years
/// before the boot: what an earlier boot has left behind has a moment too. [`Clock::uptime`] is
/// the time since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// The time from `earlier` until here; zero when `earlier` is in fact later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanoseconds))
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanoseconds))
    }
}

/// Nanoseconds since 1970-01-01T00:00:00Z (`CLOCK_REALTIME`), for output only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(pub u64);

impl Wall {
    /// Whole seconds since 1970, as `time(2)` gives them.
    pub fn seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Year, month, day, hour, minute and second in UTC, in the Gregorian calendar.
    pub fn utc(self) -> [u64; 6] {
        let seconds = self.seconds();
        // Years that begin in March have their leap day last, which makes the months regular: five
        // of them have 153 days. 719468 is the number of days from 0000-03-01 to 1970-01-01.
        let days = seconds / 86_400 + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        [year, month, day, hour, minute, second]
    }
}

/// Where a room takes its time from: the kernel, or a test's hand.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The kernel's clocks.
    #[default]
    System,
    /// A clock that stands still until a test moves it.
    Manual(std::sync::Arc<ManualClock>),
}

/// A clock that a test moves.
#[derive(Debug, Default)]
pub struct ManualClock {
    nanoseconds: std::sync::atomic::AtomicU64,
}

impl ManualClock {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let nanoseconds = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds
            .fetch_add(nanoseconds, std::sync::atomic::Ordering::SeqCst);
    }

    fn read(&self) -> u64 {
        self.nanoseconds.load(std::sync::atomic::Ordering::SeqCst)
    }
}

impl Clock {
    /// A clock that stands still, and the hand that moves it.
    pub fn manual() -> (Self, std::sync::Arc<ManualClock>) {
        let hand = std::sync::Arc::new(ManualClock::default());
        (Self::Manual(std::sync::Arc::clone(&hand)), hand)
    }

    /// How much time the boot clock has for what was before the boot: longer than anything holds.
    const BEFORE_BOOT: Duration = Duration::from_hours(24 * 3650);

    /// Now, on the boot clock.
    pub fn now(&self) -> Moment {
        match self {
            Self::System => Moment::default() + Self::BEFORE_BOOT + self.uptime(),
            Self::Manual(hand) => Moment(hand.read()),
        }
    }

    /// The time since boot; of a manual clock, all that it was moved.
    pub fn uptime(&self) -> Duration {
        Duration::from_nanos(match self {
            Self::System => nanoseconds(ClockId::Boottime),
            Self::Manual(hand) => hand.read(),
        })
    }

    /// Now, on the wall.
    pub fn wall(&self) -> Wall {
        match self {
            Self::System => Wall(nanoseconds(ClockId::Realtime)),
            Self::Manual(hand) => Wall(hand.read()),
        }
    }

    /// The wall time at which `moment` was or will be, as the clocks stand now.
    pub fn wall_at(&self, moment: Moment) -> Wall {
        let (now, wall) = (self.now().0, self.wall().0);
        if moment.0 >= now {
            Wall(wall.saturating_add(moment.0 - now))
        } else {
            Wall(wall.saturating_sub(now - moment.0))
        }
    }
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, [1970, 1, 1, 0, 0, 0]),
            (951_782_399, [2000, 2, 28, 23, 59, 59]),
            (951_782_400, [2000, 2, 29, 0, 0, 0]),
            (1_735_689_599, [2024, 12, 31, 23, 59, 59]),
            (4_107_542_400, [2100, 3, 1, 0, 0, 0]),
            (13_574_563_200, [2400, 2, 29, 0, 0, 0]),
        ] {
            assert_eq!(Wall(seconds * 1_000_000_000).utc(), date);
        }
    }

    #[test]
    fn boot_time_goes_forward() {
        let clock = Clock::System;
        let first = clock.now();
        assert!(first.0 > 0);
        assert!(clock.now() >= first);
    }

    #[test]
    fn what_was_before_the_boot_has_a_moment() {
        let clock = Clock::System;
        let before = clock.now() - Duration::from_hours(24 * 365);
        let difference = clock.wall().0 - clock.wall_at(before).0;
        assert!(
            difference.abs_diff(365 * 86_400_000_000_000) < 1_000_000_000,
            "{difference}"
        );
    }

    #[test]
    fn a_manual_clock_stands_until_moved() {
        let (clock, hand) = Clock::manual();
        let start = clock.now();
        assert_eq!(clock.now(), start);
        hand.advance(Duration::from_secs(3));
        assert_eq!(clock.now().since(start), Duration::from_secs(3));
        assert_eq!(start.since(clock.now()), Duration::ZERO);
    }

    #[test]
    fn a_past_moment_has_an_earlier_wall_time() {
        let clock = Clock::System;
        let minute_ago = clock.now() - Duration::from_mins(1);
        let difference = clock.wall().0 - clock.wall_at(minute_ago).0;
        assert!(
            difference.abs_diff(60_000_000_000) < 1_000_000_000,
            "{difference}"
        );
    }
}
