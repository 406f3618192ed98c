//! The grammar of a Zabbix item key: `name[parameter,"quoted",[array]]`.
//!
//! Pure text. Parsing borrows from the request wherever nothing had to be unescaped. It must accept
//! and refuse exactly what `zabbix_agentd` does. Tests: below, and
//! `fuzz/fuzz_targets/zabbix_item_key.rs`.

use std::borrow::Cow;
use std::fmt::Write as _;

use thiserror::Error;

/// More parameters than any item has; a key of 64 KiB could otherwise ask for a long list.
pub const MAX_PARAMETERS: usize = 64;

/// Why a text is not an item key. Display is the text that Zabbix shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The text breaks the grammar.
    #[error("Invalid item key format.")]
    Format,
    /// More than [`MAX_PARAMETERS`] parameters.
    #[error("Too many parameters.")]
    TooManyParameters,
}

/// Why a key cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FormatError {
    /// The name is empty or has a character outside `A-Za-z0-9._-`.
    #[error("an item key's name may hold only letters, digits, '.', '_' and '-'")]
    Name,
    /// The parameter needs quotes but ends in a backslash, which would escape the closing quote.
    #[error("a parameter that must be quoted cannot end in a backslash")]
    Backslash,
}

/// A parsed item key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemKey<'a> {
    /// The key as it was sent.
    pub raw: &'a str,
    /// What stands before the bracket.
    pub name: &'a str,
    /// The parameters, unquoted; an array is given without its brackets. `key[]` has one empty one.
    pub parameters: Vec<Cow<'a, str>>,
}

impl<'a> ItemKey<'a> {
    /// Parses `text`.
    pub fn parse(text: &'a str) -> Result<Self, KeyError> {
        let end = text
            .bytes()
            .position(|b| !is_name_byte(b))
            .unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end).ok_or(KeyError::Format)?;
        if name.is_empty() {
            return Err(KeyError::Format);
        }
        let parameters = match rest.strip_prefix('[') {
            Some(list) => parse_list(list)?,
            None if rest.is_empty() => Vec::new(),
            None => return Err(KeyError::Format),
        };
        Ok(Self {
            raw: text,
            name,
            parameters,
        })
    }

    /// The parameter at `index` (from 0), if it was given and is not empty.
    pub fn given(&self, index: usize) -> Option<&str> {
        self.parameters
            .get(index)
            .map(AsRef::as_ref)
            .filter(|text: &&str| !text.is_empty())
    }

    /// The parameter at `index`, or `default` where it is missing or empty.
    pub fn or<'b>(&'b self, index: usize, default: &'b str) -> &'b str {
        self.given(index).unwrap_or(default)
    }
}

/// Writes a key, quoting what needs it. No parameters: no brackets.
pub fn format_key<S: AsRef<str>>(name: &str, parameters: &[S]) -> Result<String, FormatError> {
    if name.is_empty() || !name.bytes().all(is_name_byte) {
        return Err(FormatError::Name);
    }
    let mut key = name.to_owned();
    for (index, parameter) in parameters.iter().map(AsRef::as_ref).enumerate() {
        key.push(if index == 0 { '[' } else { ',' });
        if parameter.starts_with(['"', ' ', '[']) || parameter.contains([',', ']']) {
            if parameter.ends_with('\\') {
                return Err(FormatError::Backslash);
            }
            // Writing to a String cannot fail.
            write!(key, "\"{}\"", parameter.replace('"', "\\\"")).unwrap_or_default();
        } else {
            key.push_str(parameter);
        }
    }
    if !parameters.is_empty() {
        key.push(']');
    }
    Ok(key)
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Parses what follows the opening bracket; nothing may follow the closing one.
fn parse_list(mut rest: &str) -> Result<Vec<Cow<'_, str>>, KeyError> {
    let mut parameters = Vec::new();
    loop {
        if parameters.len() == MAX_PARAMETERS {
            return Err(KeyError::TooManyParameters);
        }
        let (parameter, after) = parse_parameter(rest.trim_start_matches(' '))?;
        parameters.push(parameter);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after == "]" => return Ok(parameters),
            None => return Err(KeyError::Format),
        }
    }
}

/// Parses one parameter and returns it with what follows, which begins at the separator.
fn parse_parameter(text: &str) -> Result<(Cow<'_, str>, &str), KeyError> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, after) = parse_quoted(quoted)?;
        return Ok((value, after.trim_start_matches(' ')));
    }
    if let Some(array) = text.strip_prefix('[') {
        let end = array_end(array)?;
        let (inner, after) = array.split_at_checked(end).ok_or(KeyError::Format)?;
        let after = after.strip_prefix(']').ok_or(KeyError::Format)?;
        return Ok((Cow::Borrowed(inner), after.trim_start_matches(' ')));
    }
    let end = text.find([',', ']']).ok_or(KeyError::Format)?;
    let (value, after) = text.split_at_checked(end).ok_or(KeyError::Format)?;
    Ok((Cow::Borrowed(value), after))
}

