//! MySQL and MariaDB.
//!
//! Without parameters everything comes as text; with parameters in the binary form of prepared
//! statements. Both give the same cells.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::error::BoxDynError;
use sqlx::mysql::{
    MySql, MySqlConnectOptions, MySqlConnection, MySqlQueryResult, MySqlSslMode, MySqlValueRef,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Decode, Executor as _};

use super::database::Driver;
use super::fetch::{Dialect, Form, fetch};
use super::gather::Gather;
use super::moment::{Parts, moment};
use super::options::{Kind, Options, SslMode};
use super::{Cell, SqlError};

/// How to connect.
pub(super) struct Mysql {
    place: String,
    options: MySqlConnectOptions,
    statement_timeout: Option<Duration>,
}

impl Mysql {
    pub(super) fn new(options: &Options) -> Self {
        let kind = Kind::Mysql;
        let mut connect = MySqlConnectOptions::new()
            .port(options.port(kind))
            .username(options.user(kind))
            // The server's SQL mode stays what its administrator made it.
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .statement_cache_capacity(0)
            .ssl_mode(match options.sslmode() {
                SslMode::Disable => MySqlSslMode::Disabled,
                SslMode::Allow | SslMode::Prefer => MySqlSslMode::Preferred,
                SslMode::Require => MySqlSslMode::Required,
                SslMode::VerifyCa => MySqlSslMode::VerifyCa,
                SslMode::VerifyFull => MySqlSslMode::VerifyIdentity,
            })
            .disable_statement_logging();
        connect = if options.is_local() {
            connect.socket(PathBuf::from(options.host()))
        } else {
            connect.host(options.host())
        };
        if let Some(database) = options.database(kind) {
            connect = connect.database(database);
        }
        if let Some(password) = &options.password {
            connect = connect.password(password);
        }
        if let Some(file) = &options.sslrootcert {
            connect = connect.ssl_ca(file);
        }
        Self {
            place: options.place(kind),
            options: connect,
            statement_timeout: options.statement_timeout,
        }
    }
}

impl Driver for Mysql {
    type Session = MySqlConnection;

    async fn connect(&self) -> Result<MySqlConnection, SqlError> {
        let failed = |error: sqlx::Error| SqlError::connecting(&self.place, &error);
        let mut connection = self.options.connect().await.map_err(failed)?;
        if let Some(time) = self.statement_timeout {
            let mariadb = format!("SET SESSION max_statement_time = {}", time.as_secs_f64());
            let mysql = format!("SET SESSION max_execution_time = {}", time.as_millis());
            // One of the two knows its own name for it.
            if connection
                .execute(sqlx::raw_sql(AssertSqlSafe(mariadb)))
                .await
                .is_err()
            {
                connection
                    .execute(sqlx::raw_sql(AssertSqlSafe(mysql)))
                    .await
                    .map_err(failed)?;
            }
        }
        Ok(connection)
    }

    async fn is_alive(&self, session: &mut MySqlConnection) -> bool {
        session.ping().await.is_ok()
    }

    async fn run(
        &self,
        session: &mut MySqlConnection,
        sql: &str,
        parameters: &[Cell],
        gather: &mut Gather,
    ) -> Result<(), SqlError> {
        fetch::<MySql>(session, &self.place, sql, parameters, gather).await
    }

    async fn close(session: MySqlConnection) {
        // A server that is gone needs no good-bye.
        drop(session.close().await);
    }
}

/// The bytes as they came, whatever the type.
fn raw(value: MySqlValueRef<'_>) -> Result<&[u8], BoxDynError> {
    <&[u8] as Decode<'_, MySql>>::decode(value)
}

impl Dialect for MySql {
    fn cell(name: &str, value: MySqlValueRef<'_>, form: Form) -> Result<Cell, BoxDynError> {
        let unsigned = name.ends_with("UNSIGNED");
        let binary = form == Form::Binary;
        Ok(match name.trim_end_matches(" UNSIGNED") {
            "BOOLEAN" | "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" | "YEAR" => {
                if !binary {
                    Cell::integer(raw(value)?)
                } else if unsigned || name == "YEAR" {
                    let number = <u64 as Decode<'_, MySql>>::decode(value)?;
                    i64::try_from(number)
                        .map_or_else(|_| Cell::Text(number.to_string()), Cell::Integer)
                } else {
                    Cell::Integer(<i64 as Decode<'_, MySql>>::decode(value)?)
                }
            }
            // Through its shortest text, so that 1.1 is 1.1 in both forms.
            "FLOAT" if binary => Cell::float(
                <f32 as Decode<'_, MySql>>::decode(value)?
                    .to_string()
                    .as_bytes(),
            ),
            "DOUBLE" if binary => Cell::Float(<f64 as Decode<'_, MySql>>::decode(value)?),
            "FLOAT" | "DOUBLE" => Cell::float(raw(value)?),
            "DATE" | "DATETIME" | "TIMESTAMP" | "TIME" if binary => {
                let parts = match name {
                    "DATE" => Parts::Date,
                    "TIME" => Parts::Time,
                    _ => Parts::Both,
                };
                Cell::Text(moment(raw(value)?, parts).ok_or("a date or time of a wrong length")?)
            }
            "BIT" | "GEOMETRY" => Cell::Bytes(raw(value)?.to_vec()),
            kind if kind.ends_with("BLOB") || kind.ends_with("BINARY") => {
                Cell::Bytes(raw(value)?.to_vec())
            }
            _ => Cell::text(raw(value)?),
        })
    }

    fn rows_affected(done: &MySqlQueryResult) -> u64 {
        done.rows_affected()
    }
}
