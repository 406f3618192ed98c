//! What databases send and are sent: no cell and no date panics, a number is what it is written as,
//! no parameter gets out of its quotes, and no text hides a `PRAGMA` from the check of statements.
//!
//! The first four bytes of an input are the number of a PostgreSQL type, the rest is a value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moonward::lua::sql::{Cell, Parts, STATEMENT_MAX, cell, checked, moment, push_literal};

/// Reads a quoted literal as PostgreSQL does; nothing may be left behind its end.
fn read(literal: &str) -> Option<String> {
    let (escapes, rest) = match literal.strip_prefix('E') {
        Some(rest) => (true, rest),
        None => (false, literal),
    };
    let mut inside = rest.strip_prefix('\'')?.chars().peekable();
    let mut text = String::new();
    while let Some(character) = inside.next() {
        match character {
            '\'' if inside.peek() == Some(&'\'') => text.extend(inside.next()),
            '\'' => return inside.next().is_none().then_some(text),
            '\\' if escapes => text.extend(inside.next()),
            // Under one of the server's settings it would escape what follows.
            '\\' => return None,
            other => text.push(other),
        }
    }
    None
}

fuzz_target!(|input: &[u8]| {
    for parts in [Parts::Date, Parts::Time, Parts::Both] {
        if let Some(text) = moment(input, parts) {
            assert!(text.len() <= 36 && text.is_ascii(), "{text}");
        }
    }
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(sql) = checked(text)
    {
        assert_eq!(checked(sql), Ok(sql));
        // What stands before it changes nothing, and it hides nothing of that.
        let second = |before: &str| checked(&format!("{before};{sql}")).is_ok();
        assert!(second("/*'*/--[\nSELECT '--', \"/*\"") || sql.len() > STATEMENT_MAX / 2);
        assert!(!second("EXPLAIN PRAGMA main.hard_heap_limit=1"));
    }
    let Some((oid, value)) = input.split_first_chunk() else {
        return;
    };
    let cell = cell(u32::from_le_bytes(*oid) % 4096, value);
    match &cell {
        Cell::Null => panic!("a value became NULL"),
        Cell::Text(text) => assert_eq!(text.as_bytes(), value),
        Cell::Bytes(bytes) => assert!(bytes.len() <= value.len()),
        Cell::Bool(_) | Cell::Integer(_) | Cell::Float(_) => {}
    }
    let mut literal = String::new();
    match push_literal(&mut literal, 1, &cell) {
        Ok(()) => {
            let again = read(&literal);
            match &cell {
                Cell::Text(text) => assert_eq!(again.as_deref(), Some(text.as_str())),
                Cell::Bytes(bytes) => {
                    let bytea = moonward::lua::sql::cell(17, again.unwrap_or_default().as_bytes());
                    assert_eq!(bytea, Cell::Bytes(bytes.clone()));
                }
                Cell::Integer(number) => assert_eq!(again, Some(number.to_string())),
                Cell::Float(number) => {
                    let same: Option<f64> = again.and_then(|text| text.parse().ok());
                    assert!(number.is_nan() || same == Some(*number), "{literal}");
                }
                Cell::Null | Cell::Bool(_) => {}
            }
        }
        Err(_) => assert!(value.contains(&0)),
    }
});
