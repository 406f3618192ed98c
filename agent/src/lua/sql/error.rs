//! What can go wrong with a database, in words that an administrator can act on.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

use super::{BYTES_MAX, ROWS_MAX};

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    /// Its own words.
    pub message: String,
    /// SQLSTATE of PostgreSQL and MySQL, result code of SQLite.
    pub code: Option<String>,
    /// More about it, from PostgreSQL.
    pub detail: Option<String>,
    /// What to do about it: the server's advice, or else ours.
    pub hint: Option<String>,
    /// Where in the statement, in characters from 1.
    pub position: Option<usize>,
}

impl fmt::Display for ServerError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)?;
        if let Some(position) = self.position {
            write!(out, " at character {position}")?;
        }
        if let Some(code) = &self.code {
            write!(out, " ({code})")?;
        }
        if let Some(detail) = &self.detail {
            write!(out, "; {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(out, "; {hint}")?;
        }
        Ok(())
    }
}

impl ServerError {
    pub(super) fn new(error: &dyn sqlx::error::DatabaseError) -> Self {
        let code = error.code().map(std::borrow::Cow::into_owned);
        let advice = code.as_deref().and_then(advice).map(str::to_owned);
        let Some(postgres) = error.try_downcast_ref::<PgDatabaseError>() else {
            return Self {
                message: error.message().to_owned(),
                code,
                detail: None,
                hint: advice,
                position: None,
            };
        };
        Self {
            message: postgres.message().to_owned(),
            code,
            detail: postgres.detail().map(str::to_owned),
            hint: postgres.hint().map(str::to_owned).or(advice),
            position: match postgres.position() {
                Some(PgErrorPosition::Original(position)) => Some(position),
                Some(PgErrorPosition::Internal { .. }) | None => None,
            },
        }
    }

    /// Whether the server ended the connection together with the statement.
    fn is_fatal(&self) -> bool {
        // Class 08 is about connections, 57P about a server that goes down.
        let code = self.code.as_deref().unwrap_or_default();
        code.starts_with("08") || code.starts_with("57P")
    }
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// An option of `open` that makes no sense.
    #[error("{0}")]
    Option(String),
    /// The server could not be reached, or did not let us in.
    #[error("cannot connect to {place}: {reason}")]
    Connect {
        /// Where it was tried: host and port or socket, user, database; no password.
        place: String,
        /// What came in the way, and what to do.
        reason: String,
    },
    /// All connections that this handle may open are in use.
    #[error(
        "{place}: {max} connections are in use and none became free in {} s; \
         raise max_connections or ask less at a time",
        .waited.as_secs_f64()
    )]
    Busy {
        /// As in [`SqlError::Connect`].
        place: String,
        /// How many there may be.
        max: usize,
        /// How long it waited.
        waited: Duration,
    },
    /// The server refused the statement.
    #[error("{0}")]
    Statement(Box<ServerError>),
    /// The connection broke while the statement ran; whether it was carried out is unknown.
    #[error("{place}: the connection was lost while the statement ran: {reason}")]
    Lost {
        /// As in [`SqlError::Connect`].
        place: String,
        /// What happened to it.
        reason: String,
    },
    /// The statement took longer than it may.
    #[error(
        "the statement was given up after {} s; set statement_timeout for a longer or shorter time",
        .0.as_secs_f64()
    )]
    TimedOut(Duration),
    /// More rows than [`ROWS_MAX`].
    #[error("the result has more than {ROWS_MAX} rows; add a LIMIT, or sum up in the database")]
    TooManyRows,
    /// More than [`BYTES_MAX`].
    #[error(
        "the result is larger than {} MiB; ask for fewer rows or columns",
        BYTES_MAX / 1_048_576
    )]
    TooLarge,
    /// Two statements of one text returned rows.
    #[error("two statements in one text returned rows; send them one by one")]
    TwoResults,
    /// A statement that plugins may not run.
    #[error("{0}")]
    Refused(String),
    /// A parameter that the server could not take.
    #[error("parameter {0}: {1}")]
    Parameter(usize, &'static str),
    /// [`close`](super::Database::close) was called before.
    #[error("the database handle is closed")]
    Closed,
}

