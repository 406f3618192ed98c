//! `moonward get KEY`, the whole process, against the smallest process there is.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::agent::{Agent, binary};
use super::report::{Budget, compare, quantile};
use crate::process::Program;
use crate::stopwatch::Stopwatch;

/// Runs of each, taken in turns so that both see the same machine.
const RUNS: usize = 1000;

/// A series that every machine has.
const KEY: &str = "system.uptime";

/// Measures.
pub(crate) fn run() -> Result<()> {
    let agent = Agent::start("")?;
    agent
        .ask(["get", KEY])
        .context("the key that is measured")?;
    let socket = agent.socket();
    let question = ["get", KEY, "--socket", socket.to_str().context("a path")?];
    let mut ours = Vec::with_capacity(RUNS);
    let mut floor = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        floor.push(once(Path::new("/bin/true"), &[])?);
        ours.push(once(&binary(), &question)?);
    }
    for (name, share) in [("median", 0.5), ("99th percentile", 0.99)] {
        let (ours, floor) = (quantile(&mut ours, share), quantile(&mut floor, share));
        let budget = if share < 0.9 {
            Budget::AtMost(1.5)
        } else {
            Budget::None
        };
        compare(
            &format!("moonward get, {name}"),
            "µs",
            ours.as_secs_f64() * 1e6,
            ("/bin/true", floor.as_secs_f64() * 1e6),
            budget,
        );
    }
    Ok(())
}

fn once(program: &Path, arguments: &[&str]) -> Result<Duration> {
    let program = Program::new(program)
        .args(arguments)
        .without_input()
        .without_output();
    let watch = Stopwatch::start();
    program.status()?;
    Ok(watch.elapsed())
}
