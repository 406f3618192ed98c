//! A change to Moonward's unit for the length of a scenario.

use anyhow::{Context as _, Result};

use super::{Guest, agent};

const FILE: &str = "/etc/systemd/system/moonward.service.d/workshop.conf";

/// Restarts the service with a drop-in, does something, and takes the drop-in away again whatever
/// came of it.
pub(crate) fn with(
    guest: &mut Guest,
    content: &str,
    work: impl FnOnce(&mut Guest) -> Result<()>,
) -> Result<()> {
    guest.push(FILE, 0o644, content.as_bytes())?;
    let result = restart(guest)
        .context("starting with the drop-in")
        .and_then(|()| work(guest));
    // The scenario's own failure is the one to report.
    let cleared = if result.is_ok() { clear(guest) } else { Ok(()) };
    result.and(cleared)
}

/// Takes the drop-in away, if there is one, and starts the service as it was installed.
pub(crate) fn clear(guest: &mut Guest) -> Result<()> {
    if guest.run(&format!("test -e {FILE}"))?.status != 0 {
        return Ok(());
    }
    guest.must(&format!("rm {FILE}"))?;
    restart(guest)?;
    agent::answers(guest)
}

fn restart(guest: &mut Guest) -> Result<()> {
    guest.must("systemctl daemon-reload")?;
    guest.run("systemctl reset-failed moonward.service")?;
    guest.must("systemctl restart moonward.service").map(drop)
}
