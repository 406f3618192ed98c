//! What every TOML file of ours needs, whatever is in it: bounds for reading, positions, and words
//! for what was found.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use toml::de::DeValue;

use super::units::show_size;

/// How many dots or opening brackets one line may have: the reader goes down one level for each,
/// and a right line has a few.
const DEPTH_MAX: usize = 1000;

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// There is none, which may be right.
    Absent,
    /// A message that continues the name of the file.
    Because(String),
}

impl Unread {
    /// The message, for whoever needs the file.
    pub(crate) fn message(self) -> String {
        match self {
            Self::Absent => format!("cannot be opened: {}", rustix::io::Errno::NOENT),
            Self::Because(message) => message,
        }
    }
}

/// The content of a regular file of at most `max` bytes, and what the system says of the file.
///
/// # Errors
/// When it is absent, cannot be read, is of another type, or larger.
pub(crate) fn read(path: &Path, max: u64) -> Result<(Vec<u8>, Stat), Unread> {
    let unreadable =
        |error: &dyn std::fmt::Display| Unread::Because(format!("cannot be read: {error}"));
    // Without NONBLOCK a named pipe would keep the start waiting for a writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        rustix::io::Errno::NOENT => Unread::Absent,
        error => Unread::Because(format!("cannot be opened: {error}")),
    })?;
    let status = rustix::fs::fstat(&file).map_err(|error| unreadable(&error))?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(Unread::Because("is not a regular file".to_owned()));
    }
    let mut text = Vec::new();
    File::from(file)
        .take(max + 1)
        .read_to_end(&mut text)
        .map_err(|error| unreadable(&error))?;
    if text.len() as u64 > max {
        let message = format!("is larger than {}, which is not read", show_size(max));
        return Err(Unread::Because(message));
    }
    Ok((text, status))
}

/// Where a line is nested too deeply to be read at all, and the message for it.
pub(crate) fn too_deep(text: &str) -> Option<(usize, String)> {
    let mut depth = 0;
    let at = text.bytes().position(|byte| {
        match byte {
            b'\n' => depth = 0,
            b'.' | b'[' | b'{' => depth += 1,
            _ => {}
        }
        depth > DEPTH_MAX
    });
    at.map(|at| {
        let message = format!("found more than {DEPTH_MAX} dots or brackets on one line");
        (at, message)
    })
}

/// Where the lines of a text start, for positions of many mistakes in one large file.
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0)
            .chain(after.map(|(at, _)| at + 1))
            .collect();
        Self { text, starts }
    }

    /// The line, from 1, of a byte.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    /// Line and column, both from 1, of a byte; the column in characters.
    pub(crate) fn position(&self, at: usize) -> (usize, usize) {
        let line = self.line(at);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..at.min(self.text.len()));
        (line, before.unwrap_or_default().chars().count() + 1)
    }
}

/// A value for a message: short, on one line.
pub(crate) fn show(value: &DeValue<'_>) -> String {
    match value {
        // What does not print is escaped.
        DeValue::String(text) => format!("{:?}", short(text)),
        DeValue::Integer(number) => short(&number.to_string()),
        DeValue::Float(number) => short(&number.to_string()),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(list) if list.is_empty() => "an empty list".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// At most 60 characters.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
