//! The Zabbix door: passive checks as `zabbix_agentd` answers them, on TCP port 10050.
//!
//! - [`header`], [`request`], [`item_key`]: the protocol, pure.
//! - [`access`]: who may ask.
//! - [`answer`]: what the door asks of whoever knows the values.
//! - [`door`]: the listening socket and its thread.
//! - [`items`]: the item keys, answered from the store.
//! - [`counters`]: what the door has done and refused.

pub mod access;
pub mod answer;
pub mod counters;
pub mod door;
mod event_loop;
pub mod header;
pub mod item_key;
pub mod items;
mod lane;
mod parked;
mod refusal_log;
pub mod request;
mod resolver;
mod responder;
mod wake;
