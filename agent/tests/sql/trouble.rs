//! PostgreSQL that is not there, refuses, is slow, or goes away.

use std::time::Duration;

use moonward::lua::sql::{Cell, Database, Kind, Options, SqlError};

use crate::server::Postgres;
use crate::{complaint, one, programs, rows};

async fn refusal(options: Options) -> String {
    match Database::open(Kind::Postgres, options).await {
        Ok(database) => panic!("{} was let in", database.summary()),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn nobody_there_is_told_with_the_address() {
    let port = programs::free_port();
    let error = refusal(Options {
        port: Some(port),
        ..Options::default()
    })
    .await;
    let expected =
        format!("cannot connect to 127.0.0.1:{port} (user postgres, database postgres): ");
    assert!(
        error.starts_with(&expected) && error.contains("is the server running"),
        "{error}"
    );
    let empty = tempfile::tempdir().unwrap();
    let host = empty.path().display().to_string();
    let error = refusal(Options {
        host: Some(host.clone()),
        ..Options::default()
    })
    .await;
    assert!(error.contains(&format!("{host}/.s.PGSQL.5432")), "{error}");
}

#[tokio::test]
async fn somebody_who_says_nothing_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let options = Options {
        port: Some(silent.local_addr().unwrap().port()),
        connect_timeout: Some(Duration::from_millis(200)),
        ..Options::default()
    };
    let error = refusal(options).await;
    assert!(error.contains("no answer in 0.2 s"), "{error}");
}

#[tokio::test]
async fn somebody_who_speaks_nonsense_does_no_harm() {
    // The first is a message whose length is shorter than the length itself.
    for words in [
        &b"R\0\0\0\x01"[..],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff\xff\xff\xff",
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let talker = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            std::io::Write::write_all(&mut stream, words).unwrap();
            // Until the client has enough of it.
            let mut rest = Vec::new();
            std::io::Read::read_to_end(&mut stream, &mut rest).ok();
        });
        let options = Options {
            port: Some(port),
            connect_timeout: Some(Duration::from_secs(1)),
            ..Options::default()
        };
        let error = refusal(options).await;
        assert!(
            error.starts_with(&format!("cannot connect to 127.0.0.1:{port}")),
            "{error}"
        );
        talker.join().unwrap();
    }
}

#[tokio::test]
async fn a_password_is_sent_and_never_shown() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let with = |password: Option<&str>| Options {
        password: password.map(str::to_owned),
        database: Some("postgres".to_owned()),
        ..server.by_port("secret")
    };
    let database = Database::open(Kind::Postgres, with(Some("Mond'schein")))
        .await
        .unwrap();
    assert_eq!(one(&database, "SELECT 1", &[]).await, Cell::Integer(1));
    assert!(
        !database.summary().contains("schein"),
        "{}",
        database.summary()
    );
    for password in [Some("Sonnenschein"), Some(""), None] {
        let error = refusal(with(password)).await;
        assert!(
            error.contains("(user secret, database postgres)"),
            "{error}"
        );
        assert!(error.contains("password authentication failed"), "{error}");
        assert!(
            error.contains("28P01") && !error.contains("Sonnen"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let error = refusal(Options {
        database: Some("mare".to_owned()),
        ..server.options()
    })
    .await;
    assert!(
        error.contains("database \"mare\" does not exist (3D000)"),
        "{error}"
    );
}

#[tokio::test]
async fn a_slow_statement_is_stopped_by_the_server() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let options = Options {
        statement_timeout: Some(Duration::from_millis(100)),
        ..server.options()
    };
    let database = Database::open(Kind::Postgres, options).await.unwrap();
    let error = complaint(&database, "SELECT pg_sleep(30)", &[]).await;
    assert!(error.contains("statement timeout (57014)"), "{error}");
    let error = complaint(&database, "SELECT pg_sleep($1)", &[Cell::Integer(30)]).await;
    assert!(error.contains("statement timeout (57014)"), "{error}");
    assert_eq!(one(&database, "SELECT 1", &[]).await, Cell::Integer(1));
}

#[tokio::test]
async fn a_backend_that_dies_while_rows_come_is_reported() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let database = server.open().await.unwrap();
    let sql = "SELECT n, CASE WHEN n = 50000 THEN pg_terminate_backend(pg_backend_pid()) END \
               FROM generate_series(1, 90000) AS n";
    let error = complaint(&database, sql, &[]).await;
    assert!(
        error.contains("57P01") || error.contains("connection was lost"),
        "{error}"
    );
    // The dead connection is not lent again.
    assert_eq!(one(&database, "SELECT 1", &[]).await, Cell::Integer(1));
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_no_answer_for_the_next() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let options = Options {
        max_connections: Some(1),
        ..server.options()
    };
    let database = Database::open(Kind::Postgres, options).await.unwrap();
    let asking = database.query("SELECT 'first', pg_sleep(0.5)", &[]);
    let gone = tokio::time::timeout(Duration::from_millis(50), asking).await;
    assert!(gone.is_err(), "{gone:?}");
    assert_eq!(one(&database, "SELECT 2", &[]).await, Cell::Integer(2));
}

#[tokio::test]
async fn connections_are_shared_and_their_number_is_kept() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let options = Options {
        connect_timeout: Some(Duration::from_millis(500)),
        ..server.options()
    };
    let database = Database::open(Kind::Postgres, options).await.unwrap();
    let ask = "SELECT pg_backend_pid(), pg_sleep(0.1)";
    let three = tokio::join!(
        rows(&database, ask, &[]),
        rows(&database, ask, &[]),
        rows(&database, ask, &[]),
    );
    let mut pids: Vec<String> = [three.0, three.1, three.2]
        .iter()
        .map(|rows| format!("{:?}", rows.rows[0][0]))
        .collect();
    pids.sort();
    pids.dedup();
    assert_eq!(pids.len(), 2, "{pids:?}");
    let (busy, _, _) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            database.query("SELECT 1", &[]).await
        },
        rows(&database, "SELECT pg_sleep(1.5)", &[]),
        rows(&database, "SELECT pg_sleep(1.5)", &[]),
    );
    let error = busy.unwrap_err().to_string();
    assert!(error.contains("2 connections are in use"), "{error}");
}

#[tokio::test]
async fn a_closed_handle_refuses() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let database = server.open().await.unwrap();
    database.close().await;
    assert_eq!(database.query("SELECT 1", &[]).await, Err(SqlError::Closed));
}

#[tokio::test]
async fn a_restart_of_the_server_is_not_noticed() {
    let Some(server) = Postgres::alone().await else {
        return;
    };
    let database = server.open().await.unwrap();
    assert_eq!(one(&database, "SELECT 1", &[]).await, Cell::Integer(1));
    server.restart().await;
    assert_eq!(one(&database, "SELECT 2", &[]).await, Cell::Integer(2));
}
