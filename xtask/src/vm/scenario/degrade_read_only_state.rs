//! Where nothing can be written, nothing is kept, and everything else works.

use anyhow::Result;

use super::{Guest, Scenario, agent};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "degrade_read_only_state",
    what: "a read-only /var/lib/moonward: service up, the store shown with the reason",
    needs_package: true,
    run,
};

fn run(guest: &mut Guest) -> Result<()> {
    // What a disk with errors looks like: the directory is there, with its owner, and read-only.
    guest.must(
        "systemctl stop moonward.service && \
         mount -t tmpfs -o uid=moonward,gid=moonward,mode=0700 none /var/lib/moonward && \
         mount -o remount,ro /var/lib/moonward && systemctl start moonward.service",
    )?;
    let result = shown(guest);
    guest.must(
        "systemctl stop moonward.service && umount /var/lib/moonward && \
         systemctl start moonward.service",
    )?;
    result
}

fn shown(guest: &mut Guest) -> Result<()> {
    agent::up_without(
        guest,
        |part| part.room == "store" && part.name.contains("snapshot"),
        &["/var/lib/moonward", "cannot be written"],
    )
}
