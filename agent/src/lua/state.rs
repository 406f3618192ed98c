//! One Lua state with its limits and its library.
//!
//! What is in it: base with coroutine, package, table, io, os, string, math, bit, the part of debug
//! that only looks, and the modules of [`super::api`]. `prelude.lua` says what was taken away and
//! why. C modules cannot be loaded.

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use mlua::chunk::ChunkMode;
use mlua::thread::{Thread, ThreadStatus};
use mlua::{Function, Lua, LuaOptions, MultiValue, StdLib};

use super::account::Charge;
use super::api::{self, Wrappers, every};
use super::context::Context;
use super::wait::{Reply, Wait};
use super::{Fault, ScriptError, debug};

/// The engine could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a Lua state")]
pub(crate) struct StateError(#[from] mlua::Error);

/// A fresh state. It is dropped before the host is.
#[derive(Debug)]
pub(crate) struct State {
    lua: Lua,
    flush: Function,
    start: Function,
    is_pending: Function,
    charge: Charge,
    context: Arc<Context>,
    /// What messages call the script, and the engine's form of that.
    name: String,
    short: String,
}

/// What came of a turn.
pub(super) enum Turn {
    /// The thread ran to its end; what it returned.
    Ended(MultiValue),
    /// It waits.
    Waits(Wait),
}

/// What a thread is resumed with.
pub(super) enum Input {
    /// The function that it runs.
    First(Function),
    /// The end of what it waited for.
    Answer(Reply),
}

impl State {
    /// Makes a state. `name` is what messages and `debug.getinfo` call the script, usually its path.
    pub(super) fn new(context: Arc<Context>, name: &str) -> Result<Self, StateError> {
        let lua = Lua::new_with(StdLib::ALL_SAFE, LuaOptions::default())?;
        let host = lua.create_table()?;
        let budget = Arc::clone(&context.budget);
        host.set(
            "is_over",
            lua.create_function(move |_, ()| Ok(budget.is_over()))?,
        )?;
        let blocking = Arc::clone(&context);
        host.set(
            "block",
            lua.create_function(move |lua, ()| blocking.block(lua))?,
        )?;
        let library = context.services.library.clone();
        host.set(
            "built_in",
            lua.create_function(move |_, name: String| {
                let found = library.built_in_module(&name);
                Ok(match found {
                    Some(module) => (Some(module.path().display().to_string()), Some(module.text)),
                    None => (None, None),
                })
            })?,
        )?;
        host.set("service", context.services.is_service)?;
        let shell: mlua::Table = lua
            .load(include_str!("prelude.lua"))
            .set_name("=prelude.lua")
            .call(host)?;
        lua.globals().set("debug", debug::library(&lua)?)?;
        let files = context.services.is_service.then(|| shell.get("files"));
        super::standard::open(&lua, files.transpose()?)?;
        let wrappers = Wrappers {
            plain: shell.get("plain")?,
            waiting: shell.get("waiting")?,
        };
        api::open(&lua, &context, &wrappers)?;
        set_path(&lua, &context)?;
        let charge = Charge::new(&context.account, &lua)?;
        let mut state = Self {
            flush: shell.get("flush")?,
            start: shell.get("start")?,
            is_pending: shell.get("is_pending")?,
            lua,
            charge,
            context,
            name: name.to_owned(),
            short: String::new(),
        };
        state.short = state.short_name();
        Ok(state)
    }

    /// Compiles a script, which must be text.
    pub(super) fn compile(&self, source: &[u8]) -> Result<Function, ScriptError> {
        self.pay()?;
        self.lua
            .load(source)
            .set_name(self.chunk_name())
            .set_mode(ChunkMode::Text)
            .into_function()
            .map_err(|error| self.failed(&error))
    }

    /// Lets the state take what is left for it.
    fn pay(&self) -> Result<(), ScriptError> {
        match self.charge.begin(&self.lua) {
            Some(limit) => Err(ScriptError::of(&self.name, Fault::Memory(limit))),
            None => Ok(()),
        }
    }

    /// A thread to run turns on.
    pub(super) fn thread(&self) -> Result<Thread, ScriptError> {
        let thread = self.lua.create_thread(self.start.clone());
        thread.map_err(|error| self.failed(&error))
    }

    /// Runs one turn on this thread.
    pub(super) fn turn(&self, thread: &Thread, input: Input) -> Result<Turn, ScriptError> {
        self.pay()?;
        let budget = &self.context.budget;
        budget
            .begin(&self.lua)
            .map_err(|error| self.failed(&error))?;
        let result = self.resume(thread, input);
        let verdict = budget.finish(&self.lua);
        let passed = self.charge.settle(&self.lua);
        match (result, verdict) {
            (Ok(turn), None) => match passed {
                None => Ok(turn),
                Some(limit) => Err(ScriptError::of(&self.name, Fault::Memory(limit))),
            },
            (_, Some(verdict)) => Err(ScriptError::ended(&self.name, &self.short, &verdict)),
            (Err(error), None) => Err(self.failed(&error)),
        }
    }

    fn resume(&self, thread: &Thread, input: Input) -> mlua::Result<Turn> {
        let arguments = match input {
            Input::First(function) => MultiValue::from_iter([mlua::Value::Function(function)]),
            Input::Answer(reply) => reply(&self.lua)?,
        };
        let results: MultiValue = thread.resume(arguments)?;
        if thread.status() != ThreadStatus::Resumable {
            return Ok(Turn::Ended(results));
        }
        let waits = self.is_pending.call::<bool>(results.front().cloned())?;
        match self.context.take() {
            Some(wait) if waits => Ok(Turn::Waits(wait)),
            _ => Err(mlua::Error::runtime(
                "attempt to yield from outside a coroutine",
            )),
        }
    }

    /// How often each function of `plugin.every` is to run.
    pub(super) fn intervals(&self) -> Result<Vec<Duration>, ScriptError> {
        every::intervals(&self.lua).map_err(|error| self.failed(&error))
    }

    /// The function of `plugin.every` of this number, from 0.
    pub(super) fn entry(&self, index: usize) -> Result<Function, ScriptError> {
        every::function(&self.lua, index).map_err(|error| self.failed(&error))
    }

    /// What is in the registry under `name`.
    #[cfg(test)]
    pub(super) fn kept<T: mlua::FromLua>(&self, name: &str) -> mlua::Result<T> {
        self.lua.named_registry_value(name)
    }

    /// A module of the library.
    #[cfg(test)]
    pub(super) fn global(&self, name: &str) -> mlua::Table {
        let module: mlua::Table = self.lua.globals().get(name).unwrap();
        // It is empty until something is looked up in it.
        module.get::<mlua::Value>("").unwrap();
        module
    }

    /// The globals, and the fields of those that are tables.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (name, value) in self.lua.globals().pairs::<String, mlua::Value>().flatten() {
            if let (mlua::Value::Table(table), true) = (&value, name != "_G" && name != "package") {
                // A module is empty until something is looked up in it.
                table.get::<mlua::Value>("").ok();
                let fields = table.pairs::<String, mlua::Value>().flatten();
                names.extend(fields.map(|(field, _)| format!("{name}.{field}")));
            }
            names.push(name);
        }
        names.sort_unstable();
        names
    }

    /// Writes out what scripts printed so far. The engine buffers it apart from Rust's own output.
    ///
    /// # Errors
    /// When the standard output cannot be written to.
    pub(super) fn flush(&self) -> io::Result<()> {
        type Answer = (Option<bool>, Option<String>, Option<i32>);
        match self.flush.call::<Answer>(()) {
            Ok((Some(true), ..)) => Ok(()),
            Ok((_, _, Some(number))) => Err(io::Error::from_raw_os_error(number)),
            Ok((_, message, None)) => Err(io::Error::other(message.unwrap_or_default())),
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }

    fn failed(&self, error: &mlua::Error) -> ScriptError {
        ScriptError::new(&self.name, &self.short, self.charge.nearest(), error)
    }

    fn chunk_name(&self) -> String {
        format!("@{}", self.name)
    }

    /// The engine's form of the script's name in messages.
    fn short_name(&self) -> String {
        let empty = self
            .lua
            .load("")
            .set_name(self.chunk_name())
            .into_function();
        let info = empty.ok().map(|function| function.info());
        info.and_then(|info| info.short_src).unwrap_or_default()
    }
}

/// `package.path`: `LUA_PATH` where a person runs the script, then the modules' directories.
fn set_path(lua: &Lua, context: &Context) -> mlua::Result<()> {
    let services = &context.services;
    let package: mlua::Table = lua.globals().get("package")?;
    let modules = services
        .modules
        .read()
        .unwrap_or_else(PoisonError::into_inner);
    let mut places: Vec<String> = modules.iter().map(|path| template(path)).collect();
    drop(modules);
    places.extend(services.library.modules().map(|path| template(&path)));
    if !services.is_service {
        places.push(package.get("path")?);
    }
    package.set("path", places.join(";"))
}

fn template(directory: &Path) -> String {
    let directory = directory.display();
    format!("{directory}/?.lua;{directory}/?/init.lua")
}
