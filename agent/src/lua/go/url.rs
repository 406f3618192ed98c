//! Go's package `net/url`: the encoding of what stands in a query.

use super::quote;

/// A text that is not a piece of a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid URL escape {}", quote(.0))]
pub struct EscapeError(
    /// The `%` and up to two bytes after it.
    pub Vec<u8>,
);

/// Go's `url.QueryEscape`: letters, digits and `-_.~` stay, a space becomes `+`, and every other
/// byte `%XX`. The result is at most three times as long.
pub fn query_escape(text: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text {
        match byte {
            b' ' => escaped.push('+'),
            b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(*byte)),
            _ if byte.is_ascii_alphanumeric() => escaped.push(char::from(*byte)),
            _ => {
                let digit = |half: u8| {
                    let digit = char::from_digit(u32::from(half), 16).unwrap_or_default();
                    digit.to_ascii_uppercase()
                };
                escaped.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    escaped
}

/// Go's `url.QueryUnescape`.
///
/// # Errors
/// When a `%` is not followed by two hexadecimal digits.
pub fn query_unescape(text: &[u8]) -> Result<Vec<u8>, EscapeError> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        plain.push(match first {
            b'+' => b' ',
            b'%' => match after {
                [high, low, after @ ..] if is_hex(*high) && is_hex(*low) => {
                    rest = after;
                    hex(*high) << 4 | hex(*low)
                }
                _ => {
                    let shown = [b"%", after.get(..2).unwrap_or(after)].concat();
                    return Err(EscapeError(shown));
                }
            },
            _ => *first,
        });
    }
    Ok(plain)
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

fn hex(digit: u8) -> u8 {
    let value = char::from(digit).to_digit(16);
    value
        .and_then(|value| u8::try_from(value).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zalua_47_escape() {
        assert_eq!(query_escape(b" "), "+");
        assert_eq!(query_escape(b"a-Z_0.9~"), "a-Z_0.9~");
        assert_eq!(query_escape("k=ü&/+".as_bytes()), "k%3D%C3%BC%26%2F%2B");
    }

    #[test]
    fn zalua_47_unescape() {
        assert_eq!(
            query_unescape(b"a+b%20%c3%BC"),
            Ok("a b ü".as_bytes().to_vec())
        );
        for (text, expected) in [
            (&b"%zz"[..], r#"invalid URL escape "%zz""#),
            (b"a%zzb", r#"invalid URL escape "%zz""#),
            (b"a%", r#"invalid URL escape "%""#),
            (b"%4", r#"invalid URL escape "%4""#),
            (b"%\n\xff4", r#"invalid URL escape "%\n\xff""#),
        ] {
            assert_eq!(query_unescape(text).unwrap_err().to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(text in any::<Vec<u8>>()) {
            prop_assert_eq!(query_unescape(query_escape(&text).as_bytes()), Ok(text));
        }

        #[test]
        fn unescaping_never_panics_and_never_grows(text in any::<Vec<u8>>()) {
            if let Ok(plain) = query_unescape(&text) {
                prop_assert!(plain.len() <= text.len());
            }
        }
    }
}
