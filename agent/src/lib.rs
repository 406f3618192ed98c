//! Moonward: an eBPF-enhanced, systemd-native monitoring and recovery service for Linux.
//!
//! One library with thin binaries. Samples flow one way: `probe` and `collect` put them into
//! `store`, `serve` takes them out; `app` wires the rooms together and is known to none of them.
//! `ARCHITECTURE.md` beside this package has the map and its invariants.

pub mod app;
pub mod bus;
pub mod cli;
pub mod collect;
pub mod config;
pub mod lua;
pub mod model;
pub mod probe;
pub mod runner;
pub mod serve;
pub mod store;
pub mod telemetry;
