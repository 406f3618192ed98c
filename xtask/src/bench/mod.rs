//! `cargo xtask bench`: measurements, with the peer beside them.

use std::ffi::OsString;

use anyhow::Result;

/// The verb.
pub(crate) fn verb(arguments: &[OsString]) -> Result<()> {
    crate::none_left(arguments)
}
