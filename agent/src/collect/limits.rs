//! What the kernel counts against its own limits.
//!
//! Reads `/proc/sys/fs/{file-nr,inode-nr,aio-nr,aio-max-nr}`, `/proc/sys/kernel/{pid_max,threads-max}`,
//! `/proc/sys/kernel/random/entropy_avail` and `/proc/sys/net/netfilter/nf_conntrack_{count,max}`
//! (proc_sys_fs(5), proc_sys_kernel(5), Documentation/networking/nf_conntrack-sysctl.rst).
//! Asynchronous IO, the entropy pool and connection tracking are parts that a kernel may be without;
//! they are not missed.
//!
//! | series | unit | kind |
//! |---|---|---|
//! | `system.linux.file_handle.count`, `system.linux.file_handle.limit` | {file_handle} | gauge |
//! | `system.linux.inode.count{state}`, state `used`, `free` (inodes in memory) | {inode} | gauge |
//! | `system.process.limit` (`pid_max`) | {process} | gauge |
//! | `system.thread.limit` (`threads-max`) | {thread} | gauge |
//! | `system.linux.entropy.available` | bit | gauge |
//! | `system.linux.aio.count`, `system.linux.aio.limit` | {request} | gauge |
//! | `system.linux.conntrack.count`, `system.linux.conntrack.limit` | {connection} | gauge |
//!
//! Each file is a row of numbers, which `number` reads; procfs-core has no parser for them apart
//! from its own file access.

use super::number::{read_optional_row, read_row};
use super::{Collector, Round};
use crate::model::Unit;

/// Single numbers: series, unit, file, and whether the file may be absent without notice.
const NUMBERS: [(&str, &str, &str, bool); 7] = [
    (
        "system.process.limit",
        "{process}",
        "/proc/sys/kernel/pid_max",
        false,
    ),
    (
        "system.thread.limit",
        "{thread}",
        "/proc/sys/kernel/threads-max",
        false,
    ),
    (
        "system.linux.entropy.available",
        "bit",
        "/proc/sys/kernel/random/entropy_avail",
        true,
    ),
    (
        "system.linux.aio.count",
        "{request}",
        "/proc/sys/fs/aio-nr",
        true,
    ),
    (
        "system.linux.aio.limit",
        "{request}",
        "/proc/sys/fs/aio-max-nr",
        true,
    ),
    (
        "system.linux.conntrack.count",
        "{connection}",
        "/proc/sys/net/netfilter/nf_conntrack_count",
        true,
    ),
    (
        "system.linux.conntrack.limit",
        "{connection}",
        "/proc/sys/net/netfilter/nf_conntrack_max",
        true,
    ),
];

/// The collector of kernel limits.
#[derive(Clone, Copy, Debug)]
pub struct Limits;

impl Collector for Limits {
    fn name(&self) -> &'static str {
        "limits"
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        // The middle number was "allocated but free" until Linux 2.6 and has been 0 since.
        if let Some([count, _, limit]) = read_row(round, "/proc/sys/fs/file-nr") {
            let unit = Unit::new("{file_handle}");
            let batch = &mut *round.batch;
            batch.gauge("system.linux.file_handle.count", &[], unit, count);
            batch.gauge("system.linux.file_handle.limit", &[], unit, limit);
        }
        if let Some([all, free]) = read_row::<2>(round, "/proc/sys/fs/inode-nr") {
            let unit = Unit::new("{inode}");
            for (state, inodes) in [("free", free), ("used", all.saturating_sub(free))] {
                let tags = [("state", state)];
                round
                    .batch
                    .gauge("system.linux.inode.count", &tags, unit, inodes);
            }
        }
        for (name, unit, path, optional) in NUMBERS {
            let read = if optional {
                read_optional_row(round, path)
            } else {
                read_row(round, path)
            };
            if let Some([number]) = read {
                round.batch.gauge(name, &[], Unit::new(unit), number);
            }
        }
    }
}
