//! SQLite: files, in this process.

#![expect(
    clippy::unwrap_used,
    reason = "a file that cannot be made fails the test"
)]

use std::time::Duration;

use moonward::lua::sql::{Cell, Database, Kind, Options, SqlError};

use crate::{complaint, one, rows, text};

/// A file with a table, and the directory that keeps it.
async fn file() -> (tempfile::TempDir, Options) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        path: Some(directory.path().join("moon.db")),
        ..Options::default()
    };
    let making = Options {
        create: true,
        ..options.clone()
    };
    let database = Database::open(Kind::Sqlite, making).await.unwrap();
    rows(
        &database,
        "CREATE TABLE t (n INTEGER, x, y BOOLEAN); INSERT INTO t VALUES (1, 'a', 1)",
        &[],
    )
    .await;
    database.close().await;
    (directory, options)
}

#[tokio::test]
async fn values_have_the_types_that_they_were_stored_with() {
    let (_directory, options) = file().await;
    let database = Database::open(Kind::Sqlite, options).await.unwrap();
    for (sql, expected) in [
        ("NULL", Cell::Null),
        ("9223372036854775807", Cell::Integer(i64::MAX)),
        ("0.5", Cell::Float(0.5)),
        ("'Grüße'", text("Grüße")),
        ("x'00ff'", Cell::Bytes(vec![0, 255])),
        ("CAST(x'fc' AS TEXT)", Cell::Bytes(vec![0xfc])),
        ("datetime('2024-02-29 12:00')", text("2024-02-29 12:00:00")),
    ] {
        assert_eq!(
            one(&database, &format!("SELECT {sql}"), &[]).await,
            expected,
            "{sql}"
        );
        let asked = format!("SELECT {sql} WHERE ? = 1");
        assert_eq!(
            one(&database, &asked, &[Cell::Integer(1)]).await,
            expected,
            "{sql}"
        );
    }
    for cell in [
        Cell::Null,
        Cell::Integer(-1),
        Cell::Float(1e300),
        text("'; --"),
        Cell::Bytes(vec![1, 0]),
    ] {
        assert_eq!(
            one(&database, "SELECT ?", std::slice::from_ref(&cell)).await,
            cell
        );
    }
    let table = rows(&database, "SELECT * FROM t", &[]).await;
    assert_eq!(
        table.rows,
        [[Cell::Integer(1), text("a"), Cell::Integer(1)]]
    );
    let names: Vec<&str> = table
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(names, ["n", "x", "y"]);
}

#[tokio::test]
async fn a_file_is_only_read_unless_more_is_asked_for() {
    let (directory, options) = file().await;
    let database = Database::open(Kind::Sqlite, options.clone()).await.unwrap();
    let error = complaint(&database, "INSERT INTO t VALUES (2, 'b', 0)", &[]).await;
    assert!(error.contains("readonly"), "{error}");
    let writing = Options {
        writable: true,
        ..options
    };
    let database = Database::open(Kind::Sqlite, writing).await.unwrap();
    let insert = "INSERT INTO t VALUES (?, ?, 0)";
    assert_eq!(
        rows(&database, insert, &[Cell::Integer(2), text("b")])
            .await
            .affected,
        1
    );
    assert_eq!(
        one(&database, "SELECT count(*) FROM t", &[]).await,
        Cell::Integer(2)
    );

    for writable in [false, true] {
        let path = directory.path().join("absent.db");
        let absent = Options {
            path: Some(path.clone()),
            writable,
            ..Options::default()
        };
        let error = Database::open(Kind::Sqlite, absent)
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("absent.db") && error.contains("unable to open"),
            "{error}"
        );
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn errors_tell_what_is_wrong_and_the_handle_lives_on() {
    let (directory, options) = file().await;
    let database = Database::open(Kind::Sqlite, options).await.unwrap();
    let error = complaint(&database, "SELECT * FROM nowhere", &[]).await;
    assert!(error.contains("no such table: nowhere"), "{error}");
    let long = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 100001) SELECT n FROM c";
    assert_eq!(database.query(long, &[]).await, Err(SqlError::TooManyRows));
    let two = database.query("SELECT 1; SELECT 2", &[]).await;
    assert_eq!(two, Err(SqlError::TwoResults));
    assert_eq!(one(&database, "SELECT 1", &[]).await, Cell::Integer(1));

    let path = directory.path().join("text.db");
    std::fs::write(
        &path,
        "this is not a database, but it is long enough to look like one".repeat(99),
    )
    .unwrap();
    let text = Options {
        path: Some(path),
        ..Options::default()
    };
    let outcome = match Database::open(Kind::Sqlite, text).await {
        Ok(database) => complaint(&database, "SELECT * FROM sqlite_master", &[]).await,
        Err(error) => error.to_string(),
    };
    assert!(outcome.contains("not a database"), "{outcome}");
}

