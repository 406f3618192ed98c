//! Databases that plugins ask: PostgreSQL, MySQL (and MariaDB) and SQLite behind one face.
//!
//! Plain Rust without Lua: [`Database::open`] connects, [`Database::query`] runs a statement and
//! gathers its rows, bounded in number and size, and [`Database::close`] says good-bye. Passwords
//! are in no message, and a server can neither stall the caller beyond its time-outs nor fill its
//! memory with rows. Runs on a tokio runtime with time and IO enabled.
//!
//! Unit tests are beside the code; `agent/tests/sql_postgres.rs` and its neighbours run against
//! real servers on sockets of their own.

mod cell;
mod database;
mod error;
mod fetch;
mod gather;
mod moment;
mod mysql;
mod options;
mod pool;
mod postgres;
mod sqlite;

pub use cell::{Cell, Column, Rows};
pub use database::Database;
pub use error::{ServerError, SqlError};
pub use gather::{BYTES_MAX, ROWS_MAX};
pub use moment::{Parts, moment};
pub use options::{CONNECT_TIMEOUT, Kind, MAX_CONNECTIONS, Options, QUERY_TIMEOUT, SslMode};
pub use pool::IDLE_AFTER;
pub use postgres::{cell, push_literal};
pub use sqlite::{STATEMENT_MAX, checked};
