//! SQLite: a file, read by a thread of the driver's for each connection.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteQueryResult, SqliteValueRef};
use sqlx::{ConnectOptions as _, Decode};

use super::database::Driver;
use super::fetch::{Dialect, Form, fetch};
use super::gather::Gather;
use super::options::{Kind, Options};
use super::{Cell, SqlError};

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
        let connection = &mut session.connection;
        fetch::<sqlx::Sqlite>(connection, &self.place, sql, parameters, gather).await
    }

    async fn close(session: Session) {
        // The thread ends with the connection; there is no server to be polite to.
        drop(session);
    }
}

impl Dialect for sqlx::Sqlite {
    /// Values have types of their own, whatever the column was declared as.
    fn cell(name: &str, value: SqliteValueRef<'_>, _: Form) -> Result<Cell, BoxDynError> {
        Ok(match name {
            "INTEGER" => Cell::Integer(<i64 as Decode<'_, Self>>::decode(value)?),
            "REAL" => Cell::Float(<f64 as Decode<'_, Self>>::decode(value)?),
            "TEXT" => Cell::text(<&[u8] as Decode<'_, Self>>::decode(value)?),
            _ => Cell::Bytes(<&[u8] as Decode<'_, Self>>::decode(value)?.to_vec()),
        })
    }

    fn rows_affected(done: &SqliteQueryResult) -> u64 {
        done.rows_affected()
    }
}
