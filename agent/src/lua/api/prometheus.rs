//! `prometheus`: the kinds of Prometheus' collectors, and doors that `/metrics` is served at.
//!
//! Each kind is a module of its own, as it was in ZaLua: `prometheus_gauge`,
//! `prometheus_gauge_labels`, `prometheus_counter` and `prometheus_counter_labels`, whose first name
//! was `prometheus_counter_lables`.

use std::sync::Arc;
use std::time::Duration;

use mlua::{AnyUserData, Lua, Table, Value};

use super::{Arguments, Failure, Found, Module, number_text, object, type_name};
use crate::lua::collectors::{Change, Kind, Options};
use crate::lua::context::Context;
use crate::lua::listen::ListenAddress;
use crate::model::Unit;

/// The class of what `prometheus.listen` gives, which has no methods.
const DOOR: &str = "prometheus.door";

/// Where a state keeps its handles, by kind and number.
const HANDLES: &str = "moonward.prometheus.handles";

/// The shortest and the longest time to live, in seconds.
const TTL_MIN: f64 = 1.0;
const TTL_MAX: f64 = 86_400.0 * 365.0;

/// A collector, as a script holds it. Each kind is a type of its own, for it has other methods.
#[derive(Debug)]
struct Handle<const KIND: usize>(usize);

/// A door that is held open for as long as the script runs.
struct Door;

const GAUGE: usize = 0;
const GAUGE_LABELS: usize = 1;
const COUNTER: usize = 2;
const COUNTER_LABELS: usize = 3;

/// The module `prometheus`.
pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.another()?.class(DOOR)?;
    module.function("listen", |lua, context, arguments| {
        let text = arguments.text(1)?;
        match listen(context, &text) {
            Ok(()) => Ok(Found::Is(object(lua, DOOR, Door)?)),
            Err(message) => Ok(Found::Not(format!("prometheus.listen: {message}"))),
        }
    })
}

fn listen(context: &Context, text: &str) -> Result<(), String> {
    let address = ListenAddress::parse(text)
        .ok_or_else(|| format!("{text} is no address; 127.0.0.1:2345 is one, and :2345"))?;
    let listen = context.services.listen.as_ref();
    let listen = listen
        .ok_or("there is no HTTP door here; the service and `moonward exec` can open them")?;
    context.doors.open(listen, address)
}

/// The module `prometheus_gauge`.
pub(super) fn open_gauge(module: &Module<'_>) -> mlua::Result<()> {
    let methods = [("set", Step::Set), ("add", Step::Add)];
    open_kind::<GAUGE>(module, Kind::Gauge, "prometheus_gauge.gauge", methods)
}

/// The module `prometheus_gauge_labels`.
pub(super) fn open_gauge_labels(module: &Module<'_>) -> mlua::Result<()> {
    const CLASS: &str = "prometheus_gauge_labels.gauge";
    let methods = [("set", Step::Set), ("add", Step::Add)];
    open_kind::<GAUGE_LABELS>(module, Kind::GaugeLabels, CLASS, methods)
}

/// The module `prometheus_counter`.
pub(super) fn open_counter(module: &Module<'_>) -> mlua::Result<()> {
    let methods = [("inc", Step::Increment), ("add", Step::Add)];
    open_kind::<COUNTER>(module, Kind::Counter, "prometheus_counter.counter", methods)
}

/// The module `prometheus_counter_labels`.
pub(super) fn open_counter_labels(module: &Module<'_>) -> mlua::Result<()> {
    const CLASS: &str = "prometheus_counter_labels.counter";
    let methods = [("inc", Step::Increment), ("add", Step::Add)];
    open_kind::<COUNTER_LABELS>(module, Kind::CounterLabels, CLASS, methods)
}

/// What a method does with its last argument.
#[derive(Clone, Copy)]
enum Step {
    Set,
    Add,
    /// Adds one; the argument is not there.
    Increment,
}

