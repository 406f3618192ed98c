//! pgbouncer in front of PostgreSQL: lending by transaction, and its console.

#![expect(
    clippy::unwrap_used,
    reason = "a pooler that cannot be set up fails the test"
)]

use std::path::Path;
use std::time::Duration;

use moonward::lua::sql::{Cell, Database, Kind, Options};
use rustix::process::Signal;

use crate::programs::{self, Running};
use crate::server::{ACCOUNT, Postgres};
use crate::{complaint, one, rows, text};

/// A pooler with one connection to the server, so that clients meet in it.
pub(crate) struct Bouncer {
    directory: tempfile::TempDir,
    pub(crate) port: u16,
    running: Running,
}

impl Bouncer {
    pub(crate) async fn start(server: &Postgres) -> Option<Self> {
        let program = programs::find("pgbouncer")?;
        let directory = programs::directory(ACCOUNT);
        let path = directory.path();
        let port = programs::free_port();
        let settings = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir = {}\nauth_type = trust\nauth_file = users\n\
             admin_users = postgres\npool_mode = transaction\ndefault_pool_size = 1\n",
            server.directory().display(),
            server.port,
            path.display(),
        );
        std::fs::write(path.join("users"), "\"postgres\" \"\"\n").unwrap();
        std::fs::write(path.join("pgbouncer.ini"), settings).unwrap();
        let mut command = programs::command(&program, ACCOUNT);
        command.current_dir(path).arg("pgbouncer.ini");
        let log = path.join("log");
        let bouncer = Self {
            running: Running::start(command, &log),
            directory,
            port,
        };
        programs::until_ready(&log, || bouncer.open("postgres")).await;
        Some(bouncer)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) async fn open(
        &self,
        database: &str,
    ) -> Result<Database, moonward::lua::sql::SqlError> {
        let options = Options {
            port: Some(self.port),
            database: Some(database.to_owned()),
            ..Options::default()
        };
        Database::open(Kind::Postgres, options).await
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        self.running.stop(Signal::TERM);
    }
}

#[tokio::test]
async fn the_console_answers_again_and_again() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let Some(bouncer) = Bouncer::start(&server).await else {
        return;
    };
    let options = Options {
        host: Some(bouncer.path().display().to_string()),
        port: Some(bouncer.port),
        database: Some("pgbouncer".to_owned()),
        statement_timeout: Some(Duration::from_secs(5)),
        ..Options::default()
    };
    let console = Database::open(Kind::Postgres, options).await.unwrap();
    let pooled = bouncer.open("postgres").await.unwrap();
    assert_eq!(one(&pooled, "SELECT 1", &[]).await, Cell::Integer(1));
    for _ in 0..3 {
        let stats = rows(&console, "show stats", &[]).await;
        let names: Vec<&str> = stats
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        assert_eq!(names[..2], ["database", "total_xact_count"]);
        let postgres = stats
            .rows
            .iter()
            .find(|row| row[0] == text("postgres"))
            .unwrap();
        assert!(
            matches!(&postgres[1], Cell::Integer(1..) | Cell::Text(_)),
            "{postgres:?}"
        );
        let clients = rows(&console, "show clients", &[]).await;
        assert!(clients.rows.len() >= 2, "{clients:?}");
    }
    // One connection, and nothing that it had to refuse.
    let log = std::fs::read_to_string(bouncer.path().join("log")).unwrap();
    let login = "login attempt: db=pgbouncer ";
    assert_eq!(log.matches(login).count(), 1, "{log}");
    let (_, since) = log.split_once(login).unwrap();
    for word in [" ERROR ", " WARNING ", "closing because: bad packet"] {
        assert!(!since.contains(word), "{since}");
    }

    let error = complaint(&console, "SELECT 1", &[]).await;
    assert!(
        error.contains("console") || error.contains("invalid command"),
        "{error}"
    );
}

#[tokio::test]
async fn clients_that_share_one_connection_do_not_meet() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let Some(bouncer) = Bouncer::start(&server).await else {
        return;
    };
    let first = bouncer.open("postgres").await.unwrap();
    let second = bouncer.open("postgres").await.unwrap();
    let ask = async |database: &Database| {
        for number in 0..50 {
            let parameters = [Cell::Integer(number)];
            let cell = one(database, "SELECT $1::int8 + 1", &parameters).await;
            assert_eq!(cell, Cell::Integer(number + 1));
            complaint(database, "SELECT 1 / $1", &[Cell::Integer(0)]).await;
            complaint(database, "SELECT $1 FROM nowhere", &parameters).await;
        }
    };
    tokio::join!(ask(&first), ask(&first), ask(&second), ask(&second));
    let left = one(&first, "SELECT count(*) FROM pg_prepared_statements", &[]).await;
    assert_eq!(left, Cell::Integer(0));
}
