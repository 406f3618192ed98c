//! Moonward.
pub mod serve;
