//! The `moonward` command.
fn main() {}
