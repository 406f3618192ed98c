//! `procfs`: what the kernel's files say, as tables.
//!
//! The readers are those of the collectors. A file that cannot be read gives nil and the reason; a
//! line or word that does not read costs itself, and how many there were is the second result.

mod disk;
mod machine;
mod network;

use mlua::{IntoLua, Lua, Table, Value};

use super::{Failure, Module};
use crate::collect::ReadError;

/// What a function gives: a table and how many lines or words were skipped, or nil and why.
type Answer = Result<(Value, Value), Failure>;

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    machine::open(module)?;
    disk::open(module)?;
    network::open(module)
}

/// A result and how much of the file was skipped.
fn found(lua: &Lua, result: impl IntoLua, skipped: u64) -> Answer {
    Ok((result.into_lua(lua)?, number(skipped)))
}

/// Nil and the reason.
fn missing(lua: &Lua, reason: &str) -> Answer {
    Ok((Value::Nil, reason.into_lua(lua)?))
}

/// Nil and why a file could not be read.
fn unreadable(lua: &Lua, error: &ReadError) -> Answer {
    missing(lua, &format!("{error}: {}", error.source))
}

/// A number as scripts have them: exact up to 2^53.
fn number(value: u64) -> Value {
    Value::Number(value as f64)
}

/// Sets the fields that are known.
fn fill(table: &Table, fields: &[(&str, Option<u64>)]) -> mlua::Result<()> {
    for (name, value) in fields {
        if let Some(value) = value {
            table.raw_set(*name, number(*value))?;
        }
    }
    Ok(())
}

/// The table under a name in a table, made if it is not there.
fn inner(lua: &Lua, table: &Table, name: &str) -> mlua::Result<Table> {
    if let Some(there) = table.raw_get::<Option<Table>>(name)? {
        return Ok(there);
    }
    let made = lua.create_table()?;
    table.raw_set(name, &made)?;
    Ok(made)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
