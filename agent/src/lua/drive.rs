//! A script from its first turn to its last.

use std::sync::Arc;
use std::time::Duration;

use mlua::{Function, MultiValue};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::api::every::{ENTRIES, Entry};
use super::pool::Pool;
use super::state::{Input, State, Turn};
use super::{Fault, ScriptError};

/// How long a script that is to end may go on with its turn before it is left behind.
const PATIENCE: Duration = Duration::from_secs(1);

/// Everything that a script needs to go on.
pub(super) struct Driver {
    pub(super) pool: Pool,
    pub(super) state: Arc<State>,
    /// True when the script is to end.
    pub(super) stop: watch::Receiver<bool>,
    /// Is notified when what is to run every so often shall run now.
    pub(super) hurry: Arc<Notify>,
    /// What one run of a function of `plugin.every` may take, waiting included.
    pub(super) deadline: Duration,
    /// Is told of every turn and every run.
    pub(super) observer: Arc<dyn Observer>,
}

/// Who is told how a script fares.
pub(super) trait Observer: Send + Sync {
    /// A turn begins.
    fn turn_begins(&self);
    /// A turn has ended.
    fn turn_ends(&self);
    /// The script itself has come to its end.
    fn main_ended(&self);
    /// One run of a function of `plugin.every` has come to its end.
    fn ran(&self, took: Duration);
}

impl Driver {
    /// Runs the script, and then what it wants to have run every so often.
    pub(super) async fn run(&mut self, main: Function) -> Result<(), ScriptError> {
        self.call(main, MultiValue::new()).await?;
        self.observer.main_ended();
        self.run_entries().await
    }

    /// Runs one function to its end.
    pub(super) async fn call(
        &mut self,
        function: Function,
        arguments: MultiValue,
    ) -> Result<MultiValue, ScriptError> {
        let thread = self.state.thread()?;
        let mut input = Input::First(function, arguments);
        loop {
            let place = tokio::select! {
                biased;
                place = self.state.account().place() => place,
                () = told(&mut self.stop) => return Err(self.state.fault(Fault::Stopped)),
            };
            let (state, own) = (Arc::clone(&self.state), thread.clone());
            let observer = Arc::clone(&self.observer);
            let turn = self.pool.run(move || {
                observer.turn_begins();
                let turn = state.turn(&own, input);
                observer.turn_ends();
                turn
            });
            let turn = tokio::select! {
                biased;
                turn = turn => turn,
                () = hangs(self.stop.clone()) => {
                    return Err(self.state.fault(Fault::Stopped));
                }
            };
            drop(place);
            let lost = |lost: super::pool::Lost| self.state.fault(Fault::Host(lost.to_string()));
            let wait = match turn.map_err(lost)?? {
                Turn::Ended(results) => return Ok(results),
                Turn::Waits(wait) => wait,
            };
            input = tokio::select! {
                biased;
                () = told(&mut self.stop) => return Err(self.state.fault(Fault::Stopped)),
                reply = wait => Input::Answer(reply),
            };
        }
    }

    async fn run_entries(&mut self) -> Result<(), ScriptError> {
        let mut entries: Vec<Entry> = self.state.kept::<Option<_>>(ENTRIES)?.unwrap_or_default();
        let begun = Instant::now();
        let mut due: Vec<Instant> = entries.iter().map(|_| begun).collect();
        loop {
            // The first of those that are due soonest, so that equals take turns.
            let next = due.iter().enumerate().min_by_key(|(_, at)| **at);
            let Some((index, at)) = next.map(|(index, at)| (index, *at)) else {
                return Ok(());
            };
            let (Some(entry), Some(slot)) = (entries.get(index), due.get_mut(index)) else {
                return Ok(());
            };
            let (function, interval) = (entry.function.clone(), entry.interval);
            // What was missed is left out: a late run does not make the next ones come at once.
            let mut following = at + interval;
            let now = Instant::now();
            while following <= now {
                following += interval;
            }
            *slot = following;
            tokio::select! {
                biased;
                () = told(&mut self.stop) => return Err(self.state.fault(Fault::Stopped)),
                () = tokio::time::sleep_until(at) => {}
                () = self.hurry.notified() => {}
            }
            let begun = Instant::now();
            let deadline = self.deadline;
            match timeout(deadline, self.call(function, MultiValue::new())).await {
                Ok(result) => drop(result?),
                Err(_) => return Err(self.state.fault(Fault::Deadline(deadline))),
            }
            self.observer.ran(begun.elapsed());
            let more: Vec<Entry> = self.state.kept::<Option<_>>(ENTRIES)?.unwrap_or_default();
            due.resize(more.len(), Instant::now());
            entries = more;
        }
    }
}

/// Returns when the script is to end.
async fn told(stop: &mut watch::Receiver<bool>) {
    // An error means that whoever could stop it is gone, which is as good as being told.
    if stop.wait_for(|stop| *stop).await.is_err() {}
}

/// Returns when the script was to end and has not for some time.
async fn hangs(mut stop: watch::Receiver<bool>) {
    told(&mut stop).await;
    tokio::time::sleep(PATIENCE).await;
}
