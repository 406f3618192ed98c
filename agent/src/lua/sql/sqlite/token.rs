//! Where words, quotes, comments and statements of a text begin and end, as SQLite's own
//! `sqlite3GetToken` has it (`src/tokenize.c` of 3.51).
//!
//! What the two disagree about would be a way past [`super::checked`], so the rules are SQLite's to
//! the letter where something is skipped: quotes, comments, brackets, parameters. A text that is
//! malformed for SQLite is never run, so it does not matter what it is here.

/// A piece of a statement. Blanks and comments are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword, a name without quotes, or a number.
    Word(&'a str),
    /// The end of a statement.
    Semicolon,
    /// What stands between a schema and a name in it.
    Dot,
    /// A text or name in quotes, a parameter, or any other character.
    Other,
}

/// The tokens of a text.
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The byte so far behind the current one; 0 behind the end, as in SQLite.
    fn byte(&self, ahead: usize) -> u8 {
        let bytes = self.text.as_bytes();
        let at = self.at.saturating_add(ahead);
        bytes.get(at).copied().unwrap_or_default()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// How many bytes from `from` on fit.
    fn run(&self, from: usize, fits: impl Fn(u8) -> bool) -> usize {
        let rest = self.rest().get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| fits(**byte)).count()
    }

    /// The length of blanks or of a comment here; 0 when there is none.
    fn skipped(&self) -> usize {
        match (self.byte(0), self.byte(1), self.byte(2)) {
            (b'-', b'-', _) => 2 + self.run(2, |byte| byte != b'\n'),
            // Its first end is the one after the opening, so `/*/` is not closed.
            (b'/', b'*', 1..) => {
                let inside = self.rest().get(2..).unwrap_or_default();
                match memchr::memmem::find(inside, b"*/") {
                    Some(length) => 2 + length + 2,
                    None => self.rest().len(),
                }
            }
            // A mark of byte order is blank everywhere.
            (0xef, 0xbb, 0xbf) => 3,
            _ => self.run(0, is_blank),
        }
    }

    /// The length of what stands between quotes; to the end when they are not closed.
    fn quoted(&self, quote: u8) -> usize {
        let mut length = 1;
        loop {
            length += self.run(length, |byte| byte != quote);
            // A doubled one stands for itself.
            if self.byte(length) == quote && self.byte(length + 1) == quote {
                length += 2;
                continue;
            }
            return length + usize::from(self.byte(length) == quote);
        }
    }

    /// The length of a parameter with a name, which may have anything in parentheses, as in Tcl.
    fn parameter(&self) -> usize {
        let mut length = 1;
        let mut letters = 0;
        loop {
            match self.byte(length) {
                byte if is_letter(byte) => {
                    letters += 1;
                    length += 1;
                }
                b'(' if letters > 0 => {
                    let inside = length + 1;
                    length = inside + self.run(inside, |byte| byte != b')' && !is_blank(byte));
                    return length + usize::from(self.byte(length) == b')');
                }
                b':' if self.byte(length + 1) == b':' => length += 2,
                _ => return length,
            }
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let blank = self.skipped();
            if blank == 0 {
                break;
            }
            self.at = self.at.saturating_add(blank);
        }
        if self.rest().is_empty() {
            return None;
        }
        let (length, token) = match self.byte(0) {
            b';' => (1, Token::Semicolon),
            b'.' if !self.byte(1).is_ascii_digit() => (1, Token::Dot),
            quote @ (b'\'' | b'"' | b'`') => (self.quoted(quote), Token::Other),
            b'[' => {
                let length = 1 + self.run(1, |byte| byte != b']');
                (length + 1, Token::Other)
            }
            b'$' | b'@' | b':' | b'#' => (self.parameter(), Token::Other),
            byte if is_letter(byte) => {
                let length = self.run(0, is_letter);
                let end = self.at.saturating_add(length);
                // Both ends are at characters, since all bytes of a long one are letters.
                let word = self.text.get(self.at..end).unwrap_or_default();
                (length, Token::Word(word))
            }
            _ => (1, Token::Other),
        };
        self.at = self.at.saturating_add(length);
        Some(token)
    }
}

/// Whether a byte can be in a name: SQLite's `IdChar`.
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// SQLite's `sqlite3Isspace`.
fn is_blank(byte: u8) -> bool {
    byte == b' ' || (9..=13).contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens as text: words as they are, `.`, `;`, and `_` for all others.
    fn shape(text: &str) -> String {
        let one = |token| match token {
            Token::Word(word) => word.to_owned(),
            Token::Semicolon => ";".to_owned(),
            Token::Dot => ".".to_owned(),
            Token::Other => "_".to_owned(),
        };
        Tokens::new(text).map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_stands_in_quotes_is_one_token() {
        for (text, expected) in [
            ("a 'b;''c' d", "a _ d"),
            ("\"b;\"\"c\";`d``;`[e;'] f", "_ ; _ _ f"),
            ("x'3b' 'open; a", "x _ _"),
            ("[open; a", "_"),
            ("''';' a", "_ a"),
        ] {
            assert_eq!(shape(text), expected, "{text}");
        }
    }

    #[test]
    fn comments_are_nothing() {
        for (text, expected) in [
            ("a--b;'\nc", "a c"),
            ("a/*b;'*/c/**/d", "a c d"),
            ("/*/ a */ b", "b"),
            ("/* open; a", ""),
            ("a/*", "a _ _"),
            ("a - - b", "a _ _ b"),
            ("\u{feff}a\u{b}b", "a b"),
        ] {
            assert_eq!(shape(text), expected, "{text}");
        }
    }

    #[test]
    fn parameters_hide_what_is_in_their_parentheses() {
        for (text, expected) in [
            ("$a(';') b", "_ b"),
            ("@a::b(;)c", "_ c"),
            (":a(; b", "_ b"),
            ("$( ;a", "_ _ ; a"),
            ("#1 ?2;a$b", "_ _ 2 ; a$b"),
        ] {
            assert_eq!(shape(text), expected, "{text}");
        }
    }
}
