//! One log event as it waits for the writer: bounded, owned, and printable on one line.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

use crate::model::clock::Wall;

/// The longest text of one field, in bytes. What is longer is cut: values come from outside.
const FIELD_LIMIT: usize = 8 * 1024;

/// A log event, taken out of the thread that met it.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) metadata: &'static Metadata<'static>,
    pub(super) at: Wall,
    pub(super) fields: Vec<(Field, String)>,
}

impl Record {
    pub(super) fn new(event: &tracing::Event<'_>, at: Wall) -> Self {
        let mut record = Self {
            metadata: event.metadata(),
            at,
            fields: Vec::new(),
        };
        event.record(&mut record);
        record
    }

    /// How grave it is.
    pub(super) fn level(&self) -> Level {
        *self.metadata.level()
    }

    /// What `field` says.
    pub(super) fn text(&self, field: &Field) -> Option<&String> {
        self.fields
            .iter()
            .find_map(|(other, text)| (other == field).then_some(text))
    }

    /// Writes the record on one line: time, level, module, message, `name=value` fields.
    pub(super) fn line(&self, colour: bool) -> String {
        let mut line = String::with_capacity(160);
        let (before, after) = if colour {
            (colour_of(self.level()), "\x1b[0m")
        } else {
            ("", "")
        };
        let target = self.metadata.target();
        let room = target.strip_prefix("moonward::").unwrap_or(target);
        let level = self.level().as_str();
        let head = format!("{} {before}{level:5}{after} {room}:", Stamp(self.at));
        line.push_str(&head);
        line.push(' ');
        line.push_str(&self.summary());
        line.push('\n');
        line
    }

    /// Message and `name=value` fields, on one line.
    pub(super) fn summary(&self) -> String {
        let mut line = String::with_capacity(128);
        for (_, text) in self.fields.iter().filter(|(field, _)| is_message(field)) {
            push_on_one_line(&mut line, text);
        }
        for (field, text) in self.fields.iter().filter(|(field, _)| !is_message(field)) {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(field.name());
            line.push('=');
            if text.contains(' ') {
                line.push('"');
                push_on_one_line(&mut line, text);
                line.push('"');
            } else {
                push_on_one_line(&mut line, text);
            }
        }
        line
    }
}

impl Visit for Record {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Bounded(String::new());
        if write!(text, "{value:?}").is_err() {
            text.0.push('…');
        }
        self.fields.push((field.clone(), text.0));
    }
}

pub(super) fn is_message(field: &Field) -> bool {
    field.name() == "message"
}

/// A string that stops growing at its limit.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = FIELD_LIMIT - self.0.len().min(FIELD_LIMIT);
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let end = text.floor_char_boundary(room);
        self.0.push_str(text.get(..end).unwrap_or_default());
        Err(fmt::Error)
    }
}

/// A value from outside must not begin a line of its own, nor move the reader's cursor.
fn push_on_one_line(line: &mut String, text: &str) {
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
}

const fn colour_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[1;31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG | Level::TRACE => "\x1b[2m",
    }
}

/// A wall time as RFC 3339 writes it, in UTC with milliseconds.
struct Stamp(Wall);

impl fmt::Display for Stamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, day, hour, minute, second] = self.0.utc();
        let milliseconds = self.0.0 / 1_000_000 % 1000;
        write!(
            formatter,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_as_rfc_3339_has_it() {
        let stamp = Stamp(Wall(1_709_164_799_012_345_678));
        assert_eq!(stamp.to_string(), "2024-02-28T23:59:59.012Z");
    }

    #[test]
    fn a_field_is_cut_at_its_limit_between_characters() {
        let mut text = Bounded(String::new());
        assert!(write!(text, "{}", "x".repeat(FIELD_LIMIT - 1)).is_ok());
        assert!(write!(text, "é").is_err());
        assert_eq!(text.0.len(), FIELD_LIMIT - 1);
    }

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        let mut line = String::new();
        push_on_one_line(&mut line, "a\nb\x1b[2Jc\u{9b}");
        assert_eq!(line, "a\\nb\\u{1b}[2Jc\\u{9b}");
    }
}
