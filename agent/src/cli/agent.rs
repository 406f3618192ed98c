//! The verbs that only the agent has.

use std::ffi::OsString;

use lexopt::Parser;

use super::verb::Stopped;
use super::{check, doctor, exec, exit, repl, run, runner};

/// Does a verb of the agent with the words that follow it; gives the exit status.
pub fn perform(verb: &str, arguments: Vec<OsString>) -> u8 {
    let mut parser = Parser::from_args(arguments);
    let result = match verb {
        "run" => run::run(&mut parser),
        "check" => check::run(&mut parser),
        "repl" => repl::run(&mut parser),
        "exec" => exec::run(&mut parser),
        "runner" => runner::run(&mut parser),
        "doctor" => doctor::run(&mut parser),
        _ => Ok(exit::SOFTWARE),
    };
    result.unwrap_or_else(|Stopped(status)| status)
}
