//! Answers when asked: the doors of the service.

pub mod control;
pub mod zabbix;
pub mod zalua;
