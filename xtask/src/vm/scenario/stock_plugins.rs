//! The stock plugins beside a real PostgreSQL, PgBouncer and `zabbix_agentd`: every key of the file
//! of UserParameters has a value, and what another program also knows is the same.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};

use super::{Guest, Scenario, agent, plugins};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "stock_plugins",
    what: "zabbix_agentd reads every key of our file from the stock plugins, PostgreSQL's among them",
    needs_package: true,
    run,
};

/// Where the other agent listens.
const PORT: u16 = 10056;

/// Keys that no virtual machine can have: it has no sensors.
const SENSORS: [&str; 2] = ["system.cpu.temp", "system.cpu.temp_crit"];

/// Has a value only when a plugin has failed, so one that fails is put there at the end.
const LAST_ERROR: &str = "zalua.error.last";

/// How long it may take until every key has a value, in seconds: two rounds of every plugin, on a
/// machine that is emulated.
const PATIENCE: u32 = 120;

/// How long asking for every key once may take, in seconds.
const ROUND: u64 = 600;

/// What stands for the parameter of a key.
const PARAMETERS: [(&str, &str); 3] = [
    ("system.numa.", "0"),
    ("system.disk.", "/"),
    ("postgres.database.", "postgres"),
];

/// Plugins that are asked to run more often than once a minute.
const HASTY: [&str; 16] = [
    "cpu",
    "diskstat",
    "io",
    "loadavg",
    "memory",
    "messages",
    "mountpoints",
    "net_dev",
    "net_netstat",
    "net_tcp",
    "ntp",
    "numa",
    "pgbouncer",
    "postgres",
    "runit",
    "snmp",
];

const CONFIGURATION: &str = "/etc/moonward/conf.d/50-workshop.toml";

const PGBOUNCER: &str = "\
[databases]
* = host=/var/run/postgresql user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 6432
unix_socket_dir =
auth_type = any
admin_users = postgres
pidfile = /run/postgresql/workshop-pgbouncer.pid
";

fn run(guest: &mut Guest) -> Result<()> {
    start_databases(guest)?;
    let result = try_all(guest);
    guest.must(&format!(
        "systemctl stop workshop-agentd-stock.service workshop-pgbouncer.service \
         postgresql@15-main.service moonward-runner.service; \
         rm -f {CONFIGURATION}; systemctl restart moonward.service"
    ))?;
    agent::answers(guest)?;
    result
}

fn start_databases(guest: &mut Guest) -> Result<()> {
    guest.must(
        "printf '%s\\n' \"shared_preload_libraries = 'pg_stat_statements'\" 'track_io_timing = on' \
         > /etc/postgresql/15/main/conf.d/workshop.conf; systemctl start postgresql@15-main.service",
    )?;
    guest.until(60, "runuser -u postgres -- psql -qc 'select 1'")?;
    for statement in [
        "create role moonward login",
        "grant pg_monitor to moonward",
        "create extension if not exists pg_stat_statements",
        "create table work as select generate_series(1, 1000) as n",
    ] {
        guest.must(&format!("runuser -u postgres -- psql -qc '{statement}'"))?;
    }
    guest.push("/etc/workshop-pgbouncer.ini", 0o644, PGBOUNCER.as_bytes())?;
    guest.must(
        "systemd-run --quiet --collect --unit=workshop-pgbouncer -p User=postgres \
         pgbouncer /etc/workshop-pgbouncer.ini",
    )?;
    guest.until(60, &format!("{THROUGH_PGBOUNCER} -c 'select 1'"))
}

const THROUGH_PGBOUNCER: &str = "psql -qtA -h 127.0.0.1 -p 6432 -U postgres postgres";

