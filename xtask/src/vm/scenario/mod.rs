//! What is tried in a machine, one file each, in the order in which they run.
//!
//! A new one is a file of the same shape as its neighbours and one line in [`ALL`].

mod agent;
mod machine;

use anyhow::Result;

use super::guest::Guest;

/// Something that is tried in a machine.
pub(crate) struct Scenario {
    /// Its name, and that of its file.
    pub(crate) name: &'static str,
    /// What it shows, in one line.
    pub(crate) what: &'static str,
    /// Whether Moonward has to be installed and running when it begins.
    pub(crate) needs_package: bool,
    /// Tries it.
    pub(crate) run: fn(&mut Guest) -> Result<()>,
}

/// All of them. They share one machine; one that leaves it unusable gets a fresh one after it.
pub(crate) const ALL: &[&Scenario] = &[&machine::SCENARIO];

pub(crate) use agent::make_ready;
