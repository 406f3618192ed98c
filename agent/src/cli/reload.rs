//! `moonward reload`: read the configuration again.

use lexopt::Parser;

use super::ask::ask;
use super::verb::{Stopped, Verb};
use crate::serve::control::codec::Request;

/// The verb.
pub static VERB: Verb = Verb {
    name: "reload",
    summary: "read the configuration again",
    help: "\
Usage: moonward reload [OPTIONS]

Makes the service read its configuration again, and prints a line for each key that has another
value now but takes effect only after a restart. A configuration with mistakes changes nothing: the
mistakes are printed and the exit status is 78. Only root and the service's own user may do this.

Options
",
    options: &["socket", "timeout"],
};

/// Runs the verb.
pub fn run(parser: &mut Parser) -> Result<u8, Stopped> {
    let given = VERB.read(parser, 0)?;
    Ok(ask(&Request::Reload, &given.reach))
}
