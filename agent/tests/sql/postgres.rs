//! Values, parameters, limits and errors of PostgreSQL.

use moonward::lua::sql::{Cell, Column, Database, Kind, Options, SqlError};

use crate::server::Postgres;
use crate::{complaint, one, rows, text};

/// A value of each type, and the cell that it becomes.
fn types() -> Vec<(&'static str, Cell)> {
    vec![
        ("NULL::int4", Cell::Null),
        ("true", Cell::Bool(true)),
        ("false", Cell::Bool(false)),
        ("(-32768)::int2", Cell::Integer(-32768)),
        ("42", Cell::Integer(42)),
        ("9223372036854775807", Cell::Integer(i64::MAX)),
        ("1.1::float4", Cell::Float(1.1)),
        ("0.1::float8 + 0.2", Cell::Float(0.1 + 0.2)),
        ("'-Infinity'::float8", Cell::Float(f64::NEG_INFINITY)),
        (
            "12345678901234567890.50::numeric",
            text("12345678901234567890.50"),
        ),
        ("'Grüße'::text", text("Grüße")),
        ("''::varchar", text("")),
        ("'ab'::char(4)", text("ab  ")),
        ("'x'::\"char\"", text("x")),
        ("'pg_class'::name", text("pg_class")),
        ("'\\x00ff'::bytea", Cell::Bytes(vec![0, 255])),
        (
            "timestamp '2024-02-29 12:34:56.789'",
            text("2024-02-29 12:34:56.789"),
        ),
        (
            "timestamptz '2024-02-29 12:00:00+02'",
            text("2024-02-29 10:00:00+00"),
        ),
        ("date '2024-02-29'", text("2024-02-29")),
        ("time '01:02:03'", text("01:02:03")),
        ("timetz '01:02:03+01'", text("01:02:03+01")),
        ("interval '1 day 2 hours'", text("1 day 02:00:00")),
        ("'{\"a\": [1]}'::json", text("{\"a\": [1]}")),
        ("'{\"a\":[1]}'::jsonb", text("{\"a\": [1]}")),
        (
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
            text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ),
        ("'10.0.0.1/8'::inet", text("10.0.0.1/8")),
        ("ARRAY[1,2,NULL]", text("{1,2,NULL}")),
        ("ARRAY['a b','c']", text("{\"a b\",c}")),
        ("26::oid", text("26")),
        ("'7'::xid", text("7")),
        ("'16/B374D848'::pg_lsn", text("16/B374D848")),
        ("12.34::money", text("$12.34")),
        ("int4range(1, 5)", text("[1,5)")),
        ("point(1, 2)", text("(1,2)")),
        ("to_tsvector('simple', 'moon')", text("'moon':1")),
        ("ROW(1, 'a')", text("(1,a)")),
        ("pg_sleep(0)", text("")),
    ]
}

#[tokio::test]
async fn every_type_has_a_cell() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let database = server.open().await.unwrap();
    for (sql, expected) in types() {
        let select = format!("SELECT {sql}");
        assert_eq!(one(&database, &select, &[]).await, expected, "{sql}");
        // The same with a parameter somewhere: the other way through the server.
        let select = format!("SELECT {sql} WHERE $1 = 'moon'");
        let parameters = [text("moon")];
        assert_eq!(
            one(&database, &select, &parameters).await,
            expected,
            "{sql}"
        );
    }
}

#[tokio::test]
async fn a_type_that_a_user_made_is_its_text() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let database = server.open().await.unwrap();
    let sql =
        "CREATE TYPE pg_temp.phase AS ENUM ('new', 'full'); SELECT 'full'::pg_temp.phase AS p";
    let rows = rows(&database, sql, &[]).await;
    assert_eq!(rows.rows, [[text("full")]]);
    assert!(rows.columns[0].type_name.starts_with("oid "), "{rows:?}");
}

#[tokio::test]
async fn columns_have_names_and_types() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let database = server.open().await.unwrap();
    let rows = rows(
        &database,
        "SELECT 1::int8 AS a, now() AS \"b c\", 'x'::text AS a",
        &[],
    )
    .await;
    let column = |name: &str, type_name: &str| Column {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
    };
    let expected = [
        column("a", "int8"),
        column("b c", "timestamptz"),
        column("a", "text"),
    ];
    assert_eq!(rows.columns, expected);
    assert_eq!(rows.affected, 1);
}

#[tokio::test]
async fn parameters_take_the_type_of_their_place() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let database = server.open().await.unwrap();
    for (sql, parameter, expected) in [
        ("SELECT $1::int4 + 1", Cell::Integer(41), Cell::Integer(42)),
        ("SELECT $1::int4 + 1", text("41"), Cell::Integer(42)),
        (
            "SELECT $1::float8",
            Cell::Float(1e-300),
            Cell::Float(1e-300),
        ),
        ("SELECT $1::numeric", Cell::Float(0.1), text("0.1")),
        (
            "SELECT date '2024-01-01' < $1",
            text("2024-02-29"),
            Cell::Bool(true),
        ),
        ("SELECT NOT $1", Cell::Bool(false), Cell::Bool(true)),
        ("SELECT $1::text IS NULL", Cell::Null, Cell::Bool(true)),
        (
            "SELECT $1::bytea",
            Cell::Bytes(vec![0, 39, 92, 255]),
            Cell::Bytes(vec![0, 39, 92, 255]),
        ),
        (
            "SELECT $1",
            text("'; DROP TABLE x; -- \\' \\\\"),
            text("'; DROP TABLE x; -- \\' \\\\"),
        ),
        ("SELECT '$2 -- ' || $1 -- $3", text("x"), text("$2 -- x")),
        (
            "SELECT $1::jsonb ->> 'a'",
            text("{\"a\": \"it's\"}"),
            text("it's"),
        ),
        (
            "SELECT count(*) FROM generate_series(1, 10) LIMIT $1",
            Cell::Integer(1),
            Cell::Integer(10),
        ),
    ] {
        let parameters = [parameter];
        assert_eq!(one(&database, sql, &parameters).await, expected, "{sql}");
    }
    let names = one(
        &database,
        "SELECT count(*) FROM pg_prepared_statements",
        &[],
    )
    .await;
    assert_eq!(names, Cell::Integer(0));
}

