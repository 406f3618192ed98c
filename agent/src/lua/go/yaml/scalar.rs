//! What a scalar means.

use super::Node;

/// The tags of YAML that scalars may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// None written.
    Implicit,
    /// `!!str`, `!`, `!!timestamp`, or one of the document's own.
    String,
    Bool,
    Int,
    Float,
    Null,
    Binary,
}

impl Tag {
    fn name(self) -> &'static str {
        match self {
            Self::Implicit => "",
            Self::String => "!!str",
            Self::Bool => "!!bool",
            Self::Int => "!!int",
            Self::Float => "!!float",
            Self::Null => "!!null",
            Self::Binary => "!!binary",
        }
    }
}

/// The value of a scalar, or what is wrong with it.
pub(super) fn resolve(text: &str, plain: bool, tag: Tag) -> Result<Node, String> {
    if tag == Tag::String || (tag == Tag::Implicit && !plain) {
        return Ok(Node::String(text.as_bytes().to_vec()));
    }
    if tag == Tag::Binary {
        let data = base64(text.as_bytes());
        let data = data.ok_or("!!binary value contains invalid base64 data")?;
        return Ok(Node::String(data));
    }
    let (found, value) = guess(text);
    match (tag, value) {
        (Tag::Implicit, value) => Ok(value),
        (Tag::Float, Node::Int(integer)) => Ok(Node::Float(integer as f64)),
        (_, value) if found == tag => Ok(value),
        _ => Err(format!(
            "cannot decode {} `{text}` as a {}",
            found.name(),
            tag.name()
        )),
    }
}

/// What a plain scalar without a tag is.
fn guess(text: &str) -> (Tag, Node) {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return (Tag::Null, Node::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return (Tag::Bool, Node::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return (Tag::Bool, Node::Bool(false));
        }
        ".nan" | ".NaN" | ".NAN" => return (Tag::Float, Node::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return (Tag::Float, Node::Float(f64::INFINITY));
        }
        "-.inf" | "-.Inf" | "-.INF" => return (Tag::Float, Node::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    if text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        let number = text.replace('_', "");
        if let Some(integer) = integer(&number) {
            return (Tag::Int, integer);
        }
        if is_float(&number)
            && let Ok(number) = number.parse()
        {
            return (Tag::Float, Node::Float(number));
        }
    }
    (Tag::String, Node::String(text.as_bytes().to_vec()))
}

/// An integer in base 10, 16 (`0x`), 8 (`0` or `0o`) or 2 (`0b`). One that only 64 bits without a
/// sign can hold is nothing.
fn integer(text: &str) -> Option<Node> {
    let unsigned = text.strip_prefix(['+', '-']);
    let negative = text.starts_with('-');
    let digits = unsigned.unwrap_or(text);
    let prefixed = |prefixes: [&str; 2]| {
        prefixes
            .iter()
            .find_map(|prefix| digits.strip_prefix(*prefix))
    };
    let (digits, base) = if let Some(digits) = prefixed(["0x", "0X"]) {
        (digits, 16)
    } else if let Some(digits) = prefixed(["0o", "0O"]) {
        (digits, 8)
    } else if let Some(digits) = prefixed(["0b", "0B"]) {
        (digits, 2)
    } else if let Some(digits) = digits.strip_prefix('0').filter(|rest| !rest.is_empty()) {
        (digits, 8)
    } else {
        (digits, 10)
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let size = u64::from_str_radix(digits, base).ok()?;
    let signed = if negative {
        0_i64.checked_sub_unsigned(size)
    } else {
        i64::try_from(size).ok()
    };
    match signed {
        Some(integer) => Some(Node::Int(integer)),
        // With a sign it is not an integer at all.
        None => unsigned.is_none().then_some(Node::Null),
    }
}

/// Digits with a point or an exponent or neither: what `parse` takes, without its words.
fn is_float(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
    mantissa.contains(|one: char| one.is_ascii_digit())
        && digits
            .chars()
            .all(|one| one.is_ascii_digit() || ".eE+-".contains(one))
}

/// Decodes base 64 with padding; line ends do not count.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut data = Vec::with_capacity(text.len() / 4 * 3);
    let mut digits = text.iter().filter(|byte| !matches!(byte, b'\r' | b'\n'));
    loop {
        let four: Vec<u8> = digits.by_ref().take(4).copied().collect();
        if four.is_empty() {
            return Some(data);
        }
        let padding = four.iter().rev().take_while(|byte| **byte == b'=').count();
        if four.len() < 4 || padding > 2 {
            return None;
        }
        let mut bits = 0_u32;
        for digit in four.get(..4 - padding)? {
            bits = bits << 6 | u32::from(value(*digit)?);
        }
        bits <<= 6 * padding;
        let [_, bytes @ ..] = bits.to_be_bytes();
        data.extend_from_slice(bytes.get(..3 - padding)?);
        if padding > 0 {
            return digits.next().is_none().then_some(data);
        }
    }
}

fn value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}
