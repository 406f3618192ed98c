//! The identity of what is measured: a name plus sorted tags, kept as one text.
//!
//! The text form is `name` or `name{tag="value",other="value"}` with the tags sorted by name;
//! in values `\`, `"` and newline are written `\\`, `\"` and `\n`. One text means one allocation
//! per series, one comparison per look-up, and a form that people can type.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// Why a text or a name with tags is not a series.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SeriesError {
    /// Nothing to identify.
    #[error("a series needs a name")]
    Empty,
    /// Over [`Series::TEXT_MAX`] bytes.
    #[error("the series is {0} bytes long; at most {max} are allowed", max = Series::TEXT_MAX)]
    TooLong(usize),
    /// A control character in the name or in a tag's name.
    #[error("a name holds the control character {0:?}")]
    ControlCharacter(char),
    /// The name begins or ends with white space, which would be lost in reading.
    #[error("the name {0:?} begins or ends with a space")]
    Space(String),
    /// The name would be read as a name and tags.
    #[error("the name {0:?} holds a '{{', which begins the tags")]
    Brace(String),
    /// A tag's name is empty or not `A-Z a-z 0-9 _ . -`.
    #[error("{0:?} is not a tag name; use letters, digits, '_', '.' and '-'")]
    TagName(String),
    /// Two tags with one name.
    #[error("the tag {0:?} is given twice")]
    TagTwice(String),
    /// More than [`Series::TAGS_MAX`] tags.
    #[error("{0} tags are given; at most {max} are allowed", max = Series::TAGS_MAX)]
    TooManyTags(usize),
    /// The braces or quotes do not close, or something follows them.
    #[error("the tags of {0:?} do not read as {{tag=\"value\",...}}")]
    Syntax(String),
}

/// The identity of a measurement.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Series {
    text: Arc<str>,
}

impl Series {
    /// The longest text of a series in bytes. Kernel names and mount points are far below; a
    /// plugin that builds keys from its input is stopped here.
    pub const TEXT_MAX: usize = 1024;

    /// The most tags that one series can have.
    pub const TAGS_MAX: usize = 16;

    /// A series from its name and tags, which may come in any order.
    pub fn new(name: &str, tags: &[(&str, &str)]) -> Result<Self, SeriesError> {
        let mut text = String::with_capacity(name.len() + tags.len() * 24);
        write_series(&mut text, name, tags)?;
        Ok(Self { text: text.into() })
    }

    /// Reads a series as people type it: tags in any order, quotes optional around simple values.
    ///
    /// A name may hold any printable character, braces too (`system.disk.utilization[/]`): only a
    /// text that ends in `}` and has a `{` is read as name and tags.
    pub fn parse(text: &str) -> Result<Self, SeriesError> {
        let text = text.trim();
        if text.len() > Self::TEXT_MAX {
            return Err(SeriesError::TooLong(text.len()));
        }
        let Some((name, tags)) = split(text) else {
            return Self::new(text, &[]);
        };
        let tags = read_tags(tags).ok_or_else(|| SeriesError::Syntax(text.to_owned()))?;
        let tags: Vec<(&str, &str)> = tags
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref()))
            .collect();
        Self::new(name.trim_end(), &tags)
    }

    /// The whole identity as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same identity, borrowed.
    pub fn as_ref(&self) -> SeriesRef<'_> {
        SeriesRef { text: &self.text }
    }

    /// The name without the tags.
    pub fn name(&self) -> &str {
        self.as_ref().name()
    }

    /// The tags, sorted by name.
    pub fn tags(&self) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
        self.as_ref().tags()
    }

    /// The value of one tag.
    pub fn tag(&self, name: &str) -> Option<Cow<'_, str>> {
        self.as_ref().tag(name)
    }
}

impl Borrow<str> for Series {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Series {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// A series that somebody else keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef<'a> {
    text: &'a str,
}

impl<'a> SeriesRef<'a> {
    /// Wraps a text that [`write_series`] has written.
    pub(super) fn written(text: &'a str) -> Self {
        Self { text }
    }

    /// The whole identity as text.
    pub fn as_str(self) -> &'a str {
        self.text
    }

    /// The name without the tags.
    pub fn name(self) -> &'a str {
        split(self.text).map_or(self.text, |(name, _)| name)
    }

    /// The name, and the tags as they are written, without the braces; empty when there are none.
    pub fn parts(self) -> (&'a str, &'a str) {
        split(self.text).unwrap_or((self.text, ""))
    }

    /// The tags, sorted by name.
    pub fn tags(self) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
        split(self.text)
            .and_then(|(_, tags)| read_tags(tags))
            .unwrap_or_default()
    }

    /// The value of one tag.
    pub fn tag(self, name: &str) -> Option<Cow<'a, str>> {
        self.tags()
            .into_iter()
            .find(|(tag, _)| tag == name)
            .map(|(_, value)| value)
    }

    /// The same identity, kept.
    pub fn to_series(self) -> Series {
        Series {
            text: self.text.into(),
        }
    }
}

