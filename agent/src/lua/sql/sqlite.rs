//! SQLite: a file, read by a thread of the driver's for each connection.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow, SqliteValueRef};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Decode, Either, Executor as _, Row as _,
    TypeInfo as _, ValueRef as _,
};

use super::database::Driver;
use super::gather::Gather;
use super::options::{Kind, Options};
use super::{Cell, Column, SqlError};

/// Steps of SQLite's machine between two looks whether the caller is still there: well below a
/// millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

/// How to open the file.
pub(super) struct Sqlite {
    place: String,
    path: PathBuf,
    writable: bool,
    create: bool,
    busy_timeout: Duration,
}

/// A connection; when it is dropped, a statement that still runs in its thread is stopped.
pub(super) struct Session {
    connection: SqliteConnection,
    gone: Arc<AtomicBool>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

impl Sqlite {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            place: options.place(Kind::Sqlite),
            path: options.path.clone().unwrap_or_default(),
            writable: options.writable || options.create,
            create: options.create,
            busy_timeout: options.connect_timeout(),
        }
    }
}

impl Driver for Sqlite {
    type Session = Session;

    async fn connect(&self) -> Result<Session, SqlError> {
        let failed = |error: sqlx::Error| SqlError::connecting(&self.place, &error);
        let mut connection = SqliteConnectOptions::new()
            .filename(&self.path)
            .read_only(!self.writable)
            .create_if_missing(self.create)
            .busy_timeout(self.busy_timeout)
            .statement_cache_capacity(0)
            .disable_statement_logging()
            .connect()
            .await
            .map_err(failed)?;
        let gone = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&gone);
        connection
            .lock_handle()
            .await
            .map_err(failed)?
            .set_progress_handler(STEPS_BETWEEN_LOOKS, move || {
                !watched.load(Ordering::Relaxed)
            });
        Ok(Session { connection, gone })
    }

    async fn is_alive(&self, _: &mut Session) -> bool {
        true
    }

    async fn run(
        &self,
        session: &mut Session,
        sql: &str,
        parameters: &[Cell],
        gather: &mut Gather,
    ) -> Result<(), SqlError> {
        let sql = AssertSqlSafe(sql.to_owned());
        let connection = &mut session.connection;
        let mut stream = if parameters.is_empty() {
            connection.fetch_many(sqlx::raw_sql(sql))
        } else {
            let mut query = sqlx::query(sql).persistent(false);
            for parameter in parameters {
                query = match parameter {
                    Cell::Null => query.bind(None::<i64>),
                    Cell::Bool(truth) => query.bind(*truth),
                    Cell::Integer(number) => query.bind(*number),
                    Cell::Float(number) => query.bind(*number),
                    Cell::Text(text) => query.bind(text.clone()),
                    Cell::Bytes(bytes) => query.bind(bytes.clone()),
                };
            }
            connection.fetch_many(query)
        };
        while let Some(step) = stream
            .try_next()
            .await
            .map_err(|error| SqlError::running(&self.place, &error))?
        {
            match step {
                Either::Left(done) => gather.end_of_statement(done.rows_affected()),
                Either::Right(row) => {
                    let cells = self.cells(&row)?;
                    gather.row(|| columns(&row), cells)?;
                }
            }
        }
        Ok(())
    }

    async fn close(session: Session) {
        // The thread ends with the connection; there is no server to be polite to.
        drop(session);
    }
}

impl Sqlite {
    fn cells(&self, row: &SqliteRow) -> Result<Vec<Cell>, SqlError> {
        let lost = |error: sqlx::Error| SqlError::running(&self.place, &error);
        (0..row.len())
            .map(|index| {
                let value = row.try_get_raw(index).map_err(lost)?;
                cell(value).map_err(|error| lost(sqlx::Error::Decode(error)))
            })
            .collect()
    }
}

/// SQLite's values have types of their own, whatever the column was declared as.
fn cell(value: SqliteValueRef<'_>) -> Result<Cell, sqlx::error::BoxDynError> {
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let name = value.type_info().name().to_owned();
    Ok(match name.as_str() {
        "INTEGER" => Cell::Integer(<i64 as Decode<'_, sqlx::Sqlite>>::decode(value)?),
        "REAL" => Cell::Float(<f64 as Decode<'_, sqlx::Sqlite>>::decode(value)?),
        "TEXT" => Cell::text(<&[u8] as Decode<'_, sqlx::Sqlite>>::decode(value)?),
        _ => Cell::Bytes(<&[u8] as Decode<'_, sqlx::Sqlite>>::decode(value)?.to_vec()),
    })
}

fn columns(row: &SqliteRow) -> Vec<Column> {
    row.columns()
        .iter()
        .map(|column| Column {
            name: column.name().to_owned(),
            type_name: column.type_info().name().to_ascii_lowercase(),
        })
        .collect()
}
