//! Without the capabilities to load programs there are no probes, and everything else.

use anyhow::Result;

use super::{Guest, Scenario, agent, drop_in};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "degrade_missing_capability",
    what: "no CAP_BPF: service up, probes shown with the reason",
    needs_package: true,
    run,
};

fn run(guest: &mut Guest) -> Result<()> {
    guest.must("systemctl stop moonward.service")?;
    let content = "[Service]\nAmbientCapabilities=\nCapabilityBoundingSet=\n";
    drop_in::with(guest, content, |guest| {
        agent::up_without(
            guest,
            |part| part.room == "probe",
            &["CAP_", "capabilit", "permission", "not permitted"],
        )
    })
}
