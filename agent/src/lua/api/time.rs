//! `time`: the clock, and pauses.

use std::sync::Arc;
use std::time::Duration;

use super::{Failure, Module};
use crate::lua::wait::wait;

/// The longest pause: a mistake in the number should not look like a plugin that hangs.
const SLEEP_MAX: f64 = 366.0 * 86_400.0;

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("unix", |_, context, _| {
        Ok(context.services.store.clock().wall().seconds())
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
