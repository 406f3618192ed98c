//! Cells from the server's own text form. Pure. Tests: below, and `fuzz/fuzz_targets/sql.rs`.

use crate::lua::sql::Cell;

/// Numbers of PostgreSQL's types, the same on every server.
/// <https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat>
mod oid {
    pub(super) const BOOL: u32 = 16;
    pub(super) const BYTEA: u32 = 17;
    pub(super) const INT8: u32 = 20;
    pub(super) const INT2: u32 = 21;
    pub(super) const INT4: u32 = 23;
    pub(super) const FLOAT4: u32 = 700;
    pub(super) const FLOAT8: u32 = 701;
}

/// A cell of a column of type `oid`. Everything without a type of its own here is the text that
/// the server prints: `numeric` in full, dates and times in ISO form, JSON, arrays.
pub fn cell(oid: u32, bytes: &[u8]) -> Cell {
    match oid {
        oid::BOOL if bytes == b"t" => Cell::Bool(true),
        oid::BOOL if bytes == b"f" => Cell::Bool(false),
        oid::INT2 | oid::INT4 | oid::INT8 => Cell::integer(bytes),
        oid::FLOAT4 | oid::FLOAT8 => Cell::float(bytes),
        oid::BYTEA => bytea(bytes).map_or_else(|| Cell::text(bytes), Cell::Bytes),
        _ => Cell::text(bytes),
    }
}

/// `bytea` in either of its two forms.
/// <https://www.postgresql.org/docs/current/datatype-binary.html>
fn bytea(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8, radix| char::from(*byte).to_digit(radix);
    if let Some(hex) = text.strip_prefix(b"\\x") {
        return hex
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => u8::try_from(digit(high, 16)? * 16 + digit(low, 16)?).ok(),
                _ => None,
            })
            .collect();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return Some(bytes),
            [b'\\', b'\\', rest @ ..] => {
                bytes.push(b'\\');
                rest
            }
            [b'\\', a, b, c, rest @ ..] => {
                let value = (digit(a, 8)? * 8 + digit(b, 8)?) * 8 + digit(c, 8)?;
                bytes.push(u8::try_from(value).ok()?);
                rest
            }
            [b'\\', ..] => return None,
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_by_their_number() {
        for (oid, text, expected) in [
            (16, "t", Cell::Bool(true)),
            (16, "f", Cell::Bool(false)),
            (21, "-7", Cell::Integer(-7)),
            (20, "9223372036854775807", Cell::Integer(i64::MAX)),
            (700, "1.1", Cell::Float(1.1)),
            (1700, "10.50", Cell::Text("10.50".to_owned())),
            (
                1184,
                "2024-02-29 12:00:00+00",
                Cell::Text("2024-02-29 12:00:00+00".to_owned()),
            ),
            (26, "16384", Cell::Text("16384".to_owned())),
            (99_999, "{1,2}", Cell::Text("{1,2}".to_owned())),
        ] {
            assert_eq!(cell(oid, text.as_bytes()), expected, "{oid}");
        }
    }

    #[test]
    fn bytes_come_in_two_forms() {
        assert_eq!(cell(17, b"\\x00fF"), Cell::Bytes(vec![0, 255]));
        assert_eq!(cell(17, b"\\x"), Cell::Bytes(vec![]));
        assert_eq!(
            cell(17, b"a\\\\b\\000\\377"),
            Cell::Bytes(b"a\\b\0\xff".to_vec())
        );
        // Neither form: what came is kept.
        for odd in ["\\x0", "\\xzz", "\\09", "\\999"] {
            assert_eq!(cell(17, odd.as_bytes()), Cell::Text(odd.to_owned()));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_of_a_server_makes_it_panic(oid in 0u32..800, bytes: Vec<u8>) {
            drop(cell(oid, &bytes));
        }
    }
}
