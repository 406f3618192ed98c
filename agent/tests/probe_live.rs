//! The probes in the running kernel: they load, count what happens, and live on over a restart.
//!
//! Values are compared with the kernel's own files, read just before and just after, so that what
//! the machine does besides is in both. Without the objects, the capabilities or BTF each test
//! says that it was skipped.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may stop, and says what it compared"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use moonward::model::{Batch, Clock, Value};
use moonward::probe::{Config, Object, Probes};
use moonward::telemetry::status::Verdict;

/// The tests make traffic that the others would see.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn load(config: Config) -> Option<Probes> {
    let (probes, _) = Probes::load(config, Vec::new());
    let skipped = probes.verdicts().iter().find_map(|verdict| {
        let Verdict::Unsupported(reason) = &verdict.verdict else {
            return None;
        };
        Some(format!("{}: {reason}", verdict.program))
    });
    if let Some(reason) = skipped {
        println!("skipped: {reason}");
        return None;
    }
    for verdict in probes.verdicts() {
        assert!(
            matches!(verdict.verdict, Verdict::Active | Verdict::Off),
            "{verdict:?}"
        );
    }
    Some(probes)
}

fn only(object: Object) -> Config {
    Config {
        block: object == Object::Block,
        tcp: object == Object::Tcp,
        process: object == Object::Process,
    }
}

/// The samples of one object: series and value.
type Samples = Vec<(String, f64)>;

fn samples(probes: &mut Probes, object: Object) -> Samples {
    let mut batch = Batch::new();
    probes.read(object, &mut batch).unwrap();
    assert_eq!(batch.refused(), 0);
    batch
        .iter()
        .map(|sample| {
            (
                sample.series.as_str().to_owned(),
                sample.value.as_f64().unwrap_or(f64::NAN),
            )
        })
        .collect()
}

fn sum(samples: &Samples, parts: &[&str]) -> f64 {
    samples
        .iter()
        .filter(|(series, _)| parts.iter().all(|part| series.contains(part)))
        .map(|(_, value)| value)
        .sum()
}

/// Whether what a probe found lies between what the kernel's file says of a shorter and of a
/// longer time, number by number; and that something was compared at all.
fn agrees<const N: usize>(
    names: [&str; N],
    found: [f64; N],
    inner: [[f64; N]; 2],
    outer: [[f64; N]; 2],
) -> bool {
    let mut agrees = true;
    let mut compared = 0;
    for (index, name) in names.iter().enumerate() {
        let least = inner[1][index] - inner[0][index];
        let most = outer[1][index] - outer[0][index];
        println!(
            "{name}: {} (the kernel says {least} to {most})",
            found[index]
        );
        agrees &= least <= found[index] && found[index] <= most;
        compared += usize::from(least > 0.0);
    }
    assert!(compared >= 3, "nothing happened");
    agrees
}

/// Until one attempt agrees to the last request. Kernels that hide some of their events from
/// programs exist (virtual machines whose owner looks in), so a single attempt may fall short.
fn repeat(mut attempt: impl FnMut() -> bool) {
    const ATTEMPTS: usize = 12;
    assert!(
        (0..ATTEMPTS).any(|_| attempt()),
        "none of {ATTEMPTS} attempts agreed with the kernel's own counters"
    );
}

#[test]
fn every_program_loads_and_attaches() {
    let _alone = alone();
    let start = Clock::System.now();
    let Some(mut probes) = load(Config::default()) else {
        return;
    };
    let took = Clock::System.now().since(start);
    assert_eq!(probes.objects().len(), 3);
    assert_eq!(probes.verdicts().len(), 8);
    assert!(probes.stored_descriptors().len() <= Probes::STORED_MAX);
    assert!(probes.obsolete_descriptors().is_empty());
    let mut count = 0;
    for object in Object::ALL {
        let start = Clock::System.now();
        count += samples(&mut probes, object).len();
        println!("{object:?} read in {:?}", Clock::System.now().since(start));
    }
    assert!(count > 30, "{count}");
    println!(
        "loaded in {took:?}, {} bytes of maps, {} descriptors, {count} samples",
        probes.map_memory(),
        probes.stored_descriptors().len()
    );
}

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

