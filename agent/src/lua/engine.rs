//! A script's state with the thread in it that runs, in the hands of the pool alone.
//!
//! Every handle of the engine takes the state's lock when it is made, used, or dropped for the last
//! time, and a turn holds that lock for as long as it lasts. Who waits for a turn must never wait
//! for the lock, or one turn that hangs would stop all scripts. So the handles of a script are in an
//! [`Engine`], which goes into a turn and comes back at its end; and wherever an engine is dropped,
//! a thread of the pool drops what is in it.

use std::io;

use mlua::thread::Thread;
use mlua::{Function, MultiValue};

use super::pool::Pool;
use super::state::{Input, State, Turn};
use super::wait::{Reply, Wait};
use super::{Fault, ScriptError};

/// A state and its thread; at first there is neither. It has no `Debug`, which would take the lock.
pub(super) struct Engine {
    pool: Pool,
    /// What messages call the script.
    name: String,
    inner: Option<Box<Inner>>,
}

struct Inner {
    /// The thread of the function that runs.
    thread: Option<Thread>,
    state: State,
}

/// Finds a function to call.
type Find = dyn FnOnce(&mut Engine) -> Result<Function, ScriptError> + Send;

/// What a turn begins with.
pub(super) enum Begin {
    /// The function that this finds; it makes the state where there is none.
    Call(Box<Find>),
    /// The end of what the script waited for.
    Answer(Reply),
}

/// Takes what is wanted out of the results of a function, in the turn that ends it: no handle leaves
/// the turn.
pub(super) type Results<T> = fn(&State, MultiValue) -> Result<T, ScriptError>;

/// What came of a turn.
pub(super) enum Came<T> {
    /// The function ran to its end.
    Ended(T),
    /// It waits.
    Waits(Wait),
}

impl Engine {
    /// One for a script of this name, without a state.
    pub(super) fn new(pool: Pool, name: String) -> Self {
        let inner = None;
        Self { pool, name, inner }
    }

    /// Takes a state in.
    pub(super) fn hold(&mut self, state: State) -> &State {
        let thread = None;
        &self.inner.insert(Box::new(Inner { thread, state })).state
    }

    /// The state that was taken in. Nothing but a turn, or who alone has the engine, may ask.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn state(&self) -> Result<&State, ScriptError> {
        let inner = self.inner.as_ref();
        inner.map(|inner| &inner.state).ok_or_else(|| self.lost())
    }

    /// Runs one turn.
    pub(super) fn turn<T>(
        &mut self,
        begin: Begin,
        results: Results<T>,
    ) -> Result<Came<T>, ScriptError> {
        let (input, fresh) = match begin {
            Begin::Call(find) => {
                let function = find(self)?;
                (Input::First(function), Some(self.state()?.thread()?))
            }
            Begin::Answer(reply) => (Input::Answer(reply), None),
        };
        let Some(inner) = self.inner.as_mut() else {
            return Err(self.lost());
        };
        if fresh.is_some() {
            inner.thread = fresh;
        }
        let Some(thread) = &inner.thread else {
            return Err(self.lost());
        };
        match inner.state.turn(thread, input)? {
            Turn::Waits(wait) => Ok(Came::Waits(wait)),
            Turn::Ended(values) => {
                inner.thread = None;
                results(&inner.state, values).map(Came::Ended)
            }
        }
    }

    /// Writes out what scripts printed so far.
    ///
    /// # Errors
    /// When the standard output cannot be written to.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.inner
            .as_ref()
            .map_or(Ok(()), |inner| inner.state.flush())
    }

    /// Writes out what the script printed, and closes the state.
    ///
    /// # Errors
    /// When the standard output cannot be written to.
    pub(super) fn close(&mut self) -> io::Result<()> {
        let flushed = self.flush();
        self.inner = None;
        flushed
    }

    /// A fault that has no place in the script.
    pub(super) fn fault(&self, fault: Fault) -> ScriptError {
        ScriptError::of(&self.name, fault)
    }

    fn lost(&self) -> ScriptError {
        self.fault(Fault::Host("it has no state".to_owned()))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            self.pool.discard(inner);
        }
    }
}
