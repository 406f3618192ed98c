//! YAML: no text panics, and no tree is larger than it may be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moonward::lua::go::yaml::{DEPTH_MAX, EXPANDED_MAX, NODES_MAX, Node, decode};

/// Nodes, bytes and depth.
fn measure(node: &Node) -> (usize, usize, usize) {
    let inner: Vec<&Node> = match node {
        Node::String(text) => return (1, text.len(), 0),
        Node::Sequence(items) => items.iter().collect(),
        Node::Mapping(entries) => entries
            .iter()
            .flat_map(|(key, value)| [key, value])
            .collect(),
        _ => return (1, 0, 0),
    };
    inner.into_iter().map(measure).fold((1, 0, 1), |all, one| {
        (all.0 + one.0, all.1 + one.1, all.2.max(one.2 + 1))
    })
}

fuzz_target!(|text: &[u8]| {
    match decode(text) {
        Ok(tree) => {
            let (nodes, bytes, depth) = measure(&tree);
            assert!(nodes <= NODES_MAX && bytes <= EXPANDED_MAX && depth <= DEPTH_MAX);
        }
        Err(error) => assert!(error.line > 0),
    }
});
