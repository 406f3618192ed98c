//! Connecting to PostgreSQL and running statements there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow, PgSslMode};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Either, Executor as _,
    Row as _, TypeInfo as _, ValueRef as _,
};

use super::{cell, push_literal};
use crate::lua::sql::database::Driver;
use crate::lua::sql::gather::Gather;
use crate::lua::sql::options::{Kind, Options, SslMode};
use crate::lua::sql::{Cell, Column, SqlError};

/// Names of statements are never used twice, not even by two handles behind one pooler.
static STATEMENT: AtomicU64 = AtomicU64::new(0);

/// The database that stands for pgbouncer's console, which knows commands of its own alone and logs
/// an error for everything else. <https://www.pgbouncer.org/usage.html#admin-console>
const CONSOLE: &str = "pgbouncer";

/// How to connect.
pub(in crate::lua::sql) struct Postgres {
    place: String,
    is_console: bool,
    options: PgConnectOptions,
    /// Tried when the server lets nobody in without encryption.
    encrypted: Option<PgConnectOptions>,
    statement_timeout: Option<Duration>,
}

impl Postgres {
    pub(in crate::lua::sql) fn new(options: &Options) -> Self {
        let kind = Kind::Postgres;
        let mut connect = PgConnectOptions::new_without_pgpass()
            .host(options.host())
            .port(options.port(kind))
            .username(options.user(kind))
            .database(options.database(kind).unwrap_or_default())
            .application_name("moonward")
            // pgbouncer refuses this setting unless it is told to ignore it; servers since 12 print
            // floats in full without it.
            .extra_float_digits(None)
            .statement_cache_capacity(0)
            .ssl_mode(match options.sslmode() {
                SslMode::Disable | SslMode::Allow => PgSslMode::Disable,
                SslMode::Prefer => PgSslMode::Prefer,
                SslMode::Require => PgSslMode::Require,
                SslMode::VerifyCa => PgSslMode::VerifyCa,
                SslMode::VerifyFull => PgSslMode::VerifyFull,
            })
            .disable_statement_logging();
        if let Some(password) = &options.password {
            connect = connect.password(password);
        }
        if let Some(file) = &options.sslrootcert {
            connect = connect.ssl_root_cert(file);
        }
        let encrypted = (options.sslmode() == SslMode::Allow)
            .then(|| connect.clone().ssl_mode(PgSslMode::Require));
        Self {
            place: options.place(kind),
            is_console: options.database(kind) == Some(CONSOLE),
            options: connect,
            encrypted,
            statement_timeout: options.statement_timeout,
        }
    }

    /// Sends a text with the simple protocol and hands its rows over.
    async fn simple(
        &self,
        session: &mut PgConnection,
        sql: &str,
        gather: &mut Gather,
    ) -> Result<(), SqlError> {
        let lost = |error: sqlx::Error| SqlError::running(&self.place, &error);
        let mut stream = session.fetch_many(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())));
        while let Some(step) = stream.try_next().await.map_err(lost)? {
            match step {
                Either::Left(done) => gather.end_of_statement(done.rows_affected()),
                Either::Right(row) => {
                    let cells = cells(&row).map_err(lost)?;
                    gather.row(|| columns(&row), cells)?;
                }
            }
        }
        Ok(())
    }

    /// Sends a text whose results nobody wants.
    async fn command(&self, session: &mut PgConnection, sql: &str) -> Result<(), SqlError> {
        self.simple(session, sql, &mut Gather::default()).await
    }

    /// Prepares, executes and forgets a statement with parameters.
    async fn prepared(
        &self,
        session: &mut PgConnection,
        sql: &str,
        arguments: &str,
        gather: &mut Gather,
    ) -> Result<(), SqlError> {
        let number = STATEMENT.fetch_add(1, Ordering::Relaxed);
        let name = format!("moonward_{}_{number}", std::process::id());
        let before = format!("BEGIN; PREPARE {name} AS ");
        if let Err(error) = self.command(session, &format!("{before}{sql}")).await {
            if error.leaves_connection() {
                self.command(session, "ROLLBACK").await?;
            }
            return Err(counted_from(error, before.chars().count()));
        }
        let outcome = self
            .simple(session, &format!("EXECUTE {name}({arguments})"), gather)
            .await;
        match outcome {
            // One message each: a pooler cannot lend the connection to another in between.
            Ok(()) => {
                self.command(session, &format!("DEALLOCATE {name}; COMMIT"))
                    .await
            }
            Err(error) => {
                if error.leaves_connection() {
                    self.command(session, &format!("ROLLBACK; DEALLOCATE {name}"))
                        .await?;
                }
                Err(error)
            }
        }
    }
}

