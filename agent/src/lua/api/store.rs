//! `store`: the store's values as they are, numbers as numbers, with what is known of them.

use std::time::Duration;

use mlua::{Lua, Table, Value as LuaValue};

use super::fields::finite;
use super::metrics::tags;
use super::{Arguments, Failure, Module};
use crate::lua::context::Context;
use crate::model::{Clock, Glob, Rate, Series, Value};
use crate::store::{Reading, ReadingRef};

/// After how many readings it is looked whether the turn is over.
const LOOK: usize = 256;

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("get", |lua, context, arguments| {
        let series = series(lua, &arguments, 2)?;
        let store = &context.services.store;
        let source = store.with(series.as_str(), |reading: &ReadingRef<'_>| {
            (reading.to_reading(), reading.source.to_owned())
        });
        let Some((reading, source)) = source else {
            return Ok(None);
        };
        let table = table_of(lua, store.clock(), &reading)?;
        table.raw_set("source", source)?;
        Ok(Some(table))
    })?;
    module.function("find", |lua, context, arguments| {
        let pattern = Glob::new(&arguments.text(1)?);
        let list = lua.create_table()?;
        let store = &context.services.store;
        each(lua, context, &store.scan(&pattern), |reading| {
            list.raw_push(table_of(lua, store.clock(), reading)?)
        })?;
        Ok(list)
    })?;
    module.function("rate", |lua, context, arguments| {
        let series = series(lua, &arguments, 2)?;
        let rate = context.services.store.rate(series.as_str());
        Ok(rate.and_then(Rate::per_second))
    })?;
    module.function("history", |lua, context, arguments| {
        // The tags may come at once, or behind the seconds.
        let tags_at = if arguments.get(2).is_table() { 2 } else { 3 };
        let series = series(lua, &arguments, tags_at)?;
        let seconds_at = if tags_at == 2 { 3 } else { 2 };
        let within = arguments
            .is_given(seconds_at)
            .then(|| seconds(&arguments, seconds_at))
            .transpose()?;
        let store = &context.services.store;
        let points = match store.history(&series, within) {
            Ok(points) => points,
            Err(error) => return Ok((LuaValue::Nil, Some(error.to_string()))),
        };
        let list = lua.create_table_with_capacity(points.len(), 0)?;
        for point in points {
            let item = lua.create_table_with_capacity(0, 2)?;
            item.raw_set("at", wall(store.clock(), point.at))?;
            item.raw_set("value", point.value)?;
            list.raw_push(item)?;
        }
        Ok((LuaValue::Table(list), None))
    })
}

/// The series that the first argument names, and the tags at `tags_at`, if there are any.
pub(super) fn series(lua: &Lua, arguments: &Arguments, tags_at: usize) -> Result<Series, Failure> {
    let text = arguments.text(1)?;
    let made = match arguments.optional_table(tags_at)? {
        None => Series::parse(&text),
        Some(table) => {
            let read = tags(lua, &table)
                .ok_or_else(|| arguments.wrong(tags_at, "table of strings expected"))?;
            let read: Vec<(&str, &str)> = read
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            Series::new(&text, &read)
        }
    };
    made.map_err(|error| arguments.wrong(1, &error.to_string()))
}

/// A number of seconds, not below zero.
pub(super) fn seconds(arguments: &Arguments, position: usize) -> Result<Duration, Failure> {
    let seconds = finite(arguments, position)?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| arguments.wrong(position, "number of seconds expected, not below 0"))
}

/// Goes through all readings, or fails when the turn is over; what a script of a million series is
/// shown takes time without an instruction of its own.
pub(super) fn each(
    lua: &Lua,
    context: &Context,
    readings: &[Reading],
    mut show: impl FnMut(&Reading) -> mlua::Result<()>,
) -> mlua::Result<()> {
    for (index, reading) in readings.iter().enumerate() {
        if index % LOOK == LOOK - 1 {
            context.budget.check(lua)?;
        }
        show(reading)?;
    }
    Ok(())
}

