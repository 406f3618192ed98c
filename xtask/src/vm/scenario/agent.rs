//! Moonward in the machine, as the scenarios see it.

use anyhow::Result;

use super::Guest;

/// Brings the machine to where every scenario begins.
pub(crate) fn make_ready(_guest: &mut Guest) -> Result<()> {
    Ok(())
}
