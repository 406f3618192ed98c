//! The network: interfaces, protocols, sockets.

use mlua::{Lua, Table, Value};

use super::{Answer, Module, fill, found, inner, number, unreadable};
use crate::collect::{Root, network, sockets, tcp_states};

/// The columns of `/proc/net/dev` under the kernel's names, received and transmitted.
const RECEIVED: [&str; 8] = [
    "bytes",
    "packets",
    "errs",
    "drop",
    "fifo",
    "frame",
    "compressed",
    "multicast",
];
const TRANSMITTED: [&str; 8] = [
    "bytes",
    "packets",
    "errs",
    "drop",
    "fifo",
    "colls",
    "carrier",
    "compressed",
];

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("net_dev", |lua, context, _| {
        net_dev(lua, &context.services.root)
    })?;
    module.function("netstat", |lua, context, _| {
        protocols(lua, &context.services.root, "/proc/net/netstat")
    })?;
    module.function("snmp", |lua, context, _| {
        protocols(lua, &context.services.root, "/proc/net/snmp")
    })?;
    module.function("sockstat", |lua, context, _| {
        sockstat(lua, &context.services.root)
    })?;
    module.function("tcp_states", |lua, context, _| {
        states(lua, &context.services.root)
    })
}

fn net_dev(lua: &Lua, root: &Root) -> Answer {
    let text = match root.read("/proc/net/dev") {
        Ok(text) => text,
        Err(error) => return unreadable(lua, &error),
    };
    let list = lua.create_table()?;
    let mut skipped = 0;
    // Two lines of headings.
    for line in text.lines().skip(2).filter(|line| !line.is_empty()) {
        let Some((name, counters)) = network::read(line) else {
            skipped += 1;
            continue;
        };
        skipped += counters.iter().filter(|counter| counter.is_none()).count() as u64;
        let table = lua.create_table()?;
        table.raw_set("interface", name)?;
        let (received, transmitted) = counters.split_at(RECEIVED.len());
        for (direction, names, counters) in
            [("rx", RECEIVED, received), ("tx", TRANSMITTED, transmitted)]
        {
            let columns = lua.create_table_with_capacity(0, names.len())?;
            for (name, counter) in names.iter().zip(counters) {
                fill(&columns, &[(name, *counter)])?;
            }
            table.raw_set(direction, columns)?;
        }
        list.raw_push(table)?;
    }
    found(lua, list, skipped)
}

fn protocols(lua: &Lua, root: &Root, path: &str) -> Answer {
    let text = match root.read(path) {
        Ok(text) => text,
        Err(error) => return unreadable(lua, &error),
    };
    let table = lua.create_table()?;
    let mut failed = None;
    let skipped = sockets::pairs(&text, |protocol, field, value| {
        // Settings can be negative: MaxConn is -1 where there is no bound.
        let set = inner(lua, &table, protocol)
            .and_then(|fields| fields.raw_set(field, Value::Number(value as f64)));
        failed = failed.take().or(set.err());
    });
    match failed {
        Some(error) => Err(error.into()),
        None => found(lua, table, skipped as u64),
    }
}

fn sockstat(lua: &Lua, root: &Root) -> Answer {
    let text = match root.read("/proc/net/sockstat") {
        Ok(text) => text,
        Err(error) => return unreadable(lua, &error),
    };
    let table = lua.create_table()?;
    let mut skipped = add_sockstat(lua, &table, &text)?;
    // A machine without IPv6 has no such file.
    if let Ok(text) = root.read("/proc/net/sockstat6") {
        skipped += add_sockstat(lua, &table, &text)?;
    }
    found(lua, table, skipped)
}

fn add_sockstat(lua: &Lua, table: &Table, text: &str) -> mlua::Result<u64> {
    let mut failed = None;
    let skipped = sockets::sockstat(text, |protocol, state, value| {
        let set =
            inner(lua, table, protocol).and_then(|states| states.raw_set(state, number(value)));
        failed = failed.take().or(set.err());
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(skipped as u64),
    }
}

fn states(lua: &Lua, root: &Root) -> Answer {
    let counts = match tcp_states::count(root) {
        Ok(counts) => counts,
        Err(error) => return unreadable(lua, &error),
    };
    let table = lua.create_table_with_capacity(0, 12)?;
    for (name, count) in tcp_states::STATES.iter().zip(counts.states) {
        table.raw_set(*name, number(count))?;
    }
    // Sockets without a process are in one of the states too.
    if let Ok(text) = root.read("/proc/net/sockstat") {
        let mut orphaned = None;
        sockets::sockstat(&text, |protocol, state, value| {
            if (protocol, state) == ("TCP", "orphan") {
                orphaned = Some(value);
            }
        });
        fill(&table, &[("orphaned", orphaned)])?;
    }
    found(lua, table, counts.lost)
}