/// Appends the text form to `text`; on an error `text` is as it was.
pub(super) fn write_series(
    text: &mut String,
    name: &str,
    tags: &[(&str, &str)],
) -> Result<(), SeriesError> {
    let start = text.len();
    let result = try_write_series(text, start, name, tags);
    if result.is_err() {
        text.truncate(start);
    }
    result
}

fn try_write_series(
    text: &mut String,
    start: usize,
    name: &str,
    tags: &[(&str, &str)],
) -> Result<(), SeriesError> {
    if name.is_empty() {
        return Err(SeriesError::Empty);
    }
    if let Some(control) = name.chars().find(|character| character.is_control()) {
        return Err(SeriesError::ControlCharacter(control));
    }
    if name.len() > Series::TEXT_MAX {
        return Err(SeriesError::TooLong(name.len()));
    }
    // One text must not stand for two series: the reader trims, and splits at the first brace.
    if name.trim().len() != name.len() {
        return Err(SeriesError::Space(name.to_owned()));
    }
    if name.contains('{') && (!tags.is_empty() || split(name).is_some()) {
        return Err(SeriesError::Brace(name.to_owned()));
    }
    if tags.len() > Series::TAGS_MAX {
        return Err(SeriesError::TooManyTags(tags.len()));
    }
    text.push_str(name);
    if tags.is_empty() {
        return Ok(());
    }
    let mut order = [0_usize; Series::TAGS_MAX];
    for (slot, index) in order.iter_mut().zip(0..tags.len()) {
        *slot = index;
    }
    let order = order.get_mut(..tags.len()).unwrap_or_default();
    // Collectors give their tags sorted; then this is one pass of comparisons.
    order.sort_unstable_by_key(|index| tags.get(*index).map(|(tag, _)| *tag));
    let mut previous: Option<&str> = None;
    let mut separator = '{';
    for (tag, value) in order.iter().filter_map(|index| tags.get(*index)) {
        if !is_tag_name(tag) {
            return Err(SeriesError::TagName((*tag).to_owned()));
        }
        if previous == Some(tag) {
            return Err(SeriesError::TagTwice((*tag).to_owned()));
        }
        previous = Some(tag);
        text.push(separator);
        separator = ',';
        text.push_str(tag);
        text.push_str("=\"");
        write_escaped(text, value);
        text.push('"');
    }
    text.push('}');
    let length = text.len() - start;
    if length > Series::TEXT_MAX {
        return Err(SeriesError::TooLong(length));
    }
    Ok(())
}

fn is_tag_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

fn write_escaped(text: &mut String, value: &str) {
    // 0xc2 begins the control characters beyond ASCII, and a few that are none.
    if !value
        .bytes()
        .any(|byte| byte.is_ascii_control() || matches!(byte, b'"' | b'\\' | 0xc2))
    {
        text.push_str(value);
        return;
    }
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            control if control.is_control() => text.push('\u{fffd}'),
            plain => text.push(plain),
        }
    }
}

/// Name and inside of the braces, if the text has both.
fn split(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once('{')?;
    let tags = rest.strip_suffix('}')?;
    (!name.is_empty() && tags.contains('=')).then_some((name, tags))
}

/// Reads `tag="value",tag=value`; `None` when it is not of that shape.
fn read_tags(text: &str) -> Option<Vec<(Cow<'_, str>, Cow<'_, str>)>> {
    let mut tags = Vec::with_capacity(4);
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = read_value(after)?;
        tags.push((Cow::Borrowed(name.trim()), value));
        rest = after.trim_start();
        if let Some(next) = rest.strip_prefix(',') {
            rest = next.trim_start();
        } else if !rest.is_empty() {
            return None;
        }
    }
    Some(tags)
}

/// One value and what follows it.
fn read_value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end)?;
        return Some((Cow::Borrowed(value.trim()), rest));
    };
    let simple = quoted.find(['"', '\\'])?;
    let (value, rest) = quoted.split_at_checked(simple)?;
    if let Some(rest) = rest.strip_prefix('"') {
        return Some((Cow::Borrowed(value), rest));
    }
    let mut owned = String::from(value);
    let mut characters = rest.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((Cow::Owned(owned), rest.get(index + 1..)?)),
            '\\' => match characters.next()?.1 {
                'n' => owned.push('\n'),
                other => owned.push(other),
            },
            plain => owned.push(plain),
        }
    }
    None
}

#[cfg(test)]
#[path = "series_tests.rs"]
mod tests;
