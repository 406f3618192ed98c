//! `moonward ping`: whether the service answers.

use lexopt::Parser;

use super::ask::ask;
use super::verb::{Stopped, Verb};
use crate::serve::control::codec::Request;

/// The verb.
pub static VERB: Verb = Verb {
    name: "ping",
    summary: "ask whether the service answers",
    help: "\
Usage: moonward ping [OPTIONS]

Prints pong; the exit status is 69 when the service does not answer.

Options
",
    options: &["socket", "timeout"],
};

/// Runs the verb.
pub fn run(parser: &mut Parser) -> Result<u8, Stopped> {
    let given = VERB.read(parser, 0)?;
    Ok(ask(&Request::Ping, &given.reach))
}
