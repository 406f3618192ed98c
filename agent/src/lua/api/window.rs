//! `window`: the last values of something, and what they come to.

use std::collections::VecDeque;

use super::fields::{Fields, finite, now, time};
use super::{Arguments, Failure, Module, object};

const VALUES: &str = "window.values";

/// The most values of one window; at one a second that is nearly three hours.
const VALUES_MAX: usize = 10_000;

/// The last values, oldest first.
#[derive(Debug)]
struct Values {
    /// How old a value may become, in seconds.
    seconds: Option<f64>,
    /// How many there may be.
    most: usize,
    values: VecDeque<(f64, f64)>,
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
        let most = match count {
            None => VALUES_MAX,
            Some(count) if (1.0..=VALUES_MAX as f64).contains(&count) && count.fract() == 0.0 => {
                count as usize
            }
            Some(_) => {
                let what = format!("count must be a whole number from 1 to {VALUES_MAX}");
                return Err(arguments.wrong(1, &what));
            }
        };
        Ok(Self {
            seconds,
            most,
            values: VecDeque::new(),
            own_time: None,
        })
    }

    fn add(&mut self, value: f64, at: f64) {
        self.forget(at);
        if self.values.len() >= self.most {
            self.values.pop_front();
        }
        self.values.push_back((value, at));
    }

    /// Drops what has become too old.
    fn forget(&mut self, now: f64) {
        let Some(seconds) = self.seconds else { return };
        while self
            .values
            .front()
            .is_some_and(|(_, at)| now - at >= seconds)
        {
            self.values.pop_front();
        }
    }

    fn numbers(&self) -> impl Iterator<Item = f64> {
        self.values.iter().map(|(value, _)| *value)
    }

    fn sum(&self) -> f64 {
        self.numbers().sum()
    }

    /// The value at or below which the share of all values lies.
    fn quantile(&self, share: f64) -> Option<f64> {
        let mut sorted: Vec<f64> = self.numbers().collect();
        let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize - 1;
        if rank >= sorted.len() {
            return None;
        }
        let (_, value, _) = sorted.select_nth_unstable_by(rank, f64::total_cmp);
        Some(*value)
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
    methods.function("add", |_, context, arguments| {
        let value = finite(&arguments, 2)?;
        let at = time(context, &arguments, 3)?;
        let mut values = arguments.object_mut::<Values>(1, VALUES)?;
        values.own_time = arguments.is_given(3).then_some(at);
        values.add(value, at);
        Ok(())
    })?;
    method(&methods, "count", |values, _| Ok(values.values.len()))?;
    method(&methods, "sum", |values, _| Ok(values.sum()))?;
    method(&methods, "mean", |values, _| {
        let count = values.values.len();
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

    proptest! {
        #[test]
        fn a_quantile_has_its_share_at_or_below_it(
            numbers in proptest::collection::vec(-1e6_f64..1e6, 1..200),
            share in 0.0_f64..=1.0,
        ) {
            let mut values = Values {
                seconds: None,
                most: VALUES_MAX,
                values: VecDeque::new(),
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
