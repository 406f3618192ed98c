//! On Debian's stock kernel every probe works.

use anyhow::{Result, ensure};

use super::{Guest, Scenario, agent};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "probes_attached",
    what: "every probe is active on the stock kernel, and doctor agrees",
    needs_package: true,
    run,
};

fn run(guest: &mut Guest) -> Result<()> {
    let status = agent::status(guest)?;
    let probes = status.room("probe");
    ensure!(!probes.is_empty(), "the status shows no probe at all");
    for probe in &probes {
        ensure!(
            probe.verdict == "active",
            "{} is {}: {}",
            probe.name,
            probe.verdict,
            status.complaints()
        );
    }
    let names: Vec<&str> = probes.iter().map(|probe| probe.name.as_str()).collect();
    for subject in ["block", "tcp"] {
        ensure!(
            names.iter().any(|name| name.contains(subject)),
            "no probe for {subject} among {names:?}"
        );
    }
    guest.must("moonward doctor")?;
    Ok(())
}
