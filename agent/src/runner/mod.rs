//! The runner: the one process of Moonward that executes programs, and the way to ask it.
//!
//! The agent never executes anything. Whoever needs a command's result asks through a [`Client`];
//! the runner, a unit of its own with its own user and sandbox, looks into its own allow-list
//! ([`Policy`]) and runs what is on it, within bounds of time, output and number, in a process group
//! that it leaves nothing of; what has left the group it adopts, and kills in its time. Run by hand, a
//! runner is started as a child and permits everything that the user may do.
//!
//! A connection is a unix stream socket with frames (`codec.rs`): one request, its reply, the next
//! request. A client that leaves before the reply ends its command. Connections come from a
//! listening socket, from one connected socket, or are passed over a socket of packets, which is how
//! a child gets them ([`Door`]).
//!
//! Never: a shell that nobody asked for, the caller's environment, a wait without a limit. Whole
//! processes are tested in `agent/tests/runner.rs` and `agent/tests/runner_orphans.rs`.

mod capture;
mod child;
mod client;
pub mod codec;
mod conversation;
mod door;
mod group;
mod orphans;
mod outcome;
mod peer;
pub mod policy;
mod policy_file;
mod request;
mod server;
mod signal;

pub use client::{Client, RunnerError};
pub use door::{Door, DoorError};
pub use outcome::{Ending, Outcome, Output};
pub use policy::Policy;
pub use policy_file::{Mistakes, SYSTEM_FILE};
pub use request::{Command, Request, RequestError};
pub use server::{PLACES, Server};
pub use signal::signal_name;

#[cfg(test)]
mod tests;
