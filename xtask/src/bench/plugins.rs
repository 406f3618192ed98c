//! Plugins: how fast they put values, what a thousand idle ones cost, what the stock set costs, and
//! how soon a saved file runs.
//!
//! ZaLua itself cannot be run here; what it takes resident, 32 MB with its stock set, was measured
//! on a host that has it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::agent::Agent;
use super::cost;
use super::report::{Budget, alone, compare, quantile};
use crate::stopwatch::Stopwatch;
use crate::workspace;

/// For how long idle plugins are watched.
const WATCHED: Duration = Duration::from_secs(20);

/// For how long the stock plugins are watched: one round of each.
const MINUTE: Duration = Duration::from_mins(1);

/// What ZaLua takes resident with its stock set, in bytes.
const ZALUA: f64 = 32e6;

/// How many idle plugins.
const IDLE: usize = 1000;

/// How often a file is saved.
const SAVES: usize = 30;

/// How long anything may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Puts as fast as it can, in turns that are far below any limit.
const PUTTER: &str = "\
local rounds, each = 20, 50000
local begun = time.unix_nano()
for round = 1, rounds do
  for i = 1, each do metrics.set('bench.value', i) end
  time.sleep(0)
end
metrics.set('bench.rate', rounds * each / ((time.unix_nano() - begun) / 1e9))
while true do time.sleep(60) end
";

/// Measures.
pub(crate) fn run() -> Result<()> {
    let (base_memory, base_cpu) = idle(0)?;
    let (memory, cpu) = idle(IDLE)?;
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    let each = (memory - base_memory) / 1e3 / IDLE as f64;
    alone("one idle plugin, resident", "KB", each, Budget::None);
    let share =
        |used: Duration, watched: Duration| used.as_secs_f64() / watched.as_secs_f64() * 100.0;
    alone(
        "a thousand idle plugins, CPU",
        "%",
        share(cpu.saturating_sub(base_cpu), WATCHED),
        Budget::None,
    );
    stock(share)?;
    alone("metrics.set from Lua", "per second", put()?, Budget::None);
    let mut times = saves()?;
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let middle = milliseconds(quantile(&mut times, 0.5));
    alone("from saving to running, median", "ms", middle, Budget::None);
    let slowest = milliseconds(quantile(&mut times, 1.0));
    alone(
        "from saving to running, slowest",
        "ms",
        slowest,
        Budget::None,
    );
    Ok(())
}

/// An empty directory for plugins.
fn directory() -> Result<PathBuf> {
    let directory = workspace::target().join("bench").join("plugins");
    if directory.exists() {
        fs::remove_dir_all(&directory).context("cannot clear an older run")?;
    }
    fs::create_dir_all(&directory).context("cannot make a directory")?;
    Ok(directory)
}

fn agent(directory: &std::path::Path, stock: bool) -> Result<Agent> {
    let directory = directory.display();
    Agent::start(&format!(
        "[plugin]\ndirectories = [\"{directory}\"]\nstock = {stock}\n\
         # A service of its own, which runs only while something is executed.\n\
         [runner]\nsocket = \"off\"\n"
    ))
}

/// Resident bytes, and CPU while they are watched, with so many plugins that sleep.
fn idle(count: usize) -> Result<(f64, Duration)> {
    let directory = directory()?;
    let source = "metrics.set(plugin.name, 1, 3600) while true do time.sleep(60) end";
    for number in 0..count {
        fs::write(directory.join(format!("idle-{number}.lua")), source)?;
    }
    let agent = agent(&directory, false)?;
    if count > 0 {
        let last = format!("idle-{}", count - 1);
        until(|| agent.ask(["get", last.as_str()]).is_ok())?;
    }
    std::thread::sleep(Duration::from_secs(3));
    watch(&agent, WATCHED)
}

fn watch(agent: &Agent, watched: Duration) -> Result<(f64, Duration)> {
    let family = cost::family(agent.pid())?;
    let before = cost::cpu(&family);
    std::thread::sleep(watched);
    let used = cost::cpu(&family).saturating_sub(before);
    #[expect(clippy::cast_precision_loss, reason = "bytes of one process")]
    let resident = cost::resident(&family) as f64;
    Ok((resident, used))
}

/// The stock set for a minute, beside the same agent without it.
fn stock(share: impl Fn(Duration, Duration) -> f64) -> Result<()> {
    let directory = directory()?;
    let mut figures = Vec::new();
    for stock in [false, true] {
        let agent = agent(&directory, stock)?;
        std::thread::sleep(Duration::from_secs(5));
        figures.push(watch(&agent, MINUTE)?);
    }
    let [(without, base), (with, used)] = figures.as_slice() else {
        bail!("two agents were to be measured");
    };
    compare(
        "agent with the stock plugins",
        "MB",
        with / 1e6,
        ("ZaLua", ZALUA / 1e6),
        Budget::AtMost(20e6 / ZALUA),
    );
    alone(
        "the stock plugins alone",
        "MB",
        (with - without) / 1e6,
        Budget::None,
    );
    alone(
        "agent with the stock plugins, CPU",
        "%",
        share(*used, MINUTE),
        Budget::AtMost(0.3),
    );
    let own = share(used.saturating_sub(*base), MINUTE);
    alone("the stock plugins alone, CPU", "%", own, Budget::None);
    Ok(())
}

fn put() -> Result<f64> {
    let directory = directory()?;
    fs::write(directory.join("putter.lua"), PUTTER)?;
    let agent = agent(&directory, false)?;
    until(|| agent.ask(["get", "bench.rate"]).is_ok())?;
    let rate = agent.ask(["get", "bench.rate"])?;
    rate.trim().parse().context("bench.rate is no number")
}

/// How long it took from each save of a plugin until its new code had run.
fn saves() -> Result<Vec<Duration>> {
    let directory = directory()?;
    let path = directory.join("saved.lua");
    fs::write(&path, "metrics.set('bench.saved', '0')")?;
    let agent = agent(&directory, false)?;
    until(|| agent.ask(["get", "bench.saved"]).is_ok())?;
    let mut times = Vec::new();
    for version in 1..=SAVES {
        let version = version.to_string();
        let source =
            format!("metrics.set('bench.saved', '{version}') while true do time.sleep(60) end");
        let saved = Stopwatch::start();
        fs::write(&path, source)?;
        until(|| {
            agent
                .ask(["get", "bench.saved"])
                .is_ok_and(|value| value.trim() == version)
        })?;
        times.push(saved.elapsed());
    }
    Ok(times)
}

fn until(mut done: impl FnMut() -> bool) -> Result<()> {
    let begun = Stopwatch::start();
    while !done() {
        if begun.elapsed() > PATIENCE {
            bail!("what was waited for has not come");
        }
    }
    Ok(())
}
