//! The pages of plugins on the status board, and their series.
//!
//! A page exists as long as somebody holds it: the supervisor while the plugin's file is there, a
//! script while it holds what `plugin.new` gave it. It outlives runs, and sums them up.
//!
//! | series | unit | |
//! |---|---|---|
//! | `moonward.plugin.state{plugin}` | | words: starting, active, degraded, failed, off |
//! | `moonward.plugin.runs{plugin}` | `{run}` | counter |
//! | `moonward.plugin.errors{plugin}` | `{error}` | counter |
//! | `moonward.plugin.restarts{plugin}` | `{restart}` | counter |
//! | `moonward.plugin.time{plugin}` | s | counter, time in which Lua ran |
//! | `moonward.plugin.memory{plugin}` | By | of its Lua states, after their last turns, with those of what it runs |
//!
//! What a plugin runs by `plugin.new` has a series of its own as well: its memory is in that of the
//! plugin that runs it, so the sum over all series counts it twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::account::Account;
use super::host::{Ending, Run};
use super::pool::THREADS_MAX;
use super::{Fault, ScriptError};
use crate::model::{Batch, Series, Unit};
use crate::store::Store;
use crate::telemetry::events::Events;
use crate::telemetry::status::{MEMORY_BYTES, RESTARTS};
use crate::telemetry::{Part, Room, StatusBoard, Sums, Verdict};

/// What the series of pages are put as.
const SOURCE: &str = "plugins";

/// How long the values of a page hold: three rounds of [`Register::publish`].
const TTL: Duration = Duration::from_secs(30);

/// A turn that lasts longer hangs in a call of the library or the system: Lua itself is ended
/// sooner. So long a turn may also wait for a thread before that is told.
const HANGING: Duration = Duration::from_secs(5);

/// The name of the event that a plugin failed.
const FAILED: &str = "plugin.failed";

/// The series of a page.
const NAMES: [&str; 6] = [
    "moonward.plugin.errors",
    "moonward.plugin.memory",
    "moonward.plugin.restarts",
    "moonward.plugin.runs",
    "moonward.plugin.state",
    "moonward.plugin.time",
];

/// All pages of plugins. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Register {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    board: StatusBoard,
    store: Store,
    events: Events,
    pages: Mutex<BTreeMap<String, Weak<Page>>>,
}

/// One plugin's page.
#[derive(Debug)]
pub(super) struct Page {
    inner: Arc<Inner>,
    name: String,
    part: Arc<Part>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The latest run.
    run: Option<Run>,
    /// Those that have a state: a script may run a file more than once.
    going: Vec<Run>,
    /// One before that which was told to end, and whose last turn has its thread still.
    before: Option<Run>,
    /// What all runs before the latest came to.
    past: Sums,
    starts: u64,
    errors: u64,
}

impl Register {
    pub(super) fn new(board: StatusBoard, store: Store) -> Self {
        let events = Events::new(store.clock().clone());
        Self {
            inner: Arc::new(Inner {
                board,
                store,
                events,
                pages: Mutex::default(),
            }),
        }
    }

    /// The page of this name, which is made when there is none.
    pub(super) fn page(&self, name: &str) -> Arc<Page> {
        let mut pages = self.inner.lock();
        if let Some(page) = pages.get(name).and_then(Weak::upgrade) {
            return page;
        }
        let part = self.inner.board.part(Room::Plugin, name, Verdict::Starting);
        // One of a page that goes at this moment may be on the board still.
        part.is_at(Sums::default());
        let page = Arc::new(Page {
            inner: Arc::clone(&self.inner),
            name: name.to_owned(),
            part,
            state: Mutex::default(),
        });
        pages.insert(name.to_owned(), Arc::downgrade(&page));
        page
    }

    /// Brings every page up to date.
    pub(super) fn refresh(&self) {
        for page in self.pages() {
            page.refresh();
        }
    }

    /// Puts the series of every page.
    pub(super) fn publish(&self) {
        let mut batch = Batch::new();
        for page in self.pages() {
            page.refresh();
            page.observe(&mut batch);
        }
        self.inner.store.put(SOURCE, &batch, Some(TTL));
    }