impl SqlError {
    /// Whether a connection on which this happened can be used again.
    pub(super) fn leaves_connection(&self) -> bool {
        match self {
            Self::Statement(server) => !server.is_fatal(),
            Self::Refused(_) | Self::Parameter(..) => true,
            _ => false,
        }
    }

    /// An error of the driver while connecting.
    pub(super) fn connecting(place: &str, error: &sqlx::Error) -> Self {
        Self::Connect {
            place: place.to_owned(),
            reason: reason(error),
        }
    }

    /// An error of the driver while a statement ran.
    pub(super) fn running(place: &str, error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => {
                Self::Statement(Box::new(ServerError::new(error.as_ref())))
            }
            error => Self::Lost {
                place: place.to_owned(),
                reason: reason(error),
            },
        }
    }
}

/// The driver's error with its causes, and what to do where that is known.
fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => ServerError::new(error.as_ref()).to_string(),
        sqlx::Error::Io(error) => match io_advice(error.kind()) {
            Some(advice) => format!("{error}; {advice}"),
            None => error.to_string(),
        },
        // What SQLite's thread does not survive is a row for which there was no memory.
        sqlx::Error::WorkerCrashed => {
            "the thread of SQLite ended, most likely for lack of memory; ask for less at a time"
                .to_owned()
        }
        error => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                let further = error.to_string();
                if !text.contains(&further) {
                    text.push_str(": ");
                    text.push_str(&further);
                }
                cause = error.source();
            }
            text
        }
    }
}

fn io_advice(kind: std::io::ErrorKind) -> Option<&'static str> {
    use std::io::ErrorKind;
    match kind {
        ErrorKind::ConnectionRefused => Some("is the server running, and does it listen there?"),
        ErrorKind::NotFound => Some("is the server running, and is its socket in that directory?"),
        ErrorKind::PermissionDenied => Some("may the agent's user use that socket?"),
        ErrorKind::UnexpectedEof => Some("the server closed the connection; its log tells why"),
        _ => None,
    }
}

/// What to do about the codes that are met most.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn advice(code: &str) -> Option<&'static str> {
    match code {
        "28P01" => Some("check user and password"),
        "28000" => Some("check user and password, and what the server lets in (pg_hba.conf)"),
        "3D000" | "42000" => Some("check the names, and what the user may see"),
        "42501" => Some("grant it to the user; for statistics the role pg_monitor is enough"),
        "53300" => {
            Some("the server has no connection left; raise its limit or find who holds them")
        }
        "57014" => Some("if it was the time-out, raise statement_timeout"),
        "57P03" => Some("the server is starting or stopping; try again"),
        // SQLite's, which are numbers: https://www.sqlite.org/rescode.html
        "7" | "3082" => Some("SQLite has 64 MiB for all plugins together; ask for less at a time"),
        "13" => Some("a file that a plugin fills ends at 256 MiB, a database in memory at 64 MiB"),
        "18" => Some("a value, or a row that is stored or sorted, has at most 64 KiB"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: &str) -> SqlError {
        SqlError::Statement(Box::new(ServerError {
            message: "relation \"t\" does not exist".to_owned(),
            code: Some(code.to_owned()),
            detail: None,
            hint: Some("make it".to_owned()),
            position: Some(15),
        }))
    }

    #[test]
    fn a_server_error_tells_all_that_is_known() {
        assert_eq!(
            server("42P01").to_string(),
            "relation \"t\" does not exist at character 15 (42P01); make it"
        );
    }

    #[test]
    fn a_connection_survives_a_wrong_statement_and_nothing_worse() {
        assert!(server("42P01").leaves_connection());
        assert!(SqlError::Parameter(1, "holds a NUL").leaves_connection());
        for error in [
            server("57P01"),
            server("08006"),
            SqlError::TooManyRows,
            SqlError::TooLarge,
            SqlError::TwoResults,
            SqlError::TimedOut(Duration::from_secs(1)),
        ] {
            assert!(!error.leaves_connection(), "{error}");
        }
    }

    #[test]
    fn a_refused_connection_says_what_to_look_at() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = SqlError::connecting("127.0.0.1:1 (user u)", &sqlx::Error::Io(refused));
        assert_eq!(
            error.to_string(),
            "cannot connect to 127.0.0.1:1 (user u): connection refused; \
             is the server running, and does it listen there?"
        );
    }
}
