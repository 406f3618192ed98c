//! The user-space half of the block program: records to series, devices to names.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;

use moonward_ebpf::block::{
    self, Directory, OPERATION_DISCARD, OPERATION_FLUSH, OPERATION_READ, OPERATION_WRITE, Record,
    SKIPPED_CLOCK, SKIPPED_NO_DEVICE, SKIPPED_NO_ISSUE_TIME, SKIPPED_NO_START_TIME,
    SKIPPED_PARTIAL, SKIPPED_TABLE_FULL, SLOTS, Skipped, parts_of,
};

use super::histogram;
use super::map::{Map, MapError, possible_cpus};
use crate::model::{Batch, Kind, Unit};

/// The map takes at most this much kernel memory on machines of up to 16 CPUs; beyond, it may
/// grow with their number up to [`MEMORY_MAX`].
const MEMORY: usize = 6 << 20;
const MEMORY_MAX: usize = 28 << 20;
/// Twice the room that the disks of now need, and never fewer keys than this, unless memory says
/// otherwise: the table is quick as long as it is not full.
const KEYS_MIN: usize = 64;
/// Read, write, flush and discard.
const KEYS_FOR_A_DISK: usize = 4;

const REQUESTS: Unit = Unit::new("{request}");
const ERRORS: Unit = Unit::new("{error}");
const SAMPLES: Unit = Unit::new("{sample}");

/// How many entries the table of records gets: enough for the disks of now and some to come,
/// within the budget. What does not fit is counted as skipped.
pub(super) fn table_size() -> u32 {
    let disks = std::fs::read_dir("/sys/block").map_or(0, Iterator::count);
    size_for(disks, possible_cpus().unwrap_or(1))
}

fn size_for(disks: usize, cpus: usize) -> u32 {
    let cpus = cpus.max(1);
    let memory = (MEMORY * cpus / 16).clamp(MEMORY, MEMORY_MAX);
    let most = memory / (cpus * size_of::<Record>());
    let wanted = (disks * KEYS_FOR_A_DISK * 2).max(KEYS_MIN);
    u32::try_from(wanted.min(most).clamp(1, SLOTS)).unwrap_or(1)
}

/// Reads the records of all devices.
#[derive(Debug)]
pub(super) struct Reader {
    directory: Map<u32, Directory>,
    records: Map<u32, Record>,
    skipped: Map<u32, Skipped>,
    names: HashMap<u32, String>,
    sum: Box<Record>,
}

impl Reader {
    pub(super) fn new(
        directory: OwnedFd,
        records: OwnedFd,
        skipped: OwnedFd,
    ) -> Result<Self, MapError> {
        Ok(Self {
            directory: Map::new(directory)?,
            records: Map::new(records)?,
            skipped: Map::new(skipped)?,
            names: HashMap::new(),
            sum: Box::new(Record::EMPTY),
        })
    }

    /// Adds the samples of now.
    pub(super) fn read(&mut self, batch: &mut Batch) -> io::Result<()> {
        let Some([directory]) = self.directory.read(&0)? else {
            return Err(io::Error::other("the directory of records is missing"));
        };
        let taken = (0_u32..)
            .zip(directory.entries)
            .filter(|(_, entry)| entry.key != 0 && entry.record != 0);
        for (slot, entry) in taken {
            let Some(values) = self.records.read(&slot)? else {
                continue;
            };
            *self.sum = Record::EMPTY;
            for value in values {
                self.sum.add(value);
            }
            let (device, operation) = parts_of(entry.key);
            let name = self
                .names
                .entry(device)
                .or_insert_with(|| device_name(device));
            push(batch, name, operation_name(operation), &self.sum);
        }
        let mut skipped = [0_u64; block::SKIPPED_REASONS];
        if let Some(values) = self.skipped.read(&0)? {
            for value in values {
                for (sum, count) in skipped.iter_mut().zip(value.by_reason) {
                    *sum = sum.wrapping_add(count);
                }
            }
        }
        for (reason, count) in skipped.into_iter().enumerate() {
            batch.counter(
                "system.disk.request.skipped",
                &[("reason", reason_name(reason))],
                SAMPLES,
                count,
            );
        }
        Ok(())
    }

    /// Looks the names of all devices up again, so that a disk that took an old one's number gets
    /// its own. One that is gone keeps its name. For every minute or so; a look-up is one small
    /// file.
    pub(super) fn refresh_names(&mut self) {
        refresh(&mut self.names);
    }
}

fn push(batch: &mut Batch, device: &str, direction: &str, record: &Record) {
    let tags = [("device", device), ("direction", direction)];
    batch.counter(
        "system.disk.request.count",
        &tags,
        REQUESTS,
        record.requests,
    );
    batch.counter("system.disk.request.io", &tags, Unit::BYTES, record.bytes);
    for (class, count) in record.errors.into_iter().enumerate() {
        if count > 0 {
            batch.counter(
                "system.disk.request.errors",
                &[
                    ("device", device),
                    ("direction", direction),
                    ("type", error_name(class)),
                ],
                ERRORS,
                count,
            );
        }
    }
    for (name, histogram) in [
        ("system.disk.latency", record.total()),
        ("system.disk.device.latency", record.device()),
    ] {
        if histogram.count > 0 {
            batch.push(
                name,
                &tags,
                Kind::Histogram,
                Unit::SECONDS,
                histogram::in_seconds(&histogram),
            );
        }
    }
}

