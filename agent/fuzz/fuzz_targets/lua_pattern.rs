//! Lua patterns: no input panics, ranges lie in the subject, replacing by the whole match changes
//! nothing, and what the searches find agrees.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moonward::lua::pattern::{Budget, Capture, GlobalMatch, Pattern, PatternError, expand, find};

/// Enough for every sensible pattern on these subjects, and quickly used up.
const STEPS: u64 = 200_000;

fuzz_target!(|input: (&[u8], &[u8], &[u8], u16)| {
    let (pattern, subject, replacement, from) = input;
    let from = usize::from(from).min(subject.len());
    let Ok(compiled) = Pattern::compile(pattern) else {
        return;
    };
    let found = compiled.find(subject, from, &mut Budget::new(STEPS));
    if let Ok(Some(found)) = &found {
        let range = found.range();
        assert!(range.start >= from && range.start <= range.end && range.end <= subject.len());
        for capture in found.captures().unwrap_or_default() {
            match capture {
                Capture::Text(range) => assert!(subject.get(range).is_some()),
                Capture::Position(at) => assert!(at <= subject.len()),
            }
        }
    }
    if let Ok(Some(plain)) = find(subject, pattern, from, true, &mut Budget::new(STEPS)) {
        assert_eq!(&subject[plain.range()], pattern);
    }

    let mut all = GlobalMatch::new(pattern).expect("short enough");
    let mut budget = Budget::new(STEPS);
    let mut last = 0;
    while let Ok(Some(found)) = all.step(subject, &mut budget) {
        assert!(found.range().start >= last);
        last = found.range().end;
    }

    let mut budget = Budget::new(STEPS);
    let same = compiled.gsub::<PatternError>(subject, None, &mut budget, |found, out| {
        expand(b"%0", found, subject, out)
    });
    if let Ok((same, _)) = same {
        assert_eq!(same, subject);
    }
    let _any = compiled.gsub::<PatternError>(subject, Some(64), &mut budget, |found, out| {
        expand(replacement, found, subject, out)
    });
});
