//! `threshold`: what level a value has reached.

use super::fields::{Fields, finite};
use super::{Failure, Module, object};

const LIMITS: &str = "threshold.limits";

/// From which value on what is the matter.
#[derive(Clone, Copy, Debug)]
struct Limits {
    warn: Option<f64>,
    critical: Option<f64>,
    below: bool,
}

impl Limits {
    fn read(fields: &Fields<'_>) -> Result<Self, Failure> {
        let limits = Self {
            warn: fields.number("warn")?,
            critical: fields.number("critical")?,
            below: below(fields)?,
        };
        match (limits.warn, limits.critical) {
            (None, None) => Err(fields.wrong("warn or critical must be given")),
            // Both at one level is no mistake: then there is no warning.
            (Some(warn), Some(critical)) if !limits.reached(critical, warn) => {
                let order = if limits.below { "below" } else { "above" };
                Err(fields.wrong(&format!(
                    "critical must lie {order} warn, or direction be the other"
                )))
            }
            _ => Ok(limits),
        }
    }

    fn reached(&self, value: f64, limit: f64) -> bool {
        if self.below {
            value <= limit
        } else {
            value >= limit
        }
    }

    fn check(&self, value: f64) -> &'static str {
        let reached = |limit: Option<f64>| limit.is_some_and(|limit| self.reached(value, limit));
        if reached(self.critical) {
            "critical"
        } else if reached(self.warn) {
            "warning"
        } else {
            "ok"
        }
    }
}

/// Whether `direction` is `below`; `above` when it is not given.
fn below(fields: &Fields<'_>) -> Result<bool, Failure> {
    match fields.text("direction")?.as_deref() {
        None | Some("above") => Ok(false),
        Some("below") => Ok(true),
        Some(_) => Err(fields.wrong("direction must be \"above\" or \"below\"")),
    }
}

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    let methods = module.another()?;
    methods.function("check", |_, _, arguments| {
        let value = finite(&arguments, 2)?;
        Ok(arguments.object::<Limits>(1, LIMITS)?.check(value))
    })?;
    methods.class(LIMITS)?;
    module.function("new", |lua, _, arguments| {
        let fields = Fields::new(&arguments, 1, &["warn", "critical", "direction"])?;
        Ok(object(lua, LIMITS, Limits::read(&fields)?)?)
    })
}

#[cfg(test)]
mod tests {
    use crate::lua::testing::Stage;

    #[test]
    fn levels_are_reached_from_either_side() {
        Stage::new().pass(
            "local full = threshold.new{warn = 80, critical = 95}
             assert(full:check(79.9) == 'ok' and full:check(80) == 'warning')
             assert(full:check(94) == 'warning' and full:check(95) == 'critical')
             local free = threshold.new{warn = 20, critical = 5, direction = 'below'}
             assert(free:check(21) == 'ok' and free:check(20) == 'warning' and free:check(5) == 'critical')
             assert(threshold.new{critical = 0}:check(-1) == 'ok')
             assert(threshold.new{warn = 3, critical = 3}:check(3) == 'critical')",
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        Stage::new().pass(
            "for text, options in pairs({
               ['critical must lie above warn'] = {warn = 95, critical = 80},
               ['critical must lie below warn'] = {warn = 5, critical = 80, direction = 'below'},
               ['warn or critical must be given'] = {},
               ['none of its options'] = {warning = 3},
               ['must be a finite number'] = {warn = '3'},
               ['direction must be'] = {warn = 3, direction = 'up'},
             }) do
               local ok, message = pcall(threshold.new, options)
               assert(not ok and message:find(text, 1, true), message)
             end
             assert(not pcall(threshold.new) and not pcall(threshold.new, {warn = 0 / 0}))
             local limits = threshold.new{warn = 1}
             assert(not pcall(limits.check, limits, 0 / 0) and not pcall(limits.check, limits))",
        );
    }
}
