//! `cargo xtask vm`: a Debian machine under QEMU, and scenarios that are carried out in it.
//!
//! [`image`] makes the machine's disk once and keeps it; [`boot`] starts it; [`guest`] is the
//! channel through which commands and files go in and out ([`wire`] is its format, [`inside`] the
//! other end); [`scenario`] holds what is tried, one file each; [`drive`] carries them out.

pub(crate) mod boot;
pub(crate) mod drive;
pub(crate) mod guest;
pub(crate) mod image;
pub(crate) mod inside;
pub(crate) mod payload;
pub(crate) mod scenario;
pub(crate) mod wire;

mod verb;

pub(crate) use drive::all;
pub(crate) use verb::verb;
