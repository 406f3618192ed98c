//! What the stock plugins put for Prometheus: ZaLua's names and labels.

use super::Machine;

#[test]
fn zalua_66_loadavg_has_gauges_for_prometheus_alone() {
    let machine = Machine::recorded("two-nodes");
    let run = machine.first("loadavg", "");
    assert_eq!(
        machine.seen("*"),
        "system_cpu_la_15m 2.07 [gauge]\nsystem_cpu_la_1m 3.41 [gauge]\nsystem_cpu_la_5m 2.98 [gauge]"
    );
    machine.write("proc/loadavg", "0.00 0.01 0.05 1/100 4242\n");
    machine.next(&run);
    assert_eq!(machine.value("system_cpu_la_15m"), "0.05");
}

#[test]
fn zalua_66_cpu_and_memory_have_gauges_for_prometheus() {
    let machine = Machine::recorded("md-and-dm");
    let run = machine.first("cpu", "");
    assert_eq!(machine.seen("system_cpu_usage*"), "");
    machine.change("proc/stat", &[("cpu2 1539394", "cpu2 1542394")]);
    machine.next(&run);
    assert_eq!(
        machine.value("system_cpu_usage{cpu=\"2\",type=\"user\"}"),
        "50.00"
    );
    assert_eq!(machine.seen("system_cpu_usage*").lines().count(), 40);
    machine.first("memory", "");
    let total = machine.value("system_memory_bytes{type=\"MemTotal\"}");
    let total = total.strip_suffix(".00").unwrap();
    assert_eq!(total.parse::<u64>().unwrap() % 1024, 0, "{total}");
    assert_eq!(machine.seen("system_memory_bytes*HugePages_*"), "");
}

#[test]
fn zalua_66_diskstat_has_gauges_for_prometheus() {
    let machine = Machine::recorded("md-and-dm");
    let run = machine.first("diskstat", "");
    // 1,200 operations, which took 2,400 ms; 6 s busy.
    machine.change(
        "proc/diskstats",
        &[(
            "dm-2 1278173 0 199265384 9172635 1817264 0 198538112 81827364 0 9172635",
            "dm-2 1278773 0 199266584 9173835 1817864 0 198540512 81828564 0 9178635",
        )],
    );
    machine.next(&run);
    assert_eq!(
        machine.seen("system_disk_*/srv/data*"),
        "system_disk_await{mountpoint=\"/srv/data\"} 2.00 [gauge]\n\
         system_disk_bytes{mountpoint=\"/srv/data\",type=\"read\"} 10240.00 [gauge]\n\
         system_disk_bytes{mountpoint=\"/srv/data\",type=\"write\"} 20480.00 [gauge]\n\
         system_disk_ops{mountpoint=\"/srv/data\",type=\"read\"} 10.00 [gauge]\n\
         system_disk_ops{mountpoint=\"/srv/data\",type=\"write\"} 10.00 [gauge]\n\
         system_disk_utilization{mountpoint=\"/srv/data\"} 10.00 [gauge]"
    );
}

#[test]
fn zalua_66_mountpoints_tell_what_is_used_under_both_names() {
    let machine = Machine::recorded("two-nodes");
    let run = machine.first("mountpoints", "");
    let of = |place: &str| machine.seen(&format!("system_disk_*mountpoint=\"{place}\"*"));
    let labels = "device=\"/dev/nvme1n1\",fs=\"xfs\",mountpoint=\"/srv/my data\"";
    let free = 437_451_008.0 / 937_451_008.0;
    let inodes_free = 1_874_366_400.0 / 1_875_366_400.0;
    let percent = |free: f64| 100.0 - free * 100.0;
    assert_eq!(
        of("/srv/my data"),
        [
            format!("system_disk_expose{{{labels},type=\"avail\"}} 1791799328768.00 [gauge]"),
            format!("system_disk_expose{{{labels},type=\"files\"}} 1875366400.00 [gauge]"),
            format!("system_disk_expose{{{labels},type=\"files_free\"}} 1874366400.00 [gauge]"),
            format!("system_disk_expose{{{labels},type=\"free\"}} 1791799328768.00 [gauge]"),
            format!("system_disk_expose{{{labels},type=\"size\"}} 3839799328768.00 [gauge]"),
            format!(
                "system_disk_percent_bytes_free{{{labels}}} {:.2} [gauge]",
                percent(free)
            ),
            format!(
                "system_disk_percent_bytes_used{{{labels}}} {:.2} [gauge]",
                percent(free)
            ),
            format!(
                "system_disk_percent_inodes_free{{{labels}}} {:.2} [gauge]",
                percent(inodes_free)
            ),
            format!(
                "system_disk_percent_inodes_used{{{labels}}} {:.2} [gauge]",
                percent(inodes_free)
            ),
        ]
        .join("\n")
    );
    // Without inodes of its own; not asked for; and what root alone can fill is free, but not to be had.
    assert!(!of("/boot/efi").contains("inodes"), "{}", of("/boot/efi"));
    assert_eq!(
        of("/snap/core/1") + &of("/var/lib/docker*") + &of("/sys*") + &of("/proc*"),
        ""
    );
    let root = "device=\"/dev/nvme0n1p2\",fs=\"ext4\",mountpoint=\"/\"";
    let free = machine.value(&format!("system_disk_expose{{{root},type=\"free\"}}"));
    let available = machine.value(&format!("system_disk_expose{{{root},type=\"avail\"}}"));
    assert_eq!(
        (&*free, &*available),
        ("1236264026112.00", "1140305428480.00")
    );
    // What is not mounted any more is gone after a while.
    let table = std::fs::read_to_string(machine.path("proc/self/mountinfo")).unwrap();
    let left: String = table
        .split_inclusive('\n')
        .filter(|line| !line.contains("xfs"))
        .collect();
    machine.write("proc/self/mountinfo", &left);
    for _ in 0..6 {
        machine.next(&run);
    }
    assert_eq!(of("/srv/my data"), "");
    assert_ne!(of("/"), "");
}

#[test]
fn zalua_66_the_network_has_gauges_for_prometheus() {
    let machine = Machine::recorded("md-and-dm");
    let interfaces = machine.first("net_dev", "");
    let counters = machine.first("net_netstat", "");
    machine.change(
        "proc/net/dev",
        &[("enp3s0: 91827364509", "enp3s0: 91827365109")],
    );
    machine.advance(60);
    machine.again(&interfaces);
    machine.again(&counters);
    let info = "system_net_info{direction=\"rx\",interface=\"enp3s0\",type=\"bytes\"}";
    assert_eq!(machine.value(info), "10.00");
    assert_eq!(machine.seen("system_net_info*enp3s0*").lines().count(), 19);
    assert_eq!(
        machine.value("system_tcp_netstat{type=\"ListenDrops\"}"),
        "0.000000"
    );
}

#[test]
fn zalua_66_net_tcp_counts_sockets_as_ss_does() {
    let machine = Machine::recorded("two-nodes");
    let _run = machine.first("net_tcp", "");
    // closed: 5102 - (4213 + 218 - 1827), as `ss --summary` has it.
    assert_eq!(
        machine.seen("*"),
        "system_tcp_state{type=\"closed\"} 2498.00 [gauge]\n\
         system_tcp_state{type=\"established\"} 4127.00 [gauge]\n\
         system_tcp_state{type=\"orphaned\"} 12.00 [gauge]\n\
         system_tcp_state{type=\"synrecv\"} 0.000000 [gauge]\n\
         system_tcp_state{type=\"timewait\"} 1827.00 [gauge]"
    );
}
