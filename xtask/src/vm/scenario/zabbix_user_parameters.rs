//! `zabbix_agentd` with the file of UserParameters that our package installs.

use anyhow::{Result, ensure};

use super::{Guest, Scenario};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "zabbix_user_parameters",
    what: "zabbix_agentd on another port answers ZaLua's keys through `moonward get`",
    needs_package: true,
    run,
};

/// Where the other agent listens.
const PORT: u16 = 10055;

/// Keys of ZaLua's file that every machine has.
const KEYS: [&str; 9] = [
    "system.tcp.active",
    "system.tcp.passive",
    "system.processes.running",
    "system.processes.fork_rate",
    "system.cpu.count",
    "system.stat.ctxt",
    "system.stat.intr",
    "system.tcp.established",
    "system.disk.discovery",
];

fn run(guest: &mut Guest) -> Result<()> {
    let file = guest.must("dpkg -L moonward | grep -i zabbix | grep -E '\\.conf$' | head -1")?;
    ensure!(
        !file.is_empty(),
        "the package has no file of UserParameters"
    );
    let lines = guest.must(&format!("grep -c ^UserParameter= {file}"))?;
    println!("{file}: {lines} UserParameters");
    let configuration = format!(
        "PidFile=/run/zabbix/workshop.pid\nLogFile=/tmp/agentd.log\nServer=127.0.0.1\n\
         ListenIP=127.0.0.1\nListenPort={PORT}\nHostname=workshop\nTimeout=10\nInclude={file}\n"
    );
    guest.push("/tmp/agentd.conf", 0o644, configuration.as_bytes())?;
    // As its package would start it: its own user, who must be able to ask Moonward.
    guest.must(
        "systemd-run --unit=workshop-agentd -p User=zabbix -p RuntimeDirectory=zabbix \
                zabbix_agentd -f -c /tmp/agentd.conf",
    )?;
    let result = ask_all(guest);
    guest.must("systemctl stop workshop-agentd.service")?;
    result
}

fn ask_all(guest: &mut Guest) -> Result<()> {
    let get = format!("zabbix_get -s 127.0.0.1 -p {PORT} -t 20 -k");
    guest.until(60, &format!("{get} agent.ping | grep -qx 1"))?;
    // Rates need two rounds.
    guest.until(90, &format!("{get} system.stat.ctxt | grep -q '^[0-9]'"))?;
    let mut silent = Vec::new();
    for key in KEYS {
        let output = guest.run(&format!("{get} {key} 2>&1"))?;
        let text = output.stdout.trim();
        if text.is_empty() || text.starts_with("ZBX_NOTSUPPORTED") {
            silent.push(format!("{key}: {text}"));
        }
    }
    ensure!(silent.is_empty(), "not answered: {}", silent.join("; "));
    Ok(())
}
