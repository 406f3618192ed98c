//! A script from its first turn to its last.
//!
//! This runs on the runtime, where nobody may wait for a state: all that is known here of a script
//! is its [`Engine`], which is in the hands of a turn or of nobody.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mlua::Function;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::account::{Account, Place};
use super::budget::Budget;
use super::engine::{Begin, Came, Engine, Results};
use super::pool::{Lost, Pool};
use super::{Fault, ScriptError};

/// How long a script that is to end may go on with its turn before it is left behind.
const PATIENCE: Duration = Duration::from_secs(1);

/// A turn that lasts longer hangs in a call of the library or the system: Lua itself is ended
/// sooner, unless the configuration gives it more time. So long a turn may also wait for a place or
/// a thread before that is told.
pub(super) const HANGING: Duration = Duration::from_secs(5);

/// A turn that was left behind: comes to its end when its thread comes back.
pub(super) type Left = Pin<Box<dyn Future<Output = Option<Engine>> + Send>>;

/// Everything that a script needs to go on.
pub(super) struct Driver {
    pub(super) pool: Pool,
    /// What messages call the script.
    pub(super) name: String,
    pub(super) budget: Arc<Budget>,
    pub(super) account: Arc<Account>,
    /// None while a turn has it, and for as long as a turn that was left behind does.
    pub(super) engine: Option<Engine>,
    pub(super) left: Option<Left>,
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
    /// A turn asks for a place among those of its kin.
    fn turn_waits(&self);
    /// It asks for a thread.
    fn turn_asks(&self);
    /// It has one, and begins.
    fn turn_begins(&self);
    /// A turn has ended.
    fn turn_ends(&self);
    /// The script itself has come to its end.
    fn main_ended(&self);
    /// One run of a function of `plugin.every` has come to its end.
    fn ran(&self, took: Duration);
}

/// How long a function may run. What its turns wait for a place or a thread is not counted: others
/// take that time, and it can do nothing about it.
#[derive(Clone, Copy)]
struct Deadline {
    after: Duration,
    left: Duration,
}

impl Deadline {
    fn new(after: Duration) -> Self {
        Self { after, left: after }
    }

    /// Counts the time since then.
    fn spend(&mut self, since: Instant) {
        self.left = self.left.saturating_sub(since.elapsed());
    }
}

impl Driver {
    /// Runs the script, and then what it wants to have run every so often. `make` makes its state,
    /// in its first turn, and gives the function that is the script.
    pub(super) async fn run(
        &mut self,
        make: impl FnOnce(&mut Engine) -> Result<Function, ScriptError> + Send + 'static,
    ) -> Result<(), ScriptError> {
        let intervals = self.call(make, |state, _| state.intervals(), None).await?;
        self.observer.main_ended();
        self.run_entries(intervals).await
    }

