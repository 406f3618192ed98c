//! What the service could do if it were taken over.

use anyhow::{Context as _, Result, ensure};

use super::{Guest, Scenario, agent};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "exposure",
    what: "systemd-analyze security at most 2.0; no capability left in any thread",
    needs_package: true,
    run,
};

/// Budget of the design, in systemd's scale from 0 to 10.
pub(super) const LIMIT: f64 = 2.0;

fn run(guest: &mut Guest) -> Result<()> {
    let exposure = figure(guest, "moonward.service")?;
    println!("exposure {exposure}");
    ensure!(exposure <= LIMIT, "exposure {exposure} is above {LIMIT}");

    let pid = agent::status(guest)?.pid;
    let sets = guest.must(&format!(
        "grep -h -E '^Cap(Inh|Prm|Eff|Amb):' /proc/{pid}/task/*/status | sort | uniq -c"
    ))?;
    ensure!(sets.contains("CapEff"), "no threads were looked at: {sets}");
    for line in sets.lines() {
        ensure!(
            line.trim_end().ends_with("\t0000000000000000"),
            "capabilities are left: {sets}"
        );
    }
    let user = guest.must(&format!("stat -c %U /proc/{pid}"))?;
    ensure!(user == "moonward", "it runs as {user}");
    Ok(())
}

/// What `systemd-analyze security` says about a unit.
pub(super) fn figure(guest: &mut Guest, unit: &str) -> Result<f64> {
    let report = guest.must(&format!("systemd-analyze security --no-pager {unit}"))?;
    let line = report.lines().last().unwrap_or_default();
    line.split_whitespace()
        .find_map(|word| word.parse().ok())
        .with_context(|| format!("no figure in {line:?}"))
}
