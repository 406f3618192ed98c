//! Interfaces and TCP.

use super::Machine;

#[test]
fn zalua_66_net_dev_tells_each_interface_whatever_it_is_called() {
    let machine = Machine::recorded("two-nodes");
    let run = machine.first("net_dev", "");
    machine.change(
        "proc/net/dev",
        &[
            ("eno1np0: 918273645091 1827364509       3    1827       0       3       0   91827 718273645091 1627364509       0       0       0       0       0       0",
             "eno1np0: 918273651091 1827364569       9    1887       6      63     600   91887 718273657091 1627364629       3      12      18      24      30      36"),
            // The driver was loaded anew.
            ("eno2np1: 8182736450", "eno2np1: 1000"),
        ],
    );
    machine.next(&run);
    assert_eq!(
        machine
            .seen("system.net.*[eno1np0]")
            .replace("[eno1np0]", ""),
        [
            "system.net.rx.bytes 100.00 [gauge 1/s]",
            "system.net.rx.compressed 10.00 [gauge 1/s]",
            "system.net.rx.drop 1.00 [gauge 1/s]",
            "system.net.rx.errs 0.10 [gauge 1/s]",
            "system.net.rx.fifo 0.10 [gauge 1/s]",
            "system.net.rx.frame 1.00 [gauge 1/s]",
            "system.net.rx.multicast 1.00 [gauge 1/s]",
            "system.net.rx.packets 1.00 [gauge 1/s]",
            "system.net.tx.bytes 200.00 [gauge 1/s]",
            "system.net.tx.carrier 0.50 [gauge 1/s]",
            "system.net.tx.colls 0.40 [gauge 1/s]",
            "system.net.tx.compressed 0.50 [gauge 1/s]",
            "system.net.tx.compressed_packets 0.60 [gauge 1/s]",
            "system.net.tx.drop 0.20 [gauge 1/s]",
            "system.net.tx.errs 0.05 [gauge 1/s]",
            "system.net.tx.fifo 0.30 [gauge 1/s]",
            "system.net.tx.frame 0.40 [gauge 1/s]",
            "system.net.tx.multicast 0.60 [gauge 1/s]",
            "system.net.tx.packets 2.00 [gauge 1/s]",
        ]
        .join("\n")
    );
    assert_eq!(machine.value("system.net.rx.bytes[eno2np1]"), "-");
    assert_eq!(machine.value("system.net.rx.packets[eno2np1]"), "0.0000");
    machine.next(&run);
    assert_eq!(machine.value("system.net.rx.bytes[eno2np1]"), "0.0000");
}

#[test]
fn zalua_69_interfaces_are_discovered_by_name() {
    let machine = Machine::recorded("two-nodes");
    machine.first("net_dev", "");
    assert_eq!(
        machine.value("system.net.discovery"),
        r#"{"data":[{"{#DEV}":"eno1np0"},{"{#DEV}":"eno2np1"},{"{#DEV}":"bond0"},{"{#DEV}":"bond0.100"},{"{#DEV}":"br0"},{"{#DEV}":"idrac"}]}"#
    );
    let machine = Machine::recorded("two-nodes");
    machine.first("net_dev", "ignore = {'0', 'lo', '^veth'}");
    assert_eq!(
        machine.value("system.net.discovery"),
        r#"{"data":[{"{#DEV}":"eno2np1"},{"{#DEV}":"idrac"}]}"#
    );
}

#[test]
fn zalua_66_net_netstat_tells_the_speed_of_every_counter_of_tcp() {
    let machine = Machine::bare();
    let heading = "TcpExt: SyncookiesSent ListenDrops TCPTimeouts\n";
    machine.write(
        "proc/net/netstat",
        &format!("{heading}TcpExt: 10 20 30\nIpExt: InOctets\nIpExt: 5\n"),
    );
    let run = machine.first("net_netstat", "");
    assert_eq!(machine.seen("system.tcp.*"), "");
    machine.write(
        "proc/net/netstat",
        &format!("{heading}TcpExt: 10 80 0\nIpExt: InOctets\nIpExt: 5\n"),
    );
    machine.next(&run);
    assert_eq!(
        machine.seen("system.tcp.*"),
        "system.tcp.netstat[ListenDrops] 1.00 [gauge 1/s]\n\
         system.tcp.netstat[SyncookiesSent] 0.0000 [gauge 1/s]"
    );
}

#[test]
fn zalua_66_snmp_tells_connections_per_second_and_how_many_there_are() {
    let machine = Machine::recorded("two-nodes");
    let snmp = std::fs::read_to_string(machine.path("proc/net/snmp")).unwrap();
    let names = snmp
        .lines()
        .find(|line| line.starts_with("Tcp: R"))
        .unwrap();
    // Fields that a kernel to come has put in between.
    let tcp = |numbers: &str| {
        format!(
            "{}\nTcp: {numbers}\n",
            names.replace("MaxConn", "New MaxConn")
        )
    };
    machine.write(
        "proc/net/snmp",
        &tcp("1 200 120000 7 -1 100 200 300 400 5 0 0 500 0 0 0"),
    );
    let run = machine.first("snmp", "");
    machine.write(
        "proc/net/snmp",
        &tcp("1 200 120000 9 -1 160 320 303 430 42 0 0 506 0 0 0"),
    );
    machine.next(&run);
    assert_eq!(
        machine.seen("system.tcp.*"),
        "system.tcp.active 1.00 [gauge 1/s]\n\
         system.tcp.established 42.00 [gauge]\n\
         system.tcp.failed 0.05 [gauge 1/s]\n\
         system.tcp.passive 2.00 [gauge 1/s]\n\
         system.tcp.resets 0.50 [gauge 1/s]\n\
         system.tcp.retransmit 0.10 [gauge 1/s]"
    );
}
