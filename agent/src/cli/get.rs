//! `moonward get KEY`: one value.
//!
//! Scripts and UserParameters run this once per value, so it does as little as a process can.

use lexopt::Parser;

use super::ask::ask;
use super::verb::{Stopped, Verb};
use crate::serve::control::codec::{Form, Request};

/// The verb.
pub static VERB: Verb = Verb {
    name: "get",
    summary: "print one value",
    help: "\
Usage: moonward get [OPTIONS] [--] KEY

Prints the latest value of a series and a line feed; the exit status is 1 when there is none.
KEY is the series as `moonward metrics` prints it, or name{tag=value,...} with the tags in any
order and without quotes, or 'name tag=value tag=value'. Words after the first are taken as tags.

Options
  --rate             print a counter's change per second instead
  --json             print everything that is known of the value as a JSON object; a histogram
                     is then shown with all its buckets
",
    options: &["json", "rate", "socket", "timeout"],
};

/// Runs the verb.
pub fn run(parser: &mut Parser) -> Result<u8, Stopped> {
    let given = VERB.read(parser, 17)?;
    if given.words.is_empty() {
        return Err(VERB.wrong("a key is missing"));
    }
    let form = match (given.json, given.rate) {
        (true, true) => return Err(VERB.wrong("--json shows the rate too; leave --rate out")),
        (true, false) => Form::Json,
        (false, true) => Form::Rate,
        (false, false) => Form::Text,
    };
    Ok(ask(
        &Request::Get(given.words.join(" "), form),
        &given.reach,
    ))
}
