//! Patterns over the text of a series: `*` is any run of characters, `?` is one.
//!
//! Series names hold `/`, `[` and `{` as ordinary characters, so a file glob would not do.

/// A pattern such as `system.disk.*` or `*{device="vda",*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    pattern: String,
}

impl Glob {
    /// Makes a pattern; every text is one.
    pub fn new(pattern: &str) -> Self {
        Self {
            pattern: pattern.to_owned(),
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// The text before the first wildcard, which every match starts with.
    pub fn prefix(&self) -> &str {
        self.pattern.split(['*', '?']).next().unwrap_or_default()
    }

    /// Whether the whole of `text` fits the pattern. Takes time proportional to the product of the
    /// two lengths at worst, never more.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.pattern.as_bytes(), text.as_bytes());
        let (mut at_pattern, mut at_text) = (0, 0);
        // Where the last star stands, and the text position it was last tried from.
        let mut star: Option<(usize, usize)> = None;
        while at_text < text.len() {
            match pattern.get(at_pattern) {
                // What is behind the last star need not be looked at.
                Some(b'*') if at_pattern + 1 == pattern.len() => return true,
                Some(b'*') => {
                    star = Some((at_pattern, at_text));
                    at_pattern += 1;
                    continue;
                }
                Some(b'?') => {
                    at_pattern += 1;
                    at_text = next_character(text, at_text);
                    continue;
                }
                Some(byte) if Some(byte) == text.get(at_text) => {
                    at_pattern += 1;
                    at_text += 1;
                    continue;
                }
                _ => {}
            }
            let Some((star_pattern, star_text)) = star else {
                return false;
            };
            at_pattern = star_pattern + 1;
            at_text = star_text + 1;
            star = Some((star_pattern, at_text));
        }
        pattern
            .get(at_pattern..)
            .is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
    }
}

/// The index after the UTF-8 character that starts at `at`.
fn next_character(text: &[u8], at: usize) -> usize {
    let mut next = at + 1;
    while text.get(next).is_some_and(|byte| byte & 0xc0 == 0x80) {
        next += 1;
    }
    next
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards_match_what_they_should() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("system.disk.*", "system.disk.io{device=\"vda\"}", true),
            ("system.disk.*", "system.cpu.time", false),
            ("*[/]", "system.disk.utilization[/]", true),
            ("a?c", "abc", true),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxcxxb", false),
        ] {
            assert_eq!(
                Glob::new(pattern).matches(text),
                expected,
                "{pattern} on {text}"
            );
        }
        assert_eq!(Glob::new("system.*x").prefix(), "system.");
    }

    proptest! {
        #[test]
        fn every_text_matches_itself_and_a_star(text in "[a-z.{}\\[\\]/]{0,40}") {
            prop_assert!(Glob::new(&text).matches(&text));
            prop_assert!(Glob::new("*").matches(&text));
            let prefixed = format!("{text}*");
            prop_assert!(Glob::new(&prefixed).matches(&text));
        }
    }
}
