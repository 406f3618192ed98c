//! The handle of a database: connect, ask, close.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::gather::Gather;
use super::mysql::Mysql;
use super::options::{Kind, Options, QUERY_TIMEOUT};
use super::pool::{NotLent, Pool};
use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::{Cell, Rows, SqlError};

/// A connection that does not answer at once when it is taken up again is taken for dead.
const ALIVE_WITHIN: Duration = Duration::from_secs(1);

/// How much longer than the server we wait, so that its own words arrive.
const GRACE: Duration = Duration::from_secs(2);

/// What the three kinds of server have in common.
pub(super) trait Driver: Send + Sync + Sized + 'static {
    /// A connection.
    type Session: Send + 'static;

    /// Opens a connection.
    fn connect(&self) -> impl Future<Output = Result<Self::Session, SqlError>> + Send;

    /// Whether a connection that was idle can still be used.
    fn is_alive(&self, session: &mut Self::Session) -> impl Future<Output = bool> + Send;

    /// Runs a statement and hands its rows over one by one.
    fn run(
        &self,
        session: &mut Self::Session,
        sql: &str,
        parameters: &[Cell],
        gather: &mut Gather,
    ) -> impl Future<Output = Result<(), SqlError>> + Send;

    /// Says good-bye to the server.
    fn close(session: Self::Session) -> impl Future<Output = ()> + Send;
}

/// An open database. Used from any number of tasks at once; statements share its few connections.
pub struct Database {
    server: Server,
    summary: String,
}

enum Server {
    Postgres(Box<Handle<Postgres>>),
    Mysql(Box<Handle<Mysql>>),
    Sqlite(Box<Handle<Sqlite>>),
}

impl Database {
    /// Connects, so that what is wrong is told at once.
    ///
    /// # Errors
    /// For options that make no sense, and when the server cannot be reached or refuses us.
    pub async fn open(kind: Kind, options: Options) -> Result<Self, SqlError> {
        options.check(kind)?;
        let summary = options.summary(kind);
        let server = match kind {
            Kind::Postgres => {
                let handle = Handle::open(kind, &options, Postgres::new(&options)).await?;
                Server::Postgres(Box::new(handle))
            }
            Kind::Mysql => {
                let handle = Handle::open(kind, &options, Mysql::new(&options)).await?;
                Server::Mysql(Box::new(handle))
            }
            Kind::Sqlite => {
                let handle = Handle::open(kind, &options, Sqlite::new(&options)?).await?;
                Server::Sqlite(Box::new(handle))
            }
        };
        Ok(Self { server, summary })
    }

    /// Runs a statement and gathers its rows.
    ///
    /// Without parameters the text goes out as it is, may hold several statements, and may go to
    /// pgbouncer's console. With parameters it is one statement, and the server fills in `$1`, `$2`
    /// … (PostgreSQL) or `?` (MySQL, SQLite).
    ///
    /// Statements may run on different connections: what `SET` and `BEGIN` do is seen by the next
    /// one for certain only with `max_connections = 1`.
    ///
    /// # Errors
    /// When the server refuses it, the connection breaks, it takes too long, or there is too much.
    /// No part of a result is returned then.
    pub async fn query(&self, sql: &str, parameters: &[Cell]) -> Result<Rows, SqlError> {
        match &self.server {
            Server::Postgres(handle) => handle.query(sql, parameters).await,
            Server::Mysql(handle) => handle.query(sql, parameters).await,
            Server::Sqlite(handle) => handle.query(sql, parameters).await,
        }
    }

    /// Closes the connections. Statements under way end, new ones are refused.
    pub async fn close(&self) {
        match &self.server {
            Server::Postgres(handle) => handle.pool.close().await,
            Server::Mysql(handle) => handle.pool.close().await,
            Server::Sqlite(handle) => handle.pool.close().await,
        }
    }

    /// Where it is connected to, without the password, for the log.
    pub fn summary(&self) -> &str {
        &self.summary
    }
}

struct Handle<D: Driver> {
    driver: D,
    pool: Pool<D>,
    place: String,
    max: usize,
    connect_timeout: Duration,
    query_timeout: Duration,
}

impl<D: Driver> Handle<D> {
    async fn open(kind: Kind, options: &Options, driver: D) -> Result<Self, SqlError> {
        let max = options.max_connections();
        let handle = Self {
            driver,
            pool: Pool::new(max),
            place: options.place(kind),
            max,
            connect_timeout: options.connect_timeout(),
            query_timeout: match (kind, options.statement_timeout) {
                // Nobody but us stops a statement of SQLite.
                (Kind::Sqlite, Some(time)) => time,
                (_, Some(time)) => time.saturating_add(GRACE),
                (_, None) => QUERY_TIMEOUT,
            },
        };
        let (lease, _) = handle
            .pool
            .lend(handle.connect_timeout)
            .await
            .map_err(|why| handle.not_lent(why))?;
        lease.put_back(handle.connect().await?);
        Ok(handle)
    }

    async fn query(&self, sql: &str, parameters: &[Cell]) -> Result<Rows, SqlError> {
        let (lease, idle) = self
            .pool
            .lend(self.connect_timeout)
            .await
            .map_err(|why| self.not_lent(why))?;
        let mut session = match self.still_alive(idle).await {
            Some(session) => session,
            None => self.connect().await?,
        };
        let mut gather = Gather::default();
        let running = self.driver.run(&mut session, sql, parameters, &mut gather);
        let outcome = match tokio::time::timeout(self.query_timeout, guarded(running)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(nonsense)) => Err(SqlError::Lost {
                place: self.place.clone(),
                reason: nonsense,
            }),
            Err(_elapsed) => Err(SqlError::TimedOut(self.query_timeout)),
        };
        match outcome {
            Ok(()) => {
                lease.put_back(session);
                Ok(gather.finish())
            }
            Err(error) => {
                if error.leaves_connection() {
                    lease.put_back(session);
                }
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<D::Session, SqlError> {
        let reason = match tokio::time::timeout(
            self.connect_timeout,
            guarded(self.driver.connect()),
        )
        .await
        {
            Ok(Ok(outcome)) => return outcome,
            Ok(Err(nonsense)) => nonsense,
            Err(_elapsed) => format!(
                "no answer in {} s; is the address right, and does a firewall let us through?",
                self.connect_timeout.as_secs_f64()
            ),
        };
        Err(SqlError::Connect {
            place: self.place.clone(),
            reason,
        })
    }

    async fn still_alive(&self, idle: Option<D::Session>) -> Option<D::Session> {
        let mut session = idle?;
        let asked = guarded(self.driver.is_alive(&mut session));
        let alive = matches!(
            tokio::time::timeout(ALIVE_WITHIN, asked).await,
            Ok(Ok(true))
        );
        alive.then_some(session)
    }

    fn not_lent(&self, why: NotLent) -> SqlError {
        match why {
            NotLent::Closed => SqlError::Closed,
            NotLent::Busy => SqlError::Busy {
                place: self.place.clone(),
                max: self.max,
                waited: self.connect_timeout,
            },
        }
    }
}

/// The driver panics on some messages that no honest server sends; that is an error of that
/// connection and of nothing else. The session must not be used afterwards.
async fn guarded<T>(future: impl Future<Output = T> + Send) -> Result<T, String> {
    AssertUnwindSafe(future)
        .catch_unwind()
        .await
        .map_err(|panic: Box<dyn Any + Send>| {
            drop(panic);
            "the server sent something that is not its protocol; is it such a server?".to_owned()
        })
}
