//! Prometheus collectors that scripts make: one registry for all scripts of a host.
//!
//! A collector has one series per set of label values. The registry puts each into the store when a
//! script sets it, and again every [`RENEWAL`] for as long as that script runs, so that it can hold
//! for no longer than [`TTL`] without one. When the script has ended its series are taken out; a
//! counter's value is remembered and goes on when the script runs again.

mod name;
mod registry;

pub(crate) use name::{Kind, Options};
pub(crate) use registry::{Change, Registry};

use std::time::Duration;

/// How often series are put again.
pub(super) const RENEWAL: Duration = Duration::from_mins(1);

/// How long a series holds after it was put.
const TTL: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests;
