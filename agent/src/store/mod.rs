//! The TTL store: the latest value of every series, for as long as it holds.
//!
//! Collectors, probes and plugins put batches in; doors, outputs and rules take values out. What
//! is in the store stays until it expires: a limit refuses new series and never throws out live
//! ones. The store never does I/O itself, except for [`snapshot`], which writes what it is given.
//!
//! Layout: the series are spread over [`memory::SHARDS`] shards by the hash of their text, each
//! with a lock of its own that is held for one sample or one page of a scan, so that neither a
//! scan nor a snapshot of a million series keeps a collector waiting.

mod catalogue;
mod codec;
pub mod entry;
pub mod history;
pub mod memory;
mod mirror;
mod names;
mod observe;
mod put;
mod restore;
mod shard;
pub mod snapshot;

pub use entry::{Reading, ReadingRef, StoreLimits, StoreStatus};
pub use history::{HistoryError, Point};
pub use memory::Store;
pub use mirror::COPY_MAX;
pub use snapshot::{BootId, Damage, Loaded, Snapshot, SnapshotError, Written};

#[cfg(test)]
mod snapshot_tests;
#[cfg(test)]
mod tests;
