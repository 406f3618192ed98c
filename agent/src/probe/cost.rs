//! What the programs cost: runs, time, and runs that the kernel refused.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::fdstore::Running;
use super::sys;
use crate::model::{Batch, Unit};

const RUNS: Unit = Unit::new("{run}");

/// Adds the series of one object's programs.
pub(super) fn read(running: &Running, batch: &mut Batch) {
    let object = ("object", running.object.as_str());
    for program in &running.programs {
        let Ok(info) = sys::program_info(program.program.as_fd()) else {
            continue;
        };
        let tags = [object, ("program", program.name)];
        // A program that is interrupted by its own event on the same CPU is not run for it: an
        // event that no map has counted.
        batch.counter("moonward.probe.missed", &tags, RUNS, info.recursion_misses);
        if info.run_count > 0 {
            batch.counter("moonward.probe.runs", &tags, RUNS, info.run_count);
            batch.counter(
                "moonward.probe.run_time",
                &tags,
                Unit::SECONDS,
                info.run_time as f64 / 1e9,
            );
        }
    }
    let memory: u64 = running
        .maps
        .values()
        .map(|map| map_memory(map.as_fd()))
        .sum();
    batch.gauge("moonward.probe.map_memory", &[object], Unit::BYTES, memory);
}

/// The kernel memory of a map in bytes, from /proc/self/fdinfo; 0 where it does not say.
pub(super) fn map_memory(map: BorrowedFd<'_>) -> u64 {
    let path = format!("/proc/self/fdinfo/{}", map.as_raw_fd());
    std::fs::read_to_string(path)
        .ok()
        .and_then(|text| {
            text.lines()
                .find_map(|line| line.strip_prefix("memlock:"))
                .and_then(|value| value.trim().parse().ok())
        })
        .unwrap_or(0)
}
