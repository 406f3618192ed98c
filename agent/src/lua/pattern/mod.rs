//! Lua's patterns with bounded work.
//!
//! The engine's own matcher cannot be interrupted, and a pattern such as `.-.-.-.-x` takes years on
//! a few kilobytes. This one gives the same answers, byte for byte, and counts its steps: it gives
//! up with `pattern too complex` when the [`Budget`] that the caller set is used up. It allocates
//! nothing that grows with the subject but the result of [`Pattern::gsub`], which has a limit.
//!
//! The rules are those of LuaJIT's `string` library, which are Lua 5.1's with four differences:
//! `%g` is a class, a pattern that needs more than 200 nested attempts is `too complex`, classes
//! are ASCII whatever the locale, and `\0` in a pattern ends it (as in 5.1, not as in 5.2).
//! Mistakes in a pattern are told when matching comes to them and not before, as LuaJIT does:
//! `("b"):match("a[")` is nil, `("a"):match("a[")` is an error.
//!
//! The tests hold it against LuaJIT itself on random patterns and subjects.

mod class;
mod compile;
mod error;
mod matcher;
mod replace;
mod search;

pub use compile::{PATTERN_MAX, Pattern, is_plain};
pub use error::{Budget, PatternError};
pub use matcher::{CAPTURES_MAX, Capture, Match};
pub use replace::{RESULT_MAX, expand};
pub use search::{GlobalMatch, SUBJECT_MAX, find, offset};

#[cfg(test)]
mod differential;
#[cfg(test)]
mod tests;
