//! Requests of disks against /proc/diskstats, and what one costs.

use std::fs;
use std::io::Write;

use moonward::model::{Batch, Value};
use moonward::probe::{Object, Probes};

use super::{agrees, alone, load, only, repeat, samples, sum};

/// Of /proc/diskstats for all disks: reads, sectors read, writes, sectors written, discards,
/// flushes.
fn diskstats() -> [f64; 6] {
    let mut sum = [0.0; 6];
    for line in fs::read_to_string("/proc/diskstats").unwrap().lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Whole disks only; partitions are counted in theirs. Those made of bios never have
        // requests.
        let disk = fields[2];
        if !fs::exists(format!("/sys/block/{disk}/mq")).unwrap() {
            continue;
        }
        for (sum, index) in sum.iter_mut().zip([3, 5, 7, 9, 14, 18]) {
            *sum += fields
                .get(index)
                .and_then(|field| field.parse::<f64>().ok())
                .unwrap_or(0.0);
        }
    }
    sum
}

fn disk_work() {
    use std::os::unix::fs::{FileExt, OpenOptionsExt};
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = directory.path().join("work");
    let block = vec![7_u8; 1 << 20];
    let mut file = fs::File::create(&path).unwrap();
    for _ in 0..8 {
        file.write_all(&block).unwrap();
        file.sync_all().unwrap();
    }
    drop(file);
    let direct = rustix::fs::OFlags::DIRECT.bits().cast_signed();
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(direct)
        .open(&path);
    let Ok(file) = file else {
        println!("no direct reads on this file system");
        return;
    };
    // Direct reads want aligned memory: take the aligned part of a larger buffer.
    let mut buffer = vec![0_u8; 8192];
    let skip = buffer.as_ptr().align_offset(4096);
    for index in 0..1000_u64 {
        file.read_exact_at(&mut buffer[skip..skip + 4096], index % 2048 * 4096)
            .unwrap();
    }
}

#[test]
fn disk_requests_are_those_of_diskstats() {
    let _alone = alone();
    let Some(mut probes) = load(only(Object::Block)) else {
        return;
    };
    repeat(|| compare_disks(&mut probes));
}

fn compare_disks(probes: &mut Probes) -> bool {
    rustix::fs::sync();
    let outer_before = diskstats();
    let before = samples(probes, Object::Block);
    let inner_before = diskstats();
    disk_work();
    rustix::fs::sync();
    let inner_after = diskstats();
    let after = samples(probes, Object::Block);
    let outer_after = diskstats();

    let delta = |parts: &[&str]| sum(&after, parts) - sum(&before, parts);
    let count = |operation| delta(&["system.disk.request.count", operation]);
    let sectors = |operation| delta(&["system.disk.request.io", operation]) / 512.0;
    let agrees = agrees(
        [
            "reads",
            "sectors read",
            "writes",
            "sectors written",
            "discards",
            "flushes",
        ],
        [
            count("\"read\""),
            sectors("\"read\""),
            count("\"write\""),
            sectors("\"write\""),
            count("\"discard\""),
            count("\"flush\""),
        ],
        [inner_before, inner_after],
        [outer_before, outer_after],
    );
    let latency = delta(&["system.disk.latency{"]);
    let skipped = delta(&["skipped", "no_start_time"]) + delta(&["skipped", "\"clock\""]);
    assert!(latency > 0.0);
    assert!(
        (latency + skipped - delta(&["system.disk.request.count"])).abs() < f64::EPSILON,
        "every request is timed or counted as skipped"
    );
    agrees
}

#[test]
fn a_block_request_costs_little() {
    let _alone = alone();
    let Some(mut probes) = load(only(Object::Block)) else {
        return;
    };
    if let Err(error) = probes.measure_cost(true) {
        println!("skipped: the kernel may not be asked to measure: {error}");
        return;
    }
    disk_work();
    disk_work();
    let mut batch = Batch::new();
    probes.read_cost(Object::Block, &mut batch);
    probes.measure_cost(false).unwrap();
    let value = |name: &str| {
        batch
            .iter()
            .find(|sample| sample.series.name() == name)
            .map(|sample| match sample.value {
                Value::Float(number) => *number,
                Value::Unsigned(number) => *number as f64,
                _ => f64::NAN,
            })
            .unwrap()
    };
    let (runs, seconds) = (
        value("moonward.probe.runs"),
        value("moonward.probe.run_time"),
    );
    let each = seconds / runs * 1e9;
    println!("{runs} runs of block_rq_complete, {each:.0} ns each");
    assert!(runs >= 1000.0);
    // A budget of nanoseconds is for a quiet machine with a bench; an emulated or busy one takes
    // ten times as long. This catches a program that has lost its way.
    assert!(each < 100_000.0, "{each} ns");
}
