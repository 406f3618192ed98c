//! Go's package `encoding/json`: how strings and numbers are written.
//!
//! Reading is `serde_json`'s work, which has a limit of depth of its own.

use std::fmt::Write;

use super::number::{Digits, format_g};

/// A number that JSON cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("json: unsupported value: {0}")]
pub struct NumberError(String);

/// Writes a string in quotes to the end of `json`. `<`, `>` and `&`, control characters and the two
/// line separators of Unicode are escaped; each byte that is no UTF-8 becomes `\ufffd`. At most six
/// times as long as the text.
pub fn encode_string(text: &[u8], json: &mut String) {
    json.push('"');
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            encode_character(character, json);
        }
        for _ in chunk.invalid() {
            json.push_str("\\ufffd");
        }
    }
    json.push('"');
}

fn encode_character(character: char, json: &mut String) {
    match character {
        '"' | '\\' => json.extend(['\\', character]),
        '\n' => json.push_str("\\n"),
        '\r' => json.push_str("\\r"),
        '\t' => json.push_str("\\t"),
        '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
            // Writing to a string cannot fail.
            let _written = write!(json, "\\u{:04x}", u32::from(character));
        }
        _ => json.push(character),
    }
}

/// A number as Go writes it: plain digits, as few as identify it; with an exponent when it is
/// smaller than 1e-6 or at least 1e21.
///
/// # Errors
/// When it is infinite or not a number.
pub fn encode_number(number: f64) -> Result<String, NumberError> {
    if !number.is_finite() {
        return Err(NumberError(format_g(number)));
    }
    let size = number.abs();
    let digits = Digits::new(number);
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        // Other than elsewhere in Go, an exponent below ten has one digit.
        return Ok(digits.scientific(1));
    }
    Ok(digits.plain())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn string(text: &[u8]) -> String {
        let mut json = String::new();
        encode_string(text, &mut json);
        json
    }

    #[test]
    fn zalua_42_strings() {
        assert_eq!(string(b"<a&b>"), r#""\u003ca\u0026b\u003e""#);
        assert_eq!(
            string(b"\"\\/\n\r\t\x08\x0c\x00\x7f"),
            "\"\\\"\\\\/\\n\\r\\t\\u0008\\u000c\\u0000\x7f\""
        );
        assert_eq!(
            string("ü\u{2028}\u{2029}".as_bytes()),
            "\"ü\\u2028\\u2029\""
        );
        assert_eq!(string(b"a\xff\xe2\x98b"), r#""a\ufffd\ufffd\ufffdb""#);
    }

    #[test]
    fn zalua_42_numbers() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-12.5, "-12.5"),
            (8_253_988_864.0, "8253988864"),
            (0.1, "0.1"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e-6, "0.000001"),
            (9.9e-7, "9.9e-7"),
            (-1e-10, "-1e-10"),
        ] {
            assert_eq!(encode_number(number).as_deref(), Ok(expected));
        }
        for (number, expected) in [
            (f64::NAN, "json: unsupported value: NaN"),
            (f64::INFINITY, "json: unsupported value: +Inf"),
            (f64::NEG_INFINITY, "json: unsupported value: -Inf"),
        ] {
            assert_eq!(encode_number(number).unwrap_err().to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back(number in any::<f64>()) {
            prop_assume!(number.is_finite());
            let text = encode_number(number).unwrap();
            prop_assert_eq!(text.parse(), Ok(number));
            prop_assert!(serde_json::from_str::<serde_json::Number>(&text).is_ok());
        }

        #[test]
        fn strings_come_back(text in any::<String>()) {
            let json = string(text.as_bytes());
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn all_bytes_give_json(bytes in any::<Vec<u8>>()) {
            let json = string(&bytes);
            prop_assert!(serde_json::from_str::<String>(&json).is_ok());
            prop_assert!(json.len() <= 6 * bytes.len() + 2);
        }
    }
}
