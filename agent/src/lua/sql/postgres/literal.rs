//! Parameters as literals of an `EXECUTE`.
//!
//! Each is a quoted text or NULL, without a type, so that the server reads it as whatever the
//! parameter's place in the statement asks for, as `psql` users are used to. Tests: below, and
//! `fuzz/fuzz_targets/sql.rs`.

use crate::lua::sql::{Cell, SqlError};

/// Appends a parameter; `number` is its number from 1, for the message.
///
/// # Errors
/// A text with a NUL, which PostgreSQL cannot store.
pub fn push_literal(out: &mut String, number: usize, parameter: &Cell) -> Result<(), SqlError> {
    match parameter {
        Cell::Null => out.push_str("NULL"),
        Cell::Bool(truth) => quote(out, if *truth { "true" } else { "false" }),
        Cell::Integer(number) => quote(out, &number.to_string()),
        Cell::Float(number) if number.is_infinite() => {
            quote(
                out,
                if *number > 0.0 {
                    "Infinity"
                } else {
                    "-Infinity"
                },
            );
        }
        Cell::Float(number) => quote(out, &number.to_string()),
        Cell::Text(text) if text.contains('\0') => {
            return Err(SqlError::Parameter(
                number,
                "holds a NUL, which no text of PostgreSQL can",
            ));
        }
        Cell::Text(text) => quote(out, text),
        Cell::Bytes(bytes) => {
            const DIGITS: [char; 16] = [
                '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
            ];
            let mut hex = String::with_capacity(bytes.len().saturating_mul(2).saturating_add(2));
            hex.push_str("\\x");
            for byte in bytes {
                for digit in [byte >> 4, byte & 15] {
                    hex.extend(DIGITS.get(usize::from(digit)));
                }
            }
            quote(out, &hex);
        }
    }
    Ok(())
}

/// The form that means the same under both settings of `standard_conforming_strings`.
fn quote(out: &mut String, text: &str) {
    if text.contains('\\') {
        out.push('E');
    }
    out.push('\'');
    for character in text.chars() {
        if matches!(character, '\'' | '\\') {
            out.push(character);
        }
        out.push(character);
    }
    out.push('\'');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn literal(parameter: &Cell) -> String {
        let mut out = String::new();
        push_literal(&mut out, 1, parameter).unwrap();
        out
    }

    #[test]
    fn every_kind_has_its_literal() {
        for (parameter, expected) in [
            (Cell::Null, "NULL"),
            (Cell::Bool(true), "'true'"),
            (Cell::Integer(-5), "'-5'"),
            (Cell::Float(5.0), "'5'"),
            (Cell::Float(-0.25), "'-0.25'"),
            (Cell::Float(f64::NEG_INFINITY), "'-Infinity'"),
            (Cell::Float(f64::NAN), "'NaN'"),
            (Cell::Text("O'Neill".to_owned()), "'O''Neill'"),
            (Cell::Text("\\'; drop".to_owned()), "E'\\\\''; drop'"),
            (Cell::Bytes(vec![0, 255, 39]), "E'\\\\x00ff27'"),
        ] {
            assert_eq!(literal(&parameter), expected);
        }
    }

    #[test]
    fn a_nul_is_refused_with_the_number_of_the_parameter() {
        let error =
            push_literal(&mut String::new(), 3, &Cell::Text("a\0b".to_owned())).unwrap_err();
        assert!(error.to_string().starts_with("parameter 3: "), "{error}");
    }

    /// Reads a literal as the server does, and tells where it ends.
    fn read(literal: &str) -> (String, &str) {
        let (escapes, rest) = match literal.strip_prefix('E') {
            Some(rest) => (true, rest),
            None => (false, literal),
        };
        let mut inside = rest.strip_prefix('\'').unwrap().char_indices().peekable();
        let mut text = String::new();
        while let Some((at, character)) = inside.next() {
            match character {
                '\'' if inside.peek().is_some_and(|(_, next)| *next == '\'') => {
                    inside.next();
                    text.push('\'');
                }
                '\'' => return (text, rest.get(at + 2..).unwrap()),
                '\\' if escapes => text.push(inside.next().unwrap().1),
                other => text.push(other),
            }
        }
        panic!("no end: {literal}");
    }

    proptest! {
        #[test]
        fn no_text_gets_out_of_its_quotes(text in "[^\0]*") {
            let literal = literal(&Cell::Text(text.clone()));
            prop_assert_eq!(read(&literal), (text, ""));
        }

        #[test]
        fn quotes_and_backslashes_stay_inside(text in "['\\\\a]{0,12}") {
            let literal = literal(&Cell::Text(text.clone()));
            prop_assert_eq!(read(&literal), (text, ""));
        }
    }
}
