//! `probe`: what the programs in the kernel count, as it stands in the store, and how they are.

use std::sync::Arc;

use mlua::{AnyUserData, Lua, Table};

use super::store::{each, seconds, series, table_of};
use super::window::{hold, share};
use super::{Failure, Module, object};
use crate::lua::context::Context;
use crate::lua::quota::Held;
use crate::model::histogram::Bucket;
use crate::model::{Glob, Histogram, Kind, Moment, Value};
use crate::telemetry::{PartStatus, Room};

const HISTOGRAM: &str = "probe.histogram";

/// What the samples of probes are put as begins with this.
const SOURCE: &str = "probe.";

/// The histogram of one time.
#[derive(Debug)]
struct Distribution {
    histogram: Arc<Histogram>,
    /// What it may keep in memory.
    _held: Held,
}

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    methods(module)?;
    module.function("histogram", |lua, context, arguments| {
        let series = series(lua, &arguments, 2)?;
        match histogram(context, series.as_str()) {
            Ok((histogram, _)) => Ok((Some(made(lua, context, histogram)?), None)),
            Err(reason) => Ok((None, Some(reason))),
        }
    })?;
    module.function("quantile", |lua, context, arguments| {
        let series = series(lua, &arguments, 4)?;
        let share = share(&arguments, 2)?;
        let (mut histogram, at) = match histogram(context, series.as_str()) {
            Ok(found) => found,
            Err(reason) => return Ok((None, Some(reason))),
        };
        if arguments.is_given(3) {
            let window = seconds(&arguments, 3)?;
            let before = match context.services.store.histogram_before(&series, window) {
                Ok(before) => before,
                Err(error) => return Ok((None, Some(error.to_string()))),
            };
            // Another value may have come since the first look.
            let Some((before, _)) = before.filter(|(_, then)| *then < at) else {
                let reason = format!("the history of {series} begins now; ask again later");
                return Ok((None, Some(reason)));
            };
            match histogram.since(&before) {
                Some(between) => histogram = Arc::new(between),
                None => return Ok((None, Some(format!("{series} has begun anew")))),
            }
        }
        match histogram.quantile(share) {
            Some(value) => Ok((Some(value), None)),
            None => Ok((None, Some(format!("nothing was recorded in {series}")))),
        }
    })?;
    module.function("counters", |lua, context, arguments| {
        let pattern = arguments.optional_text(1)?;
        found(lua, context, pattern.as_deref(), Some(Kind::Counter))
    })?;
    module.function("list", |lua, context, arguments| {
        let pattern = arguments.optional_text(1)?;
        found(lua, context, pattern.as_deref(), None)
    })?;
    module.function("status", |lua, context, _| {
        let list = lua.create_table()?;
        let parts = context.services.board.statuses();
        for part in parts.iter().filter(|part| part.room == Room::Probe) {
            list.raw_push(status(lua, part)?)?;
        }
        Ok(list)
    })
}

fn methods(module: &Module<'_>) -> mlua::Result<()> {
    let methods = module.another()?;
    methods.function("quantile", |_, _, arguments| {
        let share = share(&arguments, 2)?;
        let this = arguments.object::<Distribution>(1, HISTOGRAM)?;
        Ok(this.histogram.quantile(share))
    })?;
    methods.function("count", |_, _, arguments| {
        let this = arguments.object::<Distribution>(1, HISTOGRAM)?;
        Ok(this.histogram.count as f64)
    })?;
    methods.function("sum", |_, _, arguments| {
        let this = arguments.object::<Distribution>(1, HISTOGRAM)?;
        Ok(this.histogram.sum)
    })?;
    methods.function("mean", |_, _, arguments| {
        let this = arguments.object::<Distribution>(1, HISTOGRAM)?;
        Ok(this.histogram.mean())
    })?;
    methods.function("since", |lua, context, arguments| {
        let this = arguments.object::<Distribution>(1, HISTOGRAM)?;
        let earlier = arguments.object::<Distribution>(2, HISTOGRAM)?;
        let between = this.histogram.since(&earlier.histogram);
        let Some(between) = between.map(Arc::new) else {
            let reason = "the series has begun anew, or these are of two";
            return Ok((None, Some(reason)));
        };
        Ok((Some(made(lua, context, between)?), None))
    })?;
    methods.class(HISTOGRAM)
}

fn made(lua: &Lua, context: &Context, histogram: Arc<Histogram>) -> Result<AnyUserData, Failure> {
    let bytes = size_of::<Histogram>() + histogram.buckets.len() * size_of::<Bucket>();
    let held = hold(lua, context, bytes)?;
    let content = Distribution {
        histogram,
        _held: held,
    };
    Ok(object(lua, HISTOGRAM, content)?)
}

/// The histogram of now and when it was put, or why there is none.
fn histogram(context: &Context, series: &str) -> Result<(Arc<Histogram>, Moment), String> {
    let store = &context.services.store;
    let found = store.with(series, |reading| match reading.value {
        Value::Histogram(histogram) => Some((Arc::clone(histogram), reading.at)),
        _ => None,
    });
    match found {
        Some(Some(found)) => Ok(found),
        Some(None) => Err(format!("{series} is no histogram")),
        None => Err(format!("there is no series {series}")),
    }
}

/// The values that probes have put, sorted by series.
fn found(
    lua: &Lua,
    context: &Context,
    pattern: Option<&str>,
    kind: Option<Kind>,
) -> Result<Table, Failure> {
    let pattern = Glob::new(pattern.unwrap_or("*"));
    let store = &context.services.store;
    let mut readings = Vec::new();
    store.visit(&pattern, |reading| {
        if reading.source.starts_with(SOURCE) && kind.is_none_or(|kind| reading.kind == kind) {
            readings.push(reading.to_reading());
        }
    });
    readings.sort_unstable_by(|one, other| one.series.cmp(&other.series));
    let list = lua.create_table()?;
    each(lua, context, &readings, |reading| {
        list.raw_push(table_of(lua, store.clock(), reading)?)
    })?;
    Ok(list)
}

fn status(lua: &Lua, part: &PartStatus) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 7)?;
    table.raw_set("name", part.name.as_str())?;
    table.raw_set("verdict", part.verdict)?;
    table.raw_set("reason", part.reason.as_deref())?;
    table.raw_set("runs", part.runs as f64)?;
    table.raw_set("errors", part.errors as f64)?;
    table.raw_set("samples", part.samples as f64)?;
    table.raw_set("seconds", part.total_seconds)?;
    Ok(table)
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
