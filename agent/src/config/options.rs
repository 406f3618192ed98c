//! `[plugin.NAME.options]`: a free table that a plugin is given as it is.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use toml::de::{DeTable, DeValue};

use super::document::show;
use super::field::{Wrong, toml_text};

/// The options of one plugin, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<String, OptionValue>);

/// One option.
#[derive(Clone, Debug)]
pub enum OptionValue {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// A text of at most 4 KiB.
    Text(String),
    /// A list of at most 1000 elements.
    List(Vec<OptionValue>),
    /// A table of at most 64 keys.
    Table(BTreeMap<String, OptionValue>),
}

impl PartialEq for OptionValue {
    /// Numbers are the same when they are written the same: there `nan` is `nan`, and `0.0` is
    /// neither `-0.0` nor `0`.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::Integer(one), Self::Integer(two)) => one == two,
            (Self::Float(one), Self::Float(two)) => {
                (one.is_nan() && two.is_nan()) || one.to_bits() == two.to_bits()
            }
            (Self::Text(one), Self::Text(two)) => one == two,
            (Self::List(one), Self::List(two)) => one == two,
            (Self::Table(one), Self::Table(two)) => one == two,
            _ => false,
        }
    }
}

impl Eq for OptionValue {}

impl Options {
    /// The most keys of a table.
    pub const KEYS_MAX: usize = 64;
    /// How deep tables and lists may lie in each other; the options themselves are the first level.
    pub const DEPTH_MAX: usize = 4;
    /// The most elements of a list.
    pub const LIST_MAX: usize = 1000;
    /// The longest text in bytes, and the longest key.
    pub const TEXT_MAX: usize = 4096;

    /// The value of one option.
    pub fn get(&self, name: &str) -> Option<&OptionValue> {
        self.0.get(name)
    }

    /// Every option, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &OptionValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes over a table of a file, option by option: what an earlier file has set stays unless it
    /// is set again. On mistakes, of which all are told, nothing is taken over.
    pub(super) fn take(&mut self, value: &DeValue<'_>) -> Result<(), Vec<Wrong>> {
        let mut wrongs = Vec::new();
        let DeValue::Table(table) = value else {
            return Err(vec![wrong(
                None,
                format!("found {}, expected a table", show(value)),
            )]);
        };
        let read = read_table(table, 1, &mut wrongs);
        let more = read
            .keys()
            .filter(|name| !self.0.contains_key(*name))
            .count();
        if wrongs.is_empty() && self.0.len() + more > Self::KEYS_MAX {
            wrongs.push(wrong(
                None,
                format!(
                    "found {} keys in all files, expected at most {}",
                    self.0.len() + more,
                    Self::KEYS_MAX
                ),
            ));
        }
        if wrongs.is_empty() {
            self.0.extend(read);
            Ok(())
        } else {
            Err(wrongs)
        }
    }

    /// As an inline table of TOML.
    pub(super) fn show(&self) -> String {
        let mut text = String::new();
        write_table(&mut text, &self.0);
        text
    }
}

fn wrong(span: Option<std::ops::Range<usize>>, message: String) -> Wrong {
    Wrong { span, message }
}

fn read_table(
    table: &DeTable<'_>,
    depth: usize,
    wrongs: &mut Vec<Wrong>,
) -> BTreeMap<String, OptionValue> {
    let mut read = BTreeMap::new();
    for (index, (key, value)) in table.iter().enumerate() {
        let name: &str = key.get_ref();
        if index == Options::KEYS_MAX {
            let message = format!(
                "found {} keys, expected at most {} in one table",
                table.len(),
                Options::KEYS_MAX
            );
            wrongs.push(wrong(Some(key.span()), message));
            break;
        }
        if let Err(reason) = check(name) {
            let message = format!("found the key {}: {reason}", show_text(name));
            wrongs.push(wrong(Some(key.span()), message));
        }
        match read_value(value.get_ref(), depth + 1, wrongs) {
            Ok(value) => {
                read.insert(name.to_owned(), value);
            }
            Err(message) => {
                wrongs.push(wrong(
                    Some(value.span()),
                    format!("{}: {message}", show_text(name)),
                ));
            }
        }
    }
    read
}

