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

use super::account::{Account, PLACES};
use super::drive::HANGING;
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
    /// Those that have a state, or a thread still: a script may run a file more than once.
    going: Vec<Run>,
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

    /// The runs that a new one must not overlap with: those that were told to end and have not let
    /// go of their threads.
    pub(super) fn predecessors(&self) -> Vec<Run> {
        let state = self.lock();
        let is_about_to_end = |run: &&Run| run.is_stopped() && !run.is_released();
        state
            .going
            .iter()
            .filter(is_about_to_end)
            .cloned()
            .collect()
    }

    /// A script has made a plugin that has this page: it does not run yet, unless another one runs it.
    pub(super) fn is_made(&self) {
        let state = self.lock();
        let runs = state.run.as_ref().is_some_and(|run| run.ending().is_none());
        let is_off = !runs && state.left_behind().is_none();
        drop(state);
        if is_off {
            self.part.set(Verdict::Off);
        }
    }

    /// A run begins.
    pub(super) fn begins(&self, run: Run) {
        let mut state = self.lock();
        state.past = state.sums();
        // It waits for that one, of which the page has told already.
        let waits = state.left_behind().is_some();
        state.going.push(run.clone());
        state.run = Some(run);
        state.starts += 1;
        drop(state);
        if !waits {
            self.part.set(Verdict::Starting);
        }
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
    /// it, or of one before, still has its thread, the page says that instead, and this is for when
    /// that comes back.
    pub(super) fn rests(&self, run: &Run, again: bool) {
        let state = self.lock();
        // The latest may have ended while one before it hung.
        let latest = state.run.as_ref().unwrap_or(run);
        let again = again && latest.is(run);
        let verdict = match latest.ending() {
            _ if state.left_behind().is_some() => None,
            None => None,
            // It has done what it does, and does it again.
            Some(Ending::Returned) if again => Some(Verdict::Active),
            Some(Ending::Returned) => Some(Verdict::Off),
            Some(Ending::Failed(error)) if error.fault == Fault::Stopped => Some(Verdict::Off),
            Some(Ending::Failed(error)) => Some(Verdict::Failed(error.to_string())),
        };
        drop(state);
        if let Some(verdict) = verdict {
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
        if let Some(left) = state.left_behind() {
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
        let long = |time: Option<Duration>| time.filter(|time| *time >= HANGING);
        let waits = (long(status.awaits_place), long(status.awaits_thread));
        Some(match (long(status.in_turn), waits) {
            (Some(for_long), _) => Verdict::Degraded(format!(
                "hangs in a call of the library or the system since {}",
                self.utc(for_long)
            )),
            (_, (Some(for_long), _)) => Verdict::Degraded(format!(
                "waits for its turn since {}: {PLACES} others that the same script runs compute or \
                 hang, and no more of them may at the same time",
                self.utc(for_long)
            )),
            (_, (_, Some(for_long))) => Verdict::Degraded(format!(
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
    /// A run that has ended and whose last turn has its thread still.
    fn left_behind(&self) -> Option<&Run> {
        self.going.iter().find(|run| run.is_left_behind())
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
mod tests;
