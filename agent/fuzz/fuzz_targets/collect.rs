//! Collectors: whatever one of the kernel's files holds costs values and nothing else, and what is
//! read of it makes sense (see [`moonward_fuzz::round`]).
//!
//! The first byte of an input says which file of [`FILES`] it is for, the rest is its content. There
//! are no seeds: the mutator brings in the recorded content of the files by itself.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use moonward::collect::filesystem::Ignored;
use moonward::collect::{Root, registry};
use moonward_fuzz::{collector, machines, round, scratch, write};

/// Collector, the recorded machine that the file is from, and the file.
const FILES: &[(&str, &str, &str)] = &[
    ("cpu", "two-nodes", "proc/stat"),
    (
        "cpu",
        "two-nodes",
        "sys/devices/system/cpu/cpu0/topology/core_id",
    ),
    (
        "cpu",
        "two-nodes",
        "sys/devices/system/cpu/cpu0/topology/physical_package_id",
    ),
    ("disk", "md-and-dm", "proc/diskstats"),
    ("disk", "md-and-dm", "sys/block/sda/stat"),
    ("disk", "md-and-dm", "sys/block/sda/size"),
    ("disk", "md-and-dm", "sys/block/sda/dev"),
    ("disk", "md-and-dm", "sys/block/sda/ro"),
    ("disk", "md-and-dm", "sys/block/sda/queue/rotational"),
    ("disk", "md-and-dm", "sys/block/sda/sda1/dev"),
    ("disk", "md-and-dm", "sys/block/sda/sda1/partition"),
    ("disk", "md-and-dm", "sys/block/dm-0/dm/name"),
    ("disk", "md-and-dm", "sys/block/dm-0/dm/uuid"),
    ("disk", "md-and-dm", "sys/block/md0/md/array_state"),
    ("disk", "md-and-dm", "sys/block/md0/md/level"),
    ("disk", "md-and-dm", "sys/block/md0/md/raid_disks"),
    ("disk", "md-and-dm", "sys/block/md0/md/degraded"),
    ("disk", "md-and-dm", "sys/block/md0/md/sync_action"),
    ("disk", "md-and-dm", "sys/block/md0/md/sync_completed"),
    ("disk", "md-and-dm", "sys/block/md0/md/mismatch_cnt"),
    ("filesystem", "md-and-dm", "proc/self/mountinfo"),
    ("filesystem", "md-and-dm", "proc/1/mountinfo"),
    ("filesystem", "md-and-dm", "statvfs"),
    ("limits", "two-nodes", "proc/sys/fs/file-nr"),
    ("limits", "two-nodes", "proc/sys/fs/inode-nr"),
    ("limits", "two-nodes", "proc/sys/fs/aio-nr"),
    ("limits", "two-nodes", "proc/sys/kernel/pid_max"),
    ("load", "two-nodes", "proc/loadavg"),
    ("memory", "two-nodes", "proc/meminfo"),
    ("network", "two-nodes", "proc/net/dev"),
    ("network", "two-nodes", "sys/class/net/eno1np0/speed"),
    ("network", "two-nodes", "sys/class/net/eno1np0/operstate"),
    (
        "numa",
        "two-nodes",
        "sys/devices/system/node/node0/numastat",
    ),
    ("numa", "two-nodes", "sys/devices/system/node/node0/meminfo"),
    ("pressure", "two-nodes", "proc/pressure/cpu"),
    ("pressure", "two-nodes", "proc/pressure/io"),
    ("process", "two-nodes", "proc/1/stat"),
    ("process", "two-nodes", "proc/1/io"),
    ("process", "two-nodes", "proc/stat"),
    ("sockets", "two-nodes", "proc/net/snmp"),
    ("sockets", "two-nodes", "proc/net/snmp6"),
    ("sockets", "two-nodes", "proc/net/netstat"),
    ("sockets", "two-nodes", "proc/net/sockstat"),
    ("sockets", "two-nodes", "proc/net/sockstat6"),
    ("temperature", "two-nodes", "sys/class/hwmon/hwmon0/name"),
    (
        "temperature",
        "two-nodes",
        "sys/class/hwmon/hwmon0/temp1_input",
    ),
    (
        "temperature",
        "two-nodes",
        "sys/class/hwmon/hwmon0/temp1_label",
    ),
    (
        "temperature",
        "two-nodes",
        "sys/class/hwmon/hwmon0/temp1_max",
    ),
    (
        "temperature",
        "md-and-dm",
        "sys/class/thermal/thermal_zone0/temp",
    ),
    (
        "temperature",
        "md-and-dm",
        "sys/class/thermal/thermal_zone0/type",
    ),
    (
        "temperature",
        "md-and-dm",
        "sys/class/thermal/thermal_zone0/trip_point_0_temp",
    ),
    (
        "temperature",
        "md-and-dm",
        "sys/class/thermal/thermal_zone0/trip_point_0_type",
    ),
    ("uptime", "two-nodes", "proc/uptime"),
    ("users", "md-and-dm", "run/systemd/sessions/4"),
    ("vmstat", "two-nodes", "proc/vmstat"),
];

/// The largest input, since some files are longer than libFuzzer's own limit.
const CONTENT_MAX: usize = 16 * 1024;

struct Tree {
    path: PathBuf,
    /// What was recorded, in the order of [`FILES`]; empty where no machine has the file.
    recorded: Vec<Vec<u8>>,
}

static TREE: LazyLock<Tree> = LazyLock::new(|| {
    for collector in registry::all(Ignored::default(), true) {
        let name = collector.name();
        assert!(
            FILES.iter().any(|file| file.0 == name),
            "FILES has no line for the collector {name}"
        );
    }
    let path = scratch("collect");
    let recorded = FILES
        .iter()
        .map(|(name, machine, file)| {
            let content = std::fs::read(machines().join(machine).join(file)).unwrap_or_default();
            // A tree for each collector: fewer files, and none that another machine has otherwise.
            write(&path.join(name), file, &content);
            content
        })
        .collect();
    Tree { path, recorded }
});

fuzz_target!(|input: &[u8]| {
    let Some((index, content)) = input.split_first() else {
        return;
    };
    let index = usize::from(*index) % FILES.len();
    let (name, _, file) = FILES[index];
    let tree = TREE.path.join(name);
    let root = Root::recorded(&tree);
    let mut collector = collector(name);
    // As recorded, as the input has it, and as recorded: counters jump both ways.
    round(collector.as_mut(), &root, 10);
    write(&tree, file, content);
    round(collector.as_mut(), &root, 20);
    write(&tree, file, &TREE.recorded[index]);
    round(collector.as_mut(), &root, 30);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // Most of the time libFuzzer's own mutation; else what a machine had.
    if size > 1 && seed % 64 != 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let index = (seed / 64) as usize % FILES.len();
    let content = &TREE.recorded[index];
    let length = content
        .len()
        .min(max_size.saturating_sub(1))
        .min(CONTENT_MAX);
    let (Some((first, rest)), Ok(number)) = (data.split_first_mut(), u8::try_from(index)) else {
        return size;
    };
    *first = number;
    rest[..length].copy_from_slice(&content[..length]);
    length + 1
});