impl Driver for Postgres {
    type Session = PgConnection;

    async fn connect(&self) -> Result<PgConnection, SqlError> {
        let failed = |error: sqlx::Error| SqlError::connecting(&self.place, &error);
        let mut connection = match (self.options.connect().await, &self.encrypted) {
            (Err(sqlx::Error::Database(_)), Some(encrypted)) => {
                encrypted.connect().await.map_err(failed)?
            }
            (outcome, _) => outcome.map_err(failed)?,
        };
        // The console has no such setting; we give up by ourselves there.
        if let Some(time) = self.statement_timeout.filter(|_| !self.is_console) {
            let sql = format!("SET statement_timeout = {}", time.as_millis());
            match self.command(&mut connection, &sql).await {
                // Nor may what else speaks the protocol have it.
                Ok(()) | Err(SqlError::Statement(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(connection)
    }

    async fn is_alive(&self, session: &mut PgConnection) -> bool {
        if !self.is_console {
            return session.ping().await.is_ok();
        }
        // A server with a database of that name does not know the command, but lives.
        let answer = self.command(session, "SHOW VERSION").await;
        matches!(answer, Ok(()) | Err(SqlError::Statement(_)))
    }

    async fn run(
        &self,
        session: &mut PgConnection,
        sql: &str,
        parameters: &[Cell],
        gather: &mut Gather,
    ) -> Result<(), SqlError> {
        if parameters.is_empty() {
            return self.simple(session, sql, gather).await;
        }
        // The server would take no notice of them.
        if !sql.contains('$') {
            let missing = "the statement has no place for it, such as $1";
            return Err(SqlError::Parameter(1, missing));
        }
        let mut arguments = String::new();
        for (parameter, number) in parameters.iter().zip(1..) {
            if number > 1 {
                arguments.push_str(", ");
            }
            push_literal(&mut arguments, number, parameter)?;
        }
        self.prepared(session, sql, &arguments, gather).await
    }

    async fn close(session: PgConnection) {
        // A server that is gone needs no good-bye.
        drop(session.close().await);
    }
}

/// Moves the place of a mistake from our text into the caller's.
fn counted_from(mut error: SqlError, before: usize) -> SqlError {
    if let SqlError::Statement(server) = &mut error {
        server.position = server
            .position
            .and_then(|position| position.checked_sub(before));
    }
    error
}

fn cells(row: &PgRow) -> Result<Vec<Cell>, sqlx::Error> {
    (0..row.len())
        .map(|index| {
            let value = row.try_get_raw(index)?;
            if value.is_null() {
                return Ok(Cell::Null);
            }
            let oid = value.type_info().oid().map_or(0, |oid| oid.0);
            let bytes = value.as_bytes().map_err(sqlx::Error::Decode)?;
            Ok(cell(oid, bytes))
        })
        .collect()
}

fn columns(row: &PgRow) -> Vec<Column> {
    row.columns()
        .iter()
        .map(|column| Column {
            name: column.name().to_owned(),
            type_name: match (column.type_info().name(), column.type_info().oid()) {
                ("?", Some(oid)) => format!("oid {}", oid.0),
                (name, _) => name.to_ascii_lowercase(),
            },
        })
        .collect()
}
