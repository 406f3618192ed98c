//! The room of Lua: an engine for scripts.
//!
//! LuaJIT with its compiler off: the dialect of Lua 5.1, interruptible everywhere but inside a
//! blocking call or one pattern match, and no memory that is both writable and executable. A state
//! is made when a script is to be run and never otherwise, so a service without scripts pays
//! nothing. A script must never be able to end or corrupt the process it runs in, `os.exit` of a
//! script run by hand aside.

mod deadline;
mod debug;
mod exec;
mod fault;
pub mod go;
pub mod pattern;
mod state;

pub use exec::{ExecError, SCRIPT_MAX, run_file};
pub use fault::{Fault, ScriptError};
pub use state::{Limits, State, StateError};

#[cfg(test)]
mod tests;
