//! Wiring only: build the parts, spawn them, reload, drain, notify, drop privileges.
//!
//! This room knows all the others and none of them knows it.

mod banner;
mod doors;
mod http;
pub mod listeners;
pub mod notify;
mod plan;
mod plugin_doors;
pub mod privileges;
mod probing;
mod reload;
pub mod run;
mod scripts;
mod service;
mod signals;
mod state;
pub mod supervisor;
mod tasks;
pub mod watchdog;
mod zalua_storage;

pub use plugin_doors::PluginDoors;
pub use run::{RunOptions, run};
pub use scripts::first_script;
