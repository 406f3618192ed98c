//! Reads one value of a file into the field it belongs to, and prints a field as the file would
//! have it.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeValue;

use super::document::show;
use super::schema::Field;
use super::types::{DoorAddress, LogLevel};
use super::units;
use crate::serve::zabbix::access::AllowList;

/// What is wrong with a value.
pub(super) struct Wrong {
    /// Where, when it is not the whole value.
    pub(super) span: Option<Range<usize>>,
    /// What was found, what was expected, and why that is not it.
    pub(super) message: String,
}

/// How many elements a list may have; access lists and patterns are read for every request.
const LIST_MAX: usize = 1000;
/// The longest text in bytes; a host name has at most 255, a path 4095.
const TEXT_MAX: usize = 4095;

impl<T> Field<T> {
    /// What a right value looks like.
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Bool(_) => "true or false".to_owned(),
            Self::Duration(_, least, most) => format!(
                "a duration from \"{}\" to \"{}\", such as \"10s\" or \"1h30m\"",
                units::show_duration(*least),
                units::show_duration(*most)
            ),
            Self::Size(_, least, most) => format!(
                "a size from \"{}\" to \"{}\", such as \"64KiB\"",
                units::show_size(*least),
                units::show_size(*most)
            ),
            Self::Count(_, least, most) => format!("a whole number from {least} to {most}"),
            Self::Number(_, least, most) => format!("a whole number from {least} to {most}"),
            Self::Name(_) => "a text that is not empty".to_owned(),
            Self::Text(_) => "a text".to_owned(),
            Self::Level(_) => {
                let names = LogLevel::ALL.map(|(_, name)| format!("\"{name}\""));
                format!("one of {}", names.join(", "))
            }
            Self::Path(_) => "an absolute path".to_owned(),
            Self::OptionalPath(_) => "an absolute path or \"off\"".to_owned(),
            Self::DoorAddress(_) => "an address with a port, such as \"127.0.0.1:10050\" or \
                 \"[::1]:10050\", \"auto\" or \"off\""
                .to_owned(),
            Self::Patterns(_) => format!("a list of at most {LIST_MAX} texts that are not empty"),
            Self::Paths(_) => format!("a list of at most {LIST_MAX} absolute paths"),
            Self::Options(_) => "a table".to_owned(),
            Self::Peers(_) => format!(
                "a list of at most {LIST_MAX} addresses, networks and host names, such as \
                 [\"127.0.0.1\", \"10.0.0.0/8\", \"zabbix.example.com\"]"
            ),
        }
    }

    /// Puts a value into its field, or says everything that is wrong with it; then the field is as
    /// it was.
    pub(super) fn set(&self, target: &mut T, value: &DeValue<'_>) -> Result<(), Vec<Wrong>> {
        match self {
            Self::Options(field) => field(target).take(value),
            _ => self.set_one(target, value).map_err(|wrong| vec![wrong]),
        }
    }

    fn set_one(&self, target: &mut T, value: &DeValue<'_>) -> Result<(), Wrong> {
        let wrong = |reason: &str| {
            let mut message = format!("found {}, expected {}", show(value), self.expected());
            if !reason.is_empty() {
                message.push_str(": ");
                message.push_str(reason);
            }
            Wrong {
                span: None,
                message,
            }
        };
        let text = || text(value).map_err(|reason| wrong(&reason));
        match self {
            Self::Bool(field) => {
                *field(target) = value.as_bool().ok_or_else(|| wrong(""))?;
            }
            Self::Duration(field, least, most) => {
                let read = units::duration(text()?).map_err(|reason| wrong(&reason))?;
                *field(target) = within(read, *least, *most).ok_or_else(|| wrong(""))?;
            }
            Self::Size(field, least, most) => {
                let read = units::size(text()?).map_err(|reason| wrong(&reason))?;
                *field(target) = within(read, *least, *most).ok_or_else(|| wrong(""))?;
            }
            Self::Count(field, least, most) => {
                let digits = value.as_integer().ok_or_else(|| wrong(""))?;
                *field(target) = usize::from_str_radix(digits.as_str(), digits.radix())
                    .ok()
                    .and_then(|read| within(read, *least, *most))
                    .ok_or_else(|| wrong(""))?;
            }
            Self::Number(field, least, most) => {
                let digits = value.as_integer().ok_or_else(|| wrong(""))?;
                *field(target) = u64::from_str_radix(digits.as_str(), digits.radix())
                    .ok()
                    .and_then(|read| within(read, *least, *most))
                    .ok_or_else(|| wrong(""))?;
            }
            Self::Name(field) | Self::Text(field) => {
                let read = text()?;
                if read.is_empty() && matches!(self, Self::Name(_)) {
                    return Err(wrong(""));
                }
                read.clone_into(field(target));
            }
            Self::Level(field) => {
                let read = text()?;
                let level = LogLevel::ALL.iter().find(|(_, name)| *name == read);
                *field(target) = level.ok_or_else(|| wrong(""))?.0;
            }
            Self::Path(field) => {
                *field(target) = absolute(text()?).ok_or_else(|| wrong(""))?;
            }
            Self::OptionalPath(field) => {
                *field(target) = match text()? {
                    "off" => None,
                    path => Some(absolute(path).ok_or_else(|| wrong(""))?),
                };
            }
            Self::DoorAddress(field) => {
                *field(target) = match text()? {
                    "auto" => DoorAddress::Auto,
                    "off" => DoorAddress::Off,
                    address => DoorAddress::At(address.parse().map_err(|_| wrong(""))?),
                };
            }
            Self::Patterns(field) => {
                *field(target) = self.list(value, &wrong, |text| match text {
                    "" => Err("it is empty".to_owned()),
                    text => Ok(text.to_owned()),
                })?;
            }
            Self::Paths(field) => {
                *field(target) = self.list(value, &wrong, |text| {
                    absolute(text).ok_or_else(|| "it does not begin with \"/\"".to_owned())
                })?;
            }
            // Has mistakes of its own, see above.
            Self::Options(_) => return Err(wrong("")),
            Self::Peers(field) => {
                *field(target) = self.list(value, &wrong, peer)?;
            }
        }
        Ok(())
    }

    fn list<V>(
        &self,
        value: &DeValue<'_>,
        wrong: &dyn Fn(&str) -> Wrong,
        read: impl Fn(&str) -> Result<V, String>,
    ) -> Result<Vec<V>, Wrong> {
        let array = value.as_array().ok_or_else(|| wrong(""))?;
        if array.len() > LIST_MAX {
            return Err(wrong(&format!("it has {}", array.len())));
        }
        array
            .iter()
            .map(|element: &Spanned<DeValue<'_>>| {
                text(element.get_ref())
                    .and_then(&read)
                    .map_err(|reason| Wrong {
                        span: Some(element.span()),
                        message: format!(
                            "found {} in the list, expected {}: {reason}",
                            show(element.get_ref()),
                            self.expected()
                        ),
                    })
            })
            .collect()
    }

    /// The value of the field as the file would have it.
    pub(super) fn show(&self, target: &mut T) -> String {
        match self {
            Self::Bool(field) => field(target).to_string(),
            Self::Duration(field, ..) => toml_text(&units::show_duration(*field(target))),
            Self::Size(field, ..) => toml_text(&units::show_size(*field(target))),
            Self::Count(field, ..) => field(target).to_string(),
            Self::Number(field, ..) => field(target).to_string(),
            Self::Options(field) => field(target).show(),
            Self::Paths(field) => {
                let list: Vec<String> = field(target)
                    .iter()
                    .map(|path| toml_text(&path.to_string_lossy()))
                    .collect();
                format!("[{}]", list.join(", "))
            }
            Self::Name(field) | Self::Text(field) => toml_text(field(target)),
            Self::Level(field) => toml_text(field(target).as_str()),
            Self::Path(field) => toml_text(&field(target).to_string_lossy()),
            Self::OptionalPath(field) => field(target).as_ref().map_or_else(
                || toml_text("off"),
                |path| toml_text(&path.to_string_lossy()),
            ),
            Self::DoorAddress(field) => match field(target) {
                DoorAddress::Auto => toml_text("auto"),
                DoorAddress::Off => toml_text("off"),
                DoorAddress::At(address) => toml_text(&address.to_string()),
            },
            Self::Patterns(field) => {
                let list: Vec<String> = field(target).iter().map(|text| toml_text(text)).collect();
                format!("[{}]", list.join(", "))
            }
            Self::Peers(field) => {
                let list: Vec<String> = field(target).iter().map(|peer| toml_text(peer)).collect();
                format!("[{}]", list.join(", "))
            }
        }
    }
}

/// An entry of an allow-list, as the Zabbix door reads it.
fn peer(text: &str) -> Result<String, String> {
    AllowList::from_entries([text])
        .map(|_| text.trim().to_owned())
        .map_err(|errors| {
            errors
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; ")
        })
}

fn within<V: PartialOrd + Copy>(value: V, least: V, most: V) -> Option<V> {
    (value >= least && value <= most).then_some(value)
}

fn absolute(text: &str) -> Option<PathBuf> {
    Path::new(text).is_absolute().then(|| PathBuf::from(text))
}

/// The value as a text without anything that would break a protocol line or a log line.
fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    let text = value.as_str().ok_or_else(|| match value {
        DeValue::Integer(_) | DeValue::Float(_) => "a number is not quoted text".to_owned(),
        _ => "it is no text".to_owned(),
    })?;
    if text.len() > TEXT_MAX {
        return Err(format!("it is longer than {TEXT_MAX} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err("it holds a control character".to_owned());
    }
    Ok(text)
}

/// As a basic string of TOML.
pub(super) fn toml_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            control if control.is_control() => {
                // Writing to a string cannot fail.
                write!(quoted, "\\u{:04X}", u32::from(control)).ok();
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}
