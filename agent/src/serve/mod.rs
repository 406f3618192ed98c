//! Answers when asked: the doors of the service.

mod accept;
pub mod control;
pub mod zabbix;
pub mod zalua;
