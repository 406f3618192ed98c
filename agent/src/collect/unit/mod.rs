//! The states of systemd's units, asked over D-Bus.
//!
//! A task of its own, [`UnitWatch`], and not a collector of the round: the bus is asked without
//! blocking anybody, and may be away. [`listing`] has the series with their units.

pub mod listing;
pub mod watch;

pub use listing::Selection;
pub use watch::UnitWatch;