/// Parses what follows an opening quote, up to and including the closing one. Only `\"` is an
/// escape; any other backslash stands for itself.
fn parse_quoted(text: &str) -> Result<(Cow<'_, str>, &str), KeyError> {
    let mut previous = 0;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        if byte == b'"' {
            if previous == b'\\' {
                escaped = true;
            } else {
                let (value, after) = text.split_at_checked(at).ok_or(KeyError::Format)?;
                let after = after.strip_prefix('"').ok_or(KeyError::Format)?;
                let value = if escaped {
                    Cow::Owned(value.replace("\\\"", "\""))
                } else {
                    Cow::Borrowed(value)
                };
                return Ok((value, after));
            }
        }
        previous = byte;
    }
    Err(KeyError::Format)
}

/// Finds the bracket that closes an array; `array` begins behind the opening one. Arrays do not nest.
fn array_end(array: &str) -> Result<usize, KeyError> {
    let mut rest = array;
    loop {
        let start = rest.trim_start_matches(' ');
        let after = if start.starts_with('[') {
            return Err(KeyError::Format);
        } else if let Some(quoted) = start.strip_prefix('"') {
            parse_quoted(quoted)?.1.trim_start_matches(' ')
        } else {
            let end = start.find([',', ']']).ok_or(KeyError::Format)?;
            start.get(end..).ok_or(KeyError::Format)?
        };
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.starts_with(']') => return Ok(array.len() - after.len()),
            None => return Err(KeyError::Format),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parameters(text: &str) -> Vec<String> {
        let key = ItemKey::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        key.parameters.into_iter().map(Cow::into_owned).collect()
    }

    #[test]
    fn keys_parse_as_the_agent_parses_them() {
        assert!(parameters("agent.ping").is_empty());
        for (text, want) in [
            ("key[]", &[""][..]),
            ("key[a]", &["a"]),
            ("key[a,b]", &["a", "b"]),
            ("key[,,x]", &["", "", "x"]),
            ("key[ a ,b]", &["a ", "b"]),
            ("key[\"a\" ,b]", &["a", "b"]),
            (r#"key["a,]b"]"#, &["a,]b"]),
            (r#"key["a\"b"]"#, &["a\"b"]),
            (r#"key["a\b"]"#, &[r"a\b"]),
            ("key[[a,b],c]", &["a,b", "c"]),
            (r#"key[["a]",b] ,c]"#, &[r#""a]",b"#, "c"]),
            ("key[a[b]", &["a[b"]),
            ("key[a\"b]", &["a\"b"]),
        ] {
            assert_eq!(parameters(text), want, "{text}");
        }
    }

    #[test]
    fn bad_keys_have_the_agents_message() {
        for text in [
            "",
            "[a]",
            "foo[",
            "foo]",
            "foo[a]b",
            "foo[\"a\"b]",
            "foo[a,[b]",
            "bad key",
            "agent.ping,",
            "foo[\"a]",
            "foo[[a,[b]]]",
            "foo[a",
            "foo[\"a\\\"]",
            "é",
            "foo[[a]b]",
        ] {
            let error = ItemKey::parse(text).expect_err(text);
            assert_eq!(error.to_string(), "Invalid item key format.", "{text}");
        }
        let long = format!("k[{}]", ",".repeat(MAX_PARAMETERS));
        assert_eq!(ItemKey::parse(&long), Err(KeyError::TooManyParameters));
    }

    #[test]
    fn missing_and_empty_parameters_take_the_default() {
        let key = ItemKey::parse("k[,b]").unwrap();
        assert_eq!(
            (
                key.given(0),
                key.or(0, "all"),
                key.or(1, "x"),
                key.or(2, "avg1")
            ),
            (None, "all", "b", "avg1")
        );
    }

    #[test]
    fn a_parameter_that_cannot_be_written_is_refused() {
        assert_eq!(format_key("k", &["a,\\"]), Err(FormatError::Backslash));
        assert_eq!(format_key("a b", &[""]), Err(FormatError::Name));
        assert_eq!(format_key("k", &["C:\\"]).unwrap(), "k[C:\\]");
        assert_eq!(format_key::<&str>("k", &[]).unwrap(), "k");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            name in "[A-Za-z0-9._-]{1,20}",
            list in proptest::collection::vec(".{0,12}", 0..5),
        ) {
            // A backslash before a quote cannot be told from an escape; the grammar has no way out.
            prop_assume!(!list.iter().any(|p| p.contains("\\\"")));
            if let Ok(text) = format_key(&name, &list) {
                let key = ItemKey::parse(&text).unwrap();
                prop_assert_eq!(key.name, name.as_str());
                prop_assert_eq!(key.parameters, list);
            }
        }

        #[test]
        fn no_text_panics(text in r#"[a-c\[\]," \\é]{0,40}"#) {
            drop(ItemKey::parse(&text));
            drop(ItemKey::parse(&format!("k[{text}]")));
        }
    }
}
