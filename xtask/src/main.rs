//! `cargo xtask VERB`: everything that is done to Moonward's sources, one file per verb.
fn main() {}
