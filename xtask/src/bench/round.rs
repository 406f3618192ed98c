//! One collection round: CPU and memory per value, against what Debian has for the same work.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::agent::Agent;
use super::cost;
use super::report::{Budget, alone, compare};
use crate::apt::{self, Need};
use crate::process::Program;
use crate::workspace;

/// Each is watched for that long, with a round every second.
const WATCHED: Duration = Duration::from_secs(30);

/// What one of them costs.
struct Cost {
    /// Values per round.
    values: f64,
    /// Microseconds of CPU per value.
    per_value: f64,
    /// Resident bytes.
    resident: f64,
}

/// Measures.
pub(crate) fn run() -> Result<()> {
    let ours = moonward()?;
    println!(
        "moonward: {:.0} values per second of measuring",
        ours.values
    );
    alone(
        "moonward, resident",
        "MB",
        ours.resident / 1e6,
        Budget::AtMost(20.0),
    );
    for (name, peer) in [("collectd", collectd()), ("node_exporter", node_exporter())] {
        let peer = match peer {
            Ok(peer) => peer,
            Err(error) => {
                println!("{name}: not measured: {error:#}");
                continue;
            }
        };
        println!("{name}: {:.0} values per round", peer.values);
        compare(
            "CPU per value",
            "µs",
            ours.per_value,
            (name, peer.per_value),
            Budget::AtMost(0.2),
        );
        compare(
            "resident",
            "MB",
            ours.resident / 1e6,
            (name, peer.resident / 1e6),
            Budget::None,
        );
    }
    Ok(())
}

fn moonward() -> Result<Cost> {
    let agent = Agent::start("[collect]\ninterval = \"1s\"\n")?;
    std::thread::sleep(Duration::from_secs(3));
    let family = cost::family(agent.pid())?;
    let (samples, used) = (agent.samples()?, cost::cpu(&family));
    std::thread::sleep(WATCHED);
    let used = cost::cpu(&family).saturating_sub(used);
    let samples = agent.samples()?.saturating_sub(samples) as f64;
    ensure!(samples > 0.0, "it collected nothing");
    Ok(Cost {
        values: samples / WATCHED.as_secs_f64(),
        per_value: used.as_secs_f64() * 1e6 / samples,
        resident: cost::resident(&family) as f64,
    })
}

/// Starts Debian's node_exporter, which answers when this is over.
pub(super) fn start_node_exporter(address: SocketAddr) -> Result<Child> {
    apt::provide(&[Need {
        program: "prometheus-node-exporter",
        package: "prometheus-node-exporter",
    }])?;
    let mut child = Program::bound_to_us("prometheus-node-exporter")
        .arg(format!("--web.listen-address={address}"))
        .without_input()
        .without_output()
        .errors_to(fs::File::create("/dev/null")?)
        .spawn()?;
    for _ in 0..100 {
        if scrape(address).is_ok() {
            return Ok(child);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    super::end(&mut child);
    bail!("node_exporter does not answer at {address}")
}

/// Scrapes once a second, as Prometheus would at that interval.
fn node_exporter() -> Result<Cost> {
    let address = free_port()?;
    let mut child = start_node_exporter(address)?;
    let result = (|| {
        let family = cost::family(child.id())?;
        let used = cost::cpu(&family);
        let mut values = 0;
        let rounds = WATCHED.as_secs();
        for _ in 0..rounds {
            values += scrape(address)?;
            std::thread::sleep(Duration::from_secs(1));
        }
        let used = cost::cpu(&family).saturating_sub(used);
        Ok(Cost {
            values: values as f64 / rounds as f64,
            per_value: used.as_secs_f64() * 1e6 / values as f64,
            resident: cost::resident(&family) as f64,
        })
    })();
    super::end(&mut child);
    result
}

/// Number of values in one scrape.
pub(super) fn scrape(address: SocketAddr) -> Result<u64> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.take(16 << 20).read_to_string(&mut text)?;
    let lines = text.lines().skip_while(|line| !line.is_empty()).skip(1);
    Ok(u64::try_from(
        lines.filter(|line| !line.starts_with('#')).count(),
    )?)
}

/// The plugins of Debian's own configuration that read what we read, and no output but a socket.
const COLLECTD_PLUGINS: [&str; 16] = [
    "contextswitch",
    "cpu",
    "df",
    "disk",
    "entropy",
    "interface",
    "irq",
    "load",
    "memory",
    "numa",
    "processes",
    "protocols",
    "swap",
    "tcpconns",
    "uptime",
    "vmem",
];

fn collectd() -> Result<Cost> {
    apt::provide(&[Need {
        program: "collectd",
        package: "collectd-core",
    }])?;
    let directory = workspace::target().join("bench").join("collectd");
    fs::create_dir_all(&directory).context("cannot make a directory")?;
    let at = |name: &str| directory.join(name).display().to_string();
    let mut configuration = format!(
        "Hostname bench\nFQDNLookup false\nInterval 1\nBaseDir \"{}\"\nPIDFile \"{}\"\n\
         LoadPlugin unixsock\n<Plugin unixsock>\nSocketFile \"{}\"\n</Plugin>\n",
        at(""),
        at("pid"),
        at("socket"),
    );
    for plugin in COLLECTD_PLUGINS {
        configuration.push_str("LoadPlugin ");
        configuration.push_str(plugin);
        configuration.push('\n');
    }
    fs::write(directory.join("conf"), configuration).context("cannot write")?;
    let mut child = Program::bound_to_us("collectd")
        .args(["-f", "-C", &at("conf")])
        .without_input()
        .without_output()
        .errors_to(fs::File::create(directory.join("log"))?)
        .spawn()?;
    let result = (|| {
        std::thread::sleep(Duration::from_secs(5));
        let family = cost::family(child.id())?;
        let used = cost::cpu(&family);
        std::thread::sleep(WATCHED);
        let used = cost::cpu(&family).saturating_sub(used);
        let values = listed(&at("socket"))?;
        Ok(Cost {
            values,
            per_value: used.as_secs_f64() * 1e6 / (values * WATCHED.as_secs_f64()),
            resident: cost::resident(&family) as f64,
        })
    })();
    super::end(&mut child);
    result
}

/// Value lists that collectd holds. A list may hold two values, so this is in its favour.
fn listed(socket: &str) -> Result<f64> {
    let mut stream = UnixStream::connect(socket).context("collectd has no socket")?;
    stream.write_all(b"LISTVAL\n")?;
    let mut first = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte)? == 1 && byte != *b"\n" {
        first.extend_from_slice(&byte);
    }
    let text = String::from_utf8_lossy(&first).into_owned();
    text.split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .with_context(|| format!("collectd says {text:?}"))
}

pub(super) fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
