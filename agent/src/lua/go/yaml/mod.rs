//! YAML as Go's `yaml.v2` reads it: the scalars of YAML 1.1, merge keys, anchors.
//!
//! Where the package is at odds with YAML itself, YAML holds: a key that is written wins over a
//! merged one wherever it stands. Only the first document is read. Whatever aliases repeat counts
//! as often as it is repeated, so a small text cannot become a large tree.

mod build;
mod flow;
mod scalar;
mod tree;

pub use build::{DEPTH_MAX, NODES_MAX, TEXT_MAX, YamlError, decode};
pub use flow::FLOW_MAX;
pub use tree::{EXPANDED_MAX, Node};

#[cfg(test)]
mod tests;
