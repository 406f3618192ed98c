//! The `debug` library: what looks, and nothing that changes.
//!
//! The engine's own library can lift a deadline (`sethook`) and crash the process (`setmetatable`,
//! `setupvalue`, the registry), so it is not loaded. `getinfo` gives the path of a script without
//! the `@` that the engine puts before it, because ZaLua's scripts build paths from it.

use mlua::{Function, Lua, LuaString, Result, Table, Value, Variadic};

/// What the host's own Lua is called.
pub(super) const OWN: [&str; 4] = ["=prelude.lua", "=standard.lua", "=files.lua", "=string.lua"];

/// The table for the global `debug`.
pub(super) fn library(lua: &Lua) -> Result<Table> {
    let library = lua.create_table()?;
    library.set("getinfo", lua.create_function(getinfo)?)?;
    library.set("traceback", lua.create_function(traceback)?)?;
    Ok(library)
}

/// `debug.getinfo(level | function [, what])`, as in the manual of Lua 5.1, section 5.9. A level is
/// one of the running thread, and has a `func` where that is a script's; there are no `activelines`.
fn getinfo(lua: &Lua, (subject, what): (Value, Option<LuaString>)) -> Result<Option<Table>> {
    let what = what.map_or_else(|| b"Slnuf".to_vec(), |what| what.as_bytes().to_vec());
    if let Value::Function(function) = subject {
        return of_function(lua, &function, &what).map(Some);
    }
    let Some(level) = lua.coerce_integer(subject)? else {
        return Err(mlua::Error::runtime(
            "bad argument #1 to 'getinfo' (function or level expected)",
        ));
    };
    let Ok(level) = usize::try_from(level) else {
        return Ok(None);
    };
    lua.inspect_stack(level, |frame| {
        let function = frame.function();
        let info = of_function(lua, &function, &what)?;
        if is_hidden(&function) {
            info.set("func", Value::Nil)?;
        }
        if what.contains(&b'l') {
            info.set("currentline", line(frame.current_line()))?;
        }
        if what.contains(&b'n') {
            let names = frame.names();
            info.set("name", names.name.as_deref())?;
            info.set("namewhat", names.name_what.unwrap_or_default())?;
        }
        Ok(info)
    })
    .transpose()
}

/// Whether a script that finds the function on the stack must not have it: the engine's own, in
/// whose place `prelude.lua` has put another, and the inner ones of the host.
fn is_hidden(function: &Function) -> bool {
    let info = function.info();
    info.what == "C"
        || info
            .source
            .is_some_and(|source| OWN.contains(&source.as_str()))
}

fn of_function(lua: &Lua, function: &Function, what: &[u8]) -> Result<Table> {
    let info = lua.create_table()?;
    let known = function.info();
    if what.contains(&b'S') {
        let source = known.source.unwrap_or_default();
        info.set("source", source.strip_prefix('@').unwrap_or(&source))?;
        info.set("short_src", known.short_src)?;
        info.set("what", known.what)?;
        info.set("linedefined", line(known.line_defined))?;
        info.set("lastlinedefined", line(known.last_line_defined))?;
    }
    if what.contains(&b'l') {
        info.set("currentline", line(None))?;
    }
    if what.contains(&b'u') {
        info.set("nups", known.num_upvalues)?;
    }
    if what.contains(&b'f') {
        info.set("func", function)?;
    }
    Ok(info)
}

/// Lua's own number for a line that there is not is -1.
fn line(line: Option<usize>) -> i64 {
    line.and_then(|line| i64::try_from(line).ok()).unwrap_or(-1)
}

/// `debug.traceback([message [, level]])` of the running thread. What is neither text nor a number
/// is given back as it is.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the engine calls it with its own"
)]
fn traceback(lua: &Lua, arguments: Variadic<Value>) -> Result<Value> {
    let message = match arguments.first() {
        None => None,
        Some(Value::Thread(_)) => {
            return Err(mlua::Error::runtime(
                "bad argument #1 to 'traceback' (only the running thread can be traced)",
            ));
        }
        Some(value) => match lua.coerce_string(value.clone())? {
            Some(text) => Some(text.to_string_lossy()),
            None => return Ok(value.clone()),
        },
    };
    let level = match arguments.get(1) {
        Some(value) => lua.coerce_integer(value.clone())?.unwrap_or(1),
        None => 1,
    };
    let level = usize::try_from(level).unwrap_or(0);
    lua.traceback(message.as_deref(), level).map(Value::String)
}
