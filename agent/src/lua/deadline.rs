//! The end of a script that takes too long.
//!
//! The hook is the state's and not one thread's, because a thread's hook does not reach coroutines.
//! Once the time is over it is called before every instruction and raises each time, because a
//! script may catch the first error and go on. It cannot interrupt a blocking call of the
//! operating system, nor one call of a pattern function.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mlua::debug::Debug;
use mlua::{HookTriggers, Lua, VmState};

use crate::model::Clock;

/// How many instructions pass between two looks at the clock: some 10 µs.
const STEP: u32 = 1000;

/// A running time limit.
#[derive(Debug)]
pub(super) struct Deadline {
    stopped: Arc<OnceLock<String>>,
    over: Arc<AtomicBool>,
}

impl Deadline {
    /// Stops everything in the state once `limit` has passed from now, and then sets `over`.
    pub(super) fn start(
        lua: &Lua,
        clock: &Clock,
        limit: Duration,
        over: &Arc<AtomicBool>,
    ) -> mlua::Result<Self> {
        let stopped = Arc::new(OnceLock::new());
        let place = Arc::clone(&stopped);
        let clock = clock.clone();
        let set = Arc::clone(over);
        let end = clock.now() + limit;
        let look = HookTriggers::new().every_nth_instruction(STEP);
        lua.set_global_hook(look, move |lua, debug| {
            if clock.now() < end {
                return Ok(VmState::Continue);
            }
            set.store(true, Ordering::Relaxed);
            place.get_or_init(|| where_it_is(debug));
            let always = HookTriggers::new().every_nth_instruction(1);
            lua.set_global_hook(always, |_, _| Err(too_late()))?;
            Err(too_late())
        })?;
        let over = Arc::clone(over);
        Ok(Self { stopped, over })
    }

    /// Lifts the limit. When the script was stopped, gives the place, as `FILE:LINE:`.
    pub(super) fn lift(self, lua: &Lua) -> Option<String> {
        lua.remove_global_hook();
        self.over.store(false, Ordering::Relaxed);
        self.stopped.get().cloned()
    }
}

fn too_late() -> mlua::Error {
    mlua::Error::runtime("the script's time is over")
}

fn where_it_is(debug: &Debug<'_>) -> String {
    let source = debug.source();
    let file = source.short_src.unwrap_or_default();
    format!("{file}:{}:", debug.current_line().unwrap_or_default())
}