/// A database that can be written to, with a tenth of a second for each statement.
async fn impatient() -> (tempfile::TempDir, Database) {
    let (directory, options) = file().await;
    let options = Options {
        statement_timeout: Some(Duration::from_millis(100)),
        writable: true,
        ..options
    };
    let database = Database::open(Kind::Sqlite, options).await.unwrap();
    (directory, database)
}

#[tokio::test]
async fn an_endless_statement_is_stopped() {
    let (_directory, database) = impatient().await;
    let endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) \
                   INSERT INTO t SELECT count(*), 'endless', 0 FROM c";
    let error = complaint(&database, endless, &[]).await;
    assert!(error.contains("given up after 0.1 s"), "{error}");
    assert_eq!(one(&database, "SELECT 1", &[]).await, Cell::Integer(1));
    // The thread that ran it is told, ends, and lets go of the file.
    let insert = "INSERT INTO t VALUES (2, 'b', 0)";
    let free = async { while database.query(insert, &[]).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(10), free)
        .await
        .unwrap();
    let kept = "SELECT count(*) FROM t WHERE x = 'endless'";
    assert_eq!(one(&database, kept, &[]).await, Cell::Integer(0));
}

/// Compares each of so many places of a text with so many of another, in one call of a function.
fn slow(length: u32) -> String {
    format!("SELECT unhex(printf('%{length}s', ''), printf('%.{length}c', 'x') || ' ')")
}

#[tokio::test]
async fn a_statement_that_cannot_be_stopped_keeps_its_place_until_it_ends() {
    let (_directory, options) = file().await;
    let quick = Duration::from_millis(20);
    let options = Options {
        statement_timeout: Some(quick),
        connect_timeout: Some(Duration::from_millis(200)),
        max_connections: Some(1),
        ..options
    };
    let database = Database::open(Kind::Sqlite, options).await.unwrap();
    let slow = slow(30_000);
    for _ in 0..4 {
        assert_eq!(
            database.query(&slow, &[]).await,
            Err(SqlError::TimedOut(quick))
        );
    }
    // The database has no more threads now, however often it is tried.
    for _ in 0..2 {
        let error = complaint(&database, "SELECT 1", &[]).await;
        assert!(
            error.contains("4 statements that were given up still run")
                && error.contains("at most 4 threads"),
            "{error}"
        );
    }
    let free = async { while database.query("SELECT 1", &[]).await.is_err() {} };
    tokio::time::timeout(Duration::from_mins(2), free)
        .await
        .unwrap();
    assert_eq!(one(&database, "SELECT 1", &[]).await, Cell::Integer(1));
}

#[tokio::test]
async fn a_row_is_not_begun_when_nobody_waits_for_it() {
    let (_directory, database) = impatient().await;
    // Rows of a tenth of a second or two each, for hours.
    let rows = format!(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 100000) \
         INSERT INTO t SELECT max(length(({})) + n), 'rows', 0 FROM c",
        slow(8_000).replace("''", "n")
    );
    let error = complaint(&database, &rows, &[]).await;
    assert!(error.contains("given up after"), "{error}");
    let insert = "INSERT INTO t VALUES (2, 'b', 0)";
    let free = async { while database.query(insert, &[]).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(5), free)
        .await
        .unwrap();
}
