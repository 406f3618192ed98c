//! The sandbox takes away what the service does not need, and nothing of what it measures.

use anyhow::{Context as _, Result, ensure};

use super::{Guest, Scenario, agent};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "sandbox_truth",
    what: "from inside its sandbox: units over D-Bus, mounts as they are, journal, status text",
    needs_package: true,
    run,
};

/// A unit that fails, for as long as the scenario lasts.
const BROKEN: &str = "moonward-broken.service";

fn run(guest: &mut Guest) -> Result<()> {
    units(guest).context("units")?;
    mounts(guest).context("mounts")?;
    // Fields of its own, not only the message.
    guest.must("journalctl -u moonward.service -o export | grep -q '^MOONWARD_'")?;
    let text = guest.must("systemctl show -P StatusText moonward.service")?;
    ensure!(text.contains(" series, "), "the status text is {text:?}");
    Ok(())
}

/// What systemd says over D-Bus, a failed unit included.
fn units(guest: &mut Guest) -> Result<()> {
    let state = |unit: &str| format!("moonward get -- 'systemd.unit.state{{unit=\"{unit}\"}}'");
    let own = state("moonward.service");
    guest.until(60, &format!("[ \"$({own})\" = active ]"))?;
    guest.run(&format!("systemd-run --wait --unit={BROKEN} /bin/false"))?;
    let broken = guest.until(60, &format!("[ \"$({})\" = failed ]", state(BROKEN)));
    guest.must(&format!("systemctl reset-failed {BROKEN}"))?;
    broken
}

/// The root file system is writable for the machine, although not for the service.
fn mounts(guest: &mut Guest) -> Result<()> {
    let limits = agent::metrics(guest, "system.filesystem.limit{*")?;
    let root: Vec<String> = limits
        .iter()
        .map(agent::Metric::key)
        .filter(|key| key.contains("mountpoint=\"/\""))
        .collect();
    ensure!(
        root.len() == 1,
        "the root is there {} times: {root:?}",
        root.len()
    );
    ensure!(
        root.iter().all(|key| key.contains("mode=\"rw\"")),
        "{root:?}"
    );
    let twice = limits.len();
    let mut points: Vec<String> = limits.iter().map(agent::Metric::key).collect();
    points.sort();
    points.dedup();
    ensure!(points.len() == twice, "a mount is there twice: {points:?}");
    Ok(())
}
