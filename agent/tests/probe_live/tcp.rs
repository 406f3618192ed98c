//! Connections, retransmits and resets against /proc/net/snmp.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use moonward::model::Clock;
use moonward::probe::{Object, Probes};

use super::{agrees, alone, load, only, repeat, samples, sum};

const SNMP: [&str; 5] = [
    "ActiveOpens",
    "PassiveOpens",
    "AttemptFails",
    "RetransSegs",
    "OutRsts",
];

fn snmp() -> [f64; 5] {
    let text = fs::read_to_string("/proc/net/snmp").unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("Tcp:"));
    let names: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    let values: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    SNMP.map(|name| {
        let place = names.iter().position(|other| *other == name).unwrap();
        values[place].parse().unwrap()
    })
}

pub(super) fn tcp_work() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(address) else {
            println!("{address} cannot be bound here");
            continue;
        };
        let server = listener.local_addr().unwrap();
        for round in 0..100 {
            let mut client = TcpStream::connect(server).unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            client.write_all(b"hello").unwrap();
            if round % 2 == 0 {
                // Closed with data unread: the kernel sends a reset.
                peer.set_nodelay(true).unwrap();
                let mut first = [0; 1];
                peer.read_exact(&mut first).unwrap();
            } else {
                let mut hello = [0; 5];
                peer.read_exact(&mut hello).unwrap();
            }
        }
        drop(listener);
        for _ in 0..20 {
            assert!(TcpStream::connect(server).is_err());
        }
    }
}

#[test]
fn tcp_connections_are_those_of_snmp() {
    let _alone = alone();
    let Some(mut probes) = load(only(Object::Tcp)) else {
        return;
    };
    repeat(|| compare_tcp(&mut probes));
}

fn compare_tcp(probes: &mut Probes) -> bool {
    let outer_before = snmp();
    let before = samples(probes, Object::Tcp);
    let inner_before = snmp();
    tcp_work();
    let inner_after = snmp();
    let after = samples(probes, Object::Tcp);
    let outer_after = snmp();

    let delta = |parts: &[&str]| sum(&after, parts) - sum(&before, parts);
    let failures = delta(&["connect.failures"])
        - delta(&["connect.failures", "aborted"])
        - delta(&["connect.failures", "not_sent"]);
    let found = [
        delta(&["connections.opened", "\"connect\""]),
        delta(&["connections.opened", "\"accept\""]),
        failures,
        delta(&["system.tcp.retransmits"]),
        delta(&["system.tcp.resets", "\"sent\""]),
    ];
    // Before 6.10 resets that belong to no socket are not traced; no lower bound then.
    let traced = sum(&after, &["resets", "\"sent\"", "unknown"]) > 0.0;
    let mut inner = [inner_before, inner_after];
    if !traced {
        println!("this kernel does not trace resets without a socket");
        inner[1][4] = inner[0][4];
    }
    let agrees = agrees(SNMP, found, inner, [outer_before, outer_after]);
    assert!(found[0] >= 120.0 && found[1] >= 100.0 && found[2] >= 20.0);
    assert!(delta(&["resets", "received"]) > 0.0);
    let latency = delta(&["connect.latency"]);
    let established = delta(&["connections.established", "\"connect\""]);
    let skipped = delta(&["system.tcp.skipped", "no_start_time"]);
    assert!((latency + skipped - established).abs() < f64::EPSILON);
    agrees
}

#[test]
fn a_connect_without_a_port_is_no_active_open() {
    let _alone = alone();
    let Some(mut probes) = load(only(Object::Tcp)) else {
        return;
    };
    repeat(|| compare_unsent(&mut probes));
}

/// A connect from `local`; a port of 0 lets the kernel choose.
fn connect_from(local: SocketAddr, server: SocketAddr) -> rustix::io::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &local)?;
    connect(&socket, &server)?;
    Ok(socket)
}

fn compare_unsent(probes: &mut Probes) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let outer_before = snmp();
    let before = samples(probes, Object::Tcp);
    let inner_before = snmp();
    let first = TcpStream::from(connect_from("127.0.0.1:0".parse().unwrap(), server).unwrap());
    // The same four numbers again: the kernel finds out after it has set the state.
    let second = connect_from(first.local_addr().unwrap(), server);
    assert_eq!(second.unwrap_err(), rustix::io::Errno::ADDRNOTAVAIL);
    let inner_after = snmp();
    let after = samples(probes, Object::Tcp);
    let outer_after = snmp();
    let delta = |parts: &[&str]| sum(&after, parts) - sum(&before, parts);
    let opened = delta(&["connections.opened", "\"connect\""]);
    let unsent = delta(&["connect.failures", "not_sent"]);
    println!("opened {opened}, not sent {unsent}");
    inner_after[0] - inner_before[0] <= opened
        && opened <= outer_after[0] - outer_before[0]
        && unsent >= 1.0
}

/// A listener that accepts nobody drops SYNs once its queue is full; they are sent again after a
/// second.
#[test]
fn retransmits_are_those_of_snmp() {
    let _alone = alone();
    let Some(mut probes) = load(only(Object::Tcp)) else {
        return;
    };
    repeat(|| compare_retransmits(&mut probes));
}

fn compare_retransmits(probes: &mut Probes) -> bool {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let open = || socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
    let listener = open();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    bind(&listener, &any).unwrap();
    listen(&listener, 1).unwrap();
    let server: SocketAddr = rustix::net::getsockname(&listener)
        .unwrap()
        .try_into()
        .unwrap();
    let outer_before = snmp();
    let before = samples(probes, Object::Tcp);
    let inner_before = snmp();
    let clients: Vec<OwnedFd> = (0..8)
        .map(|_| {
            let client = open();
            assert_eq!(
                connect(&client, &server),
                Err(rustix::io::Errno::INPROGRESS)
            );
            client
        })
        .collect();
    let deadline = Clock::System.now() + std::time::Duration::from_secs(20);
    while snmp()[3] < inner_before[3] + 4.0 {
        assert!(Clock::System.now() < deadline, "nothing was sent again");
        // Waits without work: nobody ever writes to the listener's peers.
        let mut wait = [rustix::event::PollFd::new(
            &clients[7],
            rustix::event::PollFlags::IN,
        )];
        let timeout = rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: 50_000_000,
        };
        rustix::event::poll(&mut wait, Some(&timeout)).unwrap();
    }
    // Only now do the sockets go, so that no more is under way.
    drop((clients, listener));
    let inner_after = snmp();
    let after = samples(probes, Object::Tcp);
    let outer_after = snmp();
    let again =
        sum(&after, &["system.tcp.retransmits"]) - sum(&before, &["system.tcp.retransmits"]);
    let least = inner_after[3] - inner_before[3];
    let most = outer_after[3] - outer_before[3];
    println!("RetransSegs: {again} (the kernel says {least} to {most})");
    again >= 4.0 && least <= again && again <= most
}
