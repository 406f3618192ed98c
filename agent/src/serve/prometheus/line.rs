//! One sample as a line of text, into a buffer that is used again.
//!
//! The store writes tags as Prometheus writes labels, with the same escapes, so nearly always they
//! are copied as they are.

use std::io::Write as _;

use super::name::{is_label, label};
use crate::model::{Series, Value};

/// The label that holds what stood in brackets behind the name.
const KEY: &str = "key";

/// The labels of a series without the braces. `key` is what stood in brackets; `reserved` is a
/// label that the type of the family has for itself. `scratch` holds them where they have to be
/// changed.
pub(super) fn labels<'a>(
    series: &'a Series,
    key: Option<&str>,
    reserved: Option<&str>,
    scratch: &'a mut Vec<u8>,
) -> &'a [u8] {
    let (_, tags) = series.as_ref().parts();
    if key.is_none() && all_fit(tags.as_bytes(), reserved) {
        return tags.as_bytes();
    }
    let mut labels: Vec<(String, String)> = Vec::new();
    if let Some(key) = key {
        labels.push((KEY.to_owned(), key.to_owned()));
    }
    for (tag, value) in series.tags() {
        let mut name = label(&tag);
        let is_taken = reserved == Some(name.as_str()) || (key.is_some() && name == KEY);
        if is_taken {
            name.insert_str(0, "exported_");
        }
        match labels.iter_mut().find(|(known, _)| *known == name) {
            // As OpenTelemetry has it: two that become one keep both values.
            Some((_, values)) => {
                values.push(';');
                values.push_str(&value);
            }
            None => labels.push((name, value.into_owned())),
        }
    }
    labels.sort();
    scratch.clear();
    for (name, value) in &labels {
        if !scratch.is_empty() {
            scratch.push(b',');
        }
        scratch.extend_from_slice(name.as_bytes());
        scratch.extend_from_slice(b"=\"");
        escape(scratch, value, true);
        scratch.push(b'"');
    }
    scratch
}

/// Whether every tag of `tag="value",…` is a label as it is.
fn all_fit(tags: &[u8], reserved: Option<&str>) -> bool {
    let mut rest = tags;
    while !rest.is_empty() {
        let Some(end) = rest.iter().position(|byte| *byte == b'=') else {
            return false;
        };
        let (name, value) = rest.split_at(end);
        if !is_label(name) || reserved.is_some_and(|reserved| reserved.as_bytes() == name) {
            return false;
        }
        let Some(value) = value.strip_prefix(b"=\"") else {
            return false;
        };
        let Some(after) = behind_quote(value) else {
            return false;
        };
        rest = match after {
            [] => after,
            [b',', next @ ..] => next,
            _ => return false,
        };
    }
    true
}

/// What follows the closing quote.
fn behind_quote(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    loop {
        let at = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        let is_end = rest.get(at) == Some(&b'"');
        // A backslash takes what follows it along.
        rest = rest.get(at + if is_end { 1 } else { 2 }..)?;
        if is_end {
            return Some(rest);
        }
    }
}

/// Writes `name{labels} value`; gives where the labels stand.
pub(super) fn sample(
    out: &mut Vec<u8>,
    name: &str,
    labels: &[u8],
    value: &Value,
) -> std::ops::Range<usize> {
    out.extend_from_slice(name.as_bytes());
    let at = if labels.is_empty() {
        out.len()..out.len()
    } else {
        out.push(b'{');
        let start = out.len();
        out.extend_from_slice(labels);
        out.push(b'}');
        start..out.len() - 1
    };
    out.push(b' ');
    match value {
        Value::Unsigned(value) => whole(out, *value),
        other => float(out, other.as_f64().unwrap_or(f64::NAN)),
    }
    out.push(b'\n');
    at
}

/// Writes a whole number.
pub(super) fn whole(out: &mut Vec<u8>, number: u64) {
    // Writing to memory does not fail.
    if write!(out, "{number}").is_err() {}
}

/// Writes a number as Go, and so Prometheus, reads it back exactly.
pub(super) fn float(out: &mut Vec<u8>, number: f64) {
    /// Below it every whole number is exact, and its digits are found faster as one.
    const WHOLE_MAX: f64 = 9e15;
    if number.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if number.is_infinite() {
        out.extend_from_slice(if number > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if number.fract() == 0.0 && (0.0..WHOLE_MAX).contains(&number) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, not negative and below 2^53"
        )]
        whole(out, number as u64);
    } else if number.abs() < 1e-5 || number.abs() >= 1e21 {
        if write!(out, "{number:e}").is_err() {}
    } else if write!(out, "{number}").is_err() {
    }
}

/// Writes a text with `\` and newline escaped, and quotes too where they would end it.
pub(super) fn escape(out: &mut Vec<u8>, text: &str, quotes: bool) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if quotes => out.extend_from_slice(b"\\\""),
            plain => out.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(series: &str, key: Option<&str>, reserved: Option<&str>) -> String {
        let series = Series::parse(series).unwrap();
        let mut scratch = Vec::new();
        String::from_utf8(labels(&series, key, reserved, &mut scratch).to_vec()).unwrap()
    }

    #[test]
    fn labels_are_copied_or_made_to_fit() {
        for (series, key, reserved, expected) in [
            ("a", None, None, ""),
            (
                "a{b=\"c\",d=\"e \\\\ \\\" f\"}",
                None,
                None,
                "b=\"c\",d=\"e \\\\ \\\" f\"",
            ),
            ("a{b.c=\"d\"}", None, None, "b_c=\"d\""),
            (
                "a{b-c=\"1\",b.c=\"2\",b_c=\"3\"}",
                None,
                None,
                "b_c=\"1;2;3\"",
            ),
            ("a{le=\"1\"}", None, None, "le=\"1\""),
            ("a{le=\"1\"}", None, Some("le"), "exported_le=\"1\""),
            ("a", Some("/"), None, "key=\"/\""),
            (
                "a{a=\"b\",key=\"x\"}",
                Some("\"\\"),
                None,
                "a=\"b\",exported_key=\"x\",key=\"\\\"\\\\\"",
            ),
            ("a{__name__=\"b\"}", None, None, "key__name__=\"b\""),
        ] {
            assert_eq!(shown(series, key, reserved), expected, "{series}");
        }
    }

    #[test]
    fn numbers_are_those_that_go_reads() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.5, "-0.5"),
            (3.0, "3"),
            (-3.0, "-3"),
            (0.1, "0.1"),
            (4.096e-6, "4.096e-6"),
            (1e300, "1e300"),
            (1e18, "1000000000000000000"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            let mut out = Vec::new();
            float(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn a_number_reads_back_as_it_was(number: f64) {
            let mut out = Vec::new();
            float(&mut out, number);
            let read: f64 = std::str::from_utf8(&out).unwrap().parse().unwrap();
            prop_assert!(read.to_bits() == number.to_bits() || (read - number).abs() == 0.0 || number.is_nan());
        }

        #[test]
        fn every_set_of_tags_makes_labels(
            tags in proptest::collection::btree_map("[a-zA-Z0-9_.-]{1,6}", ".{0,12}", 0..6),
            key in proptest::option::of(".{0,8}"),
        ) {
            let tags: Vec<(&str, &str)> = tags.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            let series = Series::new("a", &tags).unwrap();
            let mut scratch = Vec::new();
            let labels = labels(&series, key.as_deref(), Some("le"), &mut scratch);
            prop_assert!(all_fit(labels, Some("le")), "{}", String::from_utf8_lossy(labels));
            prop_assert!(!labels.contains(&b'\n'));
        }
    }
}
