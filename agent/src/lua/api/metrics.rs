//! `metrics`: the store's values, put and read as ZaLua's plugins do.

use std::time::Duration;

use mlua::{Lua, Table, Value as LuaValue};

use super::{Arguments, Failure, Module, number_text, type_name};
use crate::lua::context::Context;
use crate::lua::go::number::parse_float;
use crate::model::{Glob, Kind, Series, Unit, Value};
use crate::serve::zalua::format;

/// How long a value holds when the script does not say.
const TTL: Duration = Duration::from_mins(5);

/// The longest time to live; more is a mistake in the number.
const TTL_MAX: Duration = Duration::from_hours(24 * 365);

/// What the sources of plugins' values begin with.
const PLUGINS: &str = "plugin:";

/// The unit of a speed.
pub(crate) const PER_SECOND: Unit = Unit::new("1/s");

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("set", |lua, context, arguments| {
        let (series, ttl) = target(lua, &arguments)?;
        let value = match arguments.get(2) {
            LuaValue::String(text) => {
                // What replaces bytes that are not UTF-8 makes it longer, never shorter.
                check_text(context, &series, text.as_bytes().len())?;
                Value::from(text.to_string_lossy().as_str())
            }
            LuaValue::Integer(_) | LuaValue::Number(_) => Value::Float(arguments.number(2)?),
            _ => return Err(no_value()),
        };
        put(context, &series, Unit::NONE, value, ttl)
    })?;
    module.function("set_speed", |lua, context, arguments| {
        set_speed(lua, context, &arguments, f64::NEG_INFINITY)
    })?;
    module.function("set_counter_speed", |lua, context, arguments| {
        set_speed(lua, context, &arguments, 0.0)
    })?;
    module.function("get", |lua, context, arguments| {
        let Some(series) = named(lua, &arguments)? else {
            return Ok((None, None));
        };
        let store = &context.services.store;
        let found = store.with(series.as_str(), |reading| {
            text_of(reading.value, reading.unit)
        });
        let Some(text) = found else {
            return Ok((None, None));
        };
        Ok((Some(text), Some(tags_table(lua, &series)?)))
    })?;
    module.function("delete", |lua, context, arguments| {
        let store = &context.services.store;
        if let Some(series) = named(lua, &arguments)? {
            // A collector's value is not a plugin's to take away; it would be back in seconds.
            let is_plugins = store.with(series.as_str(), |reading| {
                reading.source.starts_with(PLUGINS)
            });
            if is_plugins == Some(true) {
                store.remove(series.as_str());
            }
        }
        Ok(())
    })?;
    module.function("list", |lua, context, _| {
        let store = &context.services.store;
        let list = lua.create_table()?;
        for reading in store.scan(&Glob::new("*")) {
            let item = lua.create_table()?;
            item.raw_set("metric", reading.series.name())?;
            item.raw_set("value", text_of(&reading.value, reading.unit))?;
            item.raw_set("tags", tags_table(lua, &reading.series)?)?;
            item.raw_set("at", store.clock().wall_at(reading.at).seconds())?;
            list.raw_push(item)?;
        }
        Ok(list)
    })?;
    Ok(())
}

/// The series of a key and tags that may follow; none when there can be no such series.
fn named(lua: &Lua, arguments: &Arguments) -> Result<Option<Series>, Failure> {
    let key = arguments.text(1)?;
    let tags = match arguments.count() {
        0 | 1 => Vec::new(),
        _ => tags(lua, &arguments.table(2)?)
            .ok_or_else(|| Failure::raise("argument #2 must be table string:string"))?,
    };
    Ok(series(&key, &tags).ok())
}

fn no_value() -> Failure {
    Failure::raise("argument #2 must be string or number")
}

/// The text that ZaLua's scripts and clients see of a value.
fn text_of(value: &Value, unit: Unit) -> String {
    format::value(value, unit)
}

/// Refuses a text that the store would cut: it would be another text, and a discovery document none.
fn check_text(context: &Context, series: &Series, bytes: usize) -> Result<(), Failure> {
    let limits = context.services.store.limits();
    limits
        .check_text(bytes)
        .map_err(|error| Failure::raise(format!("{}: {error}", series.as_str())))
}

