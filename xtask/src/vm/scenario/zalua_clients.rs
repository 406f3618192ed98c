//! ZaLua's clients beside the service of systemd, which has a `/tmp` of its own.

use anyhow::{Context as _, Result, ensure};

use super::plugins::DIRECTORY;
use super::{Guest, Scenario, agent};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "zalua_clients",
    what: "zalua asks the service without a socket of its own, and through moonward-zalua.socket",
    needs_package: true,
    run,
};

const ZALUA: &str = "/usr/local/bin/zalua";

/// Somebody who may nothing.
const NOBODY: &str = "setpriv --reuid=nobody --regid=nogroup --clear-groups";

const SOCKET: &str = "/tmp/zalua-mon.sock";

const CONFIGURATION: &str = "/etc/moonward/conf.d/zz-workshop.toml";

const LOG: &str = "/var/log/moonward/zalua.log";

fn run(guest: &mut Guest) -> Result<()> {
    let result = without_a_socket(guest)
        .context("without the socket")
        .and_then(|()| with_a_socket(guest).context("with the socket"))
        .and_then(|()| writes_its_log(guest).context("the log"));
    guest.must(&format!(
        "rm -f {ZALUA} {CONFIGURATION} {DIRECTORY}/workshop-log.lua; \
         systemctl disable moonward-zalua.socket && systemctl stop moonward-zalua.socket; \
         systemctl restart moonward.service"
    ))?;
    guest.must(&format!("test ! -e {SOCKET}"))?;
    result
}

/// As installed: who may use the control socket is answered through it, and nobody starts a second
/// agent.
fn without_a_socket(guest: &mut Guest) -> Result<()> {
    guest.must(&format!(
        "ln -sf /usr/bin/moonward {ZALUA} && test ! -e {SOCKET}"
    ))?;
    let pong = guest.must(&format!("{ZALUA} ping"))?;
    ensure!(pong == "pong", "it says {pong:?}");
    let refused = guest.run(&format!("{NOBODY} {ZALUA} ping"))?;
    ensure!(
        refused.status == 7 && refused.stderr.contains("moonward-zalua.socket"),
        "nobody hears {refused:?}"
    );
    alone(guest)
}

/// Everybody may ask at the place where ZaLua had its socket.
fn with_a_socket(guest: &mut Guest) -> Result<()> {
    guest.must("systemd-analyze verify moonward-zalua.socket")?;
    guest.must("systemctl enable moonward-zalua.socket && systemctl restart moonward.service")?;
    guest.until(60, &format!("[ \"$({NOBODY} {ZALUA} ping)\" = pong ]"))?;
    let lines = guest.must(&format!("{NOBODY} {ZALUA} metrics | wc -l"))?;
    let lines: u64 = lines.trim().parse().context("lines")?;
    ensure!(lines > 100, "only {lines} metrics");
    // Only root and the service's own user may end it.
    let killed = guest.run(&format!("{NOBODY} {ZALUA} kill"))?;
    ensure!(killed.status == 13, "nobody may kill: {killed:?}");
    alone(guest)
}

/// The file of the documentation's example can be written from inside the sandbox.
fn writes_its_log(guest: &mut Guest) -> Result<()> {
    let text = format!("[zalua]\nlog = \"{LOG}\"\n");
    guest.push(CONFIGURATION, 0o644, text.as_bytes())?;
    guest.must("systemctl restart moonward.service")?;
    guest.push(
        &format!("{DIRECTORY}/workshop-log.lua"),
        0o644,
        b"log.info('a line for the log') while true do time.sleep(60) end",
    )?;
    guest.until(60, &format!("grep -q 'a line for the log' {LOG}"))
}

fn alone(guest: &mut Guest) -> Result<()> {
    let pid = agent::status(guest)?.pid.to_string();
    let agents = guest.must("pgrep -x moonward-agent")?;
    let services: Vec<&str> = agents.split_whitespace().collect();
    // The runner is the same program; it runs only when a command was asked for.
    let runner = guest.must("systemctl show -P MainPID moonward-runner.service")?;
    ensure!(
        services
            .iter()
            .all(|known| *known == pid || *known == runner),
        "agents beside {pid}: {agents}"
    );
    Ok(())
}
