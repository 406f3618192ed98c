//! `hysteresis`: an alarm that is neither raised nor cleared in haste.

use super::fields::{Fields, finite, time};
use super::{Failure, Module, object};

const ALARM: &str = "hysteresis.alarm";

/// An alarm with two levels and the times that a value must stay beyond them.
#[derive(Clone, Copy, Debug)]
struct Alarm {
    raise: f64,
    clear: f64,
    raise_after: f64,
    clear_after: f64,
    raised: bool,
    /// When the alarm was last raised or cleared, or first checked.
    changed: Option<f64>,
    /// Since when values have been beyond the level that would change the alarm.
    pending: Option<f64>,
}

impl Alarm {
    fn read(fields: &Fields<'_>) -> Result<Self, Failure> {
        let Some(raise) = fields.number("raise")? else {
            return Err(fields.wrong("raise must be given"));
        };
        Ok(Self {
            raise,
            clear: fields.number("clear")?.unwrap_or(raise),
            raise_after: fields.seconds("raise_after")?.unwrap_or(0.0),
            clear_after: fields.seconds("clear_after")?.unwrap_or(0.0),
            raised: false,
            changed: None,
            pending: None,
        })
    }

    /// Whether the value is on the other side of what keeps the alarm as it is.
    fn is_beyond(&self, value: f64) -> bool {
        // A level to clear at that lies above the one to raise at means that low values are bad.
        let low_is_bad = self.clear > self.raise;
        match (self.raised, low_is_bad) {
            (false, false) => value >= self.raise,
            (false, true) => value <= self.raise,
            // With one level for both, only what lies within it clears.
            (true, false) => value < self.clear || (value <= self.clear && self.clear < self.raise),
            (true, true) => value >= self.clear,
        }
    }

    /// Takes a value; says whether the alarm changed.
    fn check(&mut self, value: f64, at: f64) -> bool {
        let begun = *self.changed.get_or_insert(at);
        // A clock that goes back has the time begin anew.
        if at < begun {
            self.changed = Some(at);
        }
        if !self.is_beyond(value) {
            self.pending = None;
            return false;
        }
        let since = *self.pending.get_or_insert(at);
        if at < since {
            self.pending = Some(at);
        }
        let after = if self.raised {
            self.clear_after
        } else {
            self.raise_after
        };
        if at - since < after {
            return false;
        }
        self.raised = !self.raised;
        self.changed = Some(at);
        self.pending = None;
        true
    }
}

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    let methods = module.another()?;
    methods.function("check", |_, context, arguments| {
        let value = finite(&arguments, 2)?;
        let at = time(context, &arguments, 3)?;
        let mut alarm = arguments.object_mut::<Alarm>(1, ALARM)?;
        let changed = alarm.check(value, at);
        Ok((alarm.raised, changed))
    })?;
    methods.function("raised", |_, _, arguments| {
        Ok(arguments.object::<Alarm>(1, ALARM)?.raised)
    })?;
    methods.function("since", |_, context, arguments| {
        let now = time(context, &arguments, 2)?;
        let changed = arguments.object::<Alarm>(1, ALARM)?.changed;
        Ok(changed.map(|changed| (now - changed).max(0.0)))
    })?;
    methods.class(ALARM)?;
    module.function("new", |lua, _, arguments| {
        let known = ["raise", "clear", "raise_after", "clear_after"];
        let fields = Fields::new(&arguments, 1, &known)?;
        Ok(object(lua, ALARM, Alarm::read(&fields)?)?)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lua::testing::Stage;

    #[test]
    fn an_alarm_waits_before_it_is_raised_and_cleared() {
        Stage::new().pass(
            "local alarm = hysteresis.new{raise = 90, clear = 80, raise_after = 30, clear_after = 60}
             local function check(value, at, raised, changed)
               local r, c = alarm:check(value, at)
               assert(r == raised and c == changed, value .. ' at ' .. at)
             end
             check(95, 0, false, false)
             check(95, 20, false, false)
             check(85, 25, false, false) -- it was not there for long enough
             check(91, 30, false, false)
             check(92, 60, true, true)
             assert(alarm:raised() and alarm:since(65) == 5)
             check(85, 70, true, false) -- between the levels nothing changes
             check(80, 80, true, false)
             check(70, 139, true, false)
             check(70, 140, false, true)
             assert(not alarm:raised() and alarm:since(150) == 10)",
        );
    }

    #[test]
    fn low_values_may_be_the_bad_ones_and_times_may_be_none() {
        Stage::new().pass(
            "local free = hysteresis.new{raise = 5, clear = 10}
             assert(free:since() == nil)
             assert(free:check(6) == false)
             assert(select(2, free:check(5)) == true)
             assert(free:check(9) == true)
             assert(free:check(10) == false)
             local one = hysteresis.new{raise = 3}
             assert(one:check(3) == true and one:check(3) == true and one:check(2.9) == false)
             assert(free:since() >= 0)
             for text, options in pairs({
               ['raise must be given'] = {clear = 3},
               ['cannot be negative'] = {raise = 3, raise_after = -1},
               ['none of its options'] = {raise = 3, after = 1},
             }) do
               local ok, message = pcall(hysteresis.new, options)
               assert(not ok and message:find(text, 1, true), message)
             end",
        );
    }

    proptest! {
        #[test]
        fn an_alarm_never_changes_sooner_than_its_times(
            values in proptest::collection::vec((0_u8..20, 0_u8..5), 1..100),
        ) {
            let mut alarm = Alarm {
                raise: 12.0,
                clear: 8.0,
                raise_after: 6.0,
                clear_after: 9.0,
                raised: false,
                changed: None,
                pending: None,
            };
            let (mut at, mut beyond_since) = (0.0, None);
            for (value, seconds) in values {
                at += f64::from(seconds);
                let value = f64::from(value);
                let was = alarm.raised;
                let beyond = if was { value <= 8.0 } else { value >= 12.0 };
                if beyond {
                    beyond_since.get_or_insert(at);
                } else {
                    beyond_since = None;
                }
                let least = if was { 9.0 } else { 6.0 };
                let expected = beyond_since.is_some_and(|since| at - since >= least);
                prop_assert_eq!(alarm.check(value, at), expected);
                if expected {
                    beyond_since = None;
                }
            }
        }
    }
}
