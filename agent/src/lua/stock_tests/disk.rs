//! Disks by mount point.

use super::Machine;

/// One line of `/proc/diskstats`: reads, sectors read, ms reading, writes, sectors written, ms
/// writing, and how many ms the disk was busy.
fn line(number: &str, name: &str, counts: [u64; 7]) -> String {
    let [reads, read, read_ms, writes, written, write_ms, busy] = counts;
    format!(
        "{number} {name} {reads} 0 {read} {read_ms} {writes} 0 {written} {write_ms} 0 {busy} 0 0 0 0 0\n"
    )
}

fn mount(number: &str, place: &str, device: &str) -> String {
    format!("30 1 {number} / {place} rw,relatime shared:1 - ext4 {device} rw\n")
}

fn size(machine: &Machine, device: &str, sectors: u64) {
    machine.write(&format!("sys/block/{device}/size"), &format!("{sectors}\n"));
}

/// A machine with one disk of each kind that ZaLua did not know, an md device of two disks of
/// different size, and a logical volume.
fn machine() -> Machine {
    let machine = Machine::bare();
    let mounts = [
        mount("253:0", "/", "/dev/mapper/vg0-lv_root"),
        mount("9:0", "/srv/raid", "/dev/md0"),
        mount("259:1", "/boot", "/dev/nvme0n1p1"),
        mount("254:1", "/virtio", "/dev/vda1"),
        mount("202:1", "/xen", "/dev/xvda1"),
        mount("179:1", "/mmc", "/dev/mmcblk0p1"),
        mount("8:0", "/my\\040data", "/dev/sda"),
        // Mounted once more, and something mounted over it.
        mount("8:0", "/again", "/dev/sda"),
        mount("8:16", "/hidden", "/dev/sdb"),
        mount("8:32", "/hidden", "/dev/sdc"),
        mount("7:0", "/snap/core", "/dev/loop0"),
    ];
    machine.write("proc/self/mountinfo", &mounts.concat());
    for disk in [
        "sda", "sdb", "sdc", "nvme0n1", "nvme1n1", "vda", "xvda", "mmcblk0", "loop0", "dm-0",
    ] {
        size(&machine, disk, 1000);
    }
    for (disk, part) in [
        ("nvme0n1", "nvme0n1p1"),
        ("vda", "vda1"),
        ("xvda", "xvda1"),
        ("mmcblk0", "mmcblk0p1"),
    ] {
        machine.write(&format!("sys/block/{disk}/{part}/size"), "900\n");
    }
    machine.write("sys/block/dm-0/dm/name", "vg0-lv_root\n");
    size(&machine, "md0", 4000);
    machine.write("sys/block/md0/md/level", "raid1\n");
    // A quarter and three quarters; one of them of a kind that broke ZaLua's plugin.
    size(&machine, "nvme2n1", 1000);
    size(&machine, "sdd", 3000);
    for member in ["nvme2n1", "sdd"] {
        machine.write(&format!("sys/block/md0/slaves/{member}/size"), "0\n");
    }
    machine
}

/// The numbers of all its disks after `passes` minutes.
fn diskstats(passes: u64) -> String {
    let of = |number, name, each: [u64; 7]| line(number, name, each.map(|count| count * passes));
    [
        of("8 0", "sda", [60, 120, 600, 120, 240, 1200, 6000]),
        of("8 16", "sdb", [1, 1, 1, 1, 1, 1, 1]),
        of("8 32", "sdc", [60, 0, 600, 0, 0, 0, 600]),
        of("259 0", "nvme0n1", [600, 0, 0, 0, 0, 0, 60]),
        of("259 1", "nvme0n1p1", [600, 6000, 300, 0, 0, 0, 60]),
        of("254 1", "vda1", [0, 0, 0, 6, 0, 3, 0]),
        of("202 1", "xvda1", [0, 0, 0, 0, 0, 0, 60_000]),
        of("179 1", "mmcblk0p1", [0, 0, 0, 0, 0, 0, 0]),
        of("7 0", "loop0", [60, 60, 60, 60, 60, 60, 60]),
        of("259 2", "nvme2n1", [30, 0, 300, 30, 0, 300, 12_000]),
        of("8 48", "sdd", [30, 0, 600, 30, 0, 600, 24_000]),
        of("9 0", "md0", [60, 120, 0, 180, 360, 0, 0]),
        of("253 0", "dm-0", [120, 1200, 240, 60, 600, 120, 3000]),
    ]
    .concat()
}

