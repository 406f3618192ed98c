//! D-Bus: the connection to the bus and the parts of systemd that are used of it.
//!
//! [`connection`] opens connections with time limits and paces new attempts; [`systemd`] declares
//! the methods, properties and signals. Nothing in here decides anything: collectors and recovery
//! do. Everything is async and needs a tokio runtime.

pub mod connection;
#[cfg(test)]
pub(crate) mod fake;
pub mod systemd;

pub use connection::{BackOff, Bus, BusError};
pub use systemd::{JobProxy, ManagerProxy, ServiceProxy, UnitProxy};
