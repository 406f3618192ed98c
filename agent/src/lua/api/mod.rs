//! The library that scripts find: one file per module.
//!
//! A module is a function `open` that fills a [`Module`], and a line in [`MODULES`]. Every function
//! has a page in `lua-stdlib/doc`, whose example is a test, and an annotation in
//! `lua-stdlib/types`.

mod argument;
mod database;
pub(super) mod every;
mod fields;
mod hysteresis;
pub(super) mod metrics;
mod module;
mod mysql;
mod plugin;
mod postgres;
mod probe;
mod procfs;
mod rate;
mod sqlite;
mod store;
mod threshold;
mod time;
mod units;
mod window;

use std::sync::Arc;

use mlua::Lua;

pub(crate) use argument::{Arguments, Failure, number_text, type_name};
#[cfg(test)]
pub(super) use module::CLASSES;
pub(crate) use module::{Module, Wrappers, object};

use super::context::Context;

/// Fills a module.
type Open = fn(&Module<'_>) -> mlua::Result<()>;

/// Every module by the name of its global, with further names that it also has.
pub(super) const MODULES: &[(&str, &[&str], Open)] = &[
    ("hysteresis", &[], hysteresis::open),
    ("metrics", &["metric"], metrics::open),
    ("mysql", &[], mysql::open),
    ("plugin", &[], plugin::open),
    ("postgres", &[], postgres::open),
    ("probe", &[], probe::open),
    ("procfs", &[], procfs::open),
    ("rate", &[], rate::open),
    ("sqlite", &[], sqlite::open),
    ("store", &[], store::open),
    ("threshold", &[], threshold::open),
    ("time", &[], time::open),
    ("units", &[], units::open),
    ("window", &[], window::open),
];

/// Makes every module.
pub(super) fn open(lua: &Lua, context: &Arc<Context>, wrappers: &Wrappers) -> mlua::Result<()> {
    let globals = lua.globals();
    for (name, aliases, open) in MODULES {
        let module = Module::new(lua, context, wrappers)?;
        open(&module)?;
        let table = module.table();
        for alias in *aliases {
            globals.raw_set(*alias, &table)?;
        }
        globals.raw_set(*name, table)?;
    }
    Ok(())
}
