//! The Zabbix door against Debian's `zabbix_agentd`: requests per second, latency, CPU.
//!
//! The load is made here, one connection per request as a Zabbix server does it, with the ZBXD
//! header in both directions; both agents get the same clients on the same machine in turns.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Child;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::agent::Agent;
use super::cost;
use super::report::{Budget, alone, compare, quantile};
use crate::apt::{self, Need};
use crate::process::Program;
use crate::stopwatch::Stopwatch;
use crate::workspace;

/// Clients at once.
const CLIENTS: usize = 16;

/// Requests of one measurement.
const REQUESTS: u64 = 20_000;

/// A value that both answer from what they have gathered.
const KEY: &str = "system.cpu.load";

/// Nothing that is asked for here is longer.
const REPLY_LIMIT: u64 = 64 << 10;

/// Measures.
pub(crate) fn run() -> Result<()> {
    let address = free_address()?;
    let agent = Agent::start(&format!("[zabbix]\nlisten = \"{address}\"\n"))?;
    let peer = Peer::start()?;
    wait_until_answered(address)?;
    wait_until_answered(peer.address)?;
    // Warm both, then measure in turns and keep the better of each: noise only ever slows.
    let (mut ours, mut theirs) = (None, None);
    for _ in 0..3 {
        Figures::keep_better(&mut ours, load(address, agent.pid(), KEY, REQUESTS)?);
        Figures::keep_better(
            &mut theirs,
            load(peer.address, peer.child.id(), KEY, REQUESTS)?,
        );
    }
    let (ours, theirs) = (ours.context("measured")?, theirs.context("measured")?);
    let name = "zabbix_agentd";
    compare(
        "requests per second",
        "1/s",
        ours.rate,
        (name, theirs.rate),
        Budget::AtLeast(2.0),
    );
    compare(
        "CPU per request",
        "µs",
        ours.cpu,
        (name, theirs.cpu),
        Budget::AtMost(0.5),
    );
    compare(
        "latency, median",
        "µs",
        ours.median,
        (name, theirs.median),
        Budget::None,
    );
    compare(
        "latency, 99th percentile",
        "µs",
        ours.p99,
        (name, theirs.p99),
        Budget::None,
    );
    let parameter = load(peer.address, peer.child.id(), "workshop.true", 500)?;
    alone(
        "CPU of a UserParameter, for scale",
        "µs",
        parameter.cpu,
        Budget::None,
    );
    Ok(())
}

/// What one measurement gave; times in microseconds.
struct Figures {
    rate: f64,
    cpu: f64,
    median: f64,
    p99: f64,
}

impl Figures {
    fn keep_better(best: &mut Option<Self>, new: Self) {
        if best.as_ref().is_none_or(|old| new.rate > old.rate) {
            *best = Some(new);
        }
    }
}

fn load(address: SocketAddr, pid: u32, key: &str, requests: u64) -> Result<Figures> {
    let request = frame(key)?;
    let left = AtomicU64::new(requests);
    let family = cost::family(pid)?;
    let before = cost::cpu(&family);
    let watch = Stopwatch::start();
    let results: Vec<Result<Vec<Duration>>> = std::thread::scope(|scope| {
        let client = || -> Result<Vec<Duration>> {
            let mut times = Vec::new();
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                })
                .is_ok()
            {
                let watch = Stopwatch::start();
                ask(address, &request)?;
                times.push(watch.elapsed());
            }
            Ok(times)
        };
        let threads: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("a client panicked")))
            .collect()
    });
    let seconds = watch.elapsed().as_secs_f64();
    let used = cost::cpu(&family).saturating_sub(before);
    let mut times = Vec::new();
    for result in results {
        times.extend(result?);
    }
    let count = times.len() as f64;
    Ok(Figures {
        rate: count / seconds,
        cpu: used.as_secs_f64() * 1e6 / count,
        median: quantile(&mut times, 0.5).as_secs_f64() * 1e6,
        p99: quantile(&mut times, 0.99).as_secs_f64() * 1e6,
    })
}

fn frame(key: &str) -> Result<Vec<u8>> {
    let mut frame = b"ZBXD\x01".to_vec();
    frame.extend_from_slice(&u64::try_from(key.len())?.to_le_bytes());
    frame.extend_from_slice(key.as_bytes());
    Ok(frame)
}

/// One request on a connection of its own; returns the value.
fn ask(address: SocketAddr, request: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(request)?;
    let mut header = [0; 13];
    stream.read_exact(&mut header)?;
    let length = header
        .last_chunk::<8>()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes));
    ensure!(header.starts_with(b"ZBXD\x01"), "not a Zabbix reply");
    ensure!(length <= REPLY_LIMIT, "a reply of {length} bytes");
    let mut value = vec![0; usize::try_from(length)?];
    stream.read_exact(&mut value)?;
    ensure!(
        !value.starts_with(b"ZBX_NOTSUPPORTED"),
        "{}",
        String::from_utf8_lossy(&value)
    );
    Ok(value)
}

fn wait_until_answered(address: SocketAddr) -> Result<()> {
    let request = frame(KEY)?;
    let mut last = String::new();
    for _ in 0..300 {
        match ask(address, &request) {
            Ok(_) => return Ok(()),
            Err(error) => last = format!("{error:#}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("{address} does not answer {KEY}: {last}")
}

/// A loopback address that nobody listens on. `zabbix_agentd` takes no port above 32767, so the
/// kernel's own choice will not do.
fn free_address() -> Result<SocketAddr> {
    (21050..32000)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .context("no free port")
}

/// Debian's agent on a port of its own.
struct Peer {
    child: Child,
    address: SocketAddr,
}

impl Peer {
    fn start() -> Result<Self> {
        apt::provide(&[Need {
            program: "zabbix_agentd",
            package: "zabbix-agent",
        }])?;
        let directory = workspace::target().join("bench").join("zabbix_agentd");
        fs::create_dir_all(&directory).context("cannot make a directory")?;
        let address = free_address()?;
        let at = |name: &str| directory.join(name).display().to_string();
        let configuration = format!(
            "PidFile={}\nLogFile={}\nServer=127.0.0.1\nListenIP=127.0.0.1\nListenPort={}\n\
             Hostname=bench\nStartAgents=16\nAllowRoot=1\n\
             UserParameter=workshop.true,/bin/echo 1\n",
            at("pid"),
            at("log"),
            address.port(),
        );
        fs::write(directory.join("conf"), configuration).context("cannot write")?;
        let child = Program::bound_to_us("zabbix_agentd")
            .args(["-f", "-c", &at("conf")])
            .without_input()
            .without_output()
            .spawn()?;
        Ok(Self { child, address })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Asked to end, it takes its workers along; killed, it would leave them.
        super::end(&mut self.child);
    }
}
