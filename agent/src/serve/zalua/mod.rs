//! An optional door that speaks ZaLua's socket protocol, for scripts that know no other.
//!
//! [`codec`] is the language, `answer` what is replied, [`format`] its lines and numbers,
//! [`listener`] the door, and [`daemon`] what is peculiar to a service that a ZaLua client has
//! started. [`storage`] is ZaLua's file of values, and [`items`] what stands in it.

mod answer;
pub mod codec;
pub mod daemon;
pub mod format;
pub mod items;
pub mod listener;
pub mod storage;

pub(crate) use answer::answer;
pub use listener::{Context, Door, identity};
