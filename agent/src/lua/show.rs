//! Values as a person likes to read them.

use std::fmt::Write as _;

use mlua::{Table, Value};

/// How deep tables are shown.
const DEPTH_MAX: usize = 4;

/// How many entries of one table are shown.
const ENTRIES_MAX: usize = 200;

/// A value in the form in which one would type it, where there is such a form.
pub(super) fn show(value: &Value) -> String {
    let mut text = String::new();
    put(&mut text, value, 0);
    text
}

fn put(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::String(string) => quote(text, &string.to_string_lossy()),
        Value::Table(table) if depth < DEPTH_MAX => write_table(text, table, depth),
        Value::Table(_) => text.push_str("{…}"),
        other => match other.to_string() {
            Ok(plain) => text.push_str(&plain),
            Err(_) => text.push_str(other.type_name()),
        },
    }
}

fn quote(text: &mut String, string: &str) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            '\n' => text.push_str("\\n"),
            control if control.is_control() => {
                // Writing to a string cannot fail.
                write!(text, "\\{:03}", u32::from(control)).ok();
            }
            plain => text.push(plain),
        }
    }
    text.push('"');
}

fn write_table(text: &mut String, table: &Table, depth: usize) {
    let length = table.raw_len();
    let mut entries = Vec::new();
    for (key, value) in table
        .pairs::<Value, Value>()
        .flatten()
        .take(ENTRIES_MAX + 1)
    {
        // The array's part comes first, in order and without keys.
        let place = key.as_usize().filter(|place| (1..=length).contains(place));
        let label = match (&key, place) {
            (_, Some(_)) => String::new(),
            (Value::String(name), _) if is_name(&name.to_string_lossy()) => {
                format!("{} = ", name.to_string_lossy())
            }
            (other, _) => format!("[{}] = ", show(other)),
        };
        entries.push((place.unwrap_or(usize::MAX), label, value));
    }
    let more = entries.len() > ENTRIES_MAX;
    entries.truncate(ENTRIES_MAX);
    entries.sort_by(|one, two| (one.0, &one.1).cmp(&(two.0, &two.1)));
    text.push('{');
    for (index, (_, label, value)) in entries.iter().enumerate() {
        text.push_str(if index == 0 { "" } else { ", " });
        text.push_str(label);
        put(text, value, depth + 1);
    }
    text.push_str(if more { ", …}" } else { "}" });
}

fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|other| other.is_ascii_alphanumeric() || other == '_')
}
