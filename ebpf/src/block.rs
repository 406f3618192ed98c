//! What the block program counts: requests by device and operation.

use crate::histogram::Histogram;

/// The key of a record.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The disk: `major << 20 | minor`, as the kernel keeps it.
    pub device: u32,
    /// One of the `OPERATION_` constants.
    pub operation: u32,
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
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Requests that completed as a whole.
    pub requests: u64,
    /// Bytes that completed, those of partly completed requests too.
    pub bytes: u64,
    /// Completions with an error, by class.
    pub errors: [u64; ERROR_CLASSES],
    /// From the request's start (its first bio entering the block layer) to its completion.
    pub total: Histogram,
    /// From the hand-over to the driver to the completion.
    pub device: Histogram,
}

impl Record {
    /// A record that holds nothing.
    pub const EMPTY: Self = Self {
        requests: 0,
        bytes: 0,
        errors: [0; ERROR_CLASSES],
        total: Histogram::EMPTY,
        device: Histogram::EMPTY,
    };
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
