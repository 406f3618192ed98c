//! Without the kernel's type information there are no probes, and everything else.

use anyhow::Result;

use super::{Guest, Scenario, agent, drop_in};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "degrade_missing_btf",
    what: "no /sys/kernel/btf: service up, probes shown with the reason",
    needs_package: true,
    run,
};

fn run(guest: &mut Guest) -> Result<()> {
    // Probes that an earlier process left with systemd would need no type information.
    guest.must("systemctl stop moonward.service")?;
    drop_in::with(
        guest,
        "[Service]\nInaccessiblePaths=/sys/kernel/btf\n",
        |guest| agent::up_without(guest, |part| part.room == "probe", &["btf"]),
    )
}
