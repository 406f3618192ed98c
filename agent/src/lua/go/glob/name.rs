//! A pattern for one element of a path, as Go's `filepath.Match` reads it.

use super::super::strings::character;

/// The longest pattern in bytes: no path is longer (PATH_MAX).
pub const PATTERN_MAX: usize = 4096;

/// One place of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// `*`
    Any,
    /// `?`
    One,
    /// A plain character, or one after a `\`; bytes that are no UTF-8 fit by themselves.
    Plain(Vec<u8>),
    /// `[a-z]` or `[^a-z]`
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// A pattern for names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamePattern(Vec<Place>);

/// Whether a pattern has special characters.
pub(super) fn is_special(pattern: &[u8]) -> bool {
    pattern.iter().any(|byte| b"*?[\\".contains(byte))
}

impl NamePattern {
    /// Reads a pattern; none when it is malformed.
    pub(super) fn parse(pattern: &[u8]) -> Option<Self> {
        let mut places = Vec::new();
        let mut rest = pattern;
        while let Some(first) = rest.first() {
            let place = match first {
                b'*' => {
                    take(&mut rest);
                    Place::Any
                }
                b'?' => {
                    take(&mut rest);
                    Place::One
                }
                b'[' => set(&mut rest)?,
                b'\\' => {
                    take(&mut rest);
                    Place::Plain(plain(&mut rest)?)
                }
                _ => Place::Plain(plain(&mut rest)?),
            };
            places.push(place);
        }
        Some(Self(places))
    }

    /// The one name that fits, when there are no places with a choice.
    pub(super) fn plain_name(&self) -> Option<Vec<u8>> {
        let bytes = |place: &Place| match place {
            Place::Plain(bytes) => Some(bytes.clone()),
            _ => None,
        };
        let parts: Option<Vec<_>> = self.0.iter().map(bytes).collect();
        Some(parts?.concat())
    }

    /// Whether a whole name fits. Takes time proportional to the product of the two lengths at
    /// worst.
    pub(super) fn fits(&self, name: &[u8]) -> bool {
        let (mut at, mut place) = (0, 0);
        // Where the last star stands, and what it was last tried to end before.
        let mut star: Option<(usize, usize)> = None;
        loop {
            match self.0.get(place) {
                None if at == name.len() => return true,
                Some(Place::Any) => {
                    star = Some((place, at));
                    place += 1;
                    continue;
                }
                Some(one) => {
                    if let Some(length) = one.fit(name.get(at..).unwrap_or_default()) {
                        at += length;
                        place += 1;
                        continue;
                    }
                }
                None => {}
            }
            // The last star takes one character more; earlier ones need not change.
            let Some((star_place, star_at)) = star else {
                return false;
            };
            if star_at >= name.len() {
                return false;
            }
            star = Some((star_place, star_at + 1));
            (at, place) = (star_at + 1, star_place + 1);
        }
    }
}

impl Place {
    /// How many bytes at the start of a name fit.
    fn fit(&self, name: &[u8]) -> Option<usize> {
        if let Self::Plain(bytes) = self {
            return name.starts_with(bytes).then_some(bytes.len());
        }
        let first = name.first()?;
        if *first == b'/' {
            return None;
        }
        let (found, length) = character(name);
        match self {
            Self::Set { negated, ranges } => {
                let is_in = ranges
                    .iter()
                    .any(|(low, high)| (*low..=*high).contains(&found));
                (is_in != *negated).then_some(length)
            }
            _ => Some(length),
        }
    }
}

fn take(rest: &mut &[u8]) {
    *rest = rest.get(1..).unwrap_or_default();
}

/// Takes one character.
fn plain(rest: &mut &[u8]) -> Option<Vec<u8>> {
    rest.first()?;
    let (_, length) = character(rest);
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes.to_vec())
}

/// Takes a set with its brackets.
fn set(rest: &mut &[u8]) -> Option<Place> {
    take(rest);
    let negated = rest.first() == Some(&b'^');
    if negated {
        take(rest);
    }
    let mut ranges = Vec::new();
    loop {
        if rest.first() == Some(&b']') && !ranges.is_empty() {
            take(rest);
            return Some(Place::Set { negated, ranges });
        }
        let low = member(rest)?;
        let mut high = low;
        if rest.first() == Some(&b'-') {
            take(rest);
            high = member(rest)?;
        }
        ranges.push((low, high));
    }
}

/// Takes an end of a range, which something must follow.
fn member(rest: &mut &[u8]) -> Option<char> {
    match rest.first()? {
        b'-' | b']' => return None,
        b'\\' => take(rest),
        _ => {}
    }
    rest.first()?;
    let (found, length) = character(rest);
    if found == char::REPLACEMENT_CHARACTER && length == 1 {
        return None;
    }
    *rest = rest.get(length..)?;
    (!rest.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zalua_45_names() {
        for (pattern, name, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*", "", true),
            ("*", ".hidden", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("[x\\-]", "-", true),
            ("[!a]", "!", true),
            ("sd[a-z]", "sda", true),
            ("*x", "xxx", true),
            ("", "", true),
            ("", "a", false),
        ] {
            let parsed = NamePattern::parse(pattern.as_bytes()).unwrap();
            assert_eq!(
                parsed.fits(name.as_bytes()),
                expected,
                "{pattern} on {name}"
            );
        }
    }

    #[test]
    fn zalua_45_malformed_patterns() {
        for pattern in [
            "[]a]", "[-]", "[x-]", "[-x]", "a[", "[a", "[a-b-c]", "[", "[^", "[^bc", "\\", "[\\",
            "a[\u{e9}",
        ] {
            assert_eq!(NamePattern::parse(pattern.as_bytes()), None, "{pattern}");
        }
        assert_eq!(NamePattern::parse(b"[\xff]"), None);
    }

    /// The same verdict by trying everything.
    fn fits_slowly(places: &[Place], name: &[u8]) -> bool {
        match places.split_first() {
            None => name.is_empty(),
            Some((Place::Any, rest)) => (0..=name.len()).any(|at| fits_slowly(rest, &name[at..])),
            Some((one, rest)) => one
                .fit(name)
                .is_some_and(|length| fits_slowly(rest, &name[length..])),
        }
    }

    proptest! {
        #[test]
        fn the_last_star_is_enough(pattern in "[ab*?\\[\\]^\\\\-]{0,8}", name in "[ab-]{0,8}") {
            if let Some(parsed) = NamePattern::parse(pattern.as_bytes()) {
                prop_assert_eq!(parsed.fits(name.as_bytes()), fits_slowly(&parsed.0, name.as_bytes()));
            }
        }

        #[test]
        fn all_bytes_are_a_pattern_or_none(pattern in any::<Vec<u8>>(), name in any::<Vec<u8>>()) {
            if let Some(parsed) = NamePattern::parse(&pattern) {
                let fits = parsed.fits(&name);
                if let Some(plain) = parsed.plain_name() {
                    prop_assert_eq!(fits, plain == name);
                }
            }
        }
    }
}
