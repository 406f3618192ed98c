//! The item keys, one file per family, answered from the store as Zabbix 6.0 and 7.0 define them.
//!
//! - [`table`]: which key is answered by which family, and with how many parameters at most.
//! - [`catalogue`]: the mounts, devices, interfaces, CPUs, nodes and units that the store knows.
//! - [`history`]: fifteen minutes of the counters that Zabbix wants averages of.
//!
//! What the store does not hold (a process by name, a path that is no mount point) is fetched on the
//! slow lane. Names of native series are OpenTelemetry's. The error texts are `zabbix_agentd`'s.
//! `agent/tests/zabbix_items.rs` compares the values with Debian's `zabbix_agentd` where that runs.

mod agent;
mod cpu;
mod discovery;
mod disk;
mod file_system;
mod host;
mod kernel;
mod memory;
mod network;
mod process;
mod series;
mod sockets;
mod text;

pub mod catalogue;
pub mod history;
pub mod table;

pub use table::{Identity, Items};
