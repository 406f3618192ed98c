//! `rate`: the change of a counter per second.

use super::fields::{finite, time};
use super::{Module, object};

const METER: &str = "rate.meter";

/// The last value and when it was, in seconds.
#[derive(Debug, Default)]
struct Meter(Option<(f64, f64)>);

impl Meter {
    /// Takes the next value. Unknown is the rate of the first, of one that is lower than the one
    /// before, which begins anew, and of one at no later time, which is left out.
    fn next(&mut self, value: f64, at: f64) -> Option<f64> {
        match self.0 {
            Some((before, then)) if value >= before => {
                let seconds = at - then;
                if seconds <= 0.0 {
                    return None;
                }
                self.0 = Some((value, at));
                Some((value - before) / seconds)
            }
            _ => {
                self.0 = Some((value, at));
                None
            }
        }
    }
}

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    let methods = module.another()?;
    methods.function("next", |_, context, arguments| {
        let value = finite(&arguments, 2)?;
        let at = time(context, &arguments, 3)?;
        let mut meter = arguments.object_mut::<Meter>(1, METER)?;
        Ok(meter.next(value, at))
    })?;
    methods.class(METER)?;
    module.function("new", |lua, _, _| Ok(object(lua, METER, Meter::default())?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::collect::Root;
    use crate::lua::testing::Stage;
    use crate::model::Clock;

    #[test]
    fn the_clock_of_the_store_counts() {
        let (clock, hand) = Clock::manual();
        hand.advance(Duration::from_secs(1000));
        let stage = Stage::with(clock, Root::machine());
        let run = stage.start(
            "script.lua",
            "local meter = rate.new()
             assert(meter:next(100) == nil)
             metrics.set('ready', 1)
             while not metrics.get('go') do time.sleep(0) end
             assert(meter:next(150) == 5)",
        );
        while stage.store.get("ready").is_none() && run.ending().is_none() {
            std::thread::yield_now();
        }
        hand.advance(Duration::from_secs(10));
        let go = crate::model::Series::parse("go").unwrap();
        let (kind, unit) = (crate::model::Kind::Gauge, crate::model::Unit::ONE);
        stage.store.put_one("test", &go, kind, unit, 1.0, None);
        stage.wait(&run).unwrap();
    }

    #[test]
    fn resets_and_standing_clocks_have_no_rate() {
        Stage::new().pass(
            "local meter = rate.new()
             assert(meter:next(100, 1) == nil)
             assert(meter:next(200, 11) == 10)
             assert(meter:next(5, 21) == nil)
             assert(meter:next(25, 31) == 2)
             assert(meter:next(30, 31) == nil and meter:next(30, 20) == nil)
             assert(meter:next(35, 36) == 2)
             for _, wrong in ipairs({0 / 0, 1 / 0, 'x', false}) do
               assert(not pcall(meter.next, meter, wrong))
             end
             local ok, message = pcall(meter.next, {}, 1)
             assert(not ok and message:find('rate.meter expected'), message)",
        );
    }

    proptest! {
        #[test]
        fn a_rate_is_never_negative(values in proptest::collection::vec((0_u32.., 0_u32..100), 0..50)) {
            let mut meter = Meter::default();
            let mut at = 0.0;
            for (value, seconds) in values {
                at += f64::from(seconds);
                if let Some(rate) = meter.next(f64::from(value), at) {
                    prop_assert!(rate >= 0.0 && rate.is_finite());
                }
            }
        }
    }
}
