//! The command line: one file per verb.
//!
//! What asks the service is also built into the small client (`main.rs`), which is why those files
//! use nothing of the library but the codecs. What needs the library ([`agent`], [`check`],
//! [`doctor`], [`exec`], [`repl`], [`run`], [`runner`]) is the agent's alone. Nothing here prints
//! except through [`output`].

pub mod agent;
pub mod ask;
pub mod check;
pub mod dispatch;
pub mod doctor;
pub mod exec;
pub mod exit;
pub mod get;
pub mod handoff;
pub mod help;
pub mod metrics;
pub mod output;
pub mod ping;
pub mod plugins;
pub mod reload;
pub mod repl;
pub mod run;
pub mod runner;
pub mod socket;
pub mod status;
pub mod stop;
pub mod suggest;
pub mod verb;
pub mod zalua;
