//! PostgreSQL, and pgbouncer in front of it.
//!
//! Everything travels as text, which is the server's own form of every type there is, extensions'
//! included. A statement without parameters is sent as it is (the simple protocol), because that
//! is all that pgbouncer's console understands. One with parameters becomes `PREPARE`, `EXECUTE`
//! and `DEALLOCATE` inside a transaction: the server fills the parameters in and gives each the
//! type that its place asks for, a pooler that lends connections by transaction cannot come
//! between, and no prepared statement is left behind for another client to fall over.

mod literal;
mod session;
mod text;

pub use literal::push_literal;
pub(super) use session::Postgres;
pub use text::cell;
