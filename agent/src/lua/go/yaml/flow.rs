//! Characters for the parser, which stop when it looks too far ahead.
//!
//! What stands in brackets can be the key of a mapping, so the parser reads all of it before it tells
//! of its first part, and a text of 4 MiB became 750 MB of tokens that nobody had counted. Here they
//! are counted before the parser has them: by the characters that begin or end one, until the next
//! part is told. Where there was no bracket yet, the parser does not look ahead, and nothing counts.

use std::cell::Cell;
use std::str::Chars;

/// The most values, commas, colons and brackets of one list or mapping in brackets, roughly. They
/// take some 30 MB while they are read.
pub const FLOW_MAX: usize = 65_536;

/// How far the parser looked ahead.
#[derive(Default)]
pub(super) struct Lookahead {
    /// In halves: a quoted text has two quotes.
    signs: Cell<usize>,
    /// The parser has some characters before it looks at them, so this is never taken back.
    has_brackets: Cell<bool>,
}

impl Lookahead {
    /// Whether the characters were stopped.
    pub(super) fn is_too_far(&self) -> bool {
        self.signs.get() > 2 * FLOW_MAX
    }

    /// The parser told what it saw.
    pub(super) fn restart(&self) {
        self.signs.set(0);
    }

    fn count(&self, last: char, character: char) {
        if matches!(character, '[' | '{') {
            self.has_brackets.set(true);
        }
        if !self.has_brackets.get() {
            return;
        }
        let halves = match character {
            '"' | '\'' => 1,
            ',' | ':' | '[' | ']' | '{' | '}' | '?' | '&' | '*' | '!' | '#' => 2,
            // Where documents begin and end.
            '-' | '.' | '%' if matches!(last, '\n' | '\r') => 2,
            _ => 0,
        };
        self.signs.set(self.signs.get().saturating_add(halves));
    }
}

/// A text, up to where the parser looks too far ahead.
pub(super) struct Watched<'a> {
    text: Chars<'a>,
    last: char,
    lookahead: &'a Lookahead,
}

impl<'a> Watched<'a> {
    pub(super) fn new(text: &'a str, lookahead: &'a Lookahead) -> Self {
        Self {
            text: text.chars(),
            last: '\n',
            lookahead,
        }
    }
}

impl Iterator for Watched<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        if self.lookahead.is_too_far() {
            return None;
        }
        let character = self.text.next()?;
        self.lookahead.count(self.last, character);
        self.last = character;
        Some(character)
    }
}
