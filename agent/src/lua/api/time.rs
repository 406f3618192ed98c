//! `time`: the clock, and pauses.

use std::sync::Arc;
use std::time::Duration;

use super::{Failure, Found, Module};
use crate::lua::go::time::parse;
use crate::lua::wait::wait;

/// The longest pause: a mistake in the number should not look like a plugin that hangs.
const SLEEP_MAX: f64 = 366.0 * 86_400.0;

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("unix", |_, context, _| {
        Ok(context.services.store.clock().wall().seconds())
    })?;
    module.function("unix_nano", |_, context, _| {
        Ok(context.services.store.clock().wall().0 as f64)
    })?;
    module.function("parse", |_, _, arguments| {
        let (layout, value) = (arguments.bytes(1)?, arguments.bytes(2)?);
        Ok(match parse(&layout.as_bytes(), &value.as_bytes()) {
            Ok(time) => Found::Is(time.seconds as f64),
            Err(error) => Found::Not(error.to_string()),
        })
    })?;
    module.waiting("sleep", |_, context, arguments| {
        let seconds = arguments.number(1)?.clamp(0.0, SLEEP_MAX);
        // Whole seconds, as ZaLua counted them.
        let pause = Duration::try_from_secs_f64(seconds.trunc())
            .map_err(|_| arguments.wrong(1, "seconds expected"))?;
        let tally = Arc::clone(&context.tally);
        Ok(wait(
            async move {
                if !pause.is_zero() {
                    tally.pauses();
                    tokio::time::sleep(pause).await;
                    tally.goes_on();
                }
            },
            |_, ()| Ok::<_, Failure>(()),
        ))
    })
}

#[cfg(test)]
mod tests {
    use crate::lua::testing::Stage;

    #[test]
    fn zalua_50_times_are_read_with_layouts_and_pauses_are_whole_seconds() {
        Stage::new().pass(
            r##"assert(time.parse("2006-01-02 15:04:05", "2017-06-09 12:30:00") == 1497011400)
            assert(time.parse("2006-01-02T15:04:05Z07:00", "2017-06-09T12:30:00+02:00") == 1497004200)
            assert(time.parse("Jan _2 15:04:05", "Jun  9 12:30:00") < -62e9)
            assert(select("#", time.parse("2006", "2017")) == 1)
            local seconds, message = time.parse("2006", "x")
            assert(seconds == nil and message:find("parsing time"), message)
            local seconds, message = time.parse("2006-01-02", "2017-02-30")
            assert(seconds == nil and message:find("day out of range"), message)
            assert(not pcall(time.parse, "2006"))
            local before = time.unix_nano()
            for _ = 1, 100 do time.sleep(0.9) time.sleep(-5) end
            local took = time.unix_nano() - before
            assert(took >= 0 and took < 10e9, took)
            assert(math.abs(time.unix_nano() / 1e9 - time.unix()) < 2)
            local ok, message = pcall(time.sleep, "1")
            assert(message:find("bad argument #1 to sleep %(number expected, got string%)"), message)"##,
        );
    }
}
