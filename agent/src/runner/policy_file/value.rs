//! Reads single values of the allow-list.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::super::policy::Further;
use super::super::request::Request;
use crate::config::document::show;
use crate::config::units;
use crate::model::Glob;

/// The most words of a command, and the most patterns.
const WORDS_MAX: usize = 100;
/// The longest text in bytes, as in the agent's configuration.
const TEXT_MAX: usize = 4095;

/// What is wrong with a value, and where.
pub(super) struct Wrong {
    pub(super) span: Range<usize>,
    pub(super) message: String,
}

fn wrong(value: &Spanned<DeValue<'_>>, expected: &str) -> Wrong {
    Wrong {
        span: value.span(),
        message: format!("found {}, expected {expected}", show(value.get_ref())),
    }
}

/// A text for the shell.
pub(super) fn text(value: &Spanned<DeValue<'_>>) -> Result<String, Wrong> {
    value
        .get_ref()
        .as_str()
        .filter(|text| !text.is_empty() && text.len() <= TEXT_MAX && !text.contains('\0'))
        .map(ToOwned::to_owned)
        .ok_or_else(|| {
            let expected = format!("a text of 1 to {TEXT_MAX} bytes without NUL");
            wrong(value, &expected)
        })
}

fn texts<V>(
    value: &Spanned<DeValue<'_>>,
    expected: &str,
    read: impl Fn(&str) -> V,
) -> Result<Vec<V>, Wrong> {
    let list = value
        .get_ref()
        .as_array()
        .filter(|list| list.len() <= WORDS_MAX)
        .ok_or_else(|| wrong(value, expected))?;
    list.iter()
        .map(|word| {
            word.get_ref()
                .as_str()
                .filter(|text| text.len() <= TEXT_MAX && !text.contains('\0'))
                .map(&read)
                .ok_or_else(|| {
                    let expected = format!("texts of at most {TEXT_MAX} bytes in the list");
                    wrong(word, &expected)
                })
        })
        .collect()
}

/// The words of a command.
pub(super) fn program(value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, Wrong> {
    let expected = format!(
        "a list of 1 to {WORDS_MAX} texts that starts with the program's absolute path, such as \
         [\"/usr/bin/ntpstat\"]"
    );
    let words = texts(value, &expected, ToOwned::to_owned)?;
    if words
        .first()
        .is_some_and(|program| program.starts_with('/'))
    {
        Ok(words)
    } else {
        Err(wrong(value, &expected))
    }
}

/// What may follow the words of a command.
pub(super) fn further(value: &Spanned<DeValue<'_>>) -> Result<Further, Wrong> {
    if value.get_ref().as_str() == Some("any") {
        return Ok(Further::Any);
    }
    let expected =
        format!("\"any\" or a list of at most {WORDS_MAX} patterns, one for each argument");
    texts(value, &expected, Glob::new).map(Further::Fitting)
}

/// A time limit.
pub(super) fn limit(value: &Spanned<DeValue<'_>>) -> Result<Duration, Wrong> {
    value
        .get_ref()
        .as_str()
        .and_then(|text| units::duration(text).ok())
        .filter(|limit| (Request::TIMEOUT_MIN..=Request::TIMEOUT_MAX).contains(limit))
        .ok_or_else(|| {
            let expected = format!(
                "a duration from \"{}\" to \"{}\", such as \"30s\"",
                units::show_duration(Request::TIMEOUT_MIN),
                units::show_duration(Request::TIMEOUT_MAX)
            );
            wrong(value, &expected)
        })
}