/// One value; the error is what is wrong with all of it.
fn read_value(
    value: &DeValue<'_>,
    depth: usize,
    wrongs: &mut Vec<Wrong>,
) -> Result<OptionValue, String> {
    let found = || format!("found {}", show(value));
    if depth > Options::DEPTH_MAX && matches!(value, DeValue::Array(_) | DeValue::Table(_)) {
        return Err(format!(
            "{}, expected no more than {} tables and lists in each other",
            found(),
            Options::DEPTH_MAX
        ));
    }
    Ok(match value {
        DeValue::Boolean(value) => OptionValue::Bool(*value),
        DeValue::Integer(digits) => OptionValue::Integer(
            i64::from_str_radix(digits.as_str(), digits.radix())
                .map_err(|_| format!("{}, expected a whole number of 64 bits", found()))?,
        ),
        DeValue::Float(digits) => OptionValue::Float(
            digits
                .as_str()
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite() || !digits.as_str().contains('e'))
                .ok_or_else(|| format!("{}, expected a number of 64 bits", found()))?,
        ),
        DeValue::String(text) => {
            check(text).map_err(|reason| format!("{}: {reason}", found()))?;
            OptionValue::Text(text.clone().into_owned())
        }
        DeValue::Datetime(_) => {
            return Err(format!("{}, expected a time in quotes", found()));
        }
        DeValue::Array(array) if array.len() > Options::LIST_MAX => {
            return Err(format!(
                "found a list of {} elements, expected at most {}",
                array.len(),
                Options::LIST_MAX
            ));
        }
        DeValue::Array(array) => {
            let mut list = Vec::with_capacity(array.len());
            for element in array {
                match read_value(element.get_ref(), depth + 1, wrongs) {
                    Ok(value) => list.push(value),
                    Err(message) => wrongs.push(wrong(Some(element.span()), message)),
                }
            }
            OptionValue::List(list)
        }
        DeValue::Table(table) => OptionValue::Table(read_table(table, depth, wrongs)),
    })
}

/// Texts may have lines and tabs: they may be queries.
fn check(text: &str) -> Result<(), String> {
    if text.len() > Options::TEXT_MAX {
        return Err(format!("it is longer than {} bytes", Options::TEXT_MAX));
    }
    if text
        .chars()
        .any(|character| character.is_control() && !matches!(character, '\n' | '\t' | '\r'))
    {
        return Err("it holds a control character".to_owned());
    }
    Ok(())
}

fn show_text(text: &str) -> String {
    show(&DeValue::String(text.into()))
}

fn write_table(out: &mut String, table: &BTreeMap<String, OptionValue>) {
    out.push('{');
    let mut separator = " ";
    for (name, value) in table {
        out.push_str(separator);
        separator = ", ";
        let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if !name.is_empty() && name.bytes().all(is_bare) {
            out.push_str(name);
        } else {
            out.push_str(&toml_text(name));
        }
        out.push_str(" = ");
        write_value(out, value);
    }
    out.push_str(if table.is_empty() { "}" } else { " }" });
}

fn write_value(out: &mut String, value: &OptionValue) {
    // Writing to a string cannot fail.
    match value {
        OptionValue::Bool(value) => write!(out, "{value}"),
        OptionValue::Integer(number) => write!(out, "{number}"),
        OptionValue::Float(number) if number.is_nan() => write!(out, "nan"),
        // With a point or an exponent, so that it stays no whole number; `inf` is TOML's word too.
        OptionValue::Float(number) => write!(out, "{number:?}"),
        OptionValue::Text(text) => write!(out, "{}", toml_text(text)),
        OptionValue::List(list) => {
            out.push('[');
            for (index, element) in list.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write_value(out, element);
            }
            out.push(']');
            Ok(())
        }
        OptionValue::Table(table) => {
            write_table(out, table);
            Ok(())
        }
    }
    .ok();
}
