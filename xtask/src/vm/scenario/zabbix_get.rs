//! Debian's own `zabbix_get` is answered on 10050 as `zabbix_agentd` would.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Guest, Scenario};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "zabbix_get",
    what: "Debian's zabbix_get on 127.0.0.1:10050: values, unknown keys, discovery",
    needs_package: true,
    run,
};

/// Keys with the range that their value must lie in.
const NUMBERS: [(&str, f64, f64); 8] = [
    ("agent.ping", 1.0, 1.0),
    ("system.cpu.load", 0.0, 100.0),
    ("system.cpu.load[percpu,avg5]", 0.0, 100.0),
    ("system.cpu.num", 2.0, 2.0),
    ("vfs.fs.size[/,pfree]", 1.0, 100.0),
    ("vm.memory.size[total]", 500e6, 1100e6),
    ("system.uptime", 1.0, 36000.0),
    ("proc.num", 20.0, 500.0),
];

/// Discovery documents, with something that this machine certainly has.
const DISCOVERIES: [(&str, &str); 2] = [
    ("vfs.fs.discovery", "\"/\""),
    ("net.if.discovery", "\"lo\""),
];

fn run(guest: &mut Guest) -> Result<()> {
    // A socket cannot be started under a service that runs, so the restart brings it.
    guest.must("systemctl enable moonward-zabbix.socket && systemctl restart moonward.service")?;
    let result = ask_all(guest);
    guest.must(
        "systemctl disable moonward-zabbix.socket && systemctl stop moonward-zabbix.socket; \
         systemctl restart moonward.service",
    )?;
    result
}

fn ask_all(guest: &mut Guest) -> Result<()> {
    // Load and percentages need one round of the collectors.
    guest.until(
        60,
        "zabbix_get -s 127.0.0.1 -k system.cpu.load | grep -q '^[0-9.]*$'",
    )?;
    for (key, low, high) in NUMBERS {
        let text = ask(guest, key)?;
        let value: f64 = text.parse().with_context(|| format!("{key} is {text:?}"))?;
        ensure!(
            (low..=high).contains(&value),
            "{key} is {value}, not in {low}..={high}"
        );
    }
    let name = ask(guest, "agent.hostname")?;
    ensure!(name == "moonward-test", "agent.hostname is {name:?}");
    // A series of our own, by its name.
    let series = ask(guest, "system.memory.usage[used]")?;
    ensure!(!series.is_empty(), "an empty answer");
    for (key, member) in DISCOVERIES {
        let text = ask(guest, key)?;
        let document: Value =
            serde_json::from_str(&text).with_context(|| format!("{key}: {text:?}"))?;
        ensure!(
            document.is_array() || document.get("data").is_some_and(Value::is_array),
            "{key} is no list: {text}"
        );
        ensure!(text.contains(member), "{key} lacks {member}: {text}");
    }
    for key in [
        "no.such.key",
        "vfs.fs.size[/nowhere,pfree]",
        "system.cpu.load[percpu,avg99]",
    ] {
        let text = ask(guest, key)?;
        ensure!(
            text.starts_with("ZBX_NOTSUPPORTED: "),
            "{key} is answered with {text:?}"
        );
    }
    Ok(())
}

fn ask(guest: &mut Guest, key: &str) -> Result<String> {
    // zabbix_get itself ends with 1 for what is not supported in some versions.
    let output = guest.run(&format!("zabbix_get -s 127.0.0.1 -p 10050 -k '{key}' 2>&1"))?;
    Ok(output.stdout.trim().to_owned())
}
