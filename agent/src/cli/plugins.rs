//! `moonward plugins`: the plugins and how they are doing.

use std::io::IsTerminal as _;

use lexopt::Parser;

use super::ask::reply;
use super::output;
use super::verb::{Stopped, Verb};
use crate::serve::control::codec::{Form, Request};

/// The verb.
pub static VERB: Verb = Verb {
    name: "plugins",
    summary: "list the plugins",
    help: "\
Usage: moonward plugins [OPTIONS]

Prints on a terminal a table of the plugins: how often each ran, its errors, the time of its last
run, its memory, how often it was started again, and the reason with script and line when it does
not work. Elsewhere it prints a line per plugin: its name, its verdict and the reason, with tabs
between.

Options
  --json             print a JSON array with everything instead
",
    options: &["json", "socket", "timeout"],
};

/// Runs the verb.
pub fn run(parser: &mut Parser) -> Result<u8, Stopped> {
    let given = VERB.read(parser, 0)?;
    let form = if given.json {
        Form::Json
    } else if output::colours() {
        Form::Colour
    } else if std::io::stdout().is_terminal() {
        Form::Table
    } else {
        Form::Text
    };
    match reply(&Request::Plugins(form), &given.reach) {
        Ok(list) => {
            // Not on the standard output: an empty list is an empty list to a script.
            if list.is_empty() {
                output::complain("no plugins are loaded");
            }
            Ok(output::print(&list))
        }
        Err(status) => Ok(status),
    }
}
