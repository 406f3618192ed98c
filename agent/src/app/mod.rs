//! Wiring: builds the rooms, starts and ends them, speaks to systemd. Knows everybody; nobody
//! knows it.

pub mod notify;
pub mod privileges;
pub mod watchdog;
