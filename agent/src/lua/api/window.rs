//! `window`: the last values of something, and what they come to.

use std::collections::VecDeque;

use mlua::Lua;

use super::fields::{Fields, finite, now, time};
use super::{Arguments, Failure, Module, object};
use crate::lua::context::Context;
use crate::lua::quota::Held;

const VALUES: &str = "window.values";

/// The most values of one window; at one a second that is nearly three hours.
const VALUES_MAX: u32 = 10_000;

/// How many values room is made for at a time.
const CHUNK: usize = 256;

/// The last values, oldest first.
#[derive(Debug)]
struct Values {
    /// How old a value may become, in seconds.
    seconds: Option<f64>,
    /// How many there may be.
    most: usize,
    kept: VecDeque<(f64, f64)>,
    /// The room for them, a chunk each.
    held: Vec<Held>,
    /// The time of the last value, when the script gives times of its own.
    own_time: Option<f64>,
}

impl Values {
    fn read(arguments: &Arguments) -> Result<Self, Failure> {
        let (seconds, count) = if arguments.get(1).is_table() {
            let fields = Fields::new(arguments, 1, &["seconds", "count"])?;
            (fields.number("seconds")?, fields.number("count")?)
        } else {
            (Some(finite(arguments, 1)?), None)
        };
        if seconds.is_none() && count.is_none() {
            return Err(arguments.wrong(1, "seconds or count must be given"));
        }
        if seconds.is_some_and(|seconds| seconds <= 0.0) {
            return Err(arguments.wrong(1, "seconds must be more than 0"));
        }
        let most = match count.map(whole) {
            None => VALUES_MAX,
            Some(Some(count @ 1..=VALUES_MAX)) => count,
            Some(_) => {
                let what = format!("count must be a whole number from 1 to {VALUES_MAX}");
                return Err(arguments.wrong(1, &what));
            }
        };
        Ok(Self {
            seconds,
            most: most as usize,
            kept: VecDeque::new(),
            held: Vec::new(),
            own_time: None,
        })
    }

    /// Whether the next value needs another chunk.
    fn is_full(&self) -> bool {
        let room = self.held.len() * CHUNK;
        self.kept.len() >= room && room < self.most
    }

    fn add(&mut self, value: f64, at: f64) {
        if self.kept.len() >= self.most {
            self.kept.pop_front();
        }
        self.kept.push_back((value, at));
    }

    /// Drops what has become too old.
    fn forget(&mut self, now: f64) {
        let Some(seconds) = self.seconds else { return };
        while self.kept.front().is_some_and(|(_, at)| now - at >= seconds) {
            self.kept.pop_front();
        }
    }

    fn numbers(&self) -> impl Iterator<Item = f64> {
        self.kept.iter().map(|(value, _)| *value)
    }

    fn sum(&self) -> f64 {
        self.numbers().sum()
    }

    /// The value at or below which the share of all values lies.
    fn quantile(&self, share: f64) -> Option<f64> {
        let mut sorted: Vec<f64> = self.numbers().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let rank = whole((share * sorted.len() as f64).ceil().max(1.0))?;
        sorted.get(rank as usize - 1).copied()
    }
}

/// A method that says something of the values which are not too old.
fn method<R: mlua::IntoLuaMulti>(
    module: &Module<'_>,
    name: &'static str,
    look: impl Fn(&Values, &Arguments) -> Result<R, Failure> + Send + 'static,
) -> mlua::Result<()> {
    module.function(name, move |_, context, arguments| {
        let mut values = arguments.object_mut::<Values>(1, VALUES)?;
        let now = values.own_time.unwrap_or_else(|| now(context));
        values.forget(now);
        look(&values, &arguments)
    })
}

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    let methods = module.another()?;
    methods.function("add", |lua, context, arguments| {
        let value = finite(&arguments, 2)?;
        let at = time(context, &arguments, 3)?;
        let mut values = arguments.object_mut::<Values>(1, VALUES)?;
        values.own_time = arguments.is_given(3).then_some(at);
        values.forget(at);
        if values.is_full() {
            values
                .held
                .push(hold(lua, context, CHUNK * size_of::<(f64, f64)>())?);
        }
        values.add(value, at);
        Ok(())
    })?;
    method(&methods, "count", |values, _| Ok(values.kept.len()))?;
    method(&methods, "sum", |values, _| Ok(values.sum()))?;
    method(&methods, "mean", |values, _| {
        let count = values.kept.len();
        Ok((count > 0).then(|| values.sum() / count as f64))
    })?;
    method(&methods, "min", |values, _| {
        Ok(values.numbers().reduce(f64::min))
    })?;
    method(&methods, "max", |values, _| {
        Ok(values.numbers().reduce(f64::max))
    })?;
    method(&methods, "quantile", |values, arguments| {
        Ok(values.quantile(share(arguments, 2)?))
    })?;
    methods.class(VALUES)?;
    module.function("new", |lua, _, arguments| {
        Ok(object(lua, VALUES, Values::read(&arguments)?)?)
    })
}

