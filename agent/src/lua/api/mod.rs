//! The library that scripts find: one file per module.
//!
//! A module is a function `open` that fills a [`Module`], and a line in [`MODULES`]. Every function
//! has a page in `lua-stdlib/doc`, whose example is a test, and an annotation in
//! `lua-stdlib/types`.

mod argument;
mod cmd;
mod crypto;
mod database;
pub(super) mod every;
mod fields;
mod file;
mod filepath;
mod goos;
mod goruntime;
pub(super) mod http;
mod human;
mod hysteresis;
mod ioutil;
mod json;
mod log;
pub(super) mod metrics;
mod module;
mod mysql;
mod parser;
mod plugin;
mod postgres;
mod probe;
mod procfs;
mod prometheus;
#[cfg(test)]
mod prometheus_tests;
mod rate;
mod regexp;
#[cfg(test)]
mod servers;
mod sqlite;
mod store;
mod string;
mod strings;
mod syscall;
mod tac;
mod tcp;
mod threshold;
mod time;
mod tls_util;
mod units;
mod window;
mod xmlpath;
mod yaml;

use std::sync::Arc;

use mlua::{Lua, Table, Value};

pub(crate) use argument::{Arguments, Failure, Found, as_number, number_text, type_name, whole};
#[cfg(test)]
pub(super) use module::CLASSES;
pub(crate) use module::{Module, Wrappers, object};

use super::context::Context;

/// Fills a module.
type Open = fn(&Module<'_>) -> mlua::Result<()>;

/// Every module by the name of its global, with further names that it also has.
pub(super) const MODULES: &[(&str, &[&str], Open)] = &[
    ("cmd", &[], cmd::open),
    ("crypto", &[], crypto::open),
    ("filepath", &[], filepath::open),
    ("goos", &[], goos::open),
    ("goruntime", &[], goruntime::open),
    ("http", &[], http::open),
    ("human", &[], human::open),
    ("hysteresis", &[], hysteresis::open),
    ("ioutil", &[], ioutil::open),
    ("json", &[], json::open),
    ("log", &[], log::open),
    ("metrics", &["metric"], metrics::open),
    ("mysql", &[], mysql::open),
    ("parser", &[], parser::open),
    ("plugin", &[], plugin::open),
    ("postgres", &[], postgres::open),
    ("probe", &[], probe::open),
    ("procfs", &[], procfs::open),
    ("prometheus", &[], prometheus::open),
    ("prometheus_counter", &[], prometheus::open_counter),
    (
        "prometheus_counter_labels",
        &["prometheus_counter_lables"],
        prometheus::open_counter_labels,
    ),
    ("prometheus_gauge", &[], prometheus::open_gauge),
    (
        "prometheus_gauge_labels",
        &[],
        prometheus::open_gauge_labels,
    ),
    ("rate", &[], rate::open),
    ("regexp", &[], regexp::open),
    ("sqlite", &[], sqlite::open),
    ("store", &[], store::open),
    ("strings", &[], strings::open),
    ("syscall", &[], syscall::open),
    ("tac", &[], tac::open),
    ("tcp", &[], tcp::open),
    ("threshold", &[], threshold::open),
    ("time", &[], time::open),
    ("tls_util", &[], tls_util::open),
    ("units", &[], units::open),
    ("window", &[], window::open),
    ("xmlpath", &[], xmlpath::open),
    ("yaml", &[], yaml::open),
];

/// The modules that are filled at once, because they add to the standard libraries or build on them
/// as they are before a script can change them.
const AT_ONCE: [&str; 2] = ["goos", "log"];

/// Makes every module. Most are empty tables until something is looked up in them: a plugin uses
/// few, and all of them together would be most of its memory.
pub(super) fn open(lua: &Lua, context: &Arc<Context>, wrappers: &Wrappers) -> mlua::Result<()> {
    let globals = lua.globals();
    for (name, aliases, open) in MODULES {
        let table = lua.create_table()?;
        if AT_ONCE.contains(name) {
            open(&Module::new(lua, context, wrappers)?.on(table.clone()))?;
        } else {
            table.set_metatable(Some(filling(lua, context, wrappers, *open)?))?;
        }
        for alias in *aliases {
            globals.raw_set(*alias, &table)?;
        }
        globals.raw_set(*name, table)?;
    }
    string::open(&Module::new(lua, context, wrappers)?)
}

/// What fills a module when something is looked up in it for the first time.
fn filling(
    lua: &Lua,
    context: &Arc<Context>,
    wrappers: &Wrappers,
    open: Open,
) -> mlua::Result<Table> {
    let (context, wrappers) = (Arc::clone(context), wrappers.clone());
    let fill = lua.create_function(move |lua, (table, key): (Table, Value)| {
        table.set_metatable(None)?;
        // What the script itself has put there stays.
        let own: Vec<(Value, Value)> = table.pairs().collect::<mlua::Result<_>>()?;
        open(&Module::new(lua, &context, &wrappers)?.on(table.clone()))?;
        for (name, value) in own {
            table.raw_set(name, value)?;
        }
        table.raw_get::<Value>(key)
    })?;
    let metatable = lua.create_table()?;
    metatable.raw_set("__index", fill)?;
    // A script that looks at it would see the host's function.
    metatable.raw_set("__metatable", false)?;
    Ok(metatable)
}

/// What a script is told that holds too many files and connections.
fn too_many(context: &Context) -> String {
    let most = context.handles.most();
    format!("too many open files and connections, a plugin can have {most}")
}
