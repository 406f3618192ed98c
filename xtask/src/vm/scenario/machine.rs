//! The machine is what the other scenarios take it for.

use anyhow::{Result, ensure};

use super::{Guest, Scenario};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "machine",
    what: "two NUMA nodes, four disks, systemd, a stock kernel with type information",
    needs_package: false,
    run,
};

fn run(guest: &mut Guest) -> Result<()> {
    let nodes = guest.must("ls -d /sys/devices/system/node/node[0-9]* | wc -l")?;
    ensure!(nodes == "2", "{nodes} NUMA nodes");
    guest.must("test -b /dev/disk/by-id/virtio-data && test -b /dev/nvme0n1")?;
    guest.must("test -r /sys/kernel/btf/vmlinux")?;
    guest.must("test $(cat /proc/1/comm) = systemd")?;
    let kernel = guest.must("uname -r")?;
    ensure!(
        kernel.starts_with("6.1."),
        "not Debian 12's kernel but {kernel}"
    );
    guest.until(120, "systemctl is-system-running --wait")?;
    guest.must("zabbix_get -V && zabbix_agentd -V")?;

    // The channel itself: exit codes, both outputs, files of any content, limits of time.
    let output = guest.run("echo out; echo err >&2; exit 7")?;
    ensure!(
        (
            output.status,
            output.stdout.as_str(),
            output.stderr.as_str()
        ) == (7, "out\n", "err\n"),
        "the channel garbles: {output:?}"
    );
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    guest.push("/tmp/bytes", 0o600, &bytes)?;
    ensure!(
        guest.pull("/tmp/bytes")? == bytes,
        "a file came back changed"
    );
    let output = guest.run_within("sleep 60", 1)?;
    ensure!(
        output.status == 124,
        "a command outlived its limit: {output:?}"
    );
    let output = guest.run("setsid sleep 300 & echo $!")?;
    ensure!(
        output.status == 0,
        "a command waits for what it left behind"
    );
    guest.must(&format!("kill {}", output.stdout.trim()))?;
    Ok(())
}
