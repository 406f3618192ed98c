//! Wiring only: build the parts, spawn them, reload, drain, notify, drop privileges.
//!
//! This room knows all the others and none of them knows it.

pub mod listeners;
pub mod notify;
pub mod privileges;
pub mod supervisor;
pub mod watchdog;