fn try_all(guest: &mut Guest) -> Result<()> {
    // The machine is emulated and slow: what takes a millisecond on hardware takes a turn here.
    let mut configuration = String::from("[plugin]\ntime = \"30s\"\n");
    for plugin in HASTY {
        configuration.extend(["[plugin.", plugin, ".options]\ninterval = 3\n"]);
    }
    guest.push(CONFIGURATION, 0o644, configuration.as_bytes())?;
    guest.must("systemctl start moonward-runner.socket; systemctl restart moonward.service")?;
    agent::answers(guest)?;
    let file = "/etc/zabbix/zabbix_agentd.conf.d/moonward.conf";
    let agentd = format!(
        "PidFile=/run/zabbix/stock.pid\nLogFile=/tmp/agentd-stock.log\nServer=127.0.0.1\n\
         ListenIP=127.0.0.1\nListenPort={PORT}\nHostname=workshop\nTimeout=20\nInclude={file}\n"
    );
    guest.push("/tmp/agentd-stock.conf", 0o644, agentd.as_bytes())?;
    guest.must(
        "systemd-run --quiet --collect --unit=workshop-agentd-stock -p User=zabbix \
         -p RuntimeDirectory=zabbix zabbix_agentd -f -c /tmp/agentd-stock.conf",
    )?;
    guest.until(
        60,
        &format!("zabbix_get -s 127.0.0.1 -p {PORT} -t 20 -k agent.ping | grep -qx 1"),
    )?;
    let keys = keys(&guest.must(&format!("grep ^UserParameter= {file}"))?);
    let values = read_all(guest, &keys)?;
    compare(guest, &values)?;
    resident(guest)?;
    last_error(guest)?;
    println!("zabbix_agentd read {} keys", values.len() + 1);
    Ok(())
}

/// A plugin fails, and the two keys for that say so.
fn last_error(guest: &mut Guest) -> Result<()> {
    plugins::save(guest, "workshop", "error('boom')")?;
    let get = format!("zabbix_get -s 127.0.0.1 -p {PORT} -t 20 -k");
    let told = guest
        .until(60, &format!("{get} {LAST_ERROR} | grep boom"))
        .and_then(|()| guest.until(60, &format!("{get} zalua.error.count | grep -E '^[1-9]'")));
    guest.must(&format!("rm {}/workshop.lua", plugins::DIRECTORY))?;
    told
}

/// The keys of the file, parameters filled in.
fn keys(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("UserParameter=")?.split_once(','))
        .map(|(key, _)| {
            let parameter = PARAMETERS
                .iter()
                .find(|(prefix, _)| key.starts_with(prefix))
                .map_or("", |(_, parameter)| parameter);
            key.replace("[*]", &format!("[{parameter}]"))
        })
        .filter(|key| !SENSORS.contains(&key.as_str()) && key != LAST_ERROR)
        .collect()
}

/// Asks for every key until each has a value, with something going on in the databases.
fn read_all(guest: &mut Guest, keys: &[String]) -> Result<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    let mut last = String::new();
    for _ in 0..PATIENCE / 3 {
        let mut script =
            String::from("{ runuser -u postgres -- psql -qtA -c 'insert into work select 1'; ");
        script.push_str(THROUGH_PGBOUNCER);
        script.push_str(" -c 'select count(*) from work'; } >/dev/null\n");
        for key in keys.iter().filter(|key| !values.contains_key(*key)) {
            let ask = format!("zabbix_get -s 127.0.0.1 -p {PORT} -t 20 -k '{key}' 2>&1 | head -1");
            script.extend(["printf '%s\\t%s\\n' '", key, "' \"$(", &ask, ")\"\n"]);
        }
        guest.push("/tmp/stock.sh", 0o755, script.as_bytes())?;
        last = guest.run_within("sh /tmp/stock.sh", ROUND)?.stdout;
        for line in last.lines() {
            if let Some((key, value)) = line.split_once('\t')
                && !value.is_empty()
                && !value.contains("ZBX_NOTSUPPORTED")
                && !value.contains("no value is known")
            {
                values.insert(key.to_owned(), value.to_owned());
            }
        }
        if values.len() == keys.len() {
            return Ok(values);
        }
        guest.run("sleep 3")?;
    }
    let plugins = guest.run("moonward plugins")?.stdout;
    bail!("these keys have no value:\n{last}\nthe plugins:\n{plugins}")
}

