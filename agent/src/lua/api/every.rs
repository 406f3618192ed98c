//! `plugin.every`: functions that run again and again.

use std::time::Duration;

use mlua::{Function, Lua, Table};

use super::{Failure, Module};

/// Where a state keeps its entries: an array of tables with `seconds` and `run`.
const ENTRIES: &str = "moonward.every";

/// The most entries of a script.
const ENTRIES_MAX: usize = 100;

/// The shortest and the longest interval, in seconds.
const SECONDS_MIN: f64 = 0.1;
const SECONDS_MAX: f64 = 86_400.0;

/// How often each function of a state is to run.
pub(in crate::lua) fn intervals(lua: &Lua) -> mlua::Result<Vec<Duration>> {
    let entries = lua.named_registry_value::<Option<Table>>(ENTRIES)?;
    let entries = entries.iter().flat_map(Table::sequence_values::<Table>);
    entries
        .map(|entry| Ok(Duration::from_secs_f64(entry?.raw_get("seconds")?)))
        .collect()
}

/// The function of this number, from 0.
pub(in crate::lua) fn function(lua: &Lua, index: usize) -> mlua::Result<Function> {
    let entries = lua.named_registry_value::<Table>(ENTRIES)?;
    let entry = entries.raw_get::<Table>(index.saturating_add(1))?;
    entry.raw_get("run")
}

/// Adds `every` to the module `plugin`.
pub(super) fn add(module: &Module<'_>) -> mlua::Result<()> {
    module.function("every", |lua, _, arguments| {
        let seconds = arguments.number(1)?;
        if !(SECONDS_MIN..=SECONDS_MAX).contains(&seconds) {
            let range = format!("{SECONDS_MIN} to {SECONDS_MAX} seconds expected, got {seconds}");
            return Err(arguments.wrong(1, &range));
        }
        let run = arguments.function(2)?;
        let known = lua.named_registry_value::<Option<Table>>(ENTRIES)?;
        let entries = if let Some(entries) = known {
            entries
        } else {
            let entries = lua.create_table()?;
            lua.set_named_registry_value(ENTRIES, &entries)?;
            entries
        };
        if entries.raw_len() >= ENTRIES_MAX {
            return Err(Failure::raise(format!(
                "plugin.every: a plugin can have at most {ENTRIES_MAX} functions"
            )));
        }
        let entry = lua.create_table()?;
        entry.raw_set("seconds", seconds)?;
        entry.raw_set("run", run)?;
        entries.raw_push(entry)?;
        Ok(())
    })
}
