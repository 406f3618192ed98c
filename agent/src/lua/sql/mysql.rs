//! MySQL and MariaDB.
//!
//! Without parameters everything comes as text; with parameters in the binary form of prepared
//! statements. Both give the same cells.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::error::BoxDynError;
use sqlx::mysql::{
    MySql, MySqlConnectOptions, MySqlConnection, MySqlRow, MySqlSslMode, MySqlValueRef,
};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Decode, Either,
    Executor as _, Row as _, TypeInfo as _, ValueRef as _,
};

use super::database::Driver;
use super::gather::Gather;
use super::options::{Kind, Options, SslMode};
use super::{Cell, Column, SqlError};

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

    fn cells(&self, row: &MySqlRow, form: Form) -> Result<Vec<Cell>, SqlError> {
        let lost = |error: sqlx::Error| SqlError::running(&self.place, &error);
        (0..row.len())
            .map(|index| {
                let value = row.try_get_raw(index).map_err(lost)?;
                if value.is_null() {
                    return Ok(Cell::Null);
                }
                let name = value.type_info().name().to_owned();
                cell(&name, value, form).map_err(|error| lost(sqlx::Error::Decode(error)))
            })
            .collect()
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
        let sql = AssertSqlSafe(sql.to_owned());
        let (mut stream, form) = if parameters.is_empty() {
            (session.fetch_many(sqlx::raw_sql(sql)), Form::Text)
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
            (session.fetch_many(query), Form::Binary)
        };
        while let Some(step) = stream
            .try_next()
            .await
            .map_err(|error| SqlError::running(&self.place, &error))?
        {
            match step {
                Either::Left(done) => gather.end_of_statement(done.rows_affected()),
                Either::Right(row) => {
                    let cells = self.cells(&row, form)?;
                    gather.row(|| columns(&row), cells)?;
                }
            }
        }
        Ok(())
    }

    async fn close(session: MySqlConnection) {
        // A server that is gone needs no good-bye.
        drop(session.close().await);
    }
}

/// How values travel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Binary,
}

/// The bytes as they came, whatever the type.
fn raw(value: MySqlValueRef<'_>) -> Result<&[u8], BoxDynError> {
    <&[u8] as Decode<'_, MySql>>::decode(value)
}

fn cell(name: &str, value: MySqlValueRef<'_>, form: Form) -> Result<Cell, BoxDynError> {
    let unsigned = name.ends_with("UNSIGNED");
    let binary = form == Form::Binary;
    Ok(match name.trim_end_matches(" UNSIGNED") {
        "BOOLEAN" | "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" | "YEAR" => {
            if !binary {
                Cell::integer(raw(value)?)
            } else if unsigned || name == "YEAR" {
                let number = <u64 as Decode<'_, MySql>>::decode(value)?;
                i64::try_from(number).map_or_else(|_| Cell::Text(number.to_string()), Cell::Integer)
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
            let time = name == "TIME";
            let bytes = raw(value)?;
            Cell::Text(moment(bytes, time, name == "DATE").ok_or("a date of a wrong length")?)
        }
        "BIT" | "GEOMETRY" => Cell::Bytes(raw(value)?.to_vec()),
        kind if kind.ends_with("BLOB") || kind.ends_with("BINARY") => {
            Cell::Bytes(raw(value)?.to_vec())
        }
        _ => Cell::text(raw(value)?),
    })
}

/// A date, a time or both, from the form that prepared statements use: a length, then the parts
/// that are not zero.
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html>
fn moment(bytes: &[u8], time: bool, date_only: bool) -> Option<String> {
    let (&length, rest) = bytes.split_first()?;
    let parts = rest.get(..usize::from(length))?;
    let mut text = String::new();
    let (hours, minutes, seconds, micros) = if time {
        let (sign, days, clock) = match parts {
            [] => (0, 0, &[][..]),
            [sign, d0, d1, d2, d3, clock @ ..] => {
                (*sign, u32::from_le_bytes([*d0, *d1, *d2, *d3]), clock)
            }
            _ => return None,
        };
        if sign != 0 {
            text.push('-');
        }
        let (hours, minutes, seconds, micros) = clock_parts(clock)?;
        let hours = u64::from(days) * 24 + u64::from(hours);
        (hours, minutes, seconds, micros)
    } else {
        let (year, month, day, clock) = match parts {
            [] => (0, 0, 0, &[][..]),
            [y0, y1, month, day, clock @ ..] => {
                (u16::from_le_bytes([*y0, *y1]), *month, *day, clock)
            }
            _ => return None,
        };
        write!(text, "{year:04}-{month:02}-{day:02}").ok()?;
        if date_only {
            return Some(text);
        }
        text.push(' ');
        let (hours, minutes, seconds, micros) = clock_parts(clock)?;
        (u64::from(hours), minutes, seconds, micros)
    };
    write!(text, "{hours:02}:{minutes:02}:{seconds:02}").ok()?;
    if micros > 0 {
        write!(text, ".{micros:06}").ok()?;
    }
    Some(text)
}

/// Hours, minutes, seconds and microseconds.
fn clock_parts(clock: &[u8]) -> Option<(u8, u8, u8, u32)> {
    match clock {
        [] => Some((0, 0, 0, 0)),
        [hours, minutes, seconds] => Some((*hours, *minutes, *seconds, 0)),
        [hours, minutes, seconds, m0, m1, m2, m3] => {
            let micros = u32::from_le_bytes([*m0, *m1, *m2, *m3]);
            Some((*hours, *minutes, *seconds, micros))
        }
        _ => None,
    }
}

fn columns(row: &MySqlRow) -> Vec<Column> {
    row.columns()
        .iter()
        .map(|column| Column {
            name: column.name().to_owned(),
            type_name: column.type_info().name().to_ascii_lowercase(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_the_server_would() {
        let noon = [11, 0xe8, 0x07, 11, 20, 12, 5, 9, 0x40, 0xe2, 0x01, 0];
        assert_eq!(
            moment(&noon, false, false).unwrap(),
            "2024-11-20 12:05:09.123456"
        );
        assert_eq!(
            moment(&[4, 0xe8, 0x07, 2, 29], false, true).unwrap(),
            "2024-02-29"
        );
        assert_eq!(
            moment(&[4, 0xe8, 0x07, 2, 29], false, false).unwrap(),
            "2024-02-29 00:00:00"
        );
        assert_eq!(
            moment(&[8, 1, 1, 0, 0, 0, 2, 3, 4], true, false).unwrap(),
            "-26:03:04"
        );
        assert_eq!(moment(&[0], true, false).unwrap(), "00:00:00");
    }

    #[test]
    fn a_moment_of_a_wrong_length_is_refused() {
        for bytes in [
            &[][..],
            &[4, 1],
            &[3, 1, 2, 3],
            &[6, 0, 0, 0, 0, 0, 0],
            &[200],
        ] {
            assert_eq!(moment(bytes, false, false), None, "{bytes:?}");
            assert_eq!(moment(bytes, true, false), None, "{bytes:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_a_moment_panic(bytes: Vec<u8>, time: bool, date_only: bool) {
            drop(moment(&bytes, time, date_only));
        }
    }
}
