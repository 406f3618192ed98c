//! The machine as a whole: CPUs, memory, load, temperatures, processes.

use mlua::{Lua, Table};

use super::{Answer, Failure, Module, fill, found, inner, missing, number, unreadable};
use crate::collect::number::numbered;
use crate::collect::{ReadError, vmstat};
use crate::collect::{Root, cpu, load, memory, numa, pressure, process, temperature, uptime};

/// The columns of `/proc/stat` under the names of proc_stat(5).
const COLUMNS: [&str; cpu::MODES.len()] = [
    "user",
    "nice",
    "system",
    "idle",
    "iowait",
    "irq",
    "softirq",
    "steal",
    "guest",
    "guest_nice",
];

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("stat", |lua, context, _| {
        of_file(lua, &context.services.root, cpu::STAT, stat)
    })?;
    module.function("loadavg", |lua, context, _| {
        let text = match context.services.root.read(load::LOADAVG) {
            Ok(text) => text,
            Err(error) => return unreadable(lua, &error),
        };
        match load::read(&text) {
            Some(averages) => found(lua, loadavg(lua, &averages)?, 0),
            None => missing(lua, "/proc/loadavg does not read as load averages"),
        }
    })?;
    module.function("meminfo", |lua, context, _| {
        of_file(lua, &context.services.root, memory::MEMINFO, |lua, text| {
            fields(lua, text, |line| {
                memory::read_line(line).map(|(field, number, _)| (field, number))
            })
        })
    })?;
    module.function("vmstat", |lua, context, _| {
        of_file(lua, &context.services.root, vmstat::VMSTAT, |lua, text| {
            fields(lua, text, vmstat::read_line)
        })
    })?;
    module.function("uptime", |lua, context, _| {
        match context.services.root.read(uptime::UPTIME) {
            Ok(text) => match uptime::read(&text) {
                Some(seconds) => found(lua, seconds, 0),
                None => missing(lua, "/proc/uptime does not read as seconds since boot"),
            },
            Err(error) => unreadable(lua, &error),
        }
    })?;
    module.function("hostname", |lua, context, _| {
        match context.services.root.read("/proc/sys/kernel/hostname") {
            Ok(text) => found(lua, text.trim_ascii(), 0),
            Err(error) => unreadable(lua, &error),
        }
    })?;
    module.function("pressure", |lua, context, arguments| {
        let wanted = arguments.text(1)?;
        let file = pressure::FILES.iter().find(|(name, ..)| *name == wanted);
        let Some((_, path, _)) = file else {
            return Err(arguments.wrong(1, "cpu, memory, io or irq expected"));
        };
        of_file(lua, &context.services.root, path, pressure_of)
    })?;
    module.function("numastat", |lua, context, _| {
        numastat(lua, &context.services.root)
    })?;
    module.function("temperatures", |lua, context, _| {
        temperatures(lua, &context.services.root)
    })?;
    module.function("process_io", |lua, context, _| {
        process_io(lua, &context.services.root)
    })
}

/// Reads a file and makes a table of it.
fn of_file(
    lua: &Lua,
    root: &Root,
    path: &str,
    make: impl FnOnce(&Lua, &str) -> mlua::Result<(Table, u64)>,
) -> Answer {
    match root.read(path) {
        Ok(text) => {
            let (table, skipped) = make(lua, &text)?;
            found(lua, table, skipped)
        }
        Err(error) => unreadable(lua, &error),
    }
}

/// A table of the lines of a file that each have a name and a number.
fn fields(
    lua: &Lua,
    text: &str,
    read: impl Fn(&str) -> Option<(&str, u64)>,
) -> mlua::Result<(Table, u64)> {
    let table = lua.create_table()?;
    let mut skipped = 0;
    for line in text.lines().filter(|line| !line.is_empty()) {
        match read(line) {
            Some((field, value)) => table.raw_set(field, number(value))?,
            None => skipped += 1,
        }
    }
    Ok((table, skipped))
}

fn stat(lua: &Lua, text: &str) -> mlua::Result<(Table, u64)> {
    let table = lua.create_table()?;
    let cpus = lua.create_table()?;
    let (mut count, mut skipped) = (0, 0_u64);
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
        let index = numbered(key, "cpu").and_then(|digits| digits.parse::<u32>().ok());
        if key == "cpu" || index.is_some() {
            let ticks = cpu::columns_of(rest, |_, _| skipped += 1);
            let columns = lua.create_table_with_capacity(0, ticks.len())?;
            for (name, ticks) in COLUMNS.iter().zip(ticks) {
                fill(&columns, &[(name, ticks)])?;
            }
            match index {
                Some(index) => {
                    count = count.max(u64::from(index) + 1);
                    cpus.raw_set(index, columns)?;
                }
                None => cpus.raw_set("total", columns)?,
            }
            continue;
        }
        let name = match key {
            "ctxt" | "intr" | "softirq" | "processes" | "procs_running" | "procs_blocked"
            | "btime" => key,
            // A line of a kernel to come; the values around it still hold.
            _ => continue,
        };
        // The first number is the sum of those behind it.
        match rest.split_ascii_whitespace().next().map(str::parse) {
            Some(Ok(value)) => table.raw_set(name, number(value))?,
            _ => skipped += 1,
        }
    }
    table.raw_set("cpu", cpus)?;
    table.raw_set("count", number(count))?;
    Ok((table, skipped))
}

