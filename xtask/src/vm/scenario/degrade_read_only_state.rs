//! Where nothing can be written, nothing is kept, and everything else works.

use anyhow::{Result, bail};

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

/// It is noticed with the first snapshot, which is written once a minute.
fn shown(guest: &mut Guest) -> Result<()> {
    let mut last = None;
    for _ in 0..25 {
        match agent::up_without(
            guest,
            |part| part.room == "store" && part.name.contains("snapshot"),
            &["read-only", "permission", "/var/lib/moonward"],
        ) {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(error),
        }
        guest.run("sleep 3")?;
    }
    match last {
        Some(error) => Err(error.context("not noticed in more than a minute")),
        None => bail!("never looked"),
    }
}
