//! The parts of the form that writer and reader share.

use thiserror::Error;

use crate::model::{Kind, Moment, RateState, Unit, Value, Wall};

pub(super) const MARK: [u8; 8] = *b"MWSTORE\0";
pub(super) const VERSION: u32 = 2;
/// The length of a boot id as `/proc/sys/kernel/random/boot_id` has it.
pub(in crate::store) const BOOT_ID: usize = 36;
/// The longest name of a source that is kept.
pub(super) const SOURCE_MAX: usize = 255;

pub(super) const END: u8 = 0;
pub(super) const UNIT: u8 = 1;
pub(super) const SOURCE: u8 = 2;
pub(super) const SERIES: u8 = 3;

/// What stands before the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Head {
    pub(in crate::store) boot: [u8; BOOT_ID],
    /// When it was written, by both clocks.
    pub(in crate::store) at: Moment,
    pub(in crate::store) wall: Wall,
}

/// One series as it was written down.
#[derive(Debug)]
pub(in crate::store) struct Saved<'b> {
    pub(in crate::store) series: &'b str,
    pub(in crate::store) source: &'b str,
    pub(in crate::store) kind: Kind,
    pub(in crate::store) unit: Unit,
    pub(in crate::store) value: Value,
    pub(in crate::store) at: Moment,
    pub(in crate::store) expires: Moment,
    pub(in crate::store) rate: Option<RateState>,
}

/// Why a snapshot is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// Zero bytes.
    #[error("it is empty")]
    Empty,
    /// Something else has this name: a directory, a link, a pipe.
    #[error("it is not a regular file")]
    NotAFile,
    /// Larger than any that is written.
    #[error("it is {0} bytes large, which no snapshot is")]
    TooLarge(u64),
    /// It does not start with the mark.
    #[error("it does not start as a snapshot does")]
    Mark,
    /// Written by another release.
    #[error("it has version {0}; this release reads version {VERSION}")]
    Version(u32),
    /// The checksum is not that of the content.
    #[error("its checksum is wrong: it is damaged or cut short")]
    Checksum,
    /// The checksum is right and the content still does not read.
    #[error("it does not read at byte {0}")]
    Content(usize),
}
