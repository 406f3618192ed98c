//! A state that a person talks to, one piece of Lua after the other.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::account::Account;
use super::budget::Budget;
use super::context::Context;
use super::drive::{Driver, Observer};
use super::engine::{Engine, Results};
use super::show::show;
use super::state::State;
use super::{Fault, Host, Limits, Script, ScriptError};
use crate::config::Options;

/// What messages call what is typed.
const NAME: &str = "stdin";

/// Why a piece has no results.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SessionError {
    /// It is the beginning of something.
    #[error("the statement is not complete")]
    Incomplete,
    /// It failed.
    #[error(transparent)]
    Script(#[from] ScriptError),
}

/// The state of a conversation.
pub struct Session {
    driver: Driver,
    interrupt: Interrupt,
}

/// Ends what a session is evaluating.
#[derive(Clone, Debug)]
pub struct Interrupt {
    budget: Arc<Budget>,
    stop: Arc<watch::Sender<bool>>,
}

impl Interrupt {
    /// Ends it now.
    pub fn interrupt(&self) {
        self.budget.stop();
        self.stop.send_replace(true);
    }

    /// Takes an interruption back, when it has been obeyed.
    pub fn ready(&self) {
        self.stop.send_replace(false);
    }
}

/// Nobody watches a session but the person.
struct Unobserved;

impl Observer for Unobserved {
    fn turn_waits(&self) {}
    fn turn_asks(&self) {}
    fn turn_begins(&self) {}
    fn turn_ends(&self) {}
    fn main_ended(&self) {}
    fn ran(&self, _: Duration) {}
}

impl Host {
    /// Begins a conversation; the second part ends what it evaluates.
    ///
    /// # Errors
    /// When no state can be made.
    pub fn session(&self, limits: Limits) -> Result<(Session, Interrupt), ScriptError> {
        let (services, pool) = self.parts();
        let budget = Arc::new(Budget::new(services.store.clock().clone(), limits));
        let script = Script {
            name: NAME.to_owned(),
            path: PathBuf::from(NAME),
            code: None,
            options: Options::default(),
            limits,
            deadline: Duration::MAX,
        };
        let account = Account::new(limits.memory);
        let context = Context::new(services, &script, Arc::clone(&budget), Arc::clone(&account));
        let state = State::new(Arc::new(context), NAME)
            .map_err(|error| ScriptError::of(NAME, Fault::Host(error.to_string())))?;
        let mut engine = Engine::new(pool.clone(), NAME.to_owned());
        engine.hold(state);
        let (stop, stopped) = watch::channel(false);
        let driver = Driver {
            pool,
            name: NAME.to_owned(),
            budget: Arc::clone(&budget),
            account,
            engine: Some(engine),
            left: None,
            stop: stopped,
            hurry: Arc::new(Notify::new()),
            deadline: Duration::MAX,
            observer: Arc::new(Unobserved),
        };
        let interrupt = Interrupt {
            budget: Arc::clone(&budget),
            stop: Arc::new(stop),
        };
        let session = Session {
            driver,
            interrupt: interrupt.clone(),
        };
        Ok((session, interrupt))
    }
}

impl Session {
    /// Evaluates an expression or statements; gives its results as text, one per value.
    ///
    /// # Errors
    /// When it is not complete, is not Lua, or fails.
    pub async fn evaluate(&mut self, text: &str) -> Result<Vec<String>, SessionError> {
        self.driver.look_behind().await;
        // What still hangs is to end as soon as it can.
        if self.driver.left.is_none() {
            self.interrupt.budget.resume();
        }
        let (expression, text) = (format!("return {text}"), text.to_owned());
        let find = move |engine: &mut Engine| {
            let state = engine.state()?;
            let main = state.compile(expression.as_bytes());
            main.or_else(|_| state.compile(text.as_bytes()))
        };
        let shown: Results<_> = |_, values| Ok(values.iter().map(show).collect());
        let results = self.driver.call(find, shown, None).await;
        let flushed = self.driver.flush().await;
        let results = results.map_err(incomplete)?;
        if let Ok(Err(error)) = flushed {
            tracing::debug!(%error, "what was printed did not get out");
        }
        Ok(results)
    }

    /// The names that can be typed: globals and the fields of those that are tables. None while
    /// something that was interrupted has not come to its end.
    pub fn names(&self) -> Vec<String> {
        let state = self
            .driver
            .engine
            .as_ref()
            .and_then(|engine| engine.state().ok());
        state.map(State::names).unwrap_or_default()
    }
}

/// A text that ends too early, as against one that is wrong.
fn incomplete(error: ScriptError) -> SessionError {
    match &error.fault {
        Fault::Syntax(message) if message.ends_with("near '<eof>'") => SessionError::Incomplete,
        _ => SessionError::Script(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{LIMITS, Stage};
    use super::*;

    #[test]
    fn a_conversation_keeps_its_state() {
        let stage = Stage::new();
        let (mut session, _) = stage.host.session(LIMITS).unwrap();
        let mut say = |text: &str| stage.runtime.handle().block_on(session.evaluate(text));
        assert_eq!(say("x = 3"), Ok(vec![]));
        assert_eq!(say("x, 'two'"), Ok(vec!["3".into(), "\"two\"".into()]));
        assert_eq!(say("metrics.set('a', 1)"), Ok(vec![]));
        assert_eq!(say("time.sleep(0) return x + 1"), Ok(vec!["4".into()]));
        assert_eq!(say("for i = 1, 2 do"), Err(SessionError::Incomplete));
        let error = say("local x = 1 error('boom')").unwrap_err();
        assert_eq!(error.to_string(), "stdin:1: boom");
        assert!(matches!(say("x x"), Err(SessionError::Script(_))));
        assert_eq!(
            say("{1, a = {b = true}}"),
            Ok(vec!["{1, a = {b = true}}".into()])
        );
        assert!(session.names().contains(&"metrics.set".to_owned()));
        assert!(stage.store.get("a").is_some());
    }

    #[test]
    fn what_takes_too_long_is_interrupted_and_the_conversation_goes_on() {
        let stage = Stage::new();
        let (mut session, interrupt) = stage.host.session(Limits::BY_HAND).unwrap();
        for endless in ["while true do end", "time.sleep(1000)"] {
            let (waiting, interrupt) = (stage.host.clone(), interrupt.clone());
            let text = format!("metrics.set('on', 1) {endless}");
            let evaluate = session.evaluate(&text);
            let handle = stage.runtime.handle();
            let result = handle.block_on(async {
                let stop = async {
                    while waiting.parts().0.store.get("on").is_none() {
                        tokio::task::yield_now().await;
                    }
                    interrupt.interrupt();
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    result = evaluate => result,
                    () = stop => unreachable!(),
                }
            });
            let Err(SessionError::Script(error)) = result else {
                panic!("{result:?}");
            };
            assert_eq!(error.fault, Fault::Stopped);
            interrupt.ready();
            assert_eq!(handle.block_on(session.evaluate("1")), Ok(vec!["1".into()]));
        }
    }
}
