//! A script from its first turn to its last.
//!
//! This runs on the runtime, where nobody may wait for a state: all that is known here of a script
//! is its [`Engine`], which is in the hands of a turn or of nobody.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mlua::Function;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::account::Account;
use super::budget::Budget;
use super::engine::{Begin, Came, Engine, Results};
use super::pool::{Lost, Pool};
use super::{Fault, ScriptError};

/// How long a script that is to end may go on with its turn before it is left behind.
const PATIENCE: Duration = Duration::from_secs(1);

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
    /// A turn asks for a thread.
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

/// When a function has run for too long, and how long that is.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    after: Duration,
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
        // A time that is never reached is none.
        let deadline = deadline.and_then(|after| {
            let at = Instant::now().checked_add(after)?;
            Some(Deadline { at, after })
        });
        let mut begin = Begin::Call(Box::new(find));
        loop {
            let place = tokio::select! {
                biased;
                place = self.account.place() => place,
                fault = over(&mut self.stop, deadline) => {
                    self.budget.stop();
                    return Err(self.fault(fault));
                }
            };
            let budget = Arc::clone(&self.budget);
            let turn = move |engine: &mut Engine| {
                if budget.is_stopped() {
                    return Err(engine.fault(Fault::Stopped));
                }
                engine.turn(begin, results)
            };
            let turned = self.turn(turn, deadline).await;
            drop(place);
            let wait = match turned? {
                (Ok(Came::Ended(results)), None) => return Ok(results),
                (Ok(Came::Waits(wait)), None) => wait,
                // The turn knows where in the script it was ended, and this why.
                (Err(error), Some(fault)) if error.fault == Fault::Stopped => {
                    return Err(ScriptError { fault, ..error });
                }
                (_, Some(fault)) => return Err(self.fault(fault)),
                (Err(error), None) => return Err(error),
            };
            begin = tokio::select! {
                biased;
                fault = over(&mut self.stop, deadline) => {
                    self.budget.stop();
                    return Err(self.fault(fault));
                }
                reply = wait => Begin::Answer(reply),
            };
        }
    }

    /// Writes out what the script printed, and closes its state; nothing when it was left behind.
    /// That takes its time where there are many megabytes, and who waits for a script that prints
    /// wants its output out first.
    pub(super) async fn close(&mut self) -> Result<io::Result<()>, ScriptError> {
        if self.engine.is_none() {
            return Ok(Ok(()));
        }
        let closed = self.turn(Engine::close, None).await;
        self.engine = None;
        closed.map(|(flushed, _)| flushed)
    }

    /// Writes out what the script printed so far; nothing when it was left behind.
    pub(super) async fn flush(&mut self) -> Result<io::Result<()>, ScriptError> {
        let flushed = self.turn(|engine| engine.flush(), None).await;
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
    /// while: then it is left behind with the engine.
    async fn turn<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Engine) -> T + Send + 'static,
        deadline: Option<Deadline>,
    ) -> Result<(T, Option<Fault>), ScriptError> {
        let Some(mut engine) = self.engine.take() else {
            let text = "its last turn hangs in a call of the library or the system";
            return Err(self.fault(Fault::Host(text.to_owned())));
        };
        let (pool, observer) = (self.pool.clone(), Arc::clone(&self.observer));
        let begun = Arc::new(AtomicBool::new(false));
        let mark = Arc::clone(&begun);
        observer.turn_asks();
        let mut turn = Box::pin(async move {
            let turn = move || {
                mark.store(true, Ordering::Relaxed);
                observer.turn_begins();
                let came = work(&mut engine);
                observer.turn_ends();
                (engine, came)
            };
            pool.run(turn).await
        });
        let fault = tokio::select! {
            biased;
            back = &mut turn => return Ok((self.back(back)?, None)),
            fault = over(&mut self.stop, deadline) => fault,
        };
        self.budget.stop();
        if let Ok(back) = timeout(PATIENCE, &mut turn).await {
            return Ok((self.back(back)?, Some(fault)));
        }
        // One that has not begun is left out, and has no thread.
        if begun.load(Ordering::Relaxed) {
            let left = async move { turn.await.ok().map(|(engine, _)| engine) };
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

/// Returns when the script is to end or has run for too long, and says which.
async fn over(stop: &mut watch::Receiver<bool>, deadline: Option<Deadline>) -> Fault {
    let passed = async {
        match deadline {
            Some(Deadline { at, after }) => {
                sleep_until(at).await;
                Fault::Deadline(after)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::super::context::Publish;
    use super::super::testing::{LIMITS, Stage};
    use super::super::{Fault, SessionError};

    /// A comparison, where no script can yield, that waits for longer than anybody has.
    const BLOCKED: &str = "table.sort({1, 2, 3}, function(a, b)
        metrics.set('blocked', 1)
        while true do pcall(time.sleep, 1e6) end
    end)";

    #[test]
    fn a_wait_that_cannot_yield_ends_when_the_script_is_stopped() {
        let stage = Stage::new();
        let run = stage.start("blocked.lua", BLOCKED);
        while stage.store.get("blocked").is_none() {
            std::thread::yield_now();
        }
        run.stop();
        assert_eq!(stage.wait(&run).unwrap_err().fault, Fault::Stopped);
        assert!(!run.is_left_behind(), "its thread is free");
    }

    #[test]
    fn a_wait_that_cannot_yield_ends_with_the_deadline() {
        let stage = Stage::new();
        let source = format!("plugin.every(1, function()\n{BLOCKED} end)");
        stage.write("blocked.lua", source);
        let deadline = Duration::from_millis(100);
        let run = stage.host.start(super::super::Script {
            deadline,
            ..stage.script("blocked.lua")
        });
        let error = stage.wait(&run).unwrap_err();
        assert_eq!(error.fault, Fault::Deadline(deadline));
        assert!(!run.is_left_behind(), "its thread is free");
    }

    #[test]
    fn a_deadline_ends_a_turn_that_computes_and_says_where() {
        let mut stage = Stage::new();
        stage.limits.time = None;
        stage.write(
            "busy.lua",
            "plugin.every(1, function()\n\nwhile true do end end)",
        );
        let deadline = Duration::from_millis(100);
        let run = stage.host.start(super::super::Script {
            deadline,
            ..stage.script("busy.lua")
        });
        let error = stage.wait(&run).unwrap_err();
        assert_eq!(
            (error.fault, error.line),
            (Fault::Deadline(deadline), Some(3))
        );
    }

    #[test]
    fn a_conversation_goes_on_when_what_was_interrupted_has_come_back() {
        let (release, hung) = mpsc::channel::<()>();
        let (hung, reached) = (std::sync::Mutex::new(hung), mpsc::channel::<()>());
        let (begins, begun) = reached;
        let hang = Publish(Arc::new(move |series, _, _, _| {
            if series.as_str() == "hang" {
                begins.send(()).map_err(|error| error.to_string())?;
                hung.lock().unwrap().recv().unwrap();
            }
            Ok(())
        }));
        let stage = Stage::changed(|options| options.publish = Some(hang));
        let (mut session, interrupt) = stage.host.session(LIMITS).unwrap();
        let waiter = interrupt.clone();
        let interrupter = std::thread::spawn(move || {
            begun.recv().unwrap();
            waiter.interrupt();
        });
        let mut say = |text: &str| stage.runtime.handle().block_on(session.evaluate(text));
        let fault = |result| match result {
            Err(SessionError::Script(error)) => error.fault,
            other => panic!("{other:?}"),
        };
        let source = "x = 1 metrics.set('hang', 1) while true do x = 2 end";
        assert_eq!(fault(say(source)), Fault::Stopped);
        interrupter.join().unwrap();
        interrupt.ready();
        let text = "its last turn hangs in a call of the library or the system";
        assert_eq!(fault(say("x")), Fault::Host(text.to_owned()));
        release.send(()).unwrap();
        let mut answer = say("x");
        while answer.is_err() {
            std::thread::yield_now();
            answer = say("x");
        }
        // It was ended when it came back, for an interruption is not taken back before that.
        assert_eq!(answer, Ok(vec!["2".to_owned()]));
    }
}
