//! The counters of one disk over the rounds: wraps undone, what has changed since the last round.
//!
//! `/proc/diskstats` prints times as 32-bit milliseconds, so a busy disk's times begin anew after
//! 49.7 days of IO time; `weighted_io_time` of a deep queue does within hours. Does no I/O.

use procfs_core::DiskStat;

use crate::model::Moment;

/// One kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Read,
    Write,
    Discard,
    Flush,
}

impl Direction {
    pub(super) const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Discard, Self::Flush];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Discard => "discard",
            Self::Flush => "flush",
        }
    }
}

/// What is known of one kind of operation. Absent is what the kernel does not count: flushes have
/// neither size nor merges, and older kernels have neither flushes nor discards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Operations that were completed.
    pub(super) operations: u64,
    /// The time they took, in milliseconds.
    pub(super) milliseconds: u64,
    /// Bytes moved.
    pub(super) bytes: Option<u64>,
    /// Operations that were merged into others.
    pub(super) merged: Option<u64>,
}

/// All that `/proc/diskstats` says of one disk, times without their wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counters {
    read: Work,
    write: Work,
    discard: Option<Work>,
    flush: Option<Work>,
    /// Milliseconds in which at least one operation was under way.
    pub(super) busy: u64,
    /// Milliseconds times operations under way.
    pub(super) weighted: u64,
    /// Operations under way.
    pub(super) pending: u64,
}

/// `/proc/diskstats` counts in these, whatever the device's own block size is.
const SECTOR_BYTES: u64 = 512;

impl Counters {
    /// What the kernel's line says.
    pub(super) fn new(line: &DiskStat) -> Self {
        let bytes = |sectors: u64| sectors.saturating_mul(SECTOR_BYTES);
        Self {
            read: Work {
                operations: line.reads,
                milliseconds: line.time_reading,
                bytes: Some(bytes(line.sectors_read)),
                merged: Some(line.merged),
            },
            write: Work {
                operations: line.writes,
                milliseconds: line.time_writing,
                bytes: Some(bytes(line.sectors_written)),
                merged: Some(line.writes_merged),
            },
            discard: line.discards.map(|operations| Work {
                operations,
                milliseconds: line.time_discarding.unwrap_or(0),
                bytes: line.sectors_discarded.map(bytes),
                merged: line.discards_merged,
            }),
            flush: line.flushes.map(|operations| Work {
                operations,
                milliseconds: line.time_flushing.unwrap_or(0),
                bytes: None,
                merged: None,
            }),
            busy: line.time_in_progress,
            weighted: line.weighted_time_in_progress,
            pending: line.in_progress,
        }
    }

    /// One kind of operation, if this kernel counts it.
    pub(super) fn work(&self, direction: Direction) -> Option<Work> {
        match direction {
            Direction::Read => Some(self.read),
            Direction::Write => Some(self.write),
            Direction::Discard => self.discard,
            Direction::Flush => self.flush,
        }
    }

    fn work_mut(&mut self, direction: Direction) -> Option<&mut Work> {
        match direction {
            Direction::Read => Some(&mut self.read),
            Direction::Write => Some(&mut self.write),
            Direction::Discard => self.discard.as_mut(),
            Direction::Flush => self.flush.as_mut(),
        }
    }

    /// Operations of every kind.
    fn operations(&self) -> u64 {
        Direction::ALL
            .iter()
            .filter_map(|direction| self.work(*direction))
            .fold(0, |sum, work| sum.saturating_add(work.operations))
    }

    /// Whether nothing has ever been done with the device.
    pub(super) fn is_unused(&self) -> bool {
        self.operations() == 0
    }
}

/// One disk over the rounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct History {
    /// The latest counters.
    pub(super) now: Counters,
    at: Moment,
    before: Option<(Counters, Moment)>,
}

impl History {
    /// Begins with the first round.
    pub(super) fn first(counters: Counters, at: Moment) -> Self {
        Self {
            now: counters,
            at,
            before: None,
        }
    }

    /// Takes the next round. A disk whose operations went down is another disk of the same name,
    /// or its driver was loaded anew: it begins afresh.
    pub(super) fn next(&mut self, mut counters: Counters, at: Moment) {
        if counters.operations() < self.now.operations() {
            *self = Self::first(counters, at);
            return;
        }
        let last = self.now;
        for direction in Direction::ALL {
            if let (Some(work), Some(last)) = (counters.work_mut(direction), last.work(direction)) {
                work.milliseconds = unwrap(last.milliseconds, work.milliseconds);
            }
        }
        counters.busy = unwrap(last.busy, counters.busy);
        counters.weighted = unwrap(last.weighted, counters.weighted);
        self.before = Some((last, self.at));
        self.now = counters;
        self.at = at;
    }