fn put(
    context: &Context,
    series: &Series,
    unit: Unit,
    value: Value,
    ttl: Duration,
) -> Result<(), Failure> {
    let store = &context.services.store;
    if let Value::Text(text) = &value {
        check_text(context, series, text.len())?;
    }
    if let Some(publish) = &context.services.publish {
        (publish.0)(series, unit, &value, ttl).map_err(Failure::raise)?;
    }
    let kind = match value {
        Value::Text(_) => Kind::Text,
        _ => Kind::Gauge,
    };
    // What a limit refuses is counted by the store, for this plugin.
    context.tally.sampled();
    store.put_one(&context.source, series, kind, unit, value, Some(ttl));
    Ok(())
}

/// Puts the change per second since the last sample, unless it is below `least`.
fn set_speed(
    lua: &Lua,
    context: &Context,
    arguments: &Arguments,
    least: f64,
) -> Result<(), Failure> {
    let (series, ttl) = target(lua, arguments)?;
    let value = match arguments.get(2) {
        // What is no number counts as zero, as it did in ZaLua.
        LuaValue::String(text) => parse_float(&text.as_bytes()).unwrap_or(0.0),
        LuaValue::Integer(_) | LuaValue::Number(_) => arguments.number(2)?,
        _ => return Err(no_value()),
    };
    let services = &context.services;
    let now = services.store.clock().now();
    if let Some(speed) = services.speeds.next(series.as_str(), value, now)
        && speed >= least
    {
        put(context, &series, PER_SECOND, Value::Float(speed), ttl)?;
    }
    Ok(())
}

/// What the key and the arguments from the third on say: the series and its time to live.
fn target(lua: &Lua, arguments: &Arguments) -> Result<(Series, Duration), Failure> {
    let key = arguments.text(1)?;
    arguments.any(2)?;
    let mut ttl = None;
    let mut tags = None;
    if arguments.count() >= 3 {
        read_option(lua, arguments, 3, &mut ttl, &mut tags)?;
    }
    if arguments.count() >= 4 && arguments.is_given(4) {
        read_option(lua, arguments, 4, &mut ttl, &mut tags)?;
    }
    let series = series(&key, &tags.unwrap_or_default())
        .map_err(|error| arguments.wrong(1, &error.to_string()))?;
    Ok((series, ttl.unwrap_or(TTL)))
}

type Tags = Vec<(String, String)>;

/// One argument that is a time to live or tags, with ZaLua's messages.
fn read_option(
    lua: &Lua,
    arguments: &Arguments,
    position: usize,
    ttl: &mut Option<Duration>,
    tags_found: &mut Option<Tags>,
) -> Result<(), Failure> {
    match arguments.get(position) {
        LuaValue::Integer(_) | LuaValue::Number(_) if ttl.is_some() => Err(Failure::raise(
            format!("argument #{position} must be table (ttl already geted)"),
        )),
        LuaValue::Integer(_) | LuaValue::Number(_) => {
            let seconds = arguments.number(position)?.trunc();
            let seconds = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(TTL_MAX);
            *ttl = Some(seconds.min(TTL_MAX));
            Ok(())
        }
        LuaValue::Table(_) if tags_found.is_some() => Err(Failure::raise(format!(
            "argument #{position} must be int (tags already geted)"
        ))),
        LuaValue::Table(table) => {
            let read = tags(lua, table).ok_or_else(|| {
                Failure::raise(format!("argument #{position} to table: can't convert map"))
            })?;
            *tags_found = Some(read);
            Ok(())
        }
        // The type of the third argument in both cases, as ZaLua had it.
        _ => Err(Failure::raise(format!(
            "argument #{position} unknown type: {}",
            type_name(arguments.get(3))
        ))),
    }
}

/// The tags of a table of strings to strings or numbers; none when it is something else.
pub(crate) fn tags(lua: &Lua, table: &Table) -> Option<Tags> {
    let mut tags = Vec::new();
    for pair in table.pairs::<LuaValue, LuaValue>() {
        let (LuaValue::String(name), value) = pair.ok()? else {
            return None;
        };
        let value = match &value {
            LuaValue::String(text) => text.to_string_lossy(),
            other => number_text(lua, other)?,
        };
        tags.push((name.to_string_lossy(), value));
    }
    Some(tags)
}

fn series(key: &str, tags: &[(String, String)]) -> Result<Series, crate::model::SeriesError> {
    let tags: Vec<(&str, &str)> = tags
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    Series::new(key, &tags)
}

fn tags_table(lua: &Lua, series: &Series) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for (name, value) in series.tags() {
        table.raw_set(&*name, &*value)?;
    }
    Ok(table)
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
