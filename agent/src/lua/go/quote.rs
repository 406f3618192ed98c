//! A string in quotes as Go's `%q` writes it.

use std::fmt::Write;

/// Go's `strconv.Quote`: control characters, bytes that are no UTF-8 and characters that cannot be
/// printed are written as escapes.
pub fn quote(text: &[u8]) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            push(&mut quoted, character);
        }
        for byte in chunk.invalid() {
            push_escape(&mut quoted, 'x', u32::from(*byte), 2);
        }
    }
    quoted.push('"');
    quoted
}

fn push(quoted: &mut String, character: char) {
    let letter = match character {
        '"' | '\\' => character,
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\u{b}' => 'v',
        _ => {
            let code = u32::from(character);
            // Rust's escape for debugging knows which characters can be printed.
            if character == '\'' || character.escape_debug().count() == 1 {
                quoted.push(character);
            } else if code < 0x20 || code == 0x7f {
                push_escape(quoted, 'x', code, 2);
            } else if code < 0x1_0000 {
                push_escape(quoted, 'u', code, 4);
            } else {
                push_escape(quoted, 'U', code, 8);
            }
            return;
        }
    };
    quoted.push('\\');
    quoted.push(letter);
}

fn push_escape(quoted: &mut String, letter: char, code: u32, digits: usize) {
    // Writing to a string cannot fail.
    let _written = write!(quoted, "\\{letter}{code:0digits$x}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_go_does() {
        for (text, expected) in [
            (&b"%zz"[..], r#""%zz""#),
            (b"a\"b\\c", r#""a\"b\\c""#),
            (b"\x07\x08\x0c\n\r\t\x0b", r#""\a\b\f\n\r\t\v""#),
            (b"\x00\x1f\x7f", r#""\x00\x1f\x7f""#),
            (b"it's", "\"it's\""),
            ("é☺".as_bytes(), "\"é☺\""),
            (b"\xff\xe2\x98", r#""\xff\xe2\x98""#),
            ("\u{200b}\u{e000}".as_bytes(), r#""\u200b\ue000""#),
        ] {
            assert_eq!(quote(text), expected);
        }
    }
}
