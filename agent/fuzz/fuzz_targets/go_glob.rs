//! File patterns: no pattern panics, and everything that is found fits the tree that is there.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use moonward::lua::go::glob;
use moonward_fuzz::{scratch, write};

/// A directory with a small tree.
static TREE: LazyLock<String> = LazyLock::new(|| {
    let tree = scratch("glob");
    for path in ["a/b/c", "a/bc", "ab/b/c", ".a/b", "[a]/b*", "\u{e9}/b"] {
        write(&tree, path, b"");
    }
    tree.to_str().expect("a plain path").to_owned()
});

fuzz_target!(|pattern: &[u8]| {
    // Out of the tree there is a whole machine.
    let plain: Vec<u8> = pattern
        .iter()
        .copied()
        .filter(|byte| *byte != b'\\')
        .collect();
    if plain.windows(2).any(|two| two == b"..") {
        return;
    }
    let root = TREE.as_bytes();
    let pattern = [root, b"/", pattern].concat();
    if let Ok(paths) = glob(&pattern) {
        for path in paths {
            assert!(path.starts_with(root));
        }
    }
});
