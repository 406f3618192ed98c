//! `zabbix_agentd` with the file of UserParameters that our package installs.
//!
//! The keys of that file get their values from plugins, of which a machine may have none. So what
//! is shown is that every line is a working way to Moonward as the user `zabbix`, and that a value
//! which is there comes through it unchanged.

use anyhow::{Context as _, Result, ensure};

use super::{Guest, Scenario};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "zabbix_user_parameters",
    what: "zabbix_agentd on another port reaches `moonward get` through every line of our file",
    needs_package: true,
    run,
};

/// Where the other agent listens.
const PORT: u16 = 10055;

/// Lines of ZaLua's own file.
const LINES: usize = 86;

/// A line of the same shape for a series that every machine has.
const PROBE_KEY: &str = "workshop.get[system.uptime]";

fn run(guest: &mut Guest) -> Result<()> {
    let file = guest.must("dpkg -L moonward | grep -i zabbix | grep -E '\\.conf$' | head -1")?;
    ensure!(
        !file.is_empty(),
        "the package has no file of UserParameters"
    );
    let text = guest.must(&format!("grep ^UserParameter= {file}"))?;
    let lines: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("UserParameter=")?.split_once(','))
        .collect();
    ensure!(lines.len() == LINES, "{file} has {} lines", lines.len());
    let configuration = format!(
        "PidFile=/run/zabbix/workshop.pid\nLogFile=/tmp/agentd.log\nServer=127.0.0.1\n\
         ListenIP=127.0.0.1\nListenPort={PORT}\nHostname=workshop\nTimeout=10\nInclude={file}\n\
         UserParameter=workshop.get[*],/usr/bin/moonward get -- '$1'\n"
    );
    guest.push("/tmp/agentd.conf", 0o644, configuration.as_bytes())?;
    // As its package would start it: its own user, who must be able to ask Moonward.
    guest.must(
        "systemd-run --quiet --collect --unit=workshop-agentd -p User=zabbix \
         -p RuntimeDirectory=zabbix zabbix_agentd -f -c /tmp/agentd.conf",
    )?;
    let result = ask_all(guest).and_then(|()| every_line_works(guest, &lines));
    guest.must("systemctl stop workshop-agentd.service")?;
    result
}

/// A value comes through as it is.
fn ask_all(guest: &mut Guest) -> Result<()> {
    let get = format!("zabbix_get -s 127.0.0.1 -p {PORT} -t 20 -k");
    guest.until(60, &format!("{get} agent.ping | grep -qx 1"))?;
    guest.until(60, &format!("{get} '{PROBE_KEY}' | grep -q '^[0-9]'"))?;
    let theirs: f64 = guest
        .must(&format!("{get} '{PROBE_KEY}'"))?
        .parse()
        .context("uptime")?;
    let now: f64 = guest
        .must("cut -d' ' -f1 /proc/uptime")?
        .parse()
        .context("uptime")?;
    ensure!(
        theirs > 0.0 && theirs <= now,
        "uptime is {now}, through zabbix_agentd {theirs}"
    );
    Ok(())
}

/// Each command, as the agent's user runs it, gets a value or the plain word that there is none;
/// nothing else may be wrong with it.
fn every_line_works(guest: &mut Guest, lines: &[(&str, &str)]) -> Result<()> {
    let mut script = String::new();
    for (_, command) in lines {
        let command = command.replace("$1", "vda");
        script.push_str(&command);
        script.push_str(" >/tmp/value 2>/tmp/complaint\n");
        script.push_str("echo $? $(cat /tmp/value /tmp/complaint)\n");
    }
    guest.push("/tmp/lines.sh", 0o755, script.as_bytes())?;
    let answers =
        guest.must("rm -f /tmp/value /tmp/complaint; runuser -u zabbix sh /tmp/lines.sh")?;
    let mut valued = 0;
    let mut asked = 0;
    for ((key, _), answer) in lines.iter().zip(answers.lines()) {
        asked += 1;
        match answer.split_once(' ') {
            Some(("0", value)) if !value.is_empty() => valued += 1,
            Some(("1", words)) if words.contains("no value is known") => {}
            _ => anyhow::bail!("{key} is answered with {answer:?}"),
        }
    }
    ensure!(asked == lines.len(), "only {asked} lines were tried");
    println!("{asked} UserParameters work, {valued} of them have a value here");
    Ok(())
}