/// The machine after two passes.
fn measured(machine: Machine) -> Machine {
    machine.write("proc/diskstats", &diskstats(1));
    let run = machine.first("diskstat", "");
    assert_eq!(
        machine.seen("system.disk.*[*"),
        "",
        "nothing on the first pass"
    );
    machine.write("proc/diskstats", &diskstats(2));
    machine.next(&run);
    machine
}

#[test]
fn zalua_66_diskstat_tells_every_disk_by_its_mount_point() {
    let machine = measured(machine());
    let place = "/my\\040data";
    let of = |key: &str, place: &str| machine.value(&format!("system.disk.{key}[{place}]"));
    assert_eq!(of("utilization", place), "10.00");
    assert_eq!(of("await", place), "10.00");
    assert_eq!(of("read_bytes_in_sec", place), "1024.00");
    assert_eq!(of("write_bytes_in_sec", place), "2048.00");
    assert_eq!(of("read_ops_in_sec", place), "1.00");
    assert_eq!(of("write_ops_in_sec", place), "2.00");
    assert_eq!(of("all_ops_in_sec", place), "3.00");
    assert_eq!(of("utilization", "/xen"), "100.00");
    assert_eq!(of("await", "/xen"), "0.000000");
    assert_eq!(of("await", "/boot"), "0.50");
    assert_eq!(of("read_bytes_in_sec", "/boot"), "51200.00");
    assert_eq!(of("write_ops_in_sec", "/virtio"), "0.10");
    assert_eq!(of("all_ops_in_sec", "/mmc"), "0.0000");
    assert_eq!(of("utilization", "/again"), "-");
    assert_eq!(
        of("read_ops_in_sec", "/hidden"),
        "1.00",
        "the one that is to be seen"
    );
    assert_eq!(of("read_ops_in_sec", "/snap/core"), "-");
    let seen = machine.seen("system.disk.*[/boot]");
    let kinds: Vec<&str> = seen
        .lines()
        .map(|line| line.split_once(" [").unwrap().1)
        .collect();
    assert_eq!(seen.lines().count(), 7, "{seen}");
    assert!(seen.starts_with("system.disk.all_ops_in_sec[/boot] 10.00 [gauge 1/s]\nsystem.disk.await[/boot] 0.50 [gauge]"), "{seen}");
    assert_eq!(
        kinds.iter().filter(|kind| **kind == "gauge 1/s]").count(),
        6
    );
}

#[test]
fn zalua_67_a_logical_volume_with_a_dash_in_its_name_is_found() {
    let machine = measured(machine());
    assert_eq!(
        machine.value("system.disk.read_bytes_in_sec[/]"),
        "10240.00"
    );
    assert_eq!(machine.value("system.disk.utilization[/]"), "5.00");
    assert_eq!(machine.value("system.disk.await[/]"), "2.00");
}

