//! Regular expressions of Go: no text panics, a literal stays one, and nothing grows without end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moonward::lua::go::regexp::translate;

fuzz_target!(|text: &str| {
    if let Ok(translated) = translate(text) {
        // The longest that two characters become is a class of its own.
        assert!(translated.len() <= text.len() * 10);
    }
    let plain: String = text.chars().filter(|one| *one != '\\').collect();
    let literal = translate(&format!(r"\Q{plain}\E")).expect("a literal counts nothing");
    assert_eq!(literal.replace('\\', ""), plain);
});
