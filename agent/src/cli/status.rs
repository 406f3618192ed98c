//! `moonward status`: every part of the service with its verdict and cost.

use lexopt::Parser;

use super::ask::ask;
use super::output;
use super::verb::{Stopped, Verb};
use crate::serve::control::codec::{Form, Request};

/// The verb.
pub static VERB: Verb = Verb {
    name: "status",
    summary: "show every part of the service with its verdict and cost",
    help: "\
Usage: moonward status [OPTIONS]

Prints a table of every probe, collector, door, output and plugin: its verdict, how often it ran,
its errors and samples, the time of its last run and of a run on average, and the reason when it
does not work.

Options
  --json             print a JSON object instead
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
    } else {
        Form::Text
    };
    Ok(ask(&Request::Status(form), &given.reach))
}
