//! The door of the command line: a unix socket for people and scripts on this machine.
//!
//! [`codec`] is the language, [`server`] the door, [`lookup`] finds the series that a typed key
//! means, and the other files write answers as text and JSON, so that clients stay small. The door
//! reads the store and the status board; it changes nothing itself, it passes [`AppCommand`]s on.

mod answer;
pub mod codec;
pub mod lookup;
mod plugins;
pub mod readings;
pub mod server;
pub mod status;

pub(crate) use answer::may_change;
pub use server::{AppCommand, Context, Reloaded, serve};
