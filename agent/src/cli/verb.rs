//! What every verb has: its words for `--help`, its options, and how the command line is read.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser};

use super::ask::Reach;
use super::{exit, output, suggest};

/// One verb of the command line.
#[derive(Debug)]
pub struct Verb {
    /// The word.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// How it is called and what its own options do.
    pub help: &'static str,
    /// Its long options, without `--`.
    pub options: &'static [&'static str],
}

/// The option of every verb.
const HELP_HELP: &str = "  -h, --help         print this
";

/// The options of every verb that asks the service.
const REACH_HELP: &str = "  --socket PATH      the control socket; default $MOONWARD_SOCKET, else
                     /run/moonward/control.sock, else
                     $XDG_RUNTIME_DIR/moonward/control.sock
  --timeout SECONDS  how long to wait for the service, 0.001 to 3600; default 10
  -h, --help         print this
";

/// What stopped the reading of a command line. What was to be said has been said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped(pub u8);

/// What a command line gave.
#[derive(Debug, Default)]
pub struct Given {
    /// `--json`
    pub json: bool,
    /// `--rate`
    pub rate: bool,
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--zalua`
    pub zalua: bool,
    /// How to reach the service.
    pub reach: Reach,
    /// Every other option of the verb that was given, without `--`; it has no value.
    pub flags: Vec<String>,
    /// What is no option.
    pub words: Vec<String>,
}

impl Given {
    /// Whether an option without a value was given.
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }
}

impl Verb {
    /// Reads what follows the verb: the options that it knows and at most `words` other words.
    pub fn read(&self, parser: &mut Parser, words: usize) -> Result<Given, Stopped> {
        let mut given = Given::default();
        while let Some(argument) = parser
            .next()
            .map_err(|error| self.wrong(&error.to_string()))?
        {
            // The borrow of the option's name must end before its value is read.
            let option = match argument {
                Arg::Short('h') => "help".to_owned(),
                Arg::Long(name) => name.to_owned(),
                Arg::Short(letter) => return Err(self.unknown(&format!("-{letter}"))),
                Arg::Value(word) => {
                    given.words.push(self.text(word)?);
                    if given.words.len() > words {
                        return Err(self.wrong("there are too many words"));
                    }
                    continue;
                }
            };
            match option.as_str() {
                "help" => return Err(self.print_help()),
                name if !self.options.contains(&name) => {
                    return Err(self.unknown(&format!("--{name}")));
                }
                "json" => given.json = true,
                "rate" => given.rate = true,
                "zalua" => given.zalua = true,
                "config" => given.config = Some(PathBuf::from(self.value(parser)?)),
                "socket" => given.reach.socket = Some(PathBuf::from(self.value(parser)?)),
                "timeout" => given.reach.patience = Some(self.seconds(parser)?),
                flag => given.flags.push(flag.to_owned()),
            }
        }
        Ok(given)
    }

    /// Prints the verb's help and stops.
    pub fn print_help(&self) -> Stopped {
        let common = if self.options.contains(&"socket") {
            REACH_HELP
        } else {
            HELP_HELP
        };
        Stopped(output::print([self.help, common].concat().as_bytes()))
    }

    /// Says what is wrong with the command line.
    pub fn wrong(&self, message: &str) -> Stopped {
        output::complain(&format!("{message}; see `moonward {} --help`", self.name));
        Stopped(exit::USAGE)
    }

    fn unknown(&self, option: &str) -> Stopped {
        let typed = option.trim_start_matches('-');
        match suggest::nearest(typed, self.options.iter().copied().chain(["help"])) {
            Some(near) => self.wrong(&format!(
                "`{}` has no option {option}; did you mean --{near}?",
                self.name
            )),
            None => self.wrong(&format!("`{}` has no option {option}", self.name)),
        }
    }

    /// The value of the option that was read last.
    pub fn value(&self, parser: &mut Parser) -> Result<OsString, Stopped> {
        parser
            .value()
            .map_err(|error| self.wrong(&error.to_string()))
    }

    fn text(&self, word: OsString) -> Result<String, Stopped> {
        word.into_string()
            .map_err(|word| self.wrong(&format!("{} is not UTF-8 text", word.display())))
    }

    fn seconds(&self, parser: &mut Parser) -> Result<Duration, Stopped> {
        let value = self.value(parser)?;
        value
            .to_str()
            .and_then(|text| text.parse::<f64>().ok())
            .filter(|seconds| (0.001..=3600.0).contains(seconds))
            .map(Duration::from_secs_f64)
            .ok_or_else(|| {
                let value = value.display();
                self.wrong(&format!(
                    "--timeout wants seconds, 0.001 to 3600, not {value}"
                ))
            })
    }
}
