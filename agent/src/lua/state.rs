//! One Lua state with its limits.
//!
//! What is in it: base with coroutine, package, table, io, os, string, math, bit, and the part of
//! debug that only looks. `restrict.lua` says what was taken away and why. C modules cannot be
//! loaded.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, LuaOptions, StdLib};

use super::deadline::Deadline;
use super::{ScriptError, debug};
use crate::model::Clock;

/// How much a script may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Memory of the whole state, in bytes.
    pub memory: usize,
    /// Time of one [`State::execute`]; none means for ever.
    pub time: Option<Duration>,
}

/// The engine could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a Lua state")]
pub struct StateError(#[from] mlua::Error);

/// A fresh state.
#[derive(Debug)]
pub struct State {
    lua: Lua,
    flush: Function,
    clock: Clock,
    limits: Limits,
    /// Whether the deadline has passed.
    over: Arc<AtomicBool>,
}

impl State {
    /// Makes a state.
    ///
    /// # Errors
    /// When the engine cannot be set up, which means that memory is short.
    pub fn new(clock: Clock, limits: Limits) -> Result<Self, StateError> {
        let lua = Lua::new_with(StdLib::ALL_SAFE, LuaOptions::default())?;
        let over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&over);
        let is_over = lua.create_function(move |_, ()| Ok(flag.load(Ordering::Relaxed)))?;
        let flush = lua
            .load(include_str!("restrict.lua"))
            .set_name("=restrict.lua")
            .call(is_over)?;
        let library = debug::library(&lua)?;
        lua.globals().set("debug", library)?;
        lua.set_memory_limit(limits.memory)?;
        Ok(Self {
            lua,
            flush,
            clock,
            limits,
            over,
        })
    }

    /// Runs a script, which must be text. `name` is what messages and `debug.getinfo` call it,
    /// usually its path.
    ///
    /// # Errors
    /// When it is not Lua, raises an error, or passes a limit.
    pub fn execute(&self, name: &str, source: &[u8]) -> Result<(), ScriptError> {
        let chunk_name = format!("@{name}");
        let failed = |error: &mlua::Error| {
            ScriptError::new(name, &self.short(&chunk_name), self.limits.memory, error)
        };
        let main = self
            .lua
            .load(source)
            .set_name(&chunk_name)
            .set_mode(ChunkMode::Text)
            .into_function()
            .map_err(|error| failed(&error))?;
        let deadline = match self.limits.time {
            None => None,
            Some(limit) => {
                let started = Deadline::start(&self.lua, &self.clock, limit, &self.over);
                Some((started.map_err(|error| failed(&error))?, limit))
            }
        };
        let result = main.call::<()>(());
        let stopped = deadline.and_then(|(end, limit)| Some((end.lift(&self.lua)?, limit)));
        match (result, stopped) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some((place, limit))) => {
                let short = self.short(&chunk_name);
                Err(ScriptError::too_long(name, &short, &place, limit))
            }
            (Err(error), None) => Err(failed(&error)),
        }
    }

    /// Writes out what scripts printed so far. The engine buffers it apart from Rust's own output.
    ///
    /// # Errors
    /// When the standard output cannot be written to.
    pub fn flush(&self) -> io::Result<()> {
        type Answer = (Option<bool>, Option<String>, Option<i32>);
        match self.flush.call::<Answer>(()) {
            Ok((Some(true), ..)) => Ok(()),
            Ok((_, _, Some(number))) => Err(io::Error::from_raw_os_error(number)),
            Ok((_, message, None)) => Err(io::Error::other(message.unwrap_or_default())),
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }

    /// The engine's form of a chunk's name in messages.
    fn short(&self, chunk_name: &str) -> String {
        let empty = self.lua.load("").set_name(chunk_name).into_function();
        let info = empty.ok().map(|function| function.info());
        info.and_then(|info| info.short_src).unwrap_or_default()
    }
}
