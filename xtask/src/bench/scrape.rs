//! One scrape of `/metrics` against node_exporter's: CPU per sample, plain and as Prometheus asks.
//!
//! What the agent collects on its own is switched off after the first round, and plugins are, since
//! the scrape alone is compared; node_exporter reads everything when it is asked, and that is part
//! of its scrape. Collecting and scraping once a second is told beside it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::agent::Agent;
use super::cost;
use super::report::{Budget, alone, compare, quantile};
use super::round::{free_port, scrape, start_node_exporter};
use crate::stopwatch::Stopwatch;

/// Scrapes of one measurement.
const SCRAPES: u32 = 200;

/// What Prometheus sends.
const AS_PROMETHEUS: &str = "Accept: application/openmetrics-text;version=1.0.0,\
    application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n\
    Accept-Encoding: gzip\r\n";

/// What one of them costs; times in microseconds.
struct Figures {
    samples: f64,
    per_sample: f64,
    median: f64,
}

/// Measures.
pub(crate) fn run() -> Result<()> {
    let address = free_port()?;
    let agent = Agent::start(&format!(
        "[collect]\ninterval = \"1d\"\n[store]\nttl = \"1d\"\n[plugin]\nenabled = false\n[runner]\nsocket = \"off\"\n[http]\nlisten = \"{address}\"\n"
    ))?;
    let peer_address = free_port()?;
    let mut peer = start_node_exporter(peer_address)?;
    let result = (|| -> Result<()> {
        for (name, headers) in [("plain", ""), ("as Prometheus asks", AS_PROMETHEUS)] {
            let ours = measure(address, agent.pid(), headers)?;
            let theirs = measure(peer_address, peer.id(), headers)?;
            println!(
                "{name}: {:.0} samples, node_exporter {:.0}",
                ours.samples, theirs.samples
            );
            let peer = |value| ("node_exporter", value);
            compare(
                "CPU per sample",
                "µs",
                ours.per_sample,
                peer(theirs.per_sample),
                Budget::AtMost(0.2),
            );
            compare(
                "one scrape, median",
                "µs",
                ours.median,
                peer(theirs.median),
                Budget::None,
            );
        }
        Ok(())
    })();
    super::end(&mut peer);
    result?;
    let resident = cost::resident(&cost::family(agent.pid())?) as f64;
    alone(
        "resident after it",
        "MB",
        resident / 1e6,
        Budget::AtMost(20.0),
    );
    drop(agent);
    with_collection()
}

fn measure(address: SocketAddr, pid: u32, headers: &str) -> Result<Figures> {
    let samples = scrape(address)?;
    ensure!(samples > 100, "{address} shows {samples} samples");
    let request = format!("GET /metrics HTTP/1.0\r\n{headers}\r\n");
    let family = cost::family(pid)?;
    // Once unmeasured, so that both have their buffers.
    ask(address, &request)?;
    let mut times = Vec::new();
    let used = cost::cpu(&family);
    for _ in 0..SCRAPES {
        let watch = Stopwatch::start();
        ask(address, &request)?;
        times.push(watch.elapsed());
    }
    let used = cost::cpu(&family).saturating_sub(used);
    let samples = samples as f64;
    Ok(Figures {
        samples,
        per_sample: used.as_secs_f64() * 1e6 / f64::from(SCRAPES) / samples,
        median: quantile(&mut times, 0.5).as_secs_f64() * 1e6,
    })
}

fn ask(address: SocketAddr, request: &str) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(request.as_bytes())?;
    let mut reply = Vec::new();
    stream.take(64 << 20).read_to_end(&mut reply)?;
    ensure!(reply.starts_with(b"HTTP/1.0 200"), "no answer");
    Ok(())
}

/// Collecting and scraping together, each once a second, for scale.
fn with_collection() -> Result<()> {
    const ROUNDS: u32 = 10;
    let address = free_port()?;
    let agent = Agent::start(&format!(
        "[collect]\ninterval = \"1s\"\n[plugin]\nenabled = false\n[runner]\nsocket = \"off\"\n[http]\nlisten = \"{address}\"\n"
    ))?;
    let request = format!("GET /metrics HTTP/1.0\r\n{AS_PROMETHEUS}\r\n");
    ask(address, &request)?;
    let family = cost::family(agent.pid())?;
    let (mut samples, used) = (0, cost::cpu(&family));
    for _ in 0..ROUNDS {
        std::thread::sleep(Duration::from_secs(1));
        samples += scrape(address)?;
    }
    let used = cost::cpu(&family).saturating_sub(used);
    alone(
        "CPU per sample with collection",
        "µs",
        used.as_secs_f64() * 1e6 / samples as f64,
        Budget::None,
    );
    Ok(())
}
