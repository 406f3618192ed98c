//! `units`: the states of systemd's units, as the unit collector has put them into the store. Asks
//! nobody over D-Bus.

use mlua::{Lua, Table};

use super::{Failure, Module};
use crate::lua::context::Context;
use crate::model::{Glob, Series, Value};
use crate::telemetry::Room;

const STATE: &str = "systemd.unit.state";

/// How the name of a unit ends (systemd.unit(5)).
const TYPES: [&str; 11] = [
    ".automount",
    ".device",
    ".mount",
    ".path",
    ".scope",
    ".service",
    ".slice",
    ".socket",
    ".swap",
    ".target",
    ".timer",
];

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("get", |lua, context, arguments| {
        let mut name = arguments.text(1)?;
        if !TYPES.iter().any(|kind| name.ends_with(kind)) {
            name.push_str(".service");
        }
        let series = Series::new(STATE, &[("unit", &name)])
            .map_err(|error| arguments.wrong(1, &error.to_string()))?;
        let found = context.services.store.get(series.as_str());
        let Some(reading) = found else {
            let reason = unknown(context).unwrap_or_else(|| {
                format!("{name} is none of the units that are measured; see [collect.unit] in the configuration")
            });
            return Ok((None, Some(reason)));
        };
        let at = context.services.store.clock().wall_at(reading.at);
        let table = unit(lua, &name, &reading.value.to_string())?;
        table.raw_set("at", at.0 as f64 / 1e9)?;
        Ok((Some(table), None))
    })?;
    module.function("list", |lua, context, arguments| {
        let pattern = arguments.optional_text(1)?;
        let pattern = Glob::new(pattern.as_deref().unwrap_or("*"));
        all(lua, context, |name, _| pattern.matches(name))
    })?;
    module.function("failed", |lua, context, _| {
        all(lua, context, |_, state| state == "failed")
    })
}

/// Every unit that is chosen, sorted by name; or nil and the reason.
fn all(
    lua: &Lua,
    context: &Context,
    chosen: impl Fn(&str, &str) -> bool,
) -> Result<(Option<Table>, Option<String>), Failure> {
    let mut units = Vec::new();
    let pattern = Glob::new(&format!("{STATE}{{*"));
    context.services.store.visit(&pattern, |reading| {
        if let (Some(name), Value::Text(state)) = (reading.series.tag("unit"), reading.value)
            && chosen(&name, state)
        {
            units.push((name.into_owned(), state.to_string()));
        }
    });
    if units.is_empty()
        && let Some(reason) = unknown(context)
    {
        return Ok((None, Some(reason)));
    }
    units.sort_unstable();
    let list = lua.create_table_with_capacity(units.len(), 0)?;
    for (name, state) in units {
        list.raw_push(unit(lua, &name, &state)?)?;
    }
    Ok((Some(list), None))
}

fn unit(lua: &Lua, name: &str, state: &str) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 3)?;
    table.raw_set("name", name)?;
    table.raw_set("state", state)?;
    let active = matches!(state, "active" | "reloading" | "refreshing");
    table.raw_set("active", active)?;
    Ok(table)
}

/// Why nothing is known of any unit, if so.
fn unknown(context: &Context) -> Option<String> {
    let counted = Series::new("systemd.units", &[("state", "active")]).ok()?;
    if context.services.store.get(counted.as_str()).is_some() {
        return None;
    }
    let parts = context.services.board.statuses();
    let part = parts
        .iter()
        .find(|part| part.room == Room::Collector && part.name == "unit");
    let reason = part.map(|part| match &part.reason {
        Some(reason) => format!("{}: {reason}", part.verdict),
        None => part.verdict.to_owned(),
    });
    let reason = reason.unwrap_or_else(|| "no collector of units runs here".to_owned());
    Some(format!("the states of units are not known ({reason})"))
}

#[cfg(test)]
mod tests {
    use crate::collect::unit::Selection;
    use crate::lua::testing::Stage;
    use crate::model::Batch;
    use crate::telemetry::{Room, Verdict};

    #[test]
    fn units_are_those_that_the_collector_has_put() {
        let stage = Stage::new();
        let mut batch = Batch::new();
        let path = zbus::OwnedObjectPath::try_from("/").unwrap();
        let listed = |name: &str, active: &str| {
            let empty = String::new;
            let load = "loaded".to_owned();
            (
                name.to_owned(),
                empty(),
                load,
                active.to_owned(),
                empty(),
                empty(),
                path.clone(),
                0,
                empty(),
                path.clone(),
            )
        };
        let units = [
            listed("web.service", "active"),
            listed("db.service", "failed"),
            listed("a.service", "reloading"),
            listed("x.timer", "failed"),
        ];
        Selection::default().add(&mut batch, &units);
        stage.store.put("unit", &batch, None);
        stage.pass(
            "local web = units.get('web')
             assert(web.name == 'web.service' and web.state == 'active' and web.active == true and web.at > 0)
             assert(units.get('db.service').active == false and units.get('a').active == true)
             local nothing, reason = units.get('x.timer')
             assert(nothing == nil and reason:find('x.timer is none of the units'), reason)
             local all = units.list()
             assert(#all == 3 and all[1].name == 'a.service' and all[3].name == 'web.service')
             assert(#units.list('*b.service') == 2 and #units.list('none*') == 0)
             local failed = units.failed()
             assert(#failed == 1 and failed[1].name == 'db.service' and failed[1].state == 'failed')
             assert(not pcall(units.get) and not pcall(units.list, 1))",
        );
    }

    #[test]
    fn without_the_collector_there_is_a_reason() {
        let stage = Stage::new();
        stage.pass(
            "local nothing, reason = units.failed()
             assert(nothing == nil and reason:find('no collector of units runs here'), reason)",
        );
        let verdict = Verdict::Unsupported("there is no bus".into());
        stage.board.part(Room::Collector, "unit", verdict);
        stage.pass(
            "for _, ask in ipairs({units.list, units.failed, function() return units.get('a') end}) do
               local nothing, reason = ask()
               assert(nothing == nil and reason:find('unsupported: there is no bus'), reason)
             end",
        );
    }
}
