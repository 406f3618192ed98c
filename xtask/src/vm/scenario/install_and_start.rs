//! The package installs, and the service obeys systemd.

use anyhow::{Context as _, Result, ensure};

use super::{Guest, Scenario, agent};
use crate::vm::payload;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "install_and_start",
    what: "dpkg -i, start, reload (with a bad file too), restart, stop, remove",
    needs_package: false,
    run,
};

/// A file that no version will ever understand.
const BAD: &str = "/etc/moonward/conf.d/zz-workshop.toml";

fn run(guest: &mut Guest) -> Result<()> {
    install(guest)?;
    starts(guest)?;
    let pid = agent::status(guest)?.pid;
    reloads(guest, pid)?;
    keeps_the_old_configuration(guest, pid)?;
    restarts_and_stops(guest)?;
    removes(guest)
}

/// A fresh package puts everything in place and opens nothing to the network.
fn install(guest: &mut Guest) -> Result<()> {
    guest.must(&format!("dpkg -i {}", payload::PACKAGE))?;
    guest.must("getent passwd moonward && getent group moonward")?;
    guest.must("systemd-analyze verify moonward.service")?;
    let listening = guest.must("ss -Hltn")?;
    ensure!(
        !listening.contains(":10050"),
        "10050 is open after installing: {listening}"
    );
    guest.must("test ! -e /tmp/zalua-mon.sock")?;
    Ok(())
}

/// Started, it says so only when it can be asked.
fn starts(guest: &mut Guest) -> Result<()> {
    guest.must("systemctl start moonward.service")?;
    // No waiting here: READY means that it answers.
    guest.must("systemctl is-active moonward.service && moonward ping")?;
    let kind = guest.must("systemctl show -P Type moonward.service")?;
    ensure!(kind == "notify", "the unit is of type {kind}");
    let words = guest.must("systemctl show -P StatusText moonward.service")?;
    ensure!(!words.is_empty(), "it tells systemd nothing about itself");
    let status = agent::status(guest)?;
    let main = guest.must("systemctl show -P MainPID moonward.service")?;
    ensure!(
        main == status.pid.to_string(),
        "status names {} but systemd {main}",
        status.pid
    );
    ensure!(
        !status.room("collector").is_empty(),
        "no collectors in the status"
    );
    Ok(())
}

fn reloads(guest: &mut Guest, pid: u32) -> Result<()> {
    guest.must("systemctl reload moonward.service")?;
    guest.until(30, "systemctl is-active moonward.service && moonward ping")?;
    same_process(guest, pid).context("after a reload")
}

/// A file with a mistake is refused with its place, and the service goes on as before.
fn keeps_the_old_configuration(guest: &mut Guest, pid: u32) -> Result<()> {
    guest.push(BAD, 0o644, b"no_such_key_at_all = 1\n")?;
    let checked = guest.run("moonward check")?;
    ensure!(
        checked.status != 0,
        "`moonward check` finds nothing wrong with a bad file"
    );
    let said = format!("{}{}", checked.stdout, checked.stderr);
    ensure!(
        said.contains("no_such_key_at_all") && said.contains("zz-workshop.toml"),
        "`moonward check` does not say what and where: {said}"
    );
    let reload = guest.run("systemctl reload moonward.service")?;
    ensure!(
        reload.status != 0,
        "systemctl reload says nothing about a bad file"
    );
    // The signal alone, past the unit's own check: the agent itself keeps what it has.
    guest.must("systemctl kill --kill-who=main --signal=HUP moonward.service")?;
    guest.until(
        30,
        &format!(
            "journalctl --no-pager -q -b _PID={pid} | grep -q no_such_key_at_all && \
             systemctl is-active moonward.service && moonward ping"
        ),
    )?;
    same_process(guest, pid).context("after a reload with a bad file")?;
    guest.must(&format!("rm {BAD} && systemctl reload moonward.service"))?;
    guest.until(30, "systemctl is-active moonward.service && moonward ping")?;
    same_process(guest, pid)
}

fn restarts_and_stops(guest: &mut Guest) -> Result<()> {
    guest.must("systemctl restart moonward.service && moonward ping")?;
    guest.must("systemctl stop moonward.service")?;
    let result = guest.must("systemctl show -P Result -P ActiveState moonward.service")?;
    ensure!(
        result.split_whitespace().eq(["success", "inactive"])
            || result.split_whitespace().eq(["inactive", "success"]),
        "stopping ended in {result:?}"
    );
    ensure!(
        guest.run("moonward ping")?.status != 0,
        "it answers after it was stopped"
    );
    Ok(())
}

/// Removing takes the service away; purging leaves nothing of the configuration.
fn removes(guest: &mut Guest) -> Result<()> {
    guest.must("systemctl start moonward.service && dpkg -r moonward")?;
    ensure!(
        guest
            .run("systemctl is-active --quiet moonward.service")?
            .status
            != 0,
        "the service still runs after its package was removed"
    );
    guest.must("dpkg -P moonward && test ! -e /etc/moonward/moonward.toml")?;
    Ok(())
}

fn same_process(guest: &mut Guest, pid: u32) -> Result<()> {
    let now = agent::status(guest)?.pid;
    ensure!(now == pid, "process {pid} became {now}");
    Ok(())
}
