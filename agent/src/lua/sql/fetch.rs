//! Runs a statement through a driver of sqlx's, whichever database it is for.

use futures_util::TryStreamExt as _;
use sqlx::database::HasStatementCache;
use sqlx::error::BoxDynError;
use sqlx::{
    AssertSqlSafe, Column as _, ColumnIndex, Database, Either, Encode, Executor, IntoArguments,
    Row, Type, TypeInfo as _, ValueRef as _,
};

use super::gather::Gather;
use super::{Cell, Column, SqlError};

/// How values travel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As those of a plain statement.
    Text,
    /// As those of a prepared statement.
    Binary,
}

/// What is special to a database.
pub(super) trait Dialect: Database + HasStatementCache {
    /// The cell of a value that is not null; `name` is that of its type.
    fn cell(name: &str, value: Self::ValueRef<'_>, form: Form) -> Result<Cell, BoxDynError>;

    /// How many rows a statement changed.
    fn rows_affected(done: &Self::QueryResult) -> u64;
}

/// Runs a statement and hands its rows over one by one; without parameters as a plain one, with
/// them prepared.
pub(super) async fn fetch<'s, DB>(
    connection: &'s mut DB::Connection,
    place: &str,
    sql: &str,
    parameters: &[Cell],
    gather: &mut Gather,
) -> Result<(), SqlError>
where
    DB: Dialect,
    DB::Arguments: IntoArguments<DB>,
    &'s mut DB::Connection: Executor<'s, Database = DB>,
    for<'q> Option<i64>: Encode<'q, DB> + Type<DB>,
    for<'q> bool: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Type<DB>,
    for<'q> f64: Encode<'q, DB> + Type<DB>,
    for<'q> String: Encode<'q, DB> + Type<DB>,
    for<'q> Vec<u8>: Encode<'q, DB> + Type<DB>,
    usize: ColumnIndex<DB::Row>,
{
    let lost = |error: sqlx::Error| SqlError::running(place, &error);
    let sql = AssertSqlSafe(sql.to_owned());
    let (mut stream, form) = if parameters.is_empty() {
        (connection.fetch_many(sqlx::raw_sql(sql)), Form::Text)
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
        (connection.fetch_many(query), Form::Binary)
    };
    while let Some(step) = stream.try_next().await.map_err(lost)? {
        match step {
            Either::Left(done) => gather.end_of_statement(DB::rows_affected(&done)),
            Either::Right(row) => {
                let cells = (0..row.len()).map(|index| {
                    let value = row.try_get_raw(index)?;
                    if value.is_null() {
                        return Ok(Cell::Null);
                    }
                    let name = value.type_info().name().to_owned();
                    DB::cell(&name, value, form).map_err(sqlx::Error::Decode)
                });
                let cells: Result<Vec<Cell>, _> = cells.collect();
                gather.row(|| columns(&row), cells.map_err(lost)?)?;
            }
        }
    }
    Ok(())
}

fn columns<R: Row>(row: &R) -> Vec<Column> {
    row.columns()
        .iter()
        .map(|column| Column {
            name: column.name().to_owned(),
            type_name: column.type_info().name().to_ascii_lowercase(),
        })
        .collect()
}
