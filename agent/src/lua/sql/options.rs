//! What `open` is told: where the server is, who we are, how long to wait.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::SqlError;

/// Waiting for a connection, unless told otherwise. ZaLua's time.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Waiting for a statement, unless told otherwise.
pub const QUERY_TIMEOUT: Duration = Duration::from_mins(1);

/// Connections of one handle, unless told otherwise.
pub const MAX_CONNECTIONS: usize = 2;

/// More connections of one handle than this are a mistake: they come out of the server's own.
const MAX_CONNECTIONS_MOST: usize = 32;

/// Likewise for SQLite, where each is a thread and memory of this process.
const MAX_CONNECTIONS_OF_FILE: usize = 4;

/// The path of a database of SQLite that is in no file.
const MEMORY: &str = ":memory:";

/// Longer than any statement of a plugin.
const TIMEOUT_MOST: Duration = Duration::from_hours(24);

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PostgreSQL, and pgbouncer with its console.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
    /// A file of SQLite.
    Sqlite,
}

/// How the connection is encrypted, in libpq's words.
/// <https://www.postgresql.org/docs/current/libpq-ssl.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// Never.
    Disable,
    /// Only when the server lets nobody in without it.
    Allow,
    /// When the server can.
    Prefer,
    /// Always; the certificate is not looked at.
    Require,
    /// Always, with a certificate of a known authority.
    VerifyCa,
    /// Likewise, and the certificate names the host.
    VerifyFull,
}

impl SslMode {
    const ALL: [(&'static str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    /// Its word.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find_map(|(name, mode)| (*mode == self).then_some(*name))
            .unwrap_or("disable")
    }
}

impl std::str::FromStr for SslMode {
    type Err = SqlError;

    fn from_str(text: &str) -> Result<Self, SqlError> {
        Self::ALL
            .iter()
            .find_map(|(name, mode)| (*name == text).then_some(*mode))
            .ok_or_else(|| {
                let known: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
                SqlError::Option(format!(
                    "sslmode is \"{text}\"; known: {}",
                    known.join(", ")
                ))
            })
    }
}

/// The options of `open`; what is `None` has the default of its kind.
#[derive(Clone, Default)]
pub struct Options {
    /// Name or address; a directory of a socket for PostgreSQL or a socket for MySQL when it
    /// begins with a slash. Default `127.0.0.1`.
    pub host: Option<String>,
    /// Default 5432 and 3306.
    pub port: Option<u16>,
    /// Default `postgres`; for MySQL none.
    pub database: Option<String>,
    /// Default `postgres` and `root`.
    pub user: Option<String>,
    /// Sent when the server asks for one.
    pub password: Option<String>,
    /// Default `disable`; never used on a socket.
    pub sslmode: Option<SslMode>,
    /// A file with the certificate of the authority, in PEM; it is trusted beside the system's.
    pub sslrootcert: Option<PathBuf>,
    /// For connecting, and for waiting until a connection is free. Default [`CONNECT_TIMEOUT`].
    pub connect_timeout: Option<Duration>,
    /// How long a statement may take. When it is given the server is told too, and stops the
    /// statement; by default it is only given up here, after [`QUERY_TIMEOUT`].
    pub statement_timeout: Option<Duration>,
    /// Default [`MAX_CONNECTIONS`], at most 32; at most 4 for a file of SQLite, and always 1 for a
    /// database in memory.
    pub max_connections: Option<usize>,
    /// SQLite's file. It has no default.
    pub path: Option<PathBuf>,
    /// Lets SQLite change the file.
    pub writable: bool,
    /// Lets SQLite make the file; it is writable then.
    pub create: bool,
}

impl fmt::Debug for Options {
    /// Everything but the password.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Options")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("database", &self.database)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "****"))
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Refuses what no server could be asked for.
    pub(super) fn check(&self, kind: Kind) -> Result<(), SqlError> {
        let texts = [
            ("host", self.host.as_deref()),
            ("database", self.database.as_deref()),
            ("user", self.user.as_deref()),
            ("password", self.password.as_deref()),
        ];
        for (name, text) in texts {
            if text.is_some_and(|text| text.contains('\0')) {
                return Err(SqlError::Option(format!("{name} holds a NUL byte")));
            }
        }
        if self.port == Some(0) {
            return Err(SqlError::Option("port is 0; it is 1 to 65535".to_owned()));
        }
        let max = self.max_connections();
        let most = match kind {
            Kind::Postgres | Kind::Mysql => MAX_CONNECTIONS_MOST,
            Kind::Sqlite => MAX_CONNECTIONS_OF_FILE,
        };
        if max == 0 || max > most {
            return Err(SqlError::Option(format!(
                "max_connections is {max}; it is 1 to {most}"
            )));
        }
        let times = [
            ("connect_timeout", self.connect_timeout),
            ("statement_timeout", self.statement_timeout),
        ];
        for (name, time) in times {
            if time.is_some_and(|time| time < Duration::from_millis(1) || time > TIMEOUT_MOST) {
                return Err(SqlError::Option(format!("{name} is 1 ms to one day")));
            }
        }
        if kind == Kind::Sqlite
            && self
                .path
                .as_ref()
                .is_none_or(|path| path.as_os_str().is_empty())
        {
            return Err(SqlError::Option("path is missing: which file?".to_owned()));
        }
        Ok(())
    }

    pub(super) fn host(&self) -> &str {
        self.host.as_deref().unwrap_or("127.0.0.1")
    }

