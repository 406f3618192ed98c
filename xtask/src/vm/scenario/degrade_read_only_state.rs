//! Where nothing can be written, nothing is kept, and everything else works.

use anyhow::Result;

use super::{Guest, Scenario, agent, drop_in};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "degrade_read_only_state",
    what: "a read-only /var/lib/moonward: service up, the store shown with the reason",
    needs_package: true,
    run,
};

fn run(guest: &mut Guest) -> Result<()> {
    // A read-only mount on top: even the unit's own exceptions cannot write there.
    let content = "[Service]\nTemporaryFileSystem=/var/lib/moonward:ro\n";
    drop_in::with(guest, content, |guest| {
        agent::up_without(
            guest,
            |part| part.room == "store" && part.name.contains("snapshot"),
            &["read-only", "permission", "/var/lib/moonward"],
        )
    })
}
