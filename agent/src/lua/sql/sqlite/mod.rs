//! SQLite: a file, read by a thread of the driver's for each connection.
//!
//! It runs in this process, so what one plugin does there could reach all others. Three things keep
//! it from that. Bounds that are compiled into SQLite (`.cargo/config.toml`) hold for everybody and
//! cannot be loosened by a statement: on the length of a value and of a statement, the pages that are
//! kept in memory, the pages of a database, the files that one connection opens, and, as the last
//! wall, the memory of all connections together. A database in memory is one that SQLite keeps in its
//! cache and, when it grows, in a file that it has already removed, so it takes no more memory than
//! another. And of `PRAGMA`, whose settings can be those of the whole process, statements have the few
//! that are harmless.
//!
//! The wall is one for all: while a statement of one plugin is close to it, a statement of another can
//! fail for lack of memory too. It frees what it had when it ends. SQLite can be stopped between the
//! steps of its machine, not in a function, so a statement can go on after its time, one call as a rule
//! and, where a row has many of them, all of that row; the length of a value keeps a call within a few
//! seconds. Until then it has its place, and the places are bounded; see [`place`].

mod place;
mod session;
mod statement;
mod token;

pub(super) use session::Sqlite;
pub use statement::{STATEMENT_MAX, checked};

#[cfg(test)]
mod tests;