fn refresh(names: &mut HashMap<u32, String>) {
    for (device, name) in names {
        if let Some(now) = look_up(*device) {
            *name = now;
        }
    }
}

/// The kernel's name of a disk; its numbers if it is gone.
fn device_name(device: u32) -> String {
    look_up(device).unwrap_or_else(|| {
        let (major, minor) = numbers(device);
        format!("{major}:{minor}")
    })
}

fn look_up(device: u32) -> Option<String> {
    let (major, minor) = numbers(device);
    let uevent = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/uevent")).ok()?;
    uevent
        .lines()
        .find_map(|line| line.strip_prefix("DEVNAME="))
        .map(str::to_owned)
}

const fn numbers(device: u32) -> (u32, u32) {
    (device >> 20, device & 0xf_ffff)
}

fn operation_name(operation: u32) -> &'static str {
    match operation {
        OPERATION_READ => "read",
        OPERATION_WRITE => "write",
        OPERATION_FLUSH => "flush",
        OPERATION_DISCARD => "discard",
        _ => "other",
    }
}

/// The classes of `blk_status_t`, as the tag `type`.
fn error_name(class: usize) -> &'static str {
    match class {
        1 => "not_supported",
        2 => "timeout",
        3 => "no_space",
        4 => "transport",
        5 => "target",
        6 => "reservation",
        7 => "medium",
        8 => "protection",
        9 => "resource",
        10 => "io",
        11 => "requeue",
        12 => "again",
        _ => "other",
    }
}

fn reason_name(reason: usize) -> &'static str {
    match reason {
        SKIPPED_TABLE_FULL => "table_full",
        SKIPPED_NO_DEVICE => "no_device",
        SKIPPED_NO_START_TIME => "no_start_time",
        SKIPPED_NO_ISSUE_TIME => "no_issue_time",
        SKIPPED_PARTIAL => "partial_completion",
        SKIPPED_CLOCK => "clock",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stays_within_its_budget() {
        for (disks, cpus) in [(0, 1), (2, 2), (30, 16), (500, 16), (4, 128), (500, 512)] {
            let keys = size_for(disks, cpus) as usize;
            let memory = keys * cpus * size_of::<Record>();
            assert!(keys >= 15, "{disks} disks, {cpus} CPUs: {keys}");
            assert!(
                memory <= if cpus <= 16 { MEMORY } else { MEMORY_MAX },
                "{disks} disks, {cpus} CPUs: {memory}"
            );
        }
        assert_eq!(size_for(2, 2), 64);
        assert_eq!(size_for(30, 4), 240);
    }

    #[test]
    fn a_record_becomes_its_series() {
        let mut record = Record::EMPTY;
        record.requests = 2;
        record.bytes = 8192;
        record.errors[7] = 1;
        record.record_total(2_000);
        let mut batch = Batch::new();
        push(&mut batch, "vda", "read", &record);
        let texts: Vec<String> = batch
            .iter()
            .map(|sample| format!("{} {}", sample.series.as_str(), sample.value))
            .collect();
        let tags = "device=\"vda\"";
        assert_eq!(
            texts[..3],
            [
                format!("system.disk.request.count{{{tags},direction=\"read\"}} 2"),
                format!("system.disk.request.io{{{tags},direction=\"read\"}} 8192"),
                format!(
                    "system.disk.request.errors{{{tags},direction=\"read\",type=\"medium\"}} 1"
                ),
            ]
        );
        assert_eq!(texts.len(), 4, "no device latency was seen: {texts:?}");
        assert!(texts[3].contains("count=1 sum=0.000002"), "{}", texts[3]);
    }

    #[test]
    fn a_number_that_another_disk_took_gets_its_name_and_a_lost_disk_keeps_its_own() {
        let gone = 0xfff << 20 | 7;
        let mut names = HashMap::from([(gone, "sdx".to_owned())]);
        let disk = std::fs::read_dir("/sys/dev/block")
            .into_iter()
            .flatten()
            .find_map(|entry| {
                let numbers = entry.ok()?.file_name().into_string().ok()?;
                let (major, minor) = numbers.split_once(':')?;
                Some(major.parse::<u32>().ok()? << 20 | minor.parse::<u32>().ok()?)
            });
        if let Some(disk) = disk {
            names.insert(disk, "old".to_owned());
        }
        refresh(&mut names);
        assert_eq!(names[&gone], "sdx");
        assert!(names.values().all(|name| name != "old"), "{names:?}");
    }

    #[test]
    fn a_disk_that_is_gone_keeps_its_numbers() {
        assert_eq!(device_name(0xfff << 20 | 7), "4095:7");
    }
}
