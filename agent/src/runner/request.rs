//! What the runner is asked to do.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use thiserror::Error;

/// How many bytes of a command a message shows.
const SHOWN_MAX: usize = 200;

/// What is to be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A text for the shell: `sh -c TEXT`.
    Shell(OsString),
    /// A program and its arguments, without any shell. A program without `/` is looked for in
    /// `/usr/local/sbin`, `/usr/local/bin`, `/usr/sbin`, `/usr/bin`, `/sbin` and `/bin`.
    Program(Vec<OsString>),
}

/// The command as a message shows it: on one line, and shortened.
impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        match self {
            Self::Shell(shell) => show(&mut text, shell),
            Self::Program(words) => {
                for word in words {
                    if !text.is_empty() {
                        text.push(' ');
                    }
                    show(&mut text, word);
                    if text.len() > SHOWN_MAX {
                        break;
                    }
                }
            }
        }
        match text.char_indices().find(|(at, _)| *at >= SHOWN_MAX) {
            Some((end, _)) => write!(formatter, "{}…", text.get(..end).unwrap_or_default()),
            None => formatter.write_str(&text),
        }
    }
}

fn show(text: &mut String, word: &OsStr) {
    // Enough for any cut, however many bytes a character of it needs.
    let word = word.as_bytes();
    let word = word
        .get(..word.len().min(SHOWN_MAX + 4))
        .unwrap_or_default();
    for character in String::from_utf8_lossy(word).chars() {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
}

/// A command with its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is to be executed.
    pub command: Command,
    /// How long it may take, waiting for a place included: [`Request::TIMEOUT_MIN`] to
    /// [`Request::TIMEOUT_MAX`], in whole milliseconds (a fraction counts as one more).
    pub timeout: Duration,
    /// What its standard input is; `/dev/null` when there is none.
    pub stdin: Option<Vec<u8>>,
}

impl Request {
    /// The shortest time limit.
    pub const TIMEOUT_MIN: Duration = Duration::from_millis(1);
    /// The time limit when nobody names one, which is the only one that ZaLua has.
    pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
    /// The longest time limit: what takes longer is no check but a service.
    pub const TIMEOUT_MAX: Duration = Duration::from_mins(5);

    /// A text for the shell, with the default time limit and no input.
    pub fn shell(text: impl Into<OsString>) -> Self {
        Self::new(Command::Shell(text.into()))
    }

    /// A program with its arguments, with the default time limit and no input.
    pub fn program<W: Into<OsString>>(words: impl IntoIterator<Item = W>) -> Self {
        Self::new(Command::Program(
            words.into_iter().map(Into::into).collect(),
        ))
    }

    fn new(command: Command) -> Self {
        Self {
            command,
            timeout: Self::TIMEOUT_DEFAULT,
            stdin: None,
        }
    }

    /// The same with another time limit.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same with a standard input.
    #[must_use]
    pub fn with_stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(input.into());
        self
    }
}

/// Why something is not a request that the runner takes.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RequestError {
    /// Command and input together are too long.
    #[error(
        "the command and its input are longer than {} bytes",
        super::codec::REQUEST_MAX
    )]
    TooLong,
    /// The time limit is out of its bounds.
    #[error("the time limit must be 1 ms to 300 s")]
    Timeout,
    /// There is no program to execute.
    #[error("there is no program to execute")]
    NoProgram,
    /// A NUL byte, which no argument of a program can hold.
    #[error("a command cannot hold a NUL byte")]
    Nul,
    /// The bytes are not what a client of this version writes.
    #[error("the request cannot be read; the client may be of another version")]
    Malformed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_on_one_short_line() {
        let shown = Command::Program(vec!["a".into(), "b\nc".into(), "é".into()]).to_string();
        assert_eq!(shown, "a b\\nc é");
        let long = Command::Shell("é".repeat(10_000).into()).to_string();
        assert!(long.len() <= SHOWN_MAX + 4 && long.ends_with('…'), "{long}");
        let many = Command::Program(vec!["x".into(); 10_000]).to_string();
        assert!(many.len() <= SHOWN_MAX + 4 && many.ends_with('…'), "{many}");
    }
}
