//! Answers when asked: the doors of the service.

pub mod zabbix;
