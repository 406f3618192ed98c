//! The TTL store: the latest value of every series, for as long as it holds.
//!
//! Collectors, probes and plugins put batches in; doors, outputs and rules take values out. The
//! store never does I/O itself, except for [`snapshot`], which writes what it is given.

pub mod entry;
pub mod memory;

pub use entry::{Reading, StoreLimits, StoreStatus};
pub use memory::Store;