/// A module of one kind: `new`, and the methods of its handles. Those of a kind with labels take
/// them before the number.
fn open_kind<const KIND: usize>(
    module: &Module<'_>,
    kind: Kind,
    class_name: &'static str,
    methods: [(&'static str, Step); 2],
) -> mlua::Result<()> {
    module.function("new", move |lua, context, arguments| {
        let registered = options(lua, &arguments.table(1)?, kind)?
            .and_then(|options| context.services.collectors.register(kind, options));
        match registered {
            Ok(number) => Ok(Found::Is(handle::<KIND>(lua, class_name, number)?)),
            Err(message) => Ok(Found::Not(message)),
        }
    })?;
    let class = module.another()?;
    for (name, step) in methods {
        class.function(name, move |lua, context, arguments| {
            let handle = arguments.object::<Handle<KIND>>(1, class_name)?;
            let (labels, last) = if kind.has_labels() {
                (labels(lua, &arguments)?, 3)
            } else {
                (Vec::new(), 2)
            };
            let by = match step {
                Step::Set => Change::Set(arguments.number(last)?),
                Step::Add => Change::Add(arguments.number(last)?),
                Step::Increment => Change::Add(1.0),
            };
            change(context, handle.0, &labels, by)
        })?;
    }
    class.class(class_name)
}

/// The handle of a collector: the same each time.
fn handle<const KIND: usize>(
    lua: &Lua,
    class: &'static str,
    number: usize,
) -> mlua::Result<AnyUserData> {
    let known = lua.named_registry_value::<Option<Table>>(HANDLES)?;
    let handles = if let Some(handles) = known {
        handles
    } else {
        let handles = lua.create_table()?;
        lua.set_named_registry_value(HANDLES, &handles)?;
        handles
    };
    if let Some(known) = handles.raw_get(number)? {
        return Ok(known);
    }
    let made = object(lua, class, Handle::<KIND>(number))?;
    handles.raw_set(number, &made)?;
    Ok(made)
}

/// The table of `new`; a message when the collector cannot be made of it.
fn options(lua: &Lua, table: &Table, kind: Kind) -> Result<Result<Options, String>, Failure> {
    let text = |name: &str| -> mlua::Result<Option<String>> {
        // What a metamethod says would have to be asked for from here, again and again without end.
        let value: Value = table.raw_get(name)?;
        Ok((!value.is_nil()).then(|| stringified(lua, &value)))
    };
    let mut options = Options {
        namespace: text("namespace")?.unwrap_or_default(),
        subsystem: text("subsystem")?.unwrap_or_default(),
        // Go's word for what is not there.
        name: text("name")?.unwrap_or_else(|| "nil".to_owned()),
        help: text("help")?.unwrap_or_else(|| "nil".to_owned()),
        labels: Vec::new(),
        ttl: None,
    };
    match table.raw_get("ttl")? {
        Value::Nil => {}
        Value::Integer(_) | Value::Number(_) => {
            let seconds = table.raw_get::<f64>("ttl")?;
            if !(TTL_MIN..=TTL_MAX).contains(&seconds) {
                let message = format!("bad value of ttl: {TTL_MIN} to {TTL_MAX} seconds expected");
                return Ok(Err(message));
            }
            options.ttl = Some(Duration::from_secs_f64(seconds));
        }
        other => return Ok(Err(format!("bad value type of ttl: {}", type_name(&other)))),
    }
    if kind.has_labels() {
        let Value::Table(labels) = table.raw_get("labels")? else {
            let got: Value = table.raw_get("labels")?;
            return Ok(Err(format!("bad value type: {}", type_name(&got))));
        };
        for label in labels.sequence_values::<Value>() {
            options.labels.push(stringified(lua, &label?));
        }
    }
    Ok(Ok(options))
}

/// The labels of a call: names to values.
fn labels(lua: &Lua, arguments: &Arguments) -> Result<Vec<(String, String)>, Failure> {
    let mut labels = Vec::new();
    for pair in arguments.table(2)?.pairs::<Value, Value>() {
        let (name, value) = pair?;
        labels.push((stringified(lua, &name), stringified(lua, &value)));
    }
    Ok(labels)
}

fn stringified(lua: &Lua, value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string_lossy(),
        Value::Boolean(flag) => flag.to_string(),
        other => number_text(lua, other).unwrap_or_else(|| type_name(other).to_owned()),
    }
}

fn change(
    context: &Arc<Context>,
    collector: usize,
    labels: &[(String, String)],
    change: Change,
) -> Result<(), Failure> {
    let services = &context.services;
    let who = (context.run, context.source.as_str());
    let changed = services.collectors.change(who, collector, labels, change);
    let (series, value, ttl) = changed.map_err(Failure::raise)?;
    context.tally.sampled();
    if let Some(publish) = &services.publish {
        let value = crate::model::Value::Float(value);
        (publish.0)(&series, Unit::NONE, &value, ttl).map_err(Failure::raise)?;
    }
    Ok(())
}
