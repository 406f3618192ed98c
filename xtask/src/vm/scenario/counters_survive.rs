//! A restart, planned or not, takes nothing back.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};

use super::{Guest, Scenario, agent, series};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "counters_survive",
    what: "no counter goes backwards over a restart and a kill -9; the probes go on counting",
    needs_package: true,
    run,
};

fn run(guest: &mut Guest) -> Result<()> {
    let device = guest.must("basename $(readlink -f /dev/disk/by-id/virtio-data)")?;
    write(guest, &device)?;
    agent::next_reading(guest, "probe", "block")?;
    let first = totals(guest)?;

    guest.must("systemctl restart moonward.service")?;
    agent::answers(guest)?;
    // Written while nobody may have been reading.
    write(guest, &device)?;
    agent::next_reading(guest, "probe", "block")?;
    let second = totals(guest)?;
    compare(&first, &second, &device).context("over a restart")?;

    let pid = agent::status(guest)?.pid;
    guest.must(&format!("kill -9 {pid}"))?;
    write(guest, &device)?;
    guest.until(
        60,
        &format!(
            "systemctl is-active --quiet moonward.service && moonward ping && \
             test $(systemctl show -P MainPID moonward.service) != {pid}"
        ),
    )?;
    agent::next_reading(guest, "probe", "block")?;
    let third = totals(guest)?;
    compare(&second, &third, &device).context("over a kill -9")
}

/// Requests of each write.
const COUNT: f64 = 50.0;

fn write(guest: &mut Guest, device: &str) -> Result<()> {
    guest.must(&format!(
        "dd if=/dev/zero of=/dev/{device} bs=4096 count={COUNT} oflag=direct status=none"
    ))?;
    Ok(())
}

/// All that only grows, of what the kernel or the probes count.
fn totals(guest: &mut Guest) -> Result<BTreeMap<String, f64>> {
    let metrics = agent::metrics(guest, "system.*")?;
    let totals = metrics
        .iter()
        .filter_map(|metric| Some((metric.key(), metric.total()?)));
    Ok(totals.collect())
}

fn compare(
    before: &BTreeMap<String, f64>,
    after: &BTreeMap<String, f64>,
    device: &str,
) -> Result<()> {
    let mut compared = 0;
    for (key, old) in before {
        // A process or a unit may be gone; a counter that is there may not be smaller.
        let Some(new) = after.get(key) else { continue };
        ensure!(new >= old, "{key} went from {old} back to {new}");
        compared += 1;
    }
    ensure!(
        compared >= 20,
        "only {compared} counters were there both times"
    );
    let ours = |totals: &BTreeMap<String, f64>| -> f64 {
        totals
            .iter()
            .filter(|(key, _)| key.starts_with(&format!("{}{{", series::DISK_REQUESTS)))
            .filter(|(key, _)| key.contains(&format!("device=\"{device}\"")))
            .filter(|(key, _)| key.contains("direction=\"write\""))
            .map(|(_, value)| *value)
            .sum()
    };
    let grown = ours(after) - ours(before);
    ensure!(
        (grown - COUNT).abs() < 0.5,
        "{COUNT} writes were done on {device}, the probe counted {grown}"
    );
    Ok(())
}
