//! Reads the allow-list: strict, and with every mistake at once, as the agent's configuration is
//! read. `value.rs` reads single values. The shipped `systemd/runner.toml` is held to it by a test.

mod value;

use std::fmt;
use std::ops::Range;
use std::path::Path;

use rustix::fs::Mode;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use self::value::{Wrong, further, limit, program, text};
use super::policy::{Allowed, Further, Policy, Rule, Rules};
use super::request::Request;
use crate::config::Problem;
use crate::config::document::{self, Lines, Unread, short, show, too_deep};

/// Where the allow-list is when nobody says otherwise.
pub const SYSTEM_FILE: &str = "/etc/moonward/runner.toml";

/// The user who may ask when the file names none.
const USER: &str = "moonward";

/// The list of users; directory services are not asked.
const PASSWD: &str = "/etc/passwd";

/// The largest file that is read.
const FILE_MAX: u64 = 256 * 1024;
/// The most entries; every request is held against all of them.
const ENTRIES_MAX: usize = 1000;
/// How many mistakes are listed.
const LISTED_MAX: usize = 1000;
/// Every mistake in an allow-list, by position. Prints one line per mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<Problem>);

impl Mistakes {
    /// The mistakes, at least one.
    pub fn list(&self) -> &[Problem] {
        &self.0
    }

    fn whole(path: &Path, message: String) -> Self {
        Self(vec![Problem {
            file: path.to_owned(),
            position: None,
            message,
        }])
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for problem in &self.0 {
            write!(formatter, "{separator}{problem}")?;
            separator = "\n";
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

impl Policy {
    /// Reads the file. It must belong to root or to the user of this process, and nobody else may
    /// be able to write to it.
    ///
    /// # Errors
    /// With every mistake in it.
    pub fn load(path: &Path) -> Result<Self, Mistakes> {
        let text = read(path).map_err(|message| Mistakes::whole(path, message))?;
        // Without a list of users there is none to name; numbers still are.
        let users = std::fs::read_to_string(PASSWD).unwrap_or_default();
        Self::parse(path, &text, &users)
    }

    /// Reads the content of the file. `users` is that of `/etc/passwd`.
    ///
    /// # Errors
    /// With every mistake in it.
    pub fn parse(path: &Path, text: &[u8], users: &str) -> Result<Self, Mistakes> {
        let mut reader = Reader {
            users,
            found: Vec::new(),
        };
        let text = match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => {
                let valid = text.get(..error.valid_up_to()).unwrap_or_default();
                let valid = String::from_utf8_lossy(valid);
                reader.wrong(
                    valid.len()..valid.len(),
                    "found a byte that is not UTF-8, expected text in UTF-8".to_owned(),
                );
                return Err(reader.mistakes(path, &valid));
            }
        };
        if let Some((at, message)) = too_deep(text) {
            reader.wrong(at..at, message);
            return Err(reader.mistakes(path, text));
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let message = error.message().lines().next().unwrap_or_default();
            reader.wrong(error.span().unwrap_or(0..0), format!("syntax: {message}"));
        }
        // What the parser made of a file with such mistakes is its guess.
        if !errors.is_empty() {
            return Err(reader.mistakes(path, text));
        }
        let policy = reader.file(table.get_ref());
        if reader.found.is_empty() {
            Ok(policy)
        } else {
            Err(reader.mistakes(path, text))
        }
    }
}

/// Collects mistakes while it walks the file.
struct Reader<'t> {
    users: &'t str,
    found: Vec<(usize, String)>,
}

impl Reader<'_> {
    fn wrong(&mut self, span: Range<usize>, message: String) {
        if self.found.len() < LISTED_MAX {
            self.found.push((span.start, message));
        }
    }

    fn mistakes(mut self, path: &Path, text: &str) -> Mistakes {
        self.found.sort();
        // One mistake of syntax can be reported by several rules of the grammar.
        self.found.dedup_by_key(|(at, _)| *at);
        let lines = Lines::new(text);
        let problems = self.found.into_iter().map(|(at, message)| Problem {
            file: path.to_owned(),
            position: Some(lines.position(at)),
            message,
        });
        Mistakes(problems.collect())
    }

