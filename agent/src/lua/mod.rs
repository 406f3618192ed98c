//! The room of Lua: the host of plugins and scripts.
//!
//! LuaJIT with its compiler off: the dialect of Lua 5.1, interruptible everywhere but inside a
//! blocking call, and no memory that is both writable and executable. Every script has a state of
//! its own, made when it is to run and never otherwise, so a service without scripts pays nothing.
//!
//! A script runs in *turns*: a turn is the running of Lua between two pauses. [`pool`] has the
//! threads that turns run on; what a script waits for is a future on the runtime ([`wait`]), and
//! [`drive`] leads it from turn to turn, and its [`engine`] with it. [`budget`] ends a turn that
//! uses too much. [`api`] is the library. A script must never be able to end or corrupt the process
//! it runs in, `os.exit` of a script run by hand aside.

mod account;
mod api;
mod budget;
mod children;
mod collectors;
mod context;
mod debug;
#[cfg(test)]
mod documentation;
mod drive;
mod engine;
mod fault;
mod files;
pub mod go;
mod host;
mod library;
mod listen;
mod log_file;
pub mod pattern;
mod pool;
mod quota;
mod register;
mod runtime;
mod session;
mod show;
mod source;
mod speed;
pub mod sql;
mod standard;
mod state;
mod supervisor;
mod tally;
mod wait;

pub use budget::Limits;
pub use context::Publish;
pub use fault::{Fault, ScriptError};
pub use host::{Ending, Host, HostOptions, Run, RunStatus, Script, script_name};
pub use library::Library;
pub use listen::{HeldDoor, Listen, ListenAddress, Open};
pub use runtime::RuntimeThread;
pub use session::{Interrupt, Session, SessionError};
pub use source::SCRIPT_MAX;
pub use supervisor::{Init, Plan, Supervisor};

#[cfg(test)]
mod stock_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
