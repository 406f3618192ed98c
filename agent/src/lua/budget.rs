//! What one turn of a script may use, and the end of a turn that uses more.
//!
//! A turn is the running of Lua between two pauses. The hook that looks is the state's and not one
//! thread's, because a thread's hook does not reach coroutines. Once the turn is over it is called
//! before every instruction and raises each time, because a script may catch the first error and go
//! on. It cannot interrupt a blocking call of the operating system.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mlua::debug::Debug;
use mlua::{HookTriggers, Lua, VmState};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;

use super::Fault;
use super::debug::OWN;
use crate::model::{Clock, Moment};

/// How many instructions pass between two looks: some 10 µs.
const STEP: u32 = 1000;

/// A turn that is over time is ended only when it has also computed for this part of it: on a
/// machine that is busy with others, an honest turn takes long and computes little.
const COMPUTED_PART: u32 = 4;

/// How many calls of the library's own there may be above the script's: there are three or so.
const LEVELS_MAX: usize = 20;

/// How much a script may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of the whole state, in bytes.
    pub memory: usize,
    /// Instructions of one turn, counted in thousands; none means without end.
    pub instructions: Option<u64>,
    /// Time of one turn; none means for ever.
    pub time: Option<Duration>,
}

impl Limits {
    /// Enough for a script that a person runs by hand, and little enough to leave the machine
    /// alone: memory alone, 256 MiB.
    pub const BY_HAND: Self = Self {
        memory: 256 * 1_048_576,
        instructions: None,
        time: None,
    };
}

/// The account of the turn that runs, shared by the hook, the library and whoever wants to end it.
#[derive(Debug)]
pub(crate) struct Budget {
    clock: Clock,
    limits: Limits,
    used: AtomicU64,
    began: AtomicU64,
    computed: AtomicU64,
    /// Somebody wants the script to end.
    ending: AtomicBool,
    /// Is notified of that.
    told: Notify,
    /// The turn is over, one way or another.
    over: AtomicBool,
    verdict: Mutex<Option<Verdict>>,
}

/// Why a turn was ended, and where the script was, as `FILE:LINE:`.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) fault: Fault,
    pub(super) place: String,
}

impl Budget {
    pub(super) fn new(clock: Clock, limits: Limits) -> Self {
        Self {
            clock,
            limits,
            used: AtomicU64::default(),
            began: AtomicU64::default(),
            computed: AtomicU64::default(),
            ending: AtomicBool::new(false),
            told: Notify::new(),
            over: AtomicBool::new(false),
            verdict: Mutex::default(),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Begins a turn on this thread.
    pub(super) fn begin(self: &Arc<Self>, lua: &Lua) -> mlua::Result<()> {
        self.used.store(0, Ordering::Relaxed);
        self.began.store(self.clock.now().0, Ordering::Relaxed);
        self.computed.store(computed(), Ordering::Relaxed);
        if self.over.swap(false, Ordering::Relaxed) {
            *self.lock() = None;
        }
        let budget = Arc::clone(self);
        let look = HookTriggers::new().every_nth_instruction(STEP);
        lua.set_global_hook(look, move |lua, debug| {
            budget.used.fetch_add(u64::from(STEP), Ordering::Relaxed);
            let Some(fault) = budget.judge() else {
                return Ok(VmState::Continue);
            };
            budget.end(fault, || where_it_is(debug));
            halt(lua)?;
            Err(over())
        })
    }

    /// Ends the turn; says why it was ended early, if it was.
    pub(super) fn finish(&self, lua: &Lua) -> Option<Verdict> {
        lua.remove_global_hook();
        self.lock().clone()
    }

    /// Has the script end: the turn that runs, or the next one at its beginning.
    pub(crate) fn stop(&self) {
        self.ending.store(true, Ordering::Relaxed);
        self.told.notify_waiters();
    }

    /// Returns when somebody wants the script to end.
    pub(super) async fn stopped(&self) {
        loop {
            let mut told = pin!(self.told.notified());
            // From here on no call of `stop` goes unheard.
            told.as_mut().enable();
            if self.is_stopped() {
                return;
            }
            told.await;
        }
    }

    /// Ends the turn as one that was to end, outside any instruction of the script.
    pub(super) fn give_up(&self) {
        self.end(Fault::Stopped, String::new);
    }

    /// Takes a stop back: the next turn may run.
    pub(super) fn resume(&self) {
        self.ending.store(false, Ordering::Relaxed);
    }

    /// Whether somebody wants the script to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Whether the turn is over, so that nothing more should be done for it.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Looks whether the turn is over, for library functions that work long without an instruction
    /// of the script. When it is, it ends here as it does in the hook: not one more instruction of
    /// the script runs, and what is told of it is the limit.
    ///
    /// # Errors
    /// When the turn is over. The function returns the error; what it has so far is no result.
    pub(crate) fn check(&self, lua: &Lua) -> mlua::Result<()> {
        if !self.is_over() {
            let Some(fault) = self.judge() else {
                return Ok(());
            };
            self.end(fault, || where_the_script_is(lua));
        }
        halt(lua)?;
        Err(over())
    }

    fn judge(&self) -> Option<Fault> {
        if self.is_stopped() {
            return Some(Fault::Stopped);
        }
        if let Some(limit) = self.limits.instructions
            && self.used.load(Ordering::Relaxed) > limit
        {
            return Some(Fault::Instructions(limit));
        }
        let limit = self.limits.time?;
        let began = Moment(self.began.load(Ordering::Relaxed));
        if self.clock.now().since(began) <= limit {
            return None;
        }
        let ran = computed().saturating_sub(self.computed.load(Ordering::Relaxed));
        let late = Duration::from_nanos(ran) > limit / COMPUTED_PART;
        late.then_some(Fault::Time(limit))
    }

    fn end(&self, fault: Fault, place: impl FnOnce() -> String) {
        self.over.store(true, Ordering::Relaxed);
        let mut verdict = self.lock();
        if verdict.is_none() {
            let place = place();
            *verdict = Some(Verdict { fault, place });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Verdict>> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how long this thread has computed, in nanoseconds.
fn computed() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanoseconds = Duration::try_from(time).unwrap_or_default().as_nanos();
    u64::try_from(nanoseconds).unwrap_or(u64::MAX)
}

/// Has an error raised before each instruction from here to the end of the turn.
fn halt(lua: &Lua) -> mlua::Result<()> {
    let always = HookTriggers::new().every_nth_instruction(1);
    lua.set_global_hook(always, |_, _| Err(over()))
}

fn over() -> mlua::Error {
    mlua::Error::runtime("the script's turn is over")
}

fn where_it_is(debug: &Debug<'_>) -> String {
    let source = debug.source();
    let file = source.short_src.unwrap_or_default();
    format!("{file}:{}:", debug.current_line().unwrap_or_default())
}

/// The innermost line of the script's own, seen from a library function that it called.
fn where_the_script_is(lua: &Lua) -> String {
    for level in 0..LEVELS_MAX {
        let place = lua.inspect_stack(level, |frame| {
            let source = frame.source();
            let name = source.source.as_deref().unwrap_or_default();
            let is_own = source.what == "C" || OWN.contains(&name);
            (!is_own).then(|| where_it_is(frame))
        });
        match place {
            Some(None) => {}
            Some(Some(place)) => return place,
            None => break,
        }
    }
    String::new()
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
