//! `moonward check`: every mistake in the configuration.

use lexopt::Parser;

use super::verb::{Stopped, Verb};
use super::{exit, output};
use crate::config::{Config, ConfigPaths, Environment};

/// The verb.
pub static VERB: Verb = Verb {
    name: "check",
    summary: "look for mistakes in the configuration",
    help: "\
Usage: moonward check [OPTIONS]

Reads the configuration as the service would and prints every mistake with its file, line and
column. The exit status is 0 when there is none, else 78.

Options
  --config FILE      read this file instead of /etc/moonward/moonward.toml and
                     /etc/moonward/conf.d/*.toml
",
    options: &["config"],
};

/// Runs the verb.
pub fn run(parser: &mut Parser) -> Result<u8, Stopped> {
    let given = VERB.read(parser, 0)?;
    let paths = given
        .config
        .map_or_else(ConfigPaths::system, ConfigPaths::file);
    match Config::load(&paths, &Environment::current()) {
        Ok(_) => Ok(output::print(b"the configuration has no mistakes\n")),
        Err(problems) => {
            output::complain_raw(&format!("{problems}\n"));
            Ok(exit::CONFIGURATION)
        }
    }
}
