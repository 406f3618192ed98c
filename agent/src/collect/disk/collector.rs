//! The collector for disks.
//!
//! | series | kind and unit |
//! |---|---|
//! | `system.disk.io{device,direction=read\|write\|discard}` | counter, By |
//! | `system.disk.operations{device,direction=read\|write\|discard\|flush}` | counter, `{operation}` |
//! | `system.disk.merged{device,direction=read\|write\|discard}` | counter, `{operation}` |
//! | `system.disk.operation_time{device,direction}` | counter, s: the sum over all operations |
//! | `system.disk.operation_time.average{device,direction}` | gauge, s: of the last round, 0 without operations |
//! | `system.disk.io_time{device}` | counter, s in which the disk was busy |
//! | `system.disk.weighted_io_time{device}` | counter, s times operations under way |
//! | `system.disk.pending_operations{device}` | gauge, `{operation}` |
//! | `system.disk.utilization{device}` | gauge, ratio of the last round |
//! | `system.disk.limit{device}` | gauge, By |
//! | `system.disk.info{device,kind,level,model,mountpoint,name,rotational}` | gauge, 1; tags that are unknown are left out |
//! | `system.disk.member{device,member}` | gauge, 1 |
//! | `system.disk.mountpoint{device,mountpoint,via}` | gauge, 1 |
//! | `system.disk.mountpoints.skipped` | gauge, `{mountpoint}` |
//!
//! Reads only; what sysfs says of a device is kept for a minute.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use procfs_core::DiskStat;

use super::counters::{Counters, Direction, History};
use super::device::{self, Device};
use super::md;
use super::mountpoints::{self, MountPoint};
use crate::collect::{Collector, Round, mountinfo};
use crate::model::{Moment, Unit};

const OPERATIONS: Unit = Unit::new("{operation}");

/// How long what sysfs says of a device is taken as true, unless devices come or go.
const FACTS_HOLD: Duration = Duration::from_mins(1);

/// The most disks that are measured, with some thirty series each; a large SAN host has a few
/// hundred.
const DISKS_MAX: usize = 512;

/// Measures disks.
#[derive(Debug, Default)]
pub struct Disk {
    histories: HashMap<String, History>,
    facts: Option<Facts>,
}

/// A whole device.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) name: String,
    /// Major and minor number.
    pub(super) numbers: (u32, u32),
    pub(super) device: Device,
}

/// What changes rarely.
#[derive(Debug)]
struct Facts {
    at: Moment,
    /// Which lines of `/proc/diskstats` there were, to see that a device came or went.
    lines: Vec<(String, (u32, u32))>,
    devices: HashMap<String, usize>,
    known: Vec<Known>,
    points: BTreeMap<String, Vec<MountPoint>>,
    points_left_out: u64,
}

impl Disk {
    /// A collector that has seen no round yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Collector for Disk {
    fn name(&self) -> &'static str {
        "disk"
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        let Some(text) = round.read("/proc/diskstats") else {
            return;
        };
        let mut lines = Vec::new();
        for line in text.lines() {
            match DiskStat::from_line(line) {
                Ok(line) => lines.push(line),
                Err(_) => round.lost(format!("/proc/diskstats has an odd line: {line:?}")),
            }
        }
        let facts = match self.facts.take() {
            Some(facts) if facts.hold(&lines, round.now) => facts,
            _ => Facts::read(round, &lines),
        };
        self.histories
            .retain(|name, _| facts.devices.contains_key(name));
        let mut measured = 0_usize;
        for line in &lines {
            let Some(known) = facts.known(&line.name) else {
                continue;
            };
            let counters = Counters::new(line);
            if !is_wanted(&known.device, &counters) {
                continue;
            }
            measured += 1;
            if measured > DISKS_MAX {
                continue;
            }
            let history = match self.histories.get_mut(&line.name) {
                Some(history) => {
                    history.next(counters, round.now);
                    history
                }
                None => self
                    .histories
                    .entry(line.name.clone())
                    .or_insert_with(|| History::first(counters, round.now)),
            };
            add_counters(round, &line.name, history);
            add_facts(round, known, facts.points.get(&line.name));
            if known.device.kind == "md" {
                md::collect(round, &known.name, &known.device.members);
            }
        }
        if measured > DISKS_MAX {
            let beyond = measured - DISKS_MAX;
            round.lost(format!(
                "{beyond} disks were left out; {DISKS_MAX} is the most that are measured"
            ));
        }
        round.batch.gauge(
            "system.disk.mountpoints.skipped",
            &[],
            Unit::new("{mountpoint}"),
            facts.points_left_out,
        );
        self.facts = Some(facts);
    }
}

/// Whether anybody wants to see the device: not while it has no medium or file, not if it is one
/// path of another one, and not if it is the image of a package, of which a desktop has dozens.
fn is_wanted(device: &Device, counters: &Counters) -> bool {
    let idle = matches!(device.kind, "floppy" | "nbd" | "optical" | "ram") && counters.is_unused();
    let image = device.kind == "loop" && device.read_only;
    !(device.hidden || device.bytes == Some(0) || idle || image)
}

