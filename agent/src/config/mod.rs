//! The configuration: typed, strict and pure.
//!
//! Without any file everything has its default. With files, every mistake in all of them is
//! reported at once, with file, line, column, what was found and what was expected; a caller that
//! gets [`Problems`] starts nothing. Only [`load`] touches the disk; nothing here prints or exits.
//!
//! `schema.rs` is the one list of keys. The shipped sample `systemd/moonward.toml` is held to it by
//! a test in both directions.

pub mod difference;
pub(crate) mod document;
pub mod environment;
mod field;
pub mod load;
pub mod options;
pub mod parse;
pub mod plugin;
pub mod problem;
mod schema;
mod suggest;
pub mod types;
pub mod units;

pub use difference::{Difference, difference};
pub use environment::Environment;
pub use load::ConfigPaths;
pub use options::{OptionValue, Options};
pub use parse::Source;
pub use plugin::{PluginConfig, PluginSettings};
pub use problem::{Problem, Problems};
pub use types::{
    AgentConfig, CollectConfig, CollectorConfig, Config, ControlConfig, DoorAddress,
    FilesystemConfig, HttpConfig, LogLevel, ProbeConfig, RunnerConfig, StateConfig, StoreConfig,
    UnitConfig, ZabbixConfig, ZaluaConfig,
};

#[cfg(test)]
mod plugin_tests;
#[cfg(test)]
mod tests;