    /// Runs the function that `find` finds to its end, at most for `deadline`.
    pub(super) async fn call<T: Send + 'static>(
        &mut self,
        find: impl FnOnce(&mut Engine) -> Result<Function, ScriptError> + Send + 'static,
        results: Results<T>,
        deadline: Option<Duration>,
    ) -> Result<T, ScriptError> {
        let mut deadline = deadline.map(Deadline::new);
        let mut begin = Begin::Call(Box::new(find));
        loop {
            self.observer.turn_waits();
            let place = tokio::select! {
                biased;
                place = self.account.place() => place,
                () = told(&mut self.stop) => {
                    self.budget.stop();
                    return Err(self.fault(Fault::Stopped));
                }
            };
            let budget = Arc::clone(&self.budget);
            let turn = move |engine: &mut Engine| {
                if budget.is_stopped() {
                    return Err(engine.fault(Fault::Stopped));
                }
                engine.turn(begin, results)
            };
            let wait = match self.turn(turn, place, deadline.as_mut()).await? {
                (Ok(Came::Ended(results)), None) => return Ok(results),
                (Ok(Came::Waits(wait)), None) => wait,
                // The turn knows where in the script it was ended, and this why.
                (Err(error), Some(fault)) if error.fault == Fault::Stopped => {
                    return Err(ScriptError { fault, ..error });
                }
                (_, Some(fault)) => return Err(self.fault(fault)),
                (Err(error), None) => return Err(error),
            };
            let since = Instant::now();
            begin = tokio::select! {
                biased;
                fault = over(&mut self.stop, since, deadline) => {
                    self.budget.stop();
                    return Err(self.fault(fault));
                }
                reply = wait => Begin::Answer(reply),
            };
            if let Some(deadline) = &mut deadline {
                deadline.spend(since);
            }
        }
    }

    /// Writes out what the script printed, and closes its state; nothing when it was left behind.
    /// That takes its time where there are many megabytes, and who waits for a script that prints
    /// wants its output out first.
    pub(super) async fn close(&mut self) -> Result<io::Result<()>, ScriptError> {
        if self.engine.is_none() {
            return Ok(Ok(()));
        }
        let place = self.account.beside();
        let closed = self.turn(Engine::close, place, None).await;
        self.engine = None;
        closed.map(|(flushed, _)| flushed)
    }

    /// Writes out what the script printed so far; nothing when it was left behind.
    pub(super) async fn flush(&mut self) -> Result<io::Result<()>, ScriptError> {
        let place = self.account.beside();
        let flushed = self.turn(|engine| engine.flush(), place, None).await;
        flushed.map(|(flushed, _)| flushed)
    }

    /// Takes back what was left behind, if it has come to its end meanwhile.
    pub(super) async fn look_behind(&mut self) {
        if let Some(left) = &mut self.left
            && let Ok(engine) = timeout(Duration::ZERO, left).await
        {
            self.engine = engine;
            self.left = None;
        }
    }

    /// Has a thread do `work` with the engine; gives what that gives. When the script is to end, or
    /// has run for too long, it gives that too, and an error when the work does not end in a little
    /// while: then it is left behind with the engine. One that hangs lets another have its place.
    async fn turn<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Engine) -> T + Send + 'static,
        mut place: Place,
        mut deadline: Option<&mut Deadline>,
    ) -> Result<(T, Option<Fault>), ScriptError> {
        let Some(mut engine) = self.engine.take() else {
            let text = "its last turn hangs in a call of the library or the system";
            return Err(self.fault(Fault::Host(text.to_owned())));
        };
        let (pool, observer) = (self.pool.clone(), Arc::clone(&self.observer));
        let (mark, begun) = watch::channel(None);
        observer.turn_asks();
        let mut turn = Box::pin(async move {
            let turn = move || {
                mark.send_replace(Some(Instant::now()));
                observer.turn_begins();
                let came = work(&mut engine);
                observer.turn_ends();
                (engine, came)
            };
            pool.run(turn).await
        });
        let fault = tokio::select! {
            biased;
            back = &mut turn => {
                if let (Some(deadline), Some(since)) = (&mut deadline, *begun.borrow()) {
                    deadline.spend(since);
                }
                return Ok((self.back(back)?, None));
            }
            fault = over_once_begun(&mut self.stop, begun.clone(), deadline.as_deref()) => fault,
            never = pass_on_when_long(begun.clone(), &mut place) => match never {},
        };
        self.budget.stop();
        if let Ok(back) = timeout(PATIENCE, &mut turn).await {
            return Ok((self.back(back)?, Some(fault)));
        }
        // One that has not begun is left out, and has no thread.
        if begun.borrow().is_some() {
            let left = async move {
                let back = tokio::select! {
                    biased;
                    back = turn => back,
                    never = place.pass_on() => match never {},
                };
                back.ok().map(|(engine, _)| engine)
            };
            self.left = Some(Box::pin(left));
        }
        Err(self.fault(fault))
    }

    /// Takes back what a turn had.
    fn back<T>(&mut self, turn: Result<(Engine, T), Lost>) -> Result<T, ScriptError> {
        match turn {
            Ok((engine, came)) => {
                self.engine = Some(engine);
                Ok(came)
            }
            Err(lost) => Err(self.fault(Fault::Host(lost.to_string()))),
        }
    }

    /// What is wrong with the script itself, as against what the host wanted of it.
    fn fault(&self, fault: Fault) -> ScriptError {
        ScriptError::of(&self.name, fault)
    }

    async fn run_entries(&mut self, mut intervals: Vec<Duration>) -> Result<(), ScriptError> {
        let begun = Instant::now();
        let mut due: Vec<Instant> = intervals.iter().map(|_| begun).collect();
        loop {
            // The first of those that are due soonest, so that equals take turns.
            let next = due.iter().enumerate().min_by_key(|(_, at)| **at);
            let Some((index, at)) = next.map(|(index, at)| (index, *at)) else {
                return Ok(());
            };
            let (Some(interval), Some(slot)) = (intervals.get(index), due.get_mut(index)) else {
                return Ok(());
            };
            // What was missed is left out: a late run does not make the next ones come at once.
            let mut following = at + *interval;
            let now = Instant::now();
            while following <= now {
                following += *interval;
            }
            *slot = following;
            tokio::select! {
                biased;
                () = told(&mut self.stop) => return Err(self.fault(Fault::Stopped)),
                () = sleep_until(at) => {}
                () = self.hurry.notified() => {}
            }
            let begun = Instant::now();
            let find = move |engine: &mut Engine| engine.state()?.entry(index);
            let run = self.call(find, |state, _| state.intervals(), Some(self.deadline));
            intervals = run.await?;
            self.observer.ran(begun.elapsed());
            due.resize(intervals.len(), Instant::now());
        }
    }
}

/// Returns when the script is to end.
async fn told(stop: &mut watch::Receiver<bool>) {
    // An error means that whoever could stop it is gone, which is as good as being told.
    if stop.wait_for(|stop| *stop).await.is_err() {}
}

/// Returns when the script is to end or has run for too long, counted from `since` on, and says
/// which.
async fn over(
    stop: &mut watch::Receiver<bool>,
    since: Instant,
    deadline: Option<Deadline>,
) -> Fault {
    let passed = async {
        // A time that is never reached is none.
        match deadline.and_then(|deadline| Some((since.checked_add(deadline.left)?, deadline))) {
            Some((at, deadline)) => {
                sleep_until(at).await;
                Fault::Deadline(deadline.after)
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = told(stop) => Fault::Stopped,
        fault = passed => fault,
    }
}

/// The same for a turn, of which the time that it waits for its thread is not counted.
async fn over_once_begun(
    stop: &mut watch::Receiver<bool>,
    begun: watch::Receiver<Option<Instant>>,
    deadline: Option<&Deadline>,
) -> Fault {
    let since = tokio::select! {
        biased;
        () = told(stop) => return Fault::Stopped,
        since = begins(begun) => since,
    };
    over(stop, since, deadline.copied()).await
}

/// Lets another turn have the place of this one when it hangs; goes on for ever.
async fn pass_on_when_long(
    begun: watch::Receiver<Option<Instant>>,
    place: &mut Place,
) -> Infallible {
    let since = begins(begun).await;
    sleep(HANGING.saturating_sub(since.elapsed())).await;
    place.pass_on().await
}

/// Returns when a turn begins, and says when that was.
async fn begins(mut begun: watch::Receiver<Option<Instant>>) -> Instant {
    let since = begun.wait_for(Option::is_some).await.ok();
    match since.and_then(|since| *since) {
        Some(since) => since,
        // It was left out.
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
