//! `moonward stop`: end the service.

use lexopt::Parser;

use super::ask::ask;
use super::verb::{Stopped, Verb};
use crate::serve::control::codec::Request;

/// The verb.
pub static VERB: Verb = Verb {
    name: "stop",
    summary: "end the service",
    help: "\
Usage: moonward stop [OPTIONS]

Ends the service in good order. Only root and the service's own user may do this. Under systemd
use `systemctl stop moonward`, which systemd does not take for a failure.

Options
",
    options: &["socket", "timeout"],
};

/// Runs the verb.
pub fn run(parser: &mut Parser) -> Result<u8, Stopped> {
    let given = VERB.read(parser, 0)?;
    Ok(ask(&Request::Stop, &given.reach))
}