impl Facts {
    fn hold(&self, lines: &[DiskStat], now: Moment) -> bool {
        now.since(self.at) < FACTS_HOLD
            && self.lines.len() == lines.len()
            && self.lines.iter().zip(lines).all(|((name, numbers), line)| {
                *name == line.name && *numbers == self::numbers(line)
            })
    }

    fn read(round: &mut Round<'_>, lines: &[DiskStat]) -> Self {
        let root = round.root;
        let whole: HashSet<String> = root
            .names("/sys/block")
            .into_iter()
            .map(|name| name.replace('!', "/"))
            .collect();
        let known: Vec<Known> = lines
            .iter()
            .filter(|line| {
                if whole.is_empty() {
                    !device::looks_like_partition(&line.name)
                } else {
                    whole.contains(&line.name)
                }
            })
            .map(|line| Known {
                name: line.name.clone(),
                numbers: numbers(line),
                device: Device::read(root, &line.name),
            })
            .collect();
        // Lines that cannot be read are the file system collector's to report.
        let (mounts, _) = mountinfo::table(round).unwrap_or_default();
        let visible = mountinfo::visible(&mounts);
        let mounts: Vec<_> = mounts
            .into_iter()
            .zip(visible)
            .filter_map(|(mount, visible)| visible.then_some(mount))
            .collect();
        let (points, points_left_out) = mountpoints::of_devices(&known, &mounts);
        Self {
            at: round.now,
            lines: lines
                .iter()
                .map(|line| (line.name.clone(), numbers(line)))
                .collect(),
            devices: known
                .iter()
                .enumerate()
                .map(|(index, known)| (known.name.clone(), index))
                .collect(),
            known,
            points,
            points_left_out,
        }
    }

    fn known(&self, name: &str) -> Option<&Known> {
        self.known.get(*self.devices.get(name)?)
    }
}

fn numbers(line: &DiskStat) -> (u32, u32) {
    (line.major.unsigned_abs(), line.minor.unsigned_abs())
}

fn add_counters(round: &mut Round<'_>, device: &str, history: &History) {
    let batch = &mut *round.batch;
    let counters = &history.now;
    for direction in Direction::ALL {
        let Some(work) = counters.work(direction) else {
            continue;
        };
        let tags = [("device", device), ("direction", direction.as_str())];
        if let Some(bytes) = work.bytes {
            batch.counter("system.disk.io", &tags, Unit::BYTES, bytes);
        }
        batch.counter("system.disk.operations", &tags, OPERATIONS, work.operations);
        if let Some(merged) = work.merged {
            batch.counter("system.disk.merged", &tags, OPERATIONS, merged);
        }
        batch.counter(
            "system.disk.operation_time",
            &tags,
            Unit::SECONDS,
            seconds(work.milliseconds),
        );
        if let Some(average) = history.average(direction) {
            batch.gauge(
                "system.disk.operation_time.average",
                &tags,
                Unit::SECONDS,
                average,
            );
        }
    }
    let tags = [("device", device)];
    batch.counter(
        "system.disk.io_time",
        &tags,
        Unit::SECONDS,
        seconds(counters.busy),
    );
    batch.counter(
        "system.disk.weighted_io_time",
        &tags,
        Unit::SECONDS,
        seconds(counters.weighted),
    );
    batch.gauge(
        "system.disk.pending_operations",
        &tags,
        OPERATIONS,
        counters.pending,
    );
    if let Some(ratio) = history.utilization() {
        batch.gauge("system.disk.utilization", &tags, Unit::ONE, ratio);
    }
}

fn add_facts(round: &mut Round<'_>, known: &Known, points: Option<&Vec<MountPoint>>) {
    let batch = &mut *round.batch;
    let device = &known.device;
    let name = known.name.as_str();
    if let Some(bytes) = device.bytes {
        batch.gauge("system.disk.limit", &[("device", name)], Unit::BYTES, bytes);
    }
    let point = points.and_then(|points| points.first());
    let tags: Vec<(&str, &str)> = [
        ("device", Some(name)),
        ("kind", Some(device.kind)),
        ("level", device.level.as_deref()),
        ("model", device.model.as_deref()),
        ("mountpoint", point.map(|point| point.point.as_str())),
        ("name", device.name.as_deref()),
        ("rotational", device.rotational.map(true_or_false)),
    ]
    .into_iter()
    .filter_map(|(tag, value)| Some((tag, value?)))
    .collect();
    batch.gauge("system.disk.info", &tags, Unit::ONE, 1_u64);
    for member in &device.members {
        let tags = [("device", name), ("member", member.as_str())];
        batch.gauge("system.disk.member", &tags, Unit::ONE, 1_u64);
    }
    for point in points.into_iter().flatten() {
        let tags = [
            ("device", name),
            ("mountpoint", point.point.as_str()),
            ("via", point.via.as_str()),
        ];
        batch.gauge("system.disk.mountpoint", &tags, Unit::ONE, 1_u64);
    }
}

const fn true_or_false(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1e3
}

#[cfg(test)]
#[path = "collector_tests.rs"]
mod tests;
