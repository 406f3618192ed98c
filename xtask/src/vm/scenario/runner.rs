//! The runner executes what is on its list for the agent, nothing else, and nobody else is answered.

use anyhow::{Context as _, Result, ensure};

use super::{Guest, Scenario, agent, exposure, plugins};
use crate::vm::payload;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "runner",
    what: "commands of plugins: the list holds, a reload changes it, the package puts its sockets right",
    needs_package: true,
    run,
};

/// The allow-list, and where the scenario keeps the shipped one meanwhile.
const LIST: &str = "/etc/moonward/runner.toml";
const KEPT: &str = "/etc/moonward/runner.toml.workshop";

/// Has commands executed, and puts what came of each.
const ASKING: &str = "\
local commands = {
  shipped = 'ntpstat', refused = 'id -un', who = 'id -un; id -Gn', written = 'touch /etc/workshop',
  secret = 'cat /etc/moonward/moonward.toml', group = 'sleep 300 & echo left',
}
plugin.every(1, function()
  for name, command in pairs(commands) do
    local result, message = cmd.exec(command)
    local text = message
    if result then text = result.code .. ' ' .. result.stdout .. result.stderr end
    metrics.set('workshop.command.' .. name, text)
  end
end)
";

/// What the scenario allows beside what is shipped.
const MORE: &str = "
[[allow]]
shell = \"id -un; id -Gn\"

[[allow]]
shell = \"touch /etc/workshop\"

[[allow]]
shell = \"cat /etc/moonward/moonward.toml\"

[[allow]]
shell = \"sleep 300 & echo left\"
";

/// Connects as somebody whom the group lets in, and prints what the runner says to that.
const STRANGER: &str = "runuser -u zabbix -- perl -MIO::Socket::UNIX -e \
    '$s = IO::Socket::UNIX->new(Peer => \"/run/moonward/runner.sock\") or die \"no way in: $!\\n\"; \
     alarm 60; \
     while (sysread $s, $part, 4096) { $all .= $part; last if $all =~ /may not ask/ } print $all'";

fn run(guest: &mut Guest) -> Result<()> {
    guest.must(&format!("cp -p {LIST} {KEPT}"))?;
    let result = as_shipped(guest)
        .context("as shipped")
        .and_then(|()| changed(guest).context("with more on the list"));
    guest.must(&format!(
        "rm -f {}/workshop*; mv {KEPT} {LIST}; systemctl stop moonward-runner.service",
        plugins::DIRECTORY
    ))?;
    result?;
    let figure = exposure::figure(guest, "moonward-runner.service")?;
    println!("exposure of the runner {figure}");
    ensure!(figure <= exposure::LIMIT, "the runner's exposure: {figure}");
    reinstalled(guest).context("remove and install again")
}

fn answer(guest: &mut Guest, name: &str) -> Result<String> {
    guest.must(&format!("moonward get -- workshop.command.{name}"))
}

/// One command is allowed; the runner is started by the first one that is asked for.
fn as_shipped(guest: &mut Guest) -> Result<()> {
    guest.must("systemctl start moonward-runner.socket")?;
    plugins::save(guest, "workshop", ASKING)?;
    guest.until(60, "moonward get -- workshop.command.shipped")?;
    guest.until(60, "moonward get -- workshop.command.refused")?;
    guest.must("systemctl is-active moonward-runner.service")?;
    // The same as by hand: without a time server it is a complaint and an exit code.
    let by_hand = guest.must("runuser -u moonward-runner -- ntpstat 2>&1; echo $?")?;
    let code = by_hand.lines().last().unwrap_or_default();
    let shipped = answer(guest, "shipped")?;
    ensure!(
        shipped.starts_with(code) && shipped.split_whitespace().count() > 1 && code != "127",
        "by hand {by_hand:?}, through the runner {shipped:?}"
    );
    let refused = answer(guest, "refused")?;
    ensure!(
        refused.contains("allow-list") && refused.contains(LIST),
        "a command that is not on the list: {refused:?}"
    );
    guest.must(
        "journalctl -q --no-pager -u moonward-runner.service | grep -F 'id -un' | grep -i refused",
    )?;
    let stranger = guest.must(STRANGER)?;
    ensure!(
        stranger.contains("may not ask"),
        "a member of the group is told {stranger:?}"
    );
    Ok(())
}

/// A reload takes a new list, not a bad one; and what is executed has no more rights than the runner.
fn changed(guest: &mut Guest) -> Result<()> {
    guest.push("/tmp/more.toml", 0o644, MORE.as_bytes())?;
    guest.must(&format!(
        "cat /tmp/more.toml >> {LIST} && moonward runner --check && systemctl reload moonward-runner.service"
    ))?;
    plugins::becomes(
        guest,
        "workshop.command.who",
        "0 moonward-runner\nmoonward-runner",
    )?;
    for name in ["written", "secret"] {
        guest.until(
            60,
            &format!("moonward get -- workshop.command.{name} | grep -E 'Read-only file system|Permission denied'"),
        )?;
    }
    // What a command leaves behind is ended with it.
    plugins::becomes(guest, "workshop.command.group", "0 left")?;
    guest.until(30, "! pgrep -u moonward-runner -x sleep")?;

    guest.must(&format!("echo 'nonsense = 1' >> {LIST}"))?;
    let check = guest.run("moonward runner --check 2>&1")?;
    ensure!(
        check.status == 78 && check.stdout.contains("nonsense") && check.stdout.contains(LIST),
        "a bad list: {check:?}"
    );
    guest.must("systemctl reload moonward-runner.service")?;
    guest.until(
        30,
        "systemctl show -P StatusText moonward-runner.service | grep -F 'the old one holds'",
    )?;
    let before = agent::metrics(guest, "workshop.command.*")?.len();
    ensure!(before == 6, "{before} commands have an answer");
    guest.run("sleep 3")?;
    plugins::becomes(
        guest,
        "workshop.command.who",
        "0 moonward-runner\nmoonward-runner",
    )
}

/// A removal masks the units; installing again unmasks all of them and enables what was enabled.
fn reinstalled(guest: &mut Guest) -> Result<()> {
    guest.must("dpkg -r moonward")?;
    let left = guest.run("systemctl is-active moonward-runner.socket moonward.socket")?;
    ensure!(
        left.stdout
            .split_whitespace()
            .all(|word| word == "inactive"),
        "after the removal: {left:?}"
    );
    guest.must(&format!("dpkg -i {}", payload::PACKAGE))?;
    agent::answers(guest)?;
    for (unit, state) in [
        ("moonward.service", "enabled"),
        ("moonward.socket", "enabled"),
        ("moonward-runner.socket", "enabled"),
        ("moonward-runner.service", "static"),
        ("moonward-zabbix.socket", "disabled"),
        ("moonward-http.socket", "disabled"),
    ] {
        let now = guest.run(&format!("systemctl is-enabled {unit}"))?;
        ensure!(now.stdout.trim() == state, "{unit} is {now:?}");
    }
    guest.must(
        "systemctl is-active moonward.service moonward.socket moonward-runner.socket && \
         test -S /run/moonward/runner.sock && ! ss -Hltn | grep -E ':(10050|61777) '",
    )?;
    Ok(())
}
