//! The Zabbix door: passive checks as `zabbix_agentd` answers them, on TCP port 10050.
//!
//! - [`header`], [`request`], [`item_key`]: the protocol, pure.
//! - [`access`]: who may ask.

pub mod access;
pub mod header;
pub mod item_key;
pub mod request;
