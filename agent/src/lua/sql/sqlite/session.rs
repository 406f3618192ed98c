//! Opening a file, and running statements there.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteQueryResult, SqliteValueRef};
use sqlx::{ConnectOptions as _, Decode};

use super::checked;
use crate::lua::sql::database::Driver;
use crate::lua::sql::fetch::{Dialect, Form, fetch};
use crate::lua::sql::gather::Gather;
use crate::lua::sql::options::{Kind, Options};
use crate::lua::sql::{Cell, SqlError};

/// Steps of SQLite's machine between two looks whether the caller is still there: well below a
/// millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

/// Rows between SQLite's thread and the caller. They count for the memory of all plugins' SQLite, and
/// each can hold values of 16 MiB.
const ROWS_UNDER_WAY: usize = 4;

/// Pages of 4 KiB that a database in memory may have: 64 MiB.
const PAGES_IN_MEMORY: &str = "16384";

/// How to open the file.
pub(in crate::lua::sql) struct Sqlite {
    place: String,
    /// None for a database in memory.
    path: Option<PathBuf>,
    writable: bool,
    create: bool,
    busy_timeout: Duration,
}

/// A connection; when it is dropped, a statement that still runs in its thread is stopped.
pub(in crate::lua::sql) struct Session {
    connection: SqliteConnection,
    gone: Arc<AtomicBool>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

impl Sqlite {
    /// # Errors
    /// When a path is relative and the working directory is gone.
    pub(in crate::lua::sql) fn new(options: &Options) -> Result<Self, SqlError> {
        let path = options.path.clone().unwrap_or_default();
        let path = if options.is_in_memory() {
            None
        } else {
            // An absolute one is never read as an address (`file:…?mode=rwc`).
            let absolute = std::path::absolute(&path)
                .map_err(|error| SqlError::Option(format!("{}: {error}", path.display())))?;
            Some(absolute)
        };
        Ok(Self {
            place: options.place(Kind::Sqlite),
            path,
            writable: options.writable || options.create,
            create: options.create,
            busy_timeout: options.connect_timeout(),
        })
    }
}

impl Driver for Sqlite {
    type Session = Session;

    async fn connect(&self) -> Result<Session, SqlError> {
        let failed = |error: sqlx::Error| SqlError::connecting(&self.place, &error);
        let options = match &self.path {
            Some(path) => SqliteConnectOptions::new().filename(path),
            // Without a name it is in the cache as long as it fits, and then in a removed file;
            // `:memory:` would be in memory for good.
            None => SqliteConnectOptions::new()
                .filename("")
                .pragma("max_page_count", PAGES_IN_MEMORY),
        };
        let mut connection = options
            .read_only(!self.writable)
            .create_if_missing(self.create)
            .busy_timeout(self.busy_timeout)
            .statement_cache_capacity(0)
            .row_buffer_size(ROWS_UNDER_WAY)
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
        let sql = checked(sql)?;
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