    fn file(&mut self, table: &DeTable<'_>) -> Policy {
        let mut user = number_of(self.users, USER);
        let mut rules = Vec::new();
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "user" => match self.user(value) {
                    Ok(found) => user = Some(found),
                    Err(message) => self.wrong(value.span(), message),
                },
                "allow" => rules = self.entries(value),
                _ => {
                    let name = short(key.get_ref());
                    let message = format!("unknown key {name:?}; known are user and [[allow]]");
                    self.wrong(key.span(), message);
                }
            }
        }
        Policy {
            user,
            rules: Rules::Listed(rules),
        }
    }

    fn user(&self, value: &Spanned<DeValue<'_>>) -> Result<u32, String> {
        let expected = "expected the name or number of a user";
        let found = match value.get_ref() {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
            DeValue::String(name) => number_of(self.users, name),
            _ => None,
        };
        found.ok_or_else(|| {
            let mut message = format!("user: found {}, {expected}", show(value.get_ref()));
            if matches!(value.get_ref(), DeValue::String(_)) {
                message += ": there is none of that name in /etc/passwd";
            }
            message
        })
    }

    fn entries(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<Rule> {
        let Some(entries) = value.get_ref().as_array() else {
            let found = show(value.get_ref());
            let message = format!("allow: found {found}, expected entries, each under [[allow]]");
            self.wrong(value.span(), message);
            return Vec::new();
        };
        if entries.len() > ENTRIES_MAX {
            let count = entries.len();
            let message = format!("allow: found {count} entries, expected at most {ENTRIES_MAX}");
            self.wrong(value.span(), message);
            return Vec::new();
        }
        entries
            .iter()
            .filter_map(|entry| match entry.get_ref() {
                DeValue::Table(table) => self.entry(&entry.span(), table),
                other => {
                    let found = show(other);
                    let message = format!("allow: found {found}, expected a table, [[allow]]");
                    self.wrong(entry.span(), message);
                    None
                }
            })
            .collect()
    }

    fn entry(&mut self, span: &Range<usize>, table: &DeTable<'_>) -> Option<Rule> {
        let before = self.found.len();
        let (mut shell, mut command, mut arguments) = (None, None, None);
        let mut timeout = Request::TIMEOUT_MAX;
        for (key, value) in table {
            let read = match key.get_ref().as_ref() {
                "shell" => text(value).map(|text| shell = Some(text)),
                "command" => program(value).map(|words| command = Some(words)),
                "arguments" => further(value).map(|read| arguments = Some((key.span(), read))),
                "timeout" => limit(value).map(|limit| timeout = limit),
                _ => {
                    let name = short(key.get_ref());
                    let message = format!(
                        "unknown key {name:?} in [[allow]]; known are shell, command, arguments \
                         and timeout"
                    );
                    self.wrong(key.span(), message);
                    continue;
                }
            };
            if let Err(Wrong { span, message }) = read {
                self.wrong(span, format!("allow.{}: {message}", key.get_ref()));
            }
        }
        if self.found.len() > before {
            return None;
        }
        let what = match (shell, command, arguments) {
            (Some(text), None, None) => Allowed::Shell(text),
            (None, Some(words), arguments) => {
                let further = arguments.map_or_else(|| Further::Fitting(Vec::new()), |read| read.1);
                Allowed::Program(words, further)
            }
            (Some(_), None, Some((span, _))) => {
                let message = "allow.arguments: belongs to command; a shell text is allowed as a \
                               whole or not at all";
                self.wrong(span, message.to_owned());
                return None;
            }
            (shell, ..) => {
                let found = if shell.is_some() { "both" } else { "neither" };
                let message = format!("allow: found {found}, expected one of shell and command");
                self.wrong(span.clone(), message);
                return None;
            }
        };
        Some(Rule { what, timeout })
    }
}

/// The number of the user of that name.
fn number_of(users: &str, name: &str) -> Option<u32> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}

/// The content of the file, or why it is not read.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let (text, status) = document::read(path, FILE_MAX).map_err(Unread::message)?;
    let own = rustix::process::geteuid().as_raw();
    if status.st_uid != 0 && status.st_uid != own {
        return Err("belongs to another user than root, who could allow anything".to_owned());
    }
    if Mode::from_raw_mode(status.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
        return Err("can be written by others than its owner; try chmod 640".to_owned());
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