fn tcp_work() {
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

#[test]
fn short_lived_processes_are_counted() {
    let _alone = alone();
    let Some(mut probes) = load(only(Object::Process)) else {
        return;
    };
    let before = samples(&mut probes, Object::Process);
    let size: usize = 1 << 20;
    for _ in 0..20 {
        assert!(shell(&format!(
            "head -c {size} /dev/zero | cat > /dev/null"
        )));
    }
    let after = samples(&mut probes, Object::Process);
    let delta = |parts: &[&str]| sum(&after, parts) - sum(&before, parts);
    let bytes = 20.0 * size as f64;
    let read = delta(&["process.io{", "\"read\"", "\"call\""]);
    let written = delta(&["process.io{", "\"write\"", "\"call\""]);
    let exited = delta(&["threads.exited"]);
    println!("read {read}, written {written} of {bytes}, {exited} threads exited");
    // Each byte is read and written by head and by cat.
    assert!(read >= 2.0 * bytes && written >= 2.0 * bytes);
    assert!(exited >= 40.0);
    let mut last = sum(&after, &["process.io{"]);
    for _ in 0..50 {
        let now = sum(&samples(&mut probes, Object::Process), &["process.io{"]);
        assert!(now >= last);
        last = now;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test needs processes that live for a moment"
)]
fn shell(command: &str) -> bool {
    std::process::Command::new("sh")
        .args(["-c", command])
        .status()
        .is_ok_and(|status| status.success())
}

fn exported(probes: &Probes) -> Vec<(String, OwnedFd)> {
    probes
        .stored_descriptors()
        .into_iter()
        .map(|(name, descriptor)| (name, descriptor.try_clone_to_owned().unwrap()))
        .collect()
}

#[test]
fn counters_go_on_after_a_restart() {
    let _alone = alone();
    let Some(mut first) = load(Config::default()) else {
        return;
    };
    tcp_work();
    let before = samples(&mut first, Object::Tcp);
    let process_before = samples(&mut first, Object::Process);
    let stored = exported(&first);
    for (name, _) in &stored {
        assert!(
            !name.contains(':') && name.len() < 255 && name.is_ascii(),
            "{name}"
        );
    }
    drop(first);

    // Nobody but the store holds anything now; the programs count on.
    tcp_work();
    let other = fs::File::open("/dev/null").unwrap();
    let inherited = stored
        .into_iter()
        .chain([
            ("http.socket".to_owned(), other.try_clone().unwrap().into()),
            ("map.tcp.COUNTERS.old".to_owned(), other.into()),
        ])
        .collect();
    let start = Clock::System.now();
    let (mut second, others) = Probes::load(Config::default(), inherited);
    println!("adopted in {:?}", Clock::System.now().since(start));
    assert_eq!(others.len(), 1);
    assert_eq!(second.obsolete_descriptors(), ["map.tcp.COUNTERS.old"]);
    assert_eq!(second.adopted(), Object::ALL);
    for verdict in second.verdicts() {
        assert_eq!(verdict.verdict, Verdict::Active, "{verdict:?}");
    }
    let after = samples(&mut second, Object::Tcp);
    let opened = &["connections.opened", "\"connect\""];
    let delta = sum(&after, opened) - sum(&before, opened);
    assert!(delta >= 120.0, "{delta}");
    let process_after = samples(&mut second, Object::Process);
    for ((series, before), (_, after)) in process_before.iter().zip(&process_after) {
        if series.starts_with("system.process.io{") {
            assert!(after >= before, "{series}");
        }
    }

    // An object that is no longer wanted is given up, with all its names.
    let stored = exported(&second);
    drop(second);
    let (third, _) = Probes::load(only(Object::Block), stored);
    assert_eq!(third.adopted(), [Object::Block]);
    assert!(
        third
            .obsolete_descriptors()
            .iter()
            .any(|name| name.starts_with("link.tcp.inet_sock_set_state."))
    );
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

/// Major and minor version.
fn kernel() -> (u32, u32) {
    let name = rustix::system::uname();
    let release = name.release().to_str().unwrap();
    let mut parts = release.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap(), parts.next().unwrap())
}

#[test]
fn reading_needs_no_capability() {
    let _alone = alone();
    let Some(mut probes) = load(Config::default()) else {
        return;
    };
    let disabled = fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled");
    println!("unprivileged_bpf_disabled: {disabled:?}");
    // Capabilities belong to the thread.
    std::thread::spawn(move || {
        for set in [
            caps::CapSet::Ambient,
            caps::CapSet::Inheritable,
            caps::CapSet::Effective,
            caps::CapSet::Permitted,
        ] {
            caps::clear(None, set).unwrap();
        }
        let left = caps::read(None, caps::CapSet::Permitted).unwrap();
        assert!(left.is_empty(), "{left:?}");
        let refused = probes
            .read(Object::Tcp, &mut Batch::new())
            .is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
        if refused && kernel() < (5, 19) {
            println!("skipped: before Linux 5.19 reading a map needs CAP_BPF as well");
            return;
        }
        for object in Object::ALL {
            assert!(!samples(&mut probes, object).is_empty(), "{object:?}");
        }
        let mut batch = Batch::new();
        probes.read_cost(&mut batch);
        assert!(batch.len() >= 8);
        // And loading says what it lacks.
        let (none, _) = Probes::load(Config::default(), Vec::new());
        for verdict in none.verdicts() {
            assert!(
                verdict.verdict.reason().unwrap().contains("CAP_BPF"),
                "{verdict:?}"
            );
        }
        // But it may still adopt what was loaded before.
        let (adopter, _) = Probes::load(Config::default(), exported(&probes));
        assert_eq!(adopter.adopted(), Object::ALL);
    })
    .join()
    .unwrap();
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
    probes.read_cost(&mut batch);
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
