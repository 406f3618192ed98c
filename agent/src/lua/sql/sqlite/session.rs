//! Opening a file, and running statements there.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteQueryResult, SqliteValueRef};
use sqlx::{ConnectOptions as _, Decode};

use super::checked;
use super::place::{Place, Places, User};
use crate::lua::sql::database::Driver;
use crate::lua::sql::fetch::{Dialect, Form, fetch};
use crate::lua::sql::gather::Gather;
use crate::lua::sql::options::{Kind, Options};
use crate::lua::sql::{Cell, SqlError};

/// Steps of SQLite's machine between two looks whether the caller is still there: few, since each can
/// be a call that takes long, and a look costs no more than one of them.
const STEPS_BETWEEN_LOOKS: i32 = 16;

/// Rows between SQLite's thread and the caller. They count for the memory of all plugins' SQLite.
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
    places: Places,
}

/// A connection; when it is dropped, a statement that still runs in its thread is told to stop.
pub(in crate::lua::sql) struct Session {
    /// Dropped first, so that the thread knows when its connection goes.
    user: User,
    connection: SqliteConnection,
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
            places: Places::new(),
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
        let options = options
            .read_only(!self.writable)
            .create_if_missing(self.create)
            .busy_timeout(self.busy_timeout)
            .statement_cache_capacity(0)
            .row_buffer_size(ROWS_UNDER_WAY)
            .disable_statement_logging();
        let taken = self.places.take(self.busy_timeout).await;
        let (place, user) = taken.map_err(|reason| SqlError::Connect {
            place: self.place.clone(),
            reason,
        })?;
        // On its own, so that the thread keeps its place when nobody waits for it any longer.
        let connection = tokio::spawn(open(options, place))
            .await
            .map_err(|error| SqlError::Connect {
                place: self.place.clone(),
                reason: error.to_string(),
            })?
            .map_err(failed)?;
        Ok(Session { user, connection })
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
        session.user.is_running = true;
        let outcome = fetch::<sqlx::Sqlite>(connection, &self.place, sql, parameters, gather).await;
        // What broke off in the middle may still be running.
        session.user.is_running = matches!(&outcome, Err(error) if !error.leaves_connection());
        outcome
    }

    async fn close(session: Session) {
        // The thread ends with the connection; there is no server to be polite to.
        drop(session);
    }
}

async fn open(
    options: SqliteConnectOptions,
    place: Place,
) -> Result<SqliteConnection, sqlx::Error> {
    let mut connection = options.connect().await?;
    connection
        .lock_handle()
        .await?
        .set_progress_handler(STEPS_BETWEEN_LOOKS, move || !place.is_left());
    Ok(connection)
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
