//! Answers when asked: the doors of the service.

mod accept;
pub mod control;
pub mod http;
pub mod prometheus;
mod under_way;
pub mod zabbix;
pub mod zalua;
