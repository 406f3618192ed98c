//! What ZaLua's library took from Go: functions whose answers plugins see.
//!
//! Pure Rust without Lua in it; the modules of the plugin library convert arguments and results.
//! Each file says which Go package it answers like. Texts of errors are Go 1.9's, with which ZaLua
//! was built, because plugins log and compare them. Whatever grows with the input has a limit here.

pub mod filepath;
mod glob;
pub mod human;
pub mod json;
pub mod number;
mod quote;
pub mod regexp;
pub mod strings;
pub mod time;
pub mod url;
pub mod xmlpath;
pub mod yaml;

pub use glob::{ENTRIES_MAX, GlobError, PATTERN_MAX, RESULTS_MAX, glob};
pub use quote::quote;
