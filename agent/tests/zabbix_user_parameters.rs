//! The file for `zabbix_agentd.d`: complete, and safe with whatever parameter a server sends.

use std::collections::BTreeSet;

const FILE: &str = include_str!("../../systemd/zabbix/moonward.conf");

/// Every key that ZaLua's own file maps; `[*]` takes a parameter.
const ZALUA_KEYS: [&str; 86] = [
    "zalua.error.last",
    "zalua.error.count",
    "system.tcp.active",
    "system.tcp.passive",
    "system.tcp.failed",
    "system.tcp.resets",
    "system.tcp.established",
    "system.tcp.retransmit",
    "system.numa.discovery",
    "system.numa.numa_hit[*]",
    "system.numa.numa_miss[*]",
    "system.numa.numa_foreign[*]",
    "system.numa.interleave_hit[*]",
    "system.numa.local_node[*]",
    "system.numa.other_node[*]",
    "system.disk.discovery",
    "system.disk.utilization[*]",
    "system.disk.await[*]",
    "system.disk.read_bytes_in_sec[*]",
    "system.disk.write_bytes_in_sec[*]",
    "system.disk.read_ops_in_sec[*]",
    "system.disk.write_ops_in_sec[*]",
    "system.disk.all_ops_in_sec[*]",
    "system.processes.running",
    "system.processes.blocked",
    "system.processes.fork_rate",
    "system.cpu.total.user",
    "system.cpu.total.nice",
    "system.cpu.total.system",
    "system.cpu.total.idle",
    "system.cpu.total.iowait",
    "system.cpu.total.irq",
    "system.cpu.total.softirq",
    "system.cpu.total.steal",
    "system.cpu.total.guest",
    "system.cpu.total.guest_nice",
    "system.cpu.count",
    "system.stat.ctxt",
    "system.stat.intr",
    "system.cpu.temp",
    "system.cpu.temp_crit",
    "system.io.read_hit",
    "system.io.syscr",
    "system.io.syscw",
    "runit.problem",
    "system.messages.problem",
    "ntp.stat",
    "postgres.wal.last_apply",
    "postgres.wal.write_bytes_in_sec",
    "postgres.wal.count",
    "postgres.time.disk_read_ms",
    "postgres.time.disk_write_ms",
    "postgres.time.other_ms",
    "postgres.queries.count",
    "postgres.queries.avg_time_ms",
    "postgres.queries.long",
    "postgres.connections.waiting",
    "postgres.connections.autovacuum",
    "postgres.connections.active",
    "postgres.connections.idle",
    "postgres.connections.idle_in_transaction",
    "postgres.locks.accessshare",
    "postgres.locks.rowshare",
    "postgres.locks.rowexclusive",
    "postgres.locks.shareupdateexclusive",
    "postgres.locks.share",
    "postgres.locks.sharerowexclusive",
    "postgres.locks.exclusive",
    "postgres.locks.accessexclusive",
    "postgres.blks.hit_rate",
    "postgres.blks.hit",
    "postgres.blks.read",
    "postgres.rows.returned",
    "postgres.rows.fetched",
    "postgres.rows.inserted",
    "postgres.rows.updated",
    "postgres.rows.deleted",
    "postgres.database.discovery",
    "postgres.database.size[*]",
    "postgres.database.age[*]",
    "pgbouncer.query.count",
    "pgbouncer.received",
    "pgbouncer.sent",
    "pgbouncer.query.total_time",
    "pgbouncer.query.wait_time",
    "pgbouncer.clients.count",
];

/// Key and command of each line that is not a comment.
fn entries() -> Vec<(&'static str, &'static str)> {
    let lines = FILE
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let entry = line
                .strip_prefix("UserParameter=")
                .unwrap_or_else(|| panic!("{line}"));
            // zabbix_agentd splits at the first comma.
            entry.split_once(',').unwrap_or_else(|| panic!("{line}"))
        })
        .collect()
}

#[test]
fn the_file_maps_every_key_of_zalua_once_and_no_other() {
    let keys: Vec<&str> = entries().into_iter().map(|(key, _)| key).collect();
    let unique: BTreeSet<&str> = keys.iter().copied().collect();
    assert_eq!(
        keys.len(),
        unique.len(),
        "zabbix_agentd refuses to start with a key given twice"
    );
    assert_eq!(unique, BTreeSet::from(ZALUA_KEYS));
}

#[test]
fn every_command_asks_for_its_own_key_behind_two_dashes() {
    for (key, command) in entries() {
        let asked = key.replace("[*]", "[$1]");
        assert_eq!(command, format!("/usr/bin/moonward get -- '{asked}'"));
        // A dollar means something in keys that take a parameter only.
        assert_eq!(command.contains('$'), key.ends_with("[*]"), "{key}");
    }
}