/// Takes memory for values out of what the script has.
pub(super) fn hold(lua: &Lua, context: &Context, bytes: usize) -> Result<Held, Failure> {
    context.values.take(lua, bytes)?.ok_or_else(|| {
        let mebibytes = context.values.most() / 1_048_576;
        Failure::raise(format!(
            "the windows and histograms of this script hold {mebibytes} MiB; that is the most"
        ))
    })
}

/// The number, when it is whole and not below zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is whole and within the range"
)]
fn whole(number: f64) -> Option<u32> {
    let range = 0.0..=f64::from(u32::MAX);
    (number.fract() == 0.0 && range.contains(&number)).then_some(number as u32)
}

/// A share from 0 to 1.
pub(super) fn share(arguments: &Arguments, position: usize) -> Result<f64, Failure> {
    let share = arguments.number(position)?;
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err(arguments.wrong(position, "number from 0 to 1 expected"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lua::testing::Stage;

    #[test]
    fn values_become_too_old_or_too_many() {
        Stage::new().pass(
            "local last = window.new(60)
             assert(last:count() == 0 and last:sum() == 0)
             assert(last:mean() == nil and last:min() == nil and last:quantile(0.5) == nil)
             for second = 0, 100, 10 do last:add(second, second) end
             assert(last:count() == 6 and last:min() == 50 and last:max() == 100)
             assert(last:mean() == 75 and last:sum() == 450)
             assert(last:quantile(0.5) == 70 and last:quantile(0) == 50 and last:quantile(1) == 100)
             local three = window.new{count = 3}
             for number = 1, 10 do three:add(number) end
             assert(three:count() == 3 and three:sum() == 27)
             local both = window.new{count = 2, seconds = 5}
             both:add(1, 1) both:add(2, 2) both:add(3, 3) assert(both:count() == 2)
             both:add(4, 7.5) assert(both:count() == 2 and both:min() == 3)
             local many = window.new(1e9)
             for number = 1, 12000 do many:add(number) end
             assert(many:count() == 10000 and many:min() == 2001)
             for _, wrong in ipairs({0, -1, {}, {count = 0}, {count = 1.5}, {count = 1e9}, {minutes = 1}, 'x'}) do
               assert(not pcall(window.new, wrong))
             end
             assert(not pcall(last.quantile, last, 2) and not pcall(last.add, last))",
        );
    }

    #[test]
    fn windows_of_one_script_are_bounded_together_and_give_back_what_they_held() {
        Stage::new().pass(
            "local many = {}
             local function fill()
               for number = 1, 1000 do
                 many[number] = window.new{count = 10000}
                 for value = 1, 10000 do many[number]:add(value) end
               end
             end
             for pass = 1, 2 do
               local ok, message = pcall(fill)
               assert(not ok and message:find('hold 16 MiB'), message)
               assert(#many > 90 and #many < 110, #many)
               many = {}
             end",
        );
    }

    proptest! {
        #[test]
        fn a_quantile_has_its_share_at_or_below_it(
            numbers in proptest::collection::vec(-1e6_f64..1e6, 1..200),
            share in 0.0_f64..=1.0,
        ) {
            let mut values = Values {
                seconds: None,
                most: VALUES_MAX as usize,
                kept: VecDeque::new(),
                held: Vec::new(),
                own_time: None,
            };
            for number in &numbers {
                values.add(*number, 0.0);
            }
            let quantile = values.quantile(share).unwrap();
            let below = numbers.iter().filter(|number| **number <= quantile).count();
            let under = numbers.iter().filter(|number| **number < quantile).count();
            prop_assert!(below as f64 >= share * numbers.len() as f64);
            prop_assert!((under as f64) < (share * numbers.len() as f64).ceil().max(1.0));
        }
    }
}
