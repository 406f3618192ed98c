//! What the block program counts: requests by device and operation.

use crate::histogram::{BUCKETS, Histogram, count_in};

/// The most records that a table can have.
pub const SLOTS: usize = 512;
/// How many places are tried for a key before the table counts as full.
pub const PROBES: usize = 8;

/// Which record belongs to whom.
///
/// A table of its own, because the kernel's hash maps cost three times as much for a look-up as
/// everything else that a request costs here.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Directory {
    /// In the order of the records.
    pub entries: [Entry; SLOTS],
}

/// One place of the directory.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// From [`key_of`]; 0 is free.
    pub key: u64,
    /// The number of the record plus one. It says nothing new, but what is read from a map is an
    /// unknown number to the kernel's verifier: so it looks at what follows once, not once for
    /// every place that the search may end in.
    pub record: u64,
}

/// The key of a disk (`major << 20 | minor`, as the kernel keeps it) and one of the `OPERATION_`
/// constants; never 0.
#[inline(always)]
pub const fn key_of(device: u32, operation: u32) -> u64 {
    1 << 63 | (operation as u64) << 32 | device as u64
}

/// The disk and the operation of a key.
pub const fn parts_of(key: u64) -> (u32, u32) {
    (key as u32, (key >> 32) as u32 & 0x7fff_ffff)
}

/// The place where the search for a key begins, below `size`.
#[inline(always)]
pub const fn first_slot(key: u64, size: u64) -> u64 {
    // Multiplicative hashing; the upper half is scaled to the size, which needs no division.
    let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    (hash * size) >> 32
}

/// `REQ_OP_READ`.
pub const OPERATION_READ: u32 = 0;
/// `REQ_OP_WRITE` and `REQ_OP_ZONE_APPEND`.
pub const OPERATION_WRITE: u32 = 1;
/// `REQ_OP_FLUSH`: the flushes that really went to the device.
pub const OPERATION_FLUSH: u32 = 2;
/// `REQ_OP_DISCARD` and `REQ_OP_SECURE_ERASE`.
pub const OPERATION_DISCARD: u32 = 3;
/// Everything else: zone management, write zeroes, driver and SCSI commands.
pub const OPERATION_OTHER: u32 = 4;

/// Error classes. Numbers 1 to 12 are `blk_status_t` (include/linux/blk_types.h), the part of it
/// that has not moved since 4.13; anything else is class 0.
pub const ERROR_CLASSES: usize = 13;

/// What is counted for one device and operation, on one CPU.
///
/// The counts and sums of both histograms stand together: one request then touches three cache
/// lines of the record instead of five.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Requests that completed as a whole.
    pub requests: u64,
    /// Bytes that completed, those of partly completed requests too.
    pub bytes: u64,
    total_count: u64,
    total_sum: u64,
    device_count: u64,
    device_sum: u64,
    /// Completions with an error, by class.
    pub errors: [u64; ERROR_CLASSES],
    total_buckets: [u64; BUCKETS],
    device_buckets: [u64; BUCKETS],
}

impl Record {
    /// A record that holds nothing.
    pub const EMPTY: Self = Self {
        requests: 0,
        bytes: 0,
        total_count: 0,
        total_sum: 0,
        device_count: 0,
        device_sum: 0,
        errors: [0; ERROR_CLASSES],
        total_buckets: [0; BUCKETS],
        device_buckets: [0; BUCKETS],
    };

    /// Records the time from the request's start (its first bio entering the block layer) to its
    /// completion, in nanoseconds.
    #[inline(always)]
    pub fn record_total(&mut self, ns: u64) {
        self.total_count = self.total_count.wrapping_add(1);
        self.total_sum = self.total_sum.wrapping_add(ns);
        count_in(&mut self.total_buckets, ns);
    }

    /// Records the time from the hand-over to the driver to the completion, in nanoseconds.
    #[inline(always)]
    pub fn record_device(&mut self, ns: u64) {
        self.device_count = self.device_count.wrapping_add(1);
        self.device_sum = self.device_sum.wrapping_add(ns);
        count_in(&mut self.device_buckets, ns);
    }

    /// What [`Record::record_total`] has recorded.
    pub fn total(&self) -> Histogram {
        Histogram {
            count: self.total_count,
            sum: self.total_sum,
            buckets: self.total_buckets,
        }
    }

    /// What [`Record::record_device`] has recorded.
    pub fn device(&self) -> Histogram {
        Histogram {
            count: self.device_count,
            sum: self.device_sum,
            buckets: self.device_buckets,
        }
    }

    /// Adds another record, for example that of the next CPU.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.requests, other.requests),
            (&mut self.bytes, other.bytes),
            (&mut self.total_count, other.total_count),
            (&mut self.total_sum, other.total_sum),
            (&mut self.device_count, other.device_count),
            (&mut self.device_sum, other.device_sum),
        ] {
            *mine = mine.wrapping_add(theirs);
        }
        for (mine, theirs) in [
            (&mut self.errors[..], &other.errors[..]),
            (&mut self.total_buckets[..], &other.total_buckets[..]),
            (&mut self.device_buckets[..], &other.device_buckets[..]),
        ] {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine = mine.wrapping_add(*theirs);
            }
        }
    }
}

/// Completions that could not be placed at all: the table was full.
pub const SKIPPED_TABLE_FULL: usize = 0;
/// Completions of a request that belongs to no disk.
pub const SKIPPED_NO_DEVICE: usize = 1;
/// Latencies not sampled: the kernel had not stamped the start (iostats off, no scheduler).
pub const SKIPPED_NO_START_TIME: usize = 2;
/// Device latencies not sampled: the kernel had not stamped the hand-over.
pub const SKIPPED_NO_ISSUE_TIME: usize = 3;
/// Completions of a part of a request; its latency is sampled with the last part.
pub const SKIPPED_PARTIAL: usize = 4;
/// Stamps that lie after the completion.
pub const SKIPPED_CLOCK: usize = 5;
/// How many reasons there are.
pub const SKIPPED_REASONS: usize = 6;

/// Samples that were skipped on one CPU, by reason.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Skipped {
    /// Counts, by the `SKIPPED_` constants.
    pub by_reason: [u64; SKIPPED_REASONS],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_apart_again_and_are_never_empty() {
        for device in [0, 1, 254 << 20, u32::MAX] {
            for operation in 0..=OPERATION_OTHER {
                let key = key_of(device, operation);
                assert_ne!(key, 0);
                assert_eq!(parts_of(key), (device, operation));
                for size in [1, 64, 109, 512] {
                    assert!(first_slot(key, size) < size);
                }
            }
        }
    }

    #[test]
    fn disks_find_a_place_within_the_probes() {
        // 24 disks with four operations each in 128 places: three quarters full.
        let mut places = [0_u64; 128];
        for disk in 0..24 {
            for operation in 0..4 {
                let key = key_of((8 << 20) | (disk * 16), operation);
                let first = first_slot(key, 128) as usize;
                let place = (0..PROBES)
                    .map(|probe| (first + probe) % 128)
                    .find(|place| places[*place] == 0);
                places[place.expect("a place within the probes")] = key;
            }
        }
    }
}
