//! Go's package `strings`: splitting and trimming.

use std::collections::HashSet;

/// The parts of a text between separators, as Go's `strings.Split` gives them: empty parts are
/// kept, and without any separator in it the text is the one part. An empty separator splits after
/// each UTF-8 character; a byte that belongs to none is a part of its own and stays as it is.
///
/// The parts are found one by one, so that the caller decides how many to keep. The time is
/// linear in the length of the text.
pub fn split<'a>(text: &'a [u8], separator: &'a [u8]) -> Split<'a> {
    Split {
        // Nothing has no characters, but it has one part between separators.
        rest: (!text.is_empty() || !separator.is_empty()).then_some(text),
        separator,
        finder: memchr::memmem::Finder::new(separator),
    }
}

/// What [`split`] gives.
#[derive(Clone, Debug)]
pub struct Split<'a> {
    rest: Option<&'a [u8]>,
    separator: &'a [u8],
    finder: memchr::memmem::Finder<'a>,
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let (part, after) = if self.separator.is_empty() {
            let (_, length) = character(rest);
            let (part, after) = rest.split_at_checked(length)?;
            (part, (!after.is_empty()).then_some(after))
        } else {
            match self.finder.find(rest) {
                None => (rest, None),
                Some(at) => (
                    rest.get(..at)?,
                    Some(rest.get(at + self.separator.len()..)?),
                ),
            }
        };
        self.rest = after;
        Some(part)
    }
}

/// The text without those characters at its start and end that occur in `cutset`, as Go's
/// `strings.Trim` gives it. All bytes that are no UTF-8 count as one and the same character.
pub fn trim<'a>(text: &'a [u8], cutset: &[u8]) -> &'a [u8] {
    let mut characters = HashSet::new();
    let mut rest = cutset;
    while !rest.is_empty() {
        let (one, length) = character(rest);
        characters.insert(one);
        rest = rest.get(length..).unwrap_or_default();
    }
    let mut text = text;
    while !text.is_empty() {
        let (first, length) = character(text);
        if !characters.contains(&first) {
            break;
        }
        text = text.get(length..).unwrap_or_default();
    }
    while !text.is_empty() {
        let (last, length) = last_character(text);
        if !characters.contains(&last) {
            break;
        }
        text = text.get(..text.len() - length).unwrap_or_default();
    }
    text
}

/// The first character of a text that is not empty, and its length in bytes. A byte that is no
/// UTF-8 is the replacement character with length 1.
pub(super) fn character(text: &[u8]) -> (char, usize) {
    let start = text.get(..text.len().min(4)).unwrap_or_default();
    let valid = match std::str::from_utf8(start) {
        Ok(valid) => valid,
        Err(error) => {
            let valid = start.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(valid).unwrap_or_default()
        }
    };
    match valid.chars().next() {
        Some(first) => (first, first.len_utf8()),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

/// The last character of a text that is not empty, and its length in bytes.
fn last_character(text: &[u8]) -> (char, usize) {
    (1..=text.len().min(4))
        .find_map(|length| {
            let tail = text.get(text.len() - length..)?;
            let (last, whole) = character(tail);
            let replaced = last == char::REPLACEMENT_CHARACTER && whole == 1;
            (whole == length && !replaced).then_some((last, length))
        })
        .unwrap_or((char::REPLACEMENT_CHARACTER, 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts<'a>(text: &'a str, separator: &'a str) -> Vec<&'a str> {
        let parts = split(text.as_bytes(), separator.as_bytes());
        parts
            .map(|part| std::str::from_utf8(part).unwrap())
            .collect()
    }

    #[test]
    fn zalua_44_split() {
        assert_eq!(parts("a,b,c", ","), ["a", "b", "c"]);
        assert_eq!(parts(",a,,", ","), ["", "a", "", ""]);
        assert_eq!(parts("abc", ", "), ["abc"]);
        assert_eq!(parts("", ","), [""]);
        assert_eq!(parts("aé☺", ""), ["a", "é", "☺"]);
        assert_eq!(parts("", ""), [""; 0]);
        assert_eq!(parts("aaaa", "aa"), ["", "", ""]);
        let broken: Vec<_> = split(b"a\xe2\x98\xffb", b"").collect();
        assert_eq!(broken, [&b"a"[..], b"\xe2", b"\x98", b"\xff", b"b"]);
    }

    #[test]
    fn zalua_44_trim() {
        for (text, cutset, expected) in [
            (" \t\n x y \n", " \t\n", "x y"),
            ("xxabcxx", "x", "abc"),
            ("xyz", "", "xyz"),
            ("", "x", ""),
            ("aaa", "a", ""),
            ("☺é-é☺", "é☺", "-"),
            ("é", "\u{c3}", "é"),
        ] {
            assert_eq!(
                trim(text.as_bytes(), cutset.as_bytes()),
                expected.as_bytes()
            );
        }
        assert_eq!(trim(b"\xfea\xff", b"\xff"), b"a");
        assert_eq!(trim(b"\xa9a\xc3\xa9", "é".as_bytes()), b"\xa9a");
    }

    proptest! {
        #[test]
        fn parts_join_to_the_text(text in any::<Vec<u8>>(), separator in prop::collection::vec(0_u8..3, 0..3)) {
            let parts: Vec<_> = split(&text, &separator).collect();
            prop_assert_eq!(parts.join(&separator[..]), text);
        }

        #[test]
        fn nothing_of_the_cutset_is_left_at_the_ends(text in "[ab€ ]{0,12}", cutset in "[a€]{0,3}") {
            let trimmed = std::str::from_utf8(trim(text.as_bytes(), cutset.as_bytes())).unwrap();
            prop_assert_eq!(trimmed, text.trim_matches(|one| cutset.contains(one)));
        }
    }
}
