//! Go's package `regexp`: from its way to write an expression to that of the crate `regex`, whose
//! engine is of the same kind.

use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

/// Writes an expression of Go's `regexp` (RE2's syntax) for the crate `regex`. What differs: Go's
/// `\d`, `\w`, `\s` and `\b` know ASCII only; `\Q` begins literal text; a backslash before any mark
/// makes it literal; a brace that counts nothing is literal; and in a class a bracket, `&&`, `--`
/// and `~~` are nothing special. Mistakes are left for the engine to tell.
///
/// # Errors
/// When a repetition is more than Go's thousand.
pub fn translate(expression: &str) -> Result<String, String> {
    let mut output = String::with_capacity(expression.len() + 16);
    let mut rest = expression.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' => escaped(&mut rest, &mut output, false),
            '[' => class(&mut rest, &mut output),
            '{' => brace(&mut rest, &mut output)?,
            other => output.push(other),
        }
    }
    Ok(output)
}

fn escaped(rest: &mut Peekable<Chars<'_>>, output: &mut String, in_class: bool) {
    let Some(character) = rest.next() else {
        output.push('\\');
        return;
    };
    let (digit, space, word) = (r"0-9", r"\t\n\x0C\r ", r"0-9A-Za-z_");
    let set = |output: &mut String, ranges: &str, negated: bool| {
        let (open, close) = match (in_class, negated) {
            (true, false) => ("", ""),
            (_, true) => ("[^", "]"),
            (false, false) => ("[", "]"),
        };
        output.extend([open, ranges, close]);
    };
    match character {
        'd' | 'D' => set(output, digit, character == 'D'),
        's' | 'S' => set(output, space, character == 'S'),
        'w' | 'W' => set(output, word, character == 'W'),
        'b' | 'B' if !in_class => {
            write!(output, r"(?-u:\{character})").ok();
        }
        'Q' if !in_class => literal(rest, output),
        // An end without a beginning means nothing.
        'E' if !in_class => {}
        mark if mark.is_ascii_punctuation() => push_literal(mark, output),
        other => output.extend(['\\', other]),
    }
}

/// Text up to `\E`, or to the end.
fn literal(rest: &mut Peekable<Chars<'_>>, output: &mut String) {
    while let Some(character) = rest.next() {
        if character == '\\' && rest.peek() == Some(&'E') {
            rest.next();
            return;
        }
        push_literal(character, output);
    }
}

fn push_literal(character: char, output: &mut String) {
    // A bare mark such as `<` must not get a backslash, which would give it a meaning.
    if regex_syntax_mark(character) {
        output.push('\\');
    }
    output.push(character);
}

fn regex_syntax_mark(character: char) -> bool {
    r"\.+*?()|[]{}^$#&-~".contains(character)
}

/// A class, from behind its bracket to its end.
fn class(rest: &mut Peekable<Chars<'_>>, output: &mut String) {
    output.push('[');
    if rest.next_if_eq(&'^').is_some() {
        output.push('^');
    }
    // A bracket that comes first is one of the class.
    if rest.next_if_eq(&']').is_some() {
        output.push_str(r"\]");
    }
    while let Some(character) = rest.next() {
        match character {
            ']' => {
                output.push(']');
                return;
            }
            '\\' => escaped(rest, output, true),
            '[' => match named(rest) {
                Some(name) => output.extend(["[:", &name, ":]"]),
                None => output.push_str(r"\["),
            },
            '&' | '~' => output.extend(['\\', character]),
            '-' if rest.peek() == Some(&'-') => output.push_str(r"\-"),
            other => output.push(other),
        }
    }
}

/// The name in `[:name:]`, behind its first bracket.
fn named(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut ahead = rest.clone();
    ahead.next_if_eq(&':')?;
    let mut name = String::new();
    loop {
        match ahead.next()? {
            ':' if ahead.peek() == Some(&']') => {
                ahead.next();
                *rest = ahead;
                return Some(name);
            }
            character if character.is_ascii_alphabetic() || character == '^' => {
                name.push(character);
            }
            _ => return None,
        }
    }
}

/// A count, or a brace that stands for itself.
fn brace(rest: &mut Peekable<Chars<'_>>, output: &mut String) -> Result<(), String> {
    const COUNT_MAX: u32 = 1000;
    let mut ahead = rest.clone();
    let mut text = String::new();
    let is_count = loop {
        match ahead.next() {
            Some('}') => break !text.is_empty() && !text.starts_with(','),
            Some(',') if text.contains(',') => break false,
            Some(character @ ('0'..='9' | ',')) => text.push(character),
            _ => break false,
        }
    };
    if !is_count {
        output.push_str(r"\{");
        return Ok(());
    }
    for number in text.split(',').filter(|number| !number.is_empty()) {
        if number
            .parse::<u32>()
            .map_or(true, |number| number > COUNT_MAX)
        {
            return Err(format!("invalid repeat count: `{{{text}}}`"));
        }
    }
    output.extend(["{", &text, "}"]);
    *rest = ahead;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_differs_is_rewritten() {
        for (go, rust) in [
            (r"a\d+", r"a[0-9]+"),
            (r"[^\w.]", r"[^0-9A-Za-z_.]"),
            (r"[\S]", r"[[^\t\n\x0C\r ]]"),
            (r"\bx\B", r"(?-u:\b)x(?-u:\B)"),
            (r"\Qa.b", r"a\.b"),
            (r"\Q(\E)", r"\()"),
            (r"\<\_\-\/", r"<_\-/"),
            (r"{a}{1}{1,}{1,2}{,2}", r"\{a}{1}{1,}{1,2}\{,2}"),
            (r"[[a]", r"[\[a]"),
            (r"[]a]", r"[\]a]"),
            (r"[[:alpha:]_]", r"[[:alpha:]_]"),
            (r"[a&&b]", r"[a\&\&b]"),
            (r"\x{41}\pL\z", r"\x{41}\pL\z"),
            ("[", "["),
            ("\\", "\\"),
        ] {
            assert_eq!(translate(go).unwrap(), rust, "{go}");
        }
        translate("a{1001}").unwrap_err();
    }

    proptest! {
        #[test]
        fn anything_is_translated_and_plain_text_means_itself(text in ".*", plain in "[a-z0-9 ]*") {
            drop(translate(&text));
            let quoted = format!(r"\Q{}\E", text.replace('\\', "/"));
            let expression = regex::Regex::new(&format!("^{}$", translate(&quoted).unwrap())).unwrap();
            prop_assert!(expression.is_match(&text.replace('\\', "/")));
            prop_assert_eq!(translate(&plain).unwrap(), plain);
        }
    }
}