    fn pages(&self) -> Vec<Arc<Page>> {
        self.inner
            .lock()
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Weak<Page>>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Page {
    /// Says how the plugin is when it does not run; returns whether that is news.
    pub(super) fn set(&self, verdict: Verdict) -> bool {
        self.part.set(verdict)
    }

    /// The run that began last.
    pub(super) fn run(&self) -> Option<Run> {
        self.lock().run.clone()
    }

    /// The run that a new one must not overlap with: one that was told to end and has not let go of
    /// its thread.
    pub(super) fn predecessor(&self) -> Option<Run> {
        self.lock().predecessor()
    }

    /// A run begins.
    pub(super) fn begins(&self, run: Run) {
        let mut state = self.lock();
        state.past = state.sums();
        state.before = state.predecessor();
        state.going.push(run.clone());
        state.run = Some(run);
        state.starts += 1;
        drop(state);
        self.part.set(Verdict::Starting);
        self.refresh();
    }

    /// A run has ended: the page says how, and the journal too when it failed. `again` is when the
    /// next run begins, if anybody sees to that.
    pub(super) fn ended(&self, run: &Run, again: Option<Duration>) {
        if let Some(Ending::Failed(error)) = run.ending()
            && error.fault != Fault::Stopped
        {
            // When the thread comes back nobody can say.
            self.fails(&error, again.filter(|_| !run.is_left_behind()));
        }
        self.rests(run, again.is_some());
    }

    /// Says how the plugin is after a run; `again` is whether there will be another. While a turn of
    /// it still has its thread, the page says that instead, and this is for when it comes back.
    pub(super) fn rests(&self, run: &Run, again: bool) {
        let verdict = match run.ending() {
            None => return,
            // It has done what it does, and does it again.
            Some(Ending::Returned) if again => Verdict::Active,
            Some(Ending::Returned) => Verdict::Off,
            Some(Ending::Failed(error)) if error.fault == Fault::Stopped => Verdict::Off,
            Some(Ending::Failed(error)) => Verdict::Failed(error.to_string()),
        };
        if !run.is_left_behind() && self.run().is_some_and(|latest| latest.is(run)) {
            self.part.set(verdict);
        }
        self.refresh();
    }

    /// Counts a failure and tells the journal.
    pub(super) fn fails(&self, error: &ScriptError, again: Option<Duration>) {
        self.lock().errors += 1;
        // The same again is told once in a while, something else at once.
        let subject = format!("{}: {error}", self.name);
        if let Some(suppressed) = self.inner.events.admit(FAILED, &subject) {
            tracing::error!(
                plugin = self.name,
                script = error.script,
                line = error.line,
                error = %error.fault,
                traceback = error.traceback.as_deref().unwrap_or_default(),
                again_in = again.map(|pause| format!("{} s", pause.as_secs_f64())),
                suppressed,
                "a plugin has failed"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refresh(&self) {
        let mut state = self.lock();
        state.going.retain(|run| !run.is_released());
        let memory = Account::shown(state.going.iter().map(Run::account));
        let verdict = self.verdict(&state);
        let (sums, restarts) = (state.sums(), state.starts.saturating_sub(1));
        drop(state);
        self.part.is_at(sums);
        self.part.detail(MEMORY_BYTES, memory as u64);
        self.part.detail(RESTARTS, restarts);
        let Some(verdict) = verdict else {
            return;
        };
        let reason = match &verdict {
            Verdict::Degraded(reason) => Some(reason.clone()),
            _ => None,
        };
        if self.part.set(verdict)
            && let Some(reason) = reason
        {
            tracing::warn!(plugin = self.name, reason, "a plugin does not go on");
        }
    }

    /// What is to be said of a plugin; nothing when it has ended or is about to.
    fn verdict(&self, state: &State) -> Option<Verdict> {
        let run = state.run.as_ref()?;
        let mut runs = [Some(run), state.before.as_ref()].into_iter().flatten();
        if let Some(left) = runs.find(|run| run.is_left_behind()) {
            let since = self.utc(left.status().in_turn.unwrap_or_default());
            return Some(Verdict::Degraded(format!(
                "hangs in a call of the library or the system since {since} although it was told \
                 to end; it is not run again before that call ends"
            )));
        }
        if run.ending().is_some() || run.is_stopped() {
            return None;
        }
        let status = run.status();
        Some(match (status.in_turn, status.awaits_thread) {
            (Some(for_long), _) if for_long >= HANGING => Verdict::Degraded(format!(
                "hangs in a call of the library or the system since {}",
                self.utc(for_long)
            )),
            (_, Some(for_long)) if for_long >= HANGING => Verdict::Degraded(format!(
                "waits for a thread since {}: all {THREADS_MAX} have turns of plugins that \
                 compute or hang",
                self.utc(for_long)
            )),
            _ if status.turns == 0 => Verdict::Starting,
            _ => Verdict::Active,
        })
    }

    /// What the clock showed some time ago.
    fn utc(&self, ago: Duration) -> String {
        let clock = self.inner.store.clock();
        let [year, month, day, hour, minute, second] = clock.wall_at(clock.now() - ago).utc();
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }

    fn observe(&self, batch: &mut Batch) {
        let tags = [("plugin", self.name.as_str())];
        let status = self.part.status();
        let detail = |name| status.details.get(name).copied().unwrap_or(0);
        batch.text("moonward.plugin.state", &tags, status.verdict);
        batch.counter(
            "moonward.plugin.runs",
            &tags,
            Unit::new("{run}"),
            status.runs,
        );
        let errors = Unit::new("{error}");
        batch.counter("moonward.plugin.errors", &tags, errors, status.errors);
        let restarts = Unit::new("{restart}");
        batch.counter(
            "moonward.plugin.restarts",
            &tags,
            restarts,
            detail(RESTARTS),
        );
        let time = status.total_seconds;
        batch.counter("moonward.plugin.time", &tags, Unit::SECONDS, time);
        let memory = detail(MEMORY_BYTES);
        batch.gauge("moonward.plugin.memory", &tags, Unit::BYTES, memory);
    }
}

impl State {
    fn predecessor(&self) -> Option<Run> {
        let runs = [&self.before, &self.run];
        let mut runs = runs.into_iter().flatten();
        runs.find(|run| run.is_stopped() && !run.is_released())
            .cloned()
    }

    /// What all runs came to.
    fn sums(&self) -> Sums {
        let now = self.run.as_ref().map(Run::status).unwrap_or_default();
        Sums {
            runs: self.past.runs + now.runs,
            errors: self.errors,
            samples: self.past.samples + now.samples,
            last: if now.runs == 0 {
                self.past.last
            } else {
                now.last_run
            },
            total: self.past.total + now.ran,
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let mut pages = self.inner.lock();
        // Another of the same name may have begun at this moment.
        if pages
            .get(&self.name)
            .is_some_and(|page| page.strong_count() > 0)
        {
            return;
        }
        pages.remove(&self.name);
        self.inner.board.remove(Room::Plugin, &self.name);
        for name in NAMES {
            if let Ok(series) = Series::new(name, &[("plugin", &self.name)]) {
                self.inner.store.remove(series.as_str());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Clock;
    use crate::store::StoreLimits;

    #[test]
    fn a_page_and_its_series_go_with_the_last_who_holds_it() {
        let board = StatusBoard::new();
        let store = Store::new(Clock::System, StoreLimits::default());
        let register = Register::new(board.clone(), store.clone());
        let page = register.page("cpu");
        let same = register.page("cpu");
        register.publish();
        assert_eq!(store.status().series, NAMES.len());
        drop(page);
        assert_eq!(board.statuses().len(), 1);
        drop(same);
        assert_eq!(board.statuses().len(), 0);
        assert_eq!(store.status().series, 0);
        register.publish();
        assert_eq!(store.status().series, 0);
    }
}