#[tokio::test]
async fn backslashes_mean_the_same_under_both_settings() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let options = Options {
        max_connections: Some(1),
        ..server.options()
    };
    let database = Database::open(Kind::Postgres, options).await.unwrap();
    rows(&database, "SET standard_conforming_strings = off", &[]).await;
    let nasty = text("\\'; SELECT 1; -- \\");
    assert_eq!(
        one(&database, "SELECT $1::text", std::slice::from_ref(&nasty)).await,
        nasty
    );
}

#[tokio::test]
async fn rows_that_were_changed_are_counted_and_stay_changed() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let database = server.open().await.unwrap();
    rows(&database, "CREATE TABLE changed (n int4 PRIMARY KEY)", &[]).await;
    let insert = "INSERT INTO changed SELECT generate_series(1, $1)";
    assert_eq!(
        rows(&database, insert, &[Cell::Integer(5)]).await.affected,
        5
    );
    let error = complaint(
        &database,
        "INSERT INTO changed VALUES ($1)",
        &[Cell::Integer(3)],
    )
    .await;
    assert!(
        error.contains("(23505)") && error.contains("Key (n)=(3)"),
        "{error}"
    );
    // The failed transaction is over: the next statement runs, on the same connection.
    let count = one(&database, "SELECT count(*) FROM changed", &[]).await;
    assert_eq!(count, Cell::Integer(5));
}

#[tokio::test]
async fn a_mistake_is_told_with_its_place_and_code() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let database = server.open().await.unwrap();
    for (sql, parameters) in [
        ("SELECT * FROM nowhere", &[][..]),
        ("SELECT * FROM nowhere WHERE $1 = 1", &[Cell::Integer(1)]),
    ] {
        let error = complaint(&database, sql, parameters).await;
        assert_eq!(
            error,
            "relation \"nowhere\" does not exist at character 15 (42P01)"
        );
    }
    let error = complaint(&database, "SELECT $1::int4", &[text("moon")]).await;
    assert!(error.contains("invalid input syntax"), "{error}");
    let error = complaint(&database, "SELECT 1", &[Cell::Null]).await;
    assert_eq!(
        error,
        "parameter 1: the statement has no place for it, such as $1"
    );
    let error = complaint(&database, "SELECT $1::int4", &[Cell::Null, Cell::Null]).await;
    assert!(error.contains("wrong number of parameters"), "{error}");
    assert_eq!(one(&database, "SELECT 1", &[]).await, Cell::Integer(1));
}

#[tokio::test]
async fn an_error_in_the_middle_of_the_rows_is_an_error() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let database = server.open().await.unwrap();
    let sql = "SELECT 1 / (5000 - n) FROM generate_series(1, 9000) AS n";
    let error = complaint(&database, sql, &[]).await;
    assert_eq!(error, "division by zero (22012)");
    let error = complaint(&database, &format!("{sql} WHERE $1"), &[Cell::Bool(true)]).await;
    assert_eq!(error, "division by zero (22012)");
    assert_eq!(one(&database, "SELECT 1", &[]).await, Cell::Integer(1));
}

#[tokio::test]
async fn results_have_a_limit_of_rows_and_of_bytes() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let database = server.open().await.unwrap();
    let most = rows(&database, "SELECT generate_series(1, 100000)", &[]).await;
    assert_eq!(most.rows.len(), 100_000);
    let more = database
        .query("SELECT generate_series(1, 100001)", &[])
        .await;
    assert_eq!(more, Err(SqlError::TooManyRows));
    let wide = "SELECT repeat('x', 1048576) FROM generate_series(1, 17)";
    assert_eq!(database.query(wide, &[]).await, Err(SqlError::TooLarge));
    assert_eq!(one(&database, "SELECT 1", &[]).await, Cell::Integer(1));
}

#[tokio::test]
async fn several_statements_in_one_text_give_one_result() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let database = server.open().await.unwrap();
    let sql = "SET LOCAL work_mem = '1MB'; SELECT 7; SET LOCAL work_mem = '2MB';";
    assert_eq!(one(&database, sql, &[]).await, Cell::Integer(7));
    let two = database.query("SELECT 1; SELECT 2", &[]).await;
    assert_eq!(two, Err(SqlError::TwoResults));
    assert_eq!(rows(&database, "", &[]).await.rows.len(), 0);
}

#[tokio::test]
async fn the_server_knows_who_asks() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let database = server.open().await.unwrap();
    let name = one(&database, "SELECT current_setting('application_name')", &[]).await;
    assert_eq!(name, text("moonward"));
    // No named statement of the protocol, ever: it would outlive its transaction behind a pooler.
    rows(
        &database,
        "SELECT $1::int4 AS seen_in_the_log",
        &[Cell::Integer(1)],
    )
    .await;
    let log = server.log();
    assert!(log.contains("seen_in_the_log"), "{log}");
    assert!(!log.contains("execute sqlx_s"), "{log}");
}
