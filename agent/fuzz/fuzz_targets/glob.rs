//! Patterns: the same verdict as a table of all partial matches gives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moonward::model::Glob;

/// `fits[t]` says whether the pattern so far fits the first `t` characters of the text.
fn fits(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut fits = vec![false; text.len() + 1];
    fits[0] = true;
    for wanted in pattern.chars() {
        let mut next = vec![false; text.len() + 1];
        next[0] = wanted == '*' && fits[0];
        for (at, found) in text.iter().enumerate() {
            next[at + 1] = match wanted {
                '*' => fits[at + 1] || next[at],
                '?' => fits[at],
                plain => fits[at] && plain == *found,
            };
        }
        fits = next;
    }
    fits[text.len()]
}

fuzz_target!(|input: (&str, &str)| {
    let (pattern, text) = input;
    let glob = Glob::new(pattern);
    assert_eq!(glob.matches(text), fits(pattern, text));
    if glob.matches(text) {
        assert!(text.starts_with(glob.prefix()));
    }
    if !text.contains(['*', '?']) {
        assert!(Glob::new(text).matches(text));
    }
});
