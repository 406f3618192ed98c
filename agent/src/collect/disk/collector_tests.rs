//! Tests of the disk collector, on made-up trees and on this machine.

use super::*;
use crate::collect::Root;
use crate::model::Batch;

fn value(batch: &Batch, series: &str) -> Option<f64> {
    batch
        .iter()
        .find(|sample| sample.series.as_str() == series)
        .and_then(|sample| sample.value.as_f64())
}

/// The fields of `/sys/block/NAME/stat`, which the kernel writes apart from `/proc/diskstats`.
fn stat(name: &str) -> Vec<f64> {
    std::fs::read_to_string(format!("/sys/block/{name}/stat"))
        .unwrap()
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect()
}

#[test]
fn the_running_machine_counts_between_two_looks_at_sysfs() {
    let root = Root::machine();
    let names = root.names("/sys/block");
    let before: Vec<Vec<f64>> = names.iter().map(|name| stat(name)).collect();
    let mut batch = Batch::new();
    let mut round = Round::new(&root, &mut batch, Moment(0));
    Disk::new().collect(&mut round);
    assert_eq!(round.losses(), (0, [].as_slice()));
    let mut compared = 0;
    for (name, before) in names.iter().zip(before) {
        let after = stat(name);
        for (column, scale, series) in [
            (
                0,
                1.0,
                "system.disk.operations{device=\"NAME\",direction=\"read\"}",
            ),
            (
                2,
                512.0,
                "system.disk.io{device=\"NAME\",direction=\"read\"}",
            ),
            (
                4,
                1.0,
                "system.disk.operations{device=\"NAME\",direction=\"write\"}",
            ),
            (
                6,
                512.0,
                "system.disk.io{device=\"NAME\",direction=\"write\"}",
            ),
            (
                7,
                1e-3,
                "system.disk.operation_time{device=\"NAME\",direction=\"write\"}",
            ),
            (9, 1e-3, "system.disk.io_time{device=\"NAME\"}"),
        ] {
            let Some(value) = value(&batch, &series.replace("NAME", name)) else {
                continue;
            };
            let bracket = before[column] * scale - 1e-9..=after[column] * scale + 1e-9;
            assert!(
                bracket.contains(&value),
                "{series} of {name}: {value} not in {bracket:?}"
            );
            compared += 1;
        }
    }
    let any_size = names.iter().any(|name| {
        root.read(&format!("/sys/block/{name}/size"))
            .is_ok_and(|size| size.trim() != "0")
    });
    assert!(compared > 0 || !any_size);
}

#[test]
fn images_of_packages_are_left_out_and_images_of_disks_are_not() {
    let tree = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = tree.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("proc/self/mountinfo", "");
    let line = "5 0 10 1 0 0 0 0 0 8 1";
    put(
        "proc/diskstats",
        &format!("7 0 loop0 {line}\n7 1 loop1 {line}\n8 0 sda {line}\n"),
    );
    for (name, read_only) in [("loop0", "1"), ("loop1", "0"), ("sda", "1")] {
        put(&format!("sys/block/{name}/size"), "2048\n");
        put(&format!("sys/block/{name}/ro"), read_only);
    }
    let root = Root::recorded(tree.path());
    let mut batch = Batch::new();
    Disk::new().collect(&mut Round::new(&root, &mut batch, Moment(0)));
    let shown = ["loop0", "loop1", "sda"].map(|name| {
        let series = format!("system.disk.io_time{{device=\"{name}\"}}");
        value(&batch, &series).is_some()
    });
    assert_eq!(shown, [false, true, true]);
}

#[test]
fn a_loop_device_is_shown_once_it_has_a_file() {
    let tree = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = tree.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("proc/self/mountinfo", "");
    put(
        "proc/diskstats",
        "7 0 loop0 5 0 10 1 0 0 0 0 0 8 1\n259 0 nvme0c0n1 9 0 9 9 9 9 9 9 9 9 9\n",
    );
    put("sys/block/loop0/size", "0\n");
    put("sys/block/nvme0c0n1/size", "100\n");
    put("sys/block/nvme0c0n1/hidden", "1\n");
    let root = Root::recorded(tree.path());
    let mut disk = Disk::new();
    let mut shown = |at: Moment| {
        let mut batch = Batch::new();
        disk.collect(&mut Round::new(&root, &mut batch, at));
        value(
            &batch,
            "system.disk.io{device=\"loop0\",direction=\"read\"}",
        )
        .map_or(0, |_| batch.len())
    };
    assert_eq!(shown(Moment(0)), 0);
    put("sys/block/loop0/size", "2048\n");
    // What sysfs says is kept for a while, unless devices come or go.
    assert_eq!(shown(Moment(1)), 0);
    assert!(shown(Moment(0) + FACTS_HOLD) > 0);
    put(
        "proc/diskstats",
        "7 0 loop0 5 0 10 1 0 0 0 0 0 8 1\n7 1 loop1 5 0 10 1 0 0 0 0 0 8 1\n",
    );
    put("sys/block/loop1/size", "8\n");
    let before = shown(Moment(1) + FACTS_HOLD);
    put("sys/block/loop1/size", "0\n");
    put("proc/diskstats", "7 0 loop0 5 0 10 1 0 0 0 0 0 8 1\n");
    assert!(before > shown(Moment(2) + FACTS_HOLD));
}