    /// The share of the time since the last round in which the disk was busy, 0 to 1.
    pub(super) fn utilization(&self) -> Option<f64> {
        let (before, then) = self.before.as_ref()?;
        let elapsed = self.at.since(*then).as_secs_f64();
        let busy = self.now.busy.checked_sub(before.busy)? as f64 / 1e3;
        // The kernel's clock ticks coarser than ours, so the quotient may pass 1 by a tick.
        (elapsed > 0.0).then(|| (busy / elapsed).clamp(0.0, 1.0))
    }

    /// The average time in seconds of the operations completed since the last round; 0 when there
    /// were none, as iostat(1) has it.
    pub(super) fn average(&self, direction: Direction) -> Option<f64> {
        let (before, then) = self.before.as_ref()?;
        if self.at <= *then {
            return None;
        }
        let (now, before) = (self.now.work(direction)?, before.work(direction)?);
        let operations = now.operations.checked_sub(before.operations)?;
        let milliseconds = now.milliseconds.checked_sub(before.milliseconds)?;
        if operations == 0 {
            return Some(0.0);
        }
        Some(milliseconds as f64 / 1e3 / operations as f64)
    }
}

/// Continues a 32-bit counter: `raw` is what the kernel prints, `last` what it was continued to.
/// A fall by less than half the range is a fall, not a wrap, and given as it is.
fn unwrap(last: u64, raw: u64) -> u64 {
    const RANGE: u64 = 1 << 32;
    if raw >= RANGE {
        return raw;
    }
    let continued = last - last % RANGE + raw;
    if continued >= last {
        continued
    } else if last - continued > RANGE / 2 {
        continued + RANGE
    } else {
        raw
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn counters(line: &str) -> Counters {
        Counters::new(&DiskStat::from_line(line).unwrap())
    }

    fn at(seconds: u64) -> Moment {
        Moment(0) + Duration::from_secs(seconds)
    }

    #[test]
    fn a_line_of_every_age_is_understood() {
        let new = counters("8 0 sda 10 1 16 100 20 2 32 400 3 500 900 4 5 8 60 7 80");
        assert_eq!(
            new.work(Direction::Discard),
            Some(Work {
                operations: 4,
                milliseconds: 60,
                bytes: Some(4096),
                merged: Some(5)
            })
        );
        assert_eq!(new.work(Direction::Flush).unwrap().operations, 7);
        let old = counters("8 0 sda 10 1 16 100 20 2 32 400 3 500 900");
        assert_eq!(old.work(Direction::Flush), None);
        assert_eq!(old.work(Direction::Write).unwrap().bytes, Some(16_384));
        assert_eq!((old.pending, old.busy, old.weighted), (3, 500, 900));
    }

    #[test]
    fn averages_and_utilization_are_of_the_last_round() {
        let mut history = History::first(counters("8 0 a 10 0 0 100 0 0 0 0 0 500 900"), at(10));
        assert_eq!(history.utilization(), None);
        history.next(counters("8 0 a 30 0 0 200 0 0 0 0 0 3000 900"), at(20));
        assert_eq!(history.utilization(), Some(0.25));
        assert_eq!(history.average(Direction::Read), Some(0.005));
        assert_eq!(history.average(Direction::Write), Some(0.0));
        assert_eq!(history.average(Direction::Flush), None);
        // Another disk under the same name.
        history.next(counters("8 0 a 3 0 0 20 0 0 0 0 0 30 90"), at(30));
        assert_eq!(history.utilization(), None);
    }

    #[test]
    fn a_wrapped_time_goes_on() {
        let mut history = History::first(counters("8 0 a 1 0 0 0 0 0 0 0 0 4294967000 0"), at(0));
        history.next(counters("8 0 a 2 0 0 0 0 0 0 0 0 704 0"), at(10));
        assert_eq!(history.now.busy, (1 << 32) + 704);
        assert_eq!(history.utilization(), Some(0.1));
        history.next(counters("8 0 a 2 0 0 0 0 0 0 0 0 705 0"), at(20));
        assert_eq!(history.now.busy, (1 << 32) + 705);
    }

    proptest! {
        #[test]
        fn any_climb_survives_the_kernels_32_bits(
            start in 0_u64..1 << 32,
            steps in proptest::collection::vec(0_u64..1 << 31, 0..20),
        ) {
            let mut real = start;
            let mut seen = start;
            for step in steps {
                real += step;
                seen = unwrap(seen, real % (1 << 32));
                prop_assert_eq!(seen, real);
            }
        }
    }
}