/// A reading as scripts see it.
pub(super) fn table_of(lua: &Lua, clock: &Clock, reading: &Reading) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 9)?;
    table.raw_set("series", reading.series.as_str())?;
    table.raw_set("name", reading.series.name())?;
    let tags = lua.create_table()?;
    for (name, value) in reading.series.tags() {
        tags.raw_set(&*name, &*value)?;
    }
    table.raw_set("tags", tags)?;
    table.raw_set("kind", reading.kind.as_str())?;
    table.raw_set("unit", reading.unit.as_str())?;
    match &reading.value {
        Value::Text(text) => table.raw_set("value", &**text)?,
        number => table.raw_set("value", number.as_f64())?,
    }
    table.raw_set("rate", reading.rate.per_second())?;
    table.raw_set("at", wall(clock, reading.at))?;
    let left = reading.expires.since(clock.now());
    table.raw_set("expires_in", left.as_secs_f64())?;
    Ok(table)
}

/// Seconds since 1970 with their fraction.
fn wall(clock: &Clock, moment: crate::model::Moment) -> f64 {
    clock.wall_at(moment).0 as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::collect::Root;
    use crate::lua::testing::Stage;
    use crate::model::clock::ManualClock;
    use crate::model::{Batch, Unit};

    fn stage() -> (Stage, Arc<ManualClock>) {
        let (clock, hand) = Clock::manual();
        hand.advance(Duration::from_secs(1_000_000));
        (Stage::with(clock, Root::machine()), hand)
    }

    fn put(stage: &Stage, bytes: u64) {
        let mut batch = Batch::new();
        let tags = [("device", "sda"), ("direction", "read")];
        batch.counter("system.disk.io", &tags, Unit::BYTES, bytes);
        batch.gauge("load", &[], Unit::NONE, 0.25);
        batch.text("state", &[], "fine");
        stage.store.put("disk", &batch, None);
    }

    #[test]
    fn values_come_with_what_is_known_of_them() {
        let (stage, hand) = stage();
        put(&stage, 1000);
        hand.advance(Duration::from_secs(10));
        put(&stage, 6000);
        stage.pass(
            "local name = 'system.disk.io{device=\"sda\",direction=\"read\"}'
             local io = store.get(name)
             assert(io.value == 6000 and io.kind == 'counter' and io.unit == 'By' and io.rate == 500)
             assert(io.series == name and io.name == 'system.disk.io' and io.source == 'disk')
             assert(io.tags.device == 'sda' and io.tags.direction == 'read')
             assert(io.at == 1000010 and io.expires_in == 300)
             assert(store.get('system.disk.io', {direction = 'read', device = 'sda'}).value == 6000)
             assert(store.get('system.disk.io {direction=read, device=sda}').value == 6000)
             assert(store.rate(name) == 500 and store.rate('load') == nil and store.rate('none') == nil)
             assert(store.get('state').value == 'fine' and store.get('state').kind == 'text')
             assert(store.get('none') == nil and store.get('load', {}).value == 0.25)
             assert(not pcall(store.get) and not pcall(store.get, 'a', 3) and not pcall(store.get, ''))
             local found = store.find('*')
             assert(#found == 3 and found[1].series == 'load' and found[3].series == name)
             assert(#store.find('system.*{device=\"sda\"*') == 1 and #store.find('none*') == 0)",
        );
    }

    #[test]
    fn a_history_begins_when_it_is_asked_for() {
        let (stage, hand) = stage();
        put(&stage, 0);
        stage.pass(
            "local past = store.history('load') assert(#past == 1 and past[1].at == 1000000)",
        );
        for _ in 0..5 {
            hand.advance(Duration::from_secs(10));
            put(&stage, 0);
        }
        stage.pass(
            "local past = store.history('load')
             assert(#past == 6 and past[1].at == 1000000 and past[6].at == 1000050 and past[6].value == 0.25)
             assert(#store.history('load', 20) == 3 and #store.history('load', {}, 20) == 3)
             assert(#store.history('load', 20, {}) == 3 and #store.history('state') == 0)
             assert(not pcall(store.history, 'load', -1) and not pcall(store.history, 'load', 'x'))
             for number = 1, 2000 do
               local past, reason = store.history('many.' .. number)
               if not past then
                 assert(number > 990 and reason:find('1000 series have a history'), reason)
                 return
               end
             end
             error('there is no bound')",
        );
    }
}
