//! `moonward metrics [GLOB]`: every value.

use lexopt::Parser;

use super::ask::ask;
use super::verb::{Stopped, Verb};
use crate::serve::control::codec::{Form, Request};

/// The verb.
pub static VERB: Verb = Verb {
    name: "metrics",
    summary: "print every value",
    help: "\
Usage: moonward metrics [OPTIONS] [--] [GLOB]

Prints a line per series: the series, its value and its unit, with tabs between. In GLOB, which is
compared to the whole series with its tags, `*` stands for any text and `?` for one character.

Options
  --json             print a JSON array of objects with name, tags, kind, unit, value, rate,
                     time (seconds since 1970) and ttl (seconds the value still holds)
",
    options: &["json", "socket", "timeout"],
};

/// Runs the verb.
pub fn run(parser: &mut Parser) -> Result<u8, Stopped> {
    let given = VERB.read(parser, 1)?;
    let form = if given.json { Form::Json } else { Form::Text };
    let pattern = given
        .words
        .into_iter()
        .next()
        .unwrap_or_else(|| "*".to_owned());
    Ok(ask(&Request::Metrics(pattern, form), &given.reach))
}
