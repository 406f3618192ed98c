//! A known number of writes of known size is what we count, and what the kernel counts.

use anyhow::{Context as _, Result, ensure};

use super::{Guest, Scenario, agent, series};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "disk_truth",
    what: "dd with direct IO on virtio and NVMe: our count and bytes, and /proc/diskstats",
    needs_package: true,
    run,
};

/// Writes and reads of one bracket.
const COUNT: u64 = 200;

/// Bytes of each; direct IO of this size is one request.
const SIZE: u64 = 8192;

fn run(guest: &mut Guest) -> Result<()> {
    let virtio = guest.must("basename $(readlink -f /dev/disk/by-id/virtio-data)")?;
    let mut compared = 0;
    for device in [virtio.as_str(), "nvme0n1"] {
        compared += bracket(guest, device).with_context(|| format!("on {device}"))?;
    }
    // Two devices, two operations, count and bytes, and the latencies of writes.
    ensure!(compared == 10, "only {compared} figures were compared");
    Ok(())
}

/// Nobody else uses the disk, so that all three must agree to the last request.
fn bracket(guest: &mut Guest, device: &str) -> Result<u32> {
    guest.must("udevadm settle")?;
    agent::next_reading(guest, "probe", "block")?;
    let before = Figures::read(guest, device)?;
    for direction in [
        "of=/dev/{} if=/dev/zero oflag=direct",
        "if=/dev/{} of=/dev/null iflag=direct",
    ] {
        let files = direction.replace("{}", device);
        guest.must(&format!(
            "dd {files} bs={SIZE} count={COUNT} conv=notrunc status=none"
        ))?;
    }
    // udev looks at a disk that was written to; its reads are part of the bracket.
    guest.must("udevadm settle")?;
    agent::next_reading(guest, "probe", "block")?;
    let after = Figures::read(guest, device)?;

    let mut compared = 0;
    for (what, known, exact) in [
        ("write operations", COUNT, true),
        ("write bytes", COUNT * SIZE, true),
        ("write latencies", COUNT, true),
        ("read operations", COUNT, false),
        ("read bytes", COUNT * SIZE, false),
    ] {
        let ours = after.ours(what)? - before.ours(what)?;
        let kernel = after.kernel(what)? - before.kernel(what)?;
        ensure!(
            ours == kernel,
            "{what}: we counted {ours}, /proc/diskstats {kernel}"
        );
        ensure!(ours >= known, "{what}: {ours} counted, {known} done");
        ensure!(
            !exact || ours == known,
            "{what}: {ours} counted, {known} done"
        );
        compared += 1;
    }
    Ok(compared)
}

/// One reading of both sides.
struct Figures {
    ours: Vec<(&'static str, u64)>,
    kernel: Vec<(&'static str, u64)>,
}

impl Figures {
    fn read(guest: &mut Guest, device: &str) -> Result<Self> {
        let mut ours = Vec::new();
        for (what, name, operation) in [
            ("read operations", series::DISK_REQUESTS, "read"),
            ("read bytes", series::DISK_BYTES, "read"),
            ("write operations", series::DISK_REQUESTS, "write"),
            ("write bytes", series::DISK_BYTES, "write"),
            ("write latencies", series::DISK_LATENCY, "write"),
        ] {
            let tags = [("device", device), ("direction", operation)];
            // A disk that nobody has used yet may have no series.
            let sum = agent::sum(guest, name, &tags).unwrap_or_default();
            ours.push((what, whole(sum)));
        }
        let line = guest.must(&format!("grep -w {device} /proc/diskstats"))?;
        let fields: Vec<u64> = line
            .split_whitespace()
            .skip(3)
            .map_while(|field| field.parse().ok())
            .collect();
        let field = |at: usize| {
            fields
                .get(at)
                .copied()
                .context("short line in /proc/diskstats")
        };
        let kernel = vec![
            ("read operations", field(0)?),
            ("read bytes", field(2)? * 512),
            ("write operations", field(4)?),
            // One latency for each request.
            ("write latencies", field(4)?),
            ("write bytes", field(6)? * 512),
        ];
        Ok(Self { ours, kernel })
    }

    fn ours(&self, what: &str) -> Result<u64> {
        pick(&self.ours, what)
    }

    fn kernel(&self, what: &str) -> Result<u64> {
        pick(&self.kernel, what)
    }
}

fn pick(figures: &[(&str, u64)], what: &str) -> Result<u64> {
    let found = figures.iter().find(|(name, _)| *name == what);
    found
        .map(|(_, value)| *value)
        .with_context(|| format!("no figure for {what}"))
}

/// Counters are whole numbers that fit a double exactly here.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the figures of a machine that just booted are small and positive"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}
