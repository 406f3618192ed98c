//! A known number of TCP connections is what we count, and what the kernel counts.

use anyhow::{Context as _, Result, ensure};

use super::{Guest, Scenario, agent, series};
use crate::vm::payload;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "tcp_truth",
    what: "a loop of connections on loopback: our opens and accepts, and /proc/net/snmp",
    needs_package: true,
    run,
};

/// Connections of the loop.
const COUNT: f64 = 300.0;

fn run(guest: &mut Guest) -> Result<()> {
    // Others may connect at any time. What the kernel counted between our two readings is at
    // least the inner bracket and at most the outer one, and so must be what we counted.
    let outer_before = Kernel::read(guest)?;
    agent::next_reading(guest, "probe", "tcp")?;
    let ours_before = ours(guest).unwrap_or((0.0, 0.0));
    let inner_before = Kernel::read(guest)?;

    let program = payload::PROGRAM;
    let done = guest.must(&format!("{program} guest tcp-loop {COUNT}"))?;
    ensure!(done == COUNT.to_string(), "the loop did {done}");

    let inner_after = Kernel::read(guest)?;
    agent::next_reading(guest, "probe", "tcp")?;
    let ours_after = ours(guest)?;
    let outer_after = Kernel::read(guest)?;

    for (what, ours, inner, outer) in [
        (
            "opens",
            ours_after.0 - ours_before.0,
            inner_after.active - inner_before.active,
            outer_after.active - outer_before.active,
        ),
        (
            "accepts",
            ours_after.1 - ours_before.1,
            inner_after.passive - inner_before.passive,
            outer_after.passive - outer_before.passive,
        ),
    ] {
        ensure!(
            inner >= COUNT,
            "{what}: the kernel itself counted only {inner} of {COUNT}"
        );
        ensure!(
            inner <= ours && ours <= outer,
            "{what}: we counted {ours}, the kernel between {inner} and {outer}"
        );
    }
    Ok(())
}

fn ours(guest: &mut Guest) -> Result<(f64, f64)> {
    Ok((
        agent::sum(guest, series::TCP_OPENED, &[series::CONNECT])?,
        agent::sum(guest, series::TCP_OPENED, &[series::ACCEPT])?,
    ))
}

/// The kernel's own counters.
struct Kernel {
    active: f64,
    passive: f64,
}

impl Kernel {
    fn read(guest: &mut Guest) -> Result<Self> {
        let text = guest.must("grep ^Tcp: /proc/net/snmp")?;
        let (names, values) = text.split_once('\n').context("two lines of Tcp:")?;
        let value = |name: &str| -> Result<f64> {
            let at = names.split_whitespace().position(|known| known == name);
            let word = at.and_then(|at| values.split_whitespace().nth(at));
            word.with_context(|| format!("no {name} in {text}"))?
                .parse()
                .context("a number")
        };
        Ok(Self {
            active: value("ActiveOpens")?,
            passive: value("PassiveOpens")?,
        })
    }
}
