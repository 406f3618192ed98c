//! The databases that plugins ask, against real servers.
//!
//! PostgreSQL, pgbouncer and MariaDB run on temporary directories, with sockets there and a port on
//! the loopback. Where one of them is not installed its tests say so and pass, unless
//! `MOONWARD_REQUIRE_SERVERS` is set, as `cargo xtask test` does.

mod bounds;
mod certificates;
mod lua;
mod mysql;
mod pgbouncer;
mod postgres;
mod programs;
mod server;
mod sqlite;
mod stock;
mod tls;
mod trouble;

use moonward::lua::sql::{Cell, Database, Rows};

/// The rows of a statement that must succeed.
#[expect(clippy::expect_used, reason = "a statement that fails fails the test")]
async fn rows(database: &Database, sql: &str, parameters: &[Cell]) -> Rows {
    database.query(sql, parameters).await.expect(sql)
}

/// The words of the error of a statement that must fail.
async fn complaint(database: &Database, sql: &str, parameters: &[Cell]) -> String {
    match database.query(sql, parameters).await {
        Ok(rows) => panic!("{sql} gave {rows:?}"),
        Err(error) => error.to_string(),
    }
}

/// The only cell of a result.
async fn one(database: &Database, sql: &str, parameters: &[Cell]) -> Cell {
    let rows = rows(database, sql, parameters).await.rows;
    match rows.as_slice() {
        [row] => match row.as_slice() {
            [cell] => cell.clone(),
            other => panic!("{sql} gave {other:?}"),
        },
        other => panic!("{sql} gave {other:?}"),
    }
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}