#[test]
fn zalua_67_a_disk_that_is_mounted_under_another_name_is_found_by_its_numbers() {
    let machine = Machine::bare();
    let mounts = [
        // No initial RAM disk; LVM's own links; links of udev; an array by its name.
        mount("254:0", "/", "/dev/root"),
        mount("253:1", "/lv", "/dev/vg0/data"),
        mount("8:1", "/label", "/dev/disk/by-label/x"),
        mount("9:127", "/srv", "/dev/md/data"),
        // By its name, and by its number a second time.
        mount("104:1", "/old", "/dev/cciss/c0d0p1"),
        mount("254:0", "/export", "/dev/root"),
        mount("0:44", "/home", "/dev/sdb"),
        mount("0:45", "/proc", "proc"),
        mount("7:1", "/snap", "/dev/disk/by-label/snap"),
    ];
    machine.write("proc/self/mountinfo", &mounts.concat());
    for disk in ["vda", "sda", "sdb", "md127", "cciss!c0d0", "dm-1", "loop1"] {
        size(&machine, disk, 1000);
    }
    machine.write("sys/block/sda/sda1/size", "900\n");
    machine.write("sys/block/cciss!c0d0/cciss!c0d0p1/size", "900\n");
    machine.write("sys/block/dm-1/dm/name", "vg0-data\n");
    let pass = |passes: u64| {
        let lines = [
            ("254 0", "vda"),
            ("8 0", "sda"),
            ("8 1", "sda1"),
            ("8 16", "sdb"),
            ("9 127", "md127"),
            ("104 0", "cciss/c0d0"),
            ("104 1", "cciss/c0d0p1"),
            ("253 1", "dm-1"),
            ("7 1", "loop1"),
        ]
        .map(|(number, name)| line(number, name, [60 * passes; 7]));
        machine.write("proc/diskstats", &lines.concat());
    };
    pass(1);
    let run = machine.first("diskstat", "");
    pass(2);
    machine.next(&run);
    let found = ["/", "/label", "/home", "/srv", "/old", "/lv"];
    for place in found {
        let key = format!("system.disk.all_ops_in_sec[{place}]");
        assert_eq!(machine.value(&key), "2.00", "{place}");
    }
    let list = found.map(|place| format!(r#"{{"{{#MOUNTPOINT}}":"{place}"}}"#));
    assert_eq!(
        machine.value("system.disk.discovery"),
        format!(r#"{{"data":[{}]}}"#, list.join(","))
    );
}

#[test]
fn zalua_67_an_array_is_as_busy_as_its_members_weighted_by_their_size() {
    for level in ["raid0", "raid1", "raid10"] {
        let machine = machine();
        machine.write("sys/block/md0/md/level", &format!("{level}\n"));
        let machine = measured(machine);
        let of = |key: &str| machine.value(&format!("system.disk.{key}[/srv/raid]"));
        // A quarter of 20 % and three quarters of 40 %; a quarter of 10 ms and three of 20 ms.
        assert_eq!(of("utilization"), "35.00", "{level}");
        assert_eq!(of("await"), "17.50", "{level}");
        assert_eq!(of("read_bytes_in_sec"), "1024.00", "its own line");
        assert_eq!(of("write_ops_in_sec"), "3.00");
    }
}

#[test]
fn zalua_67_a_member_that_leaves_or_joins_an_array_makes_no_jump() {
    let machine = Machine::bare();
    machine.write("proc/self/mountinfo", &mount("9:127", "/srv", "/dev/md127"));
    size(&machine, "md127", 1000);
    machine.write("sys/block/md127/md/level", "raid1\n");
    let join = |member: &str| {
        size(&machine, member, 1000);
        machine.write(&format!("sys/block/md127/slaves/{member}/size"), "0\n");
    };
    join("sda");
    join("sdb");
    // One that was busy for hours in all its life, and two that are new.
    let pass = |minute: u64| {
        let busy = |name, since| {
            let counts = [0, 0, 0, 0, 0, 0, since + 6000 * minute];
            line("8 0", name, counts)
        };
        let lines = [busy("sda", 9_000_000), busy("sdb", 1000), busy("sdc", 10)];
        let array = line("9 127", "md127", [minute, 0, 0, 0, 0, 0, 0]);
        machine.write("proc/diskstats", &(lines.concat() + &array));
    };
    let utilization = || machine.value("system.disk.utilization[/srv]");
    pass(1);
    let run = machine.first("diskstat", "");
    assert_eq!(utilization(), "-");
    let next = |minute| {
        pass(minute);
        machine.next(&run);
        assert_eq!(utilization(), "10.00", "minute {minute}");
    };
    next(2);
    std::fs::remove_dir_all(machine.path("sys/block/md127/slaves/sdb")).unwrap();
    next(3);
    join("sdc");
    next(4);
    // A resize weights anew.
    size(&machine, "sdc", 8000);
    next(5);
    // All are exchanged, one of them for one that nobody has seen before.
    std::fs::remove_dir_all(machine.path("sys/block/md127/slaves")).unwrap();
    join("sdb");
    join("sdd");
    next(6);
    assert_eq!(machine.value("system.disk.read_ops_in_sec[/srv]"), "0.02");
}

#[test]
fn zalua_67_another_disk_at_the_same_place_makes_no_jump() {
    let machine = Machine::bare();
    for (disk, sectors) in [("sda", 1000), ("sdb", 1000)] {
        size(&machine, disk, sectors);
    }
    let mounted = |number: &str, device: &str| {
        machine.write("proc/self/mountinfo", &mount(number, "/srv", device));
    };
    let pass = |minute: u64| {
        let sda = [60 * minute; 7];
        let sdb = [60 * minute + 9_000_000; 7];
        machine.write(
            "proc/diskstats",
            &(line("8 0", "sda", sda) + &line("8 16", "sdb", sdb)),
        );
    };
    let reads = || machine.value("system.disk.read_ops_in_sec[/srv]");
    mounted("8:0", "/dev/sda");
    pass(1);
    let run = machine.first("diskstat", "");
    pass(2);
    machine.next(&run);
    assert_eq!(reads(), "1.00");
    // In place of what was put before, so that it is seen when something is put again.
    machine
        .stage
        .pass("metrics.set('system.disk.read_ops_in_sec[/srv]', 'old')");
    mounted("8:16", "/dev/sdb");
    pass(3);
    machine.next(&run);
    assert_eq!(reads(), "old", "nothing is put");
    pass(4);
    machine.next(&run);
    assert_eq!(reads(), "1.00");
}

#[test]
fn zalua_67_await_is_what_an_operation_took_since_the_pass_before() {
    let machine = Machine::bare();
    machine.write("proc/self/mountinfo", &mount("8:0", "/", "/dev/sda"));
    size(&machine, "sda", 1000);
    let pass = |operations, milliseconds| {
        let counts = [operations, 0, milliseconds, 0, 0, 0, 0];
        machine.write("proc/diskstats", &line("8 0", "sda", counts));
    };
    let await_of = || machine.value("system.disk.await[/]");
    pass(100, 1000);
    let run = machine.first("diskstat", "");
    assert_eq!(await_of(), "-", "nothing on the first pass");
    for (operations, milliseconds, expected) in [
        (110, 1040, "4.00"),
        (120, 1040, "0.000000"), // It took no time that could be measured.
        (120, 1090, "0.000000"), // Time went by without an operation's end.
        (140, 1150, "3.00"),
        (10, 20, "3.00"), // The counters began anew: what it was before.
        (20, 70, "5.00"),
        (20, 70, "0.000000"),
    ] {
        pass(operations, milliseconds);
        machine.next(&run);
        assert_eq!(await_of(), expected, "{operations} {milliseconds}");
    }
}

#[test]
fn zalua_69_disks_are_discovered_by_mount_point() {
    let machine = measured(machine());
    assert_eq!(
        machine.seen("system.disk.discovery"),
        r#"system.disk.discovery {"data":[{"{#MOUNTPOINT}":"/my\\040data"},{"{#MOUNTPOINT}":"/hidden"},{"{#MOUNTPOINT}":"/boot"},{"{#MOUNTPOINT}":"/virtio"},{"{#MOUNTPOINT}":"/xen"},{"{#MOUNTPOINT}":"/mmc"},{"{#MOUNTPOINT}":"/srv/raid"},{"{#MOUNTPOINT}":"/"}]} [text]"#
    );
    let machine = Machine::bare();
    machine.write("proc/self/mountinfo", "");
    machine.write("proc/diskstats", "");
    machine.first("diskstat", "");
    assert_eq!(machine.value("system.disk.discovery"), r#"{"data":null}"#);
}

#[test]
fn zalua_66_diskstat_runs_on_every_recorded_machine() {
    for (name, places) in [
        ("two-nodes", vec!["/", "/boot/efi", "/srv/my\\040data"]),
        ("md-and-dm", vec!["/", "/boot", "/srv/data"]),
        ("minimal", vec!["/data"]),
    ] {
        let machine = Machine::recorded(name);
        let run = machine.first("diskstat", "");
        machine.next(&run);
        for place in places {
            let key = format!("system.disk.utilization[{place}]");
            assert_eq!(machine.value(&key), "0.0000", "{name} {place}");
        }
    }
}