/// What other programs say about the same.
fn compare(guest: &mut Guest, values: &BTreeMap<String, String>) -> Result<()> {
    let number = |key: &str| -> Result<f64> {
        let value = values
            .get(key)
            .with_context(|| format!("{key} was not read"))?;
        value.parse().with_context(|| format!("{key} is {value:?}"))
    };
    let size: f64 = guest
        .must("runuser -u postgres -- psql -qtA -c \"select pg_database_size('postgres')\"")?
        .parse()?;
    let ours = number("postgres.database.size[postgres]")?;
    ensure!(
        (ours - size).abs() <= size * 0.1,
        "PostgreSQL says {size}, the plugin {ours}"
    );
    let files: f64 = guest
        .must("ls /var/lib/postgresql/15/main/pg_wal | grep -c '^[0-9A-F]*$'")?
        .parse()?;
    ensure!(
        (number("postgres.wal.count")? - files).abs() < 1.5,
        "there are {files} files of the log"
    );
    let processors: f64 = guest.must("nproc")?.parse()?;
    ensure!(
        (number("system.cpu.count")? - processors).abs() < 0.5,
        "nproc says {processors}"
    );
    shares(guest, processors)?;
    for discovery in [
        "system.disk.discovery",
        "system.numa.discovery",
        "postgres.database.discovery",
    ] {
        let text = values
            .get(discovery)
            .with_context(|| format!("no {discovery}"))?;
        let document: serde_json::Value = serde_json::from_str(text)?;
        let entries = document
            .get("data")
            .and_then(serde_json::Value::as_array)
            .map_or(0, Vec::len);
        ensure!(entries > 0, "{discovery} is {text}");
    }
    ensure!(
        values["zalua.error.count"].parse::<f64>()? == 0.0,
        "plugins failed: {}",
        values["zalua.error.count"]
    );
    Ok(())
}

/// The shares of the processors, in percent of one, are those of all of them together.
fn shares(guest: &mut Guest, processors: f64) -> Result<()> {
    // In one answer, since they belong together.
    let all = agent::metrics(guest, "system.cpu.*")?;
    let sum = |of: &dyn Fn(&str) -> bool| -> f64 {
        let of_key = |name: &str| {
            let (processor, mode) = name.strip_prefix("system.cpu.")?.split_once('.')?;
            // The kernel counts a guest's time as its user's too.
            (of(processor) && !mode.starts_with("guest")).then_some(())
        };
        all.iter()
            .filter(|metric| of_key(&metric.name).is_some())
            .filter_map(|metric| metric.value.as_f64())
            .sum()
    };
    let total = sum(&|processor| processor == "total");
    let each = sum(&|processor| processor.parse::<u32>().is_ok());
    // A machine that is emulated loses ticks of its clock while its host does something else, so the
    // lower bound is far below the number of processors.
    ensure!(
        (20.0..=processors * 125.0).contains(&total) && (total - each).abs() < 15.0,
        "all modes are {total} % together and {each} % added up, of {processors} processors"
    );
    println!("all modes together are {total:.0} % of {processors} processors");
    Ok(())
}

/// All that the package ships runs, or has nothing to do here and says so; what that takes is shown.
fn resident(guest: &mut Guest) -> Result<()> {
    let status = agent::status(guest)?;
    let pages = status.room("plugin");
    let files = guest.must("ls /usr/share/moonward/lua/plugins")?;
    let shipped: Vec<&str> = files
        .lines()
        .filter_map(|file| file.strip_suffix(".lua"))
        .collect();
    ensure!(shipped.len() > 10, "the package has {shipped:?}");
    for name in &shipped {
        let page = pages.iter().find(|page| page.name == *name);
        ensure!(
            page.is_some_and(|page| ["active", "off"].contains(&page.verdict.as_str())),
            "the stock plugin {name} is {page:?}"
        );
    }
    let memory = guest.must(&format!(
        "grep -E '^(VmRSS|VmHWM|Rss.*|Threads):' /proc/{}/status | tr -s '\\t ' ' ' | tr '\\n' ';'",
        status.pid
    ))?;
    println!("{} stock plugins: {memory}", shipped.len());
    Ok(())
}
