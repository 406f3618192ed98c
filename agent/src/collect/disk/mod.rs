//! Disks: what the kernel counts per block device, and what the devices are.
//!
//! | kernel file | series |
//! |---|---|
//! | `/proc/diskstats` | `system.disk.io`, `.operations`, `.merged`, `.operation_time`, `.operation_time.average`, `.io_time`, `.weighted_io_time`, `.pending_operations`, `.utilization` |
//! | `/sys/block/*` | `system.disk.limit`, `.info`, `.member` |
//! | `/sys/block/md*/md/*` | `system.md.*` |
//! | `/proc/self/mountinfo` | `system.disk.mountpoint` |
//!
//! Only whole devices are measured: a partition's numbers are part of its disk's. Devices of size
//! zero (a loop device without a file, a drive without a medium) and hidden paths of a multipath
//! NVMe are left out. [`collector`] has the units; `tests/golden.rs` runs recorded trees.

pub mod collector;
mod counters;
pub(crate) mod device;
mod md;
mod mountpoints;

pub use collector::Disk;