fn loadavg(lua: &Lua, load: &load::Averages) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for (name, average) in ["one", "five", "fifteen"].into_iter().zip(load.over) {
        table.raw_set(name, average)?;
    }
    table.raw_set("running", load.runnable)?;
    table.raw_set("total", load.threads)?;
    table.raw_set("last_pid", load.last_pid)?;
    Ok(table)
}

fn pressure_of(lua: &Lua, text: &str) -> mlua::Result<(Table, u64)> {
    let table = lua.create_table()?;
    let (mut failed, mut skipped) = (None, 0);
    pressure::read(
        text,
        |kind, name, number| {
            let set = inner(lua, &table, kind).and_then(|kind| kind.raw_set(name, number));
            failed = failed.take().or(set.err());
        },
        |_| skipped += 1,
    );
    match failed {
        Some(error) => Err(error),
        None => Ok((table, skipped)),
    }
}

fn numastat(lua: &Lua, root: &Root) -> Answer {
    let mut nodes: Vec<u32> = root
        .names(numa::NODES)
        .iter()
        .filter_map(|name| numbered(name, "node")?.parse().ok())
        .collect();
    nodes.sort_unstable();
    if nodes.is_empty() {
        return missing(
            lua,
            &format!("{} has no node: this kernel is without NUMA", numa::NODES),
        );
    }
    let list = lua.create_table()?;
    let mut skipped = 0;
    for node in nodes {
        let read: Result<String, ReadError> =
            root.read(&format!("{}/node{node}/numastat", numa::NODES));
        let Ok(text) = read else {
            // The node went away, or is one of memory only on a kernel without its numbers.
            skipped += 1;
            continue;
        };
        let (table, lost) = fields(lua, &text, vmstat::read_line)?;
        skipped += lost;
        table.raw_set("node", node)?;
        list.raw_push(table)?;
    }
    found(lua, list, skipped)
}

fn temperatures(lua: &Lua, root: &Root) -> Answer {
    let (sensors, mut skipped) = temperature::find_sensors(root);
    if sensors.is_empty() {
        return missing(lua, "this machine has no sensor of temperatures");
    }
    let list = lua.create_table()?;
    for sensor in sensors {
        let Some(value) = sensor.celsius(root) else {
            skipped += 1;
            continue;
        };
        let table = lua.create_table()?;
        table.raw_set("chip", sensor.chip.as_str())?;
        table.raw_set("label", sensor.name.as_str())?;
        table.raw_set("value", value)?;
        table.raw_set("crit", sensor.critical())?;
        table.raw_set("max", sensor.high())?;
        list.raw_push(table)?;
    }
    found(lua, list, skipped as u64)
}

fn process_io(lua: &Lua, root: &Root) -> Answer {
    let seen = match process::sum(root) {
        Ok(seen) => seen,
        Err(error) => return missing(lua, &format!("/proc cannot be listed: {error}")),
    };
    if seen.open == 0 {
        let reason = if seen.closed > 0 {
            "the IO of processes cannot be read; it needs root or CAP_SYS_PTRACE"
        } else {
            "this kernel keeps no account of the IO of processes (/proc/PID/io)"
        };
        return missing(lua, reason);
    }
    let io = seen.sums;
    let table = lua.create_table()?;
    fill(
        &table,
        &[
            ("rchar", Some(io.read_called_bytes)),
            ("wchar", Some(io.write_called_bytes)),
            ("syscr", Some(io.read_calls)),
            ("syscw", Some(io.write_calls)),
            ("read_bytes", Some(io.read_storage_bytes)),
            ("write_bytes", Some(io.write_storage_bytes)),
            ("cancelled_write_bytes", Some(io.cancelled_bytes)),
            ("processes", Some(seen.open as u64)),
            ("closed", Some(seen.closed as u64)),
        ],
    )?;
    let skipped = seen.closed.saturating_add(seen.missing);
    Ok::<_, Failure>((mlua::Value::Table(table), number(skipped as u64)))
}