    /// Whether the host is a socket.
    pub(super) fn is_local(&self) -> bool {
        self.host().starts_with('/')
    }

    pub(super) fn port(&self, kind: Kind) -> u16 {
        self.port.unwrap_or(match kind {
            Kind::Postgres => 5432,
            Kind::Mysql | Kind::Sqlite => 3306,
        })
    }

    pub(super) fn user(&self, kind: Kind) -> &str {
        self.user.as_deref().unwrap_or(match kind {
            Kind::Postgres => "postgres",
            Kind::Mysql | Kind::Sqlite => "root",
        })
    }

    pub(super) fn database(&self, kind: Kind) -> Option<&str> {
        self.database.as_deref().or(match kind {
            Kind::Postgres => Some("postgres"),
            Kind::Mysql | Kind::Sqlite => None,
        })
    }

    pub(super) fn sslmode(&self) -> SslMode {
        if self.is_local() {
            return SslMode::Disable;
        }
        self.sslmode.unwrap_or(SslMode::Disable)
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        self.connect_timeout.unwrap_or(CONNECT_TIMEOUT)
    }

    pub(super) fn max_connections(&self) -> usize {
        // Another connection would have another database.
        if self.is_in_memory() {
            return 1;
        }
        self.max_connections.unwrap_or(MAX_CONNECTIONS)
    }

    /// Whether SQLite's database is in no file.
    pub(super) fn is_in_memory(&self) -> bool {
        self.path.as_ref().is_some_and(|path| path == MEMORY)
    }

    /// Where and who, for messages.
    pub(super) fn place(&self, kind: Kind) -> String {
        let host = self.host();
        let door = match kind {
            Kind::Sqlite => return self.path.clone().unwrap_or_default().display().to_string(),
            Kind::Postgres if self.is_local() => format!("{host}/.s.PGSQL.{}", self.port(kind)),
            Kind::Mysql if self.is_local() => host.to_owned(),
            Kind::Postgres | Kind::Mysql => format!("{host}:{}", self.port(kind)),
        };
        let user = self.user(kind);
        match self.database(kind) {
            Some(database) => format!("{door} (user {user}, database {database})"),
            None => format!("{door} (user {user})"),
        }
    }

    /// All of it but the password, in libpq's form, for the log.
    pub(super) fn summary(&self, kind: Kind) -> String {
        if kind == Kind::Sqlite {
            return format!("path='{}'", self.place(kind));
        }
        format!(
            "host='{}' port='{}' user='{}' dbname='{}' sslmode='{}' connect_timeout='{}'",
            self.host(),
            self.port(kind),
            self.user(kind),
            self.database(kind).unwrap_or_default(),
            self.sslmode().name(),
            self.connect_timeout().as_secs_f64(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_zaluas() {
        let options = Options::default();
        options.check(Kind::Postgres).unwrap();
        assert_eq!(
            options.summary(Kind::Postgres),
            "host='127.0.0.1' port='5432' user='postgres' dbname='postgres' sslmode='disable' \
             connect_timeout='5'"
        );
        assert_eq!(options.place(Kind::Mysql), "127.0.0.1:3306 (user root)");
    }

    #[test]
    fn a_password_is_in_no_text() {
        let options = Options {
            host: Some("/run/postgresql".to_owned()),
            password: Some("geheim".to_owned()),
            sslmode: Some(SslMode::Require),
            ..Options::default()
        };
        assert_eq!(
            options.place(Kind::Postgres),
            "/run/postgresql/.s.PGSQL.5432 (user postgres, database postgres)"
        );
        let debug = format!("{options:?}");
        let summary = options.summary(Kind::Postgres);
        assert!(!debug.contains("geheim") && !summary.contains("geheim"));
        assert!(summary.contains("sslmode='disable'"), "{summary}");
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let wrong = [
            (
                Options {
                    port: Some(0),
                    ..Options::default()
                },
                "port",
            ),
            (
                Options {
                    max_connections: Some(0),
                    ..Options::default()
                },
                "max_connections",
            ),
            (
                Options {
                    max_connections: Some(33),
                    ..Options::default()
                },
                "max_connections",
            ),
            (
                Options {
                    user: Some("a\0b".to_owned()),
                    ..Options::default()
                },
                "user",
            ),
            (
                Options {
                    statement_timeout: Some(Duration::ZERO),
                    ..Options::default()
                },
                "statement_timeout",
            ),
        ];
        for (options, name) in wrong {
            let error = options.check(Kind::Postgres).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        let error = Options::default().check(Kind::Sqlite).unwrap_err();
        assert!(error.to_string().contains("path"), "{error}");
        let many = Options {
            max_connections: Some(5),
            ..Options::default()
        };
        many.check(Kind::Mysql).unwrap();
        let error = many.check(Kind::Sqlite).unwrap_err().to_string();
        assert_eq!(error, "max_connections is 5; it is 1 to 4");
        let one = Options {
            path: Some(MEMORY.into()),
            ..many
        };
        one.check(Kind::Sqlite).unwrap();
        assert_eq!(one.max_connections(), 1);
    }

    #[test]
    fn ssl_modes_have_libpqs_names() {
        for (name, mode) in SslMode::ALL {
            assert_eq!(name.parse(), Ok(mode));
            assert_eq!(mode.name(), name);
        }
        let error = "on".parse::<SslMode>().unwrap_err().to_string();
        assert!(error.contains("verify-full"), "{error}");
    }
}
