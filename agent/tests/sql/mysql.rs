//! MariaDB, for MySQL's protocol.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use moonward::lua::sql::{Cell, Database, Kind, Options, SqlError};
use rustix::process::Signal;

use crate::programs::{self, Running};
use crate::{complaint, one, rows, text};

const ACCOUNT: &str = "mysql";

const USERS: &str = "CREATE USER IF NOT EXISTS 'secret'@'%' IDENTIFIED BY 'Mond''schein'";

pub(crate) struct Mariadb {
    directory: tempfile::TempDir,
    port: u16,
    running: Running,
}

static SHARED: Mutex<Weak<Mariadb>> = Mutex::new(Weak::new());

impl Mariadb {
    pub(crate) async fn shared() -> Option<Arc<Self>> {
        let server = {
            let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(server) = shared.upgrade() {
                server
            } else {
                let server = Arc::new(Self::start()?);
                *shared = Arc::downgrade(&server);
                server
            }
        };
        let log = server.directory.path().join("log");
        let open = || Database::open(Kind::Mysql, server.options());
        let database = programs::until_ready(&log, open).await;
        rows(&database, USERS, &[]).await;
        Some(server)
    }

    fn start() -> Option<Self> {
        let install = programs::find("mariadb-install-db")?;
        let program = programs::find("mariadbd")?;
        let directory = programs::directory(ACCOUNT);
        let data = directory.path().join("data");
        programs::run(
            programs::command(&install, ACCOUNT)
                .arg("--no-defaults")
                .arg(format!("--datadir={}", data.display()))
                .args(["--auth-root-authentication-method=normal", "--skip-test-db"]),
        );
        let port = programs::free_port();
        let mut command = programs::command(&program, ACCOUNT);
        command
            .args([
                "--no-defaults",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
            ])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!(
                "--socket={}",
                directory.path().join("socket").display()
            ))
            .arg(format!("--port={port}"));
        let running = Running::start(command, &directory.path().join("log"));
        Some(Self {
            directory,
            port,
            running,
        })
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            host: Some(self.directory.path().join("socket").display().to_string()),
            ..Options::default()
        }
    }
}

impl Drop for Mariadb {
    fn drop(&mut self) {
        self.running.stop(Signal::TERM);
    }
}

#[tokio::test]
async fn every_type_has_a_cell_in_both_forms() {
    let Some(server) = Mariadb::shared().await else {
        return;
    };
    let database = Database::open(Kind::Mysql, server.options()).await.unwrap();
    for (sql, expected) in [
        ("NULL", Cell::Null),
        ("TRUE", Cell::Integer(1)),
        ("-42", Cell::Integer(-42)),
        (
            "CAST(9223372036854775807 AS UNSIGNED)",
            Cell::Integer(i64::MAX),
        ),
        (
            "CAST(18446744073709551615 AS UNSIGNED)",
            text("18446744073709551615"),
        ),
        ("1.5e0", Cell::Float(1.5)),
        ("10.50", text("10.50")),
        ("'Grüße'", text("Grüße")),
        ("x'00ff'", Cell::Bytes(vec![0, 255])),
        ("DATE '2024-02-29'", text("2024-02-29")),
        (
            "TIMESTAMP '2024-02-29 12:34:56'",
            text("2024-02-29 12:34:56"),
        ),
        (
            "TIMESTAMP '2024-02-29 12:34:56.789000'",
            text("2024-02-29 12:34:56.789000"),
        ),
        ("TIME '-26:03:04'", text("-26:03:04")),
        ("JSON_OBJECT('a', 1)", text("{\"a\": 1}")),
    ] {
        let select = format!("SELECT {sql}");
        assert_eq!(one(&database, &select, &[]).await, expected, "{sql}");
        let select = format!("SELECT {sql} FROM DUAL WHERE ? = 'moon'");
        assert_eq!(
            one(&database, &select, &[text("moon")]).await,
            expected,
            "{sql}"
        );
    }
}

#[tokio::test]
async fn columns_of_a_table_are_what_they_were_declared_as() {
    let Some(server) = Mariadb::shared().await else {
        return;
    };
    let database = Database::open(Kind::Mysql, server.options()).await.unwrap();
    let create = "CREATE DATABASE IF NOT EXISTS moon; CREATE TABLE moon.t (\
                  t TINYINT, u INT UNSIGNED, b TINYINT(1), y YEAR, f FLOAT, d DOUBLE, \
                  e ENUM('new','full'), x BLOB, s TIMESTAMP NULL)";
    rows(&database, create, &[]).await;
    let insert = "INSERT INTO moon.t VALUES (-1, ?, 1, 2024, 1.1, 1.1, 'full', ?, ?)";
    let given = [
        Cell::Integer(4_294_967_295),
        Cell::Bytes(vec![39, 0, 92]),
        text("2024-02-29 12:00:00"),
    ];
    assert_eq!(rows(&database, insert, &given).await.affected, 1);
    let expected = [
        Cell::Integer(-1),
        Cell::Integer(4_294_967_295),
        Cell::Integer(1),
        Cell::Integer(2024),
        Cell::Float(1.1),
        Cell::Float(1.1),
        text("full"),
        Cell::Bytes(vec![39, 0, 92]),
        text("2024-02-29 12:00:00"),
    ];
    let plain = rows(&database, "SELECT * FROM moon.t", &[]).await;
    assert_eq!(plain.rows, std::slice::from_ref(&expected));
    let types: Vec<&str> = plain
        .columns
        .iter()
        .map(|column| column.type_name.as_str())
        .collect();
    assert_eq!(types[..4], ["tinyint", "int unsigned", "boolean", "year"]);
    let asked = rows(
        &database,
        "SELECT * FROM moon.t WHERE t = ?",
        &[Cell::Integer(-1)],
    )
    .await;
    assert_eq!(asked.rows, [expected]);
}

#[tokio::test]
async fn errors_tell_the_servers_words() {
    let Some(server) = Mariadb::shared().await else {
        return;
    };
    let database = Database::open(Kind::Mysql, server.options()).await.unwrap();
    for parameters in [&[][..], &[Cell::Integer(1)]] {
        let error = complaint(&database, "SELECT * FROM nowhere.t WHERE 1 = ?", parameters).await;
        assert!(error.contains("(42"), "{error}");
    }
    assert_eq!(one(&database, "SELECT 1", &[]).await, Cell::Integer(1));
    let more = "SELECT seq FROM seq_1_to_100001";
    let rows = database.query(&format!("USE mysql; {more}"), &[]).await;
    assert_eq!(rows, Err(SqlError::TooManyRows));
    assert_eq!(one(&database, "SELECT 2", &[]).await, Cell::Integer(2));
}

#[tokio::test]
async fn a_password_is_sent_and_never_shown() {
    let Some(server) = Mariadb::shared().await else {
        return;
    };
    let with = |password: &str| Options {
        port: Some(server.port),
        user: Some("secret".to_owned()),
        password: Some(password.to_owned()),
        ..Options::default()
    };
    let database = Database::open(Kind::Mysql, with("Mond'schein"))
        .await
        .unwrap();
    assert_eq!(one(&database, "SELECT 1", &[]).await, Cell::Integer(1));
    let error = Database::open(Kind::Mysql, with("Sonnenschein"))
        .await
        .err()
        .unwrap()
        .to_string();
    let place = format!("cannot connect to 127.0.0.1:{} (user secret)", server.port);
    assert!(error.starts_with(&place), "{error}");
    assert!(
        error.contains("Access denied") && !error.contains("Sonnen"),
        "{error}"
    );
}

#[tokio::test]
async fn a_slow_statement_is_stopped_by_the_server() {
    let Some(server) = Mariadb::shared().await else {
        return;
    };
    let options = Options {
        statement_timeout: Some(Duration::from_millis(100)),
        ..server.options()
    };
    let database = Database::open(Kind::Mysql, options).await.unwrap();
    let error = complaint(&database, "SELECT SLEEP(30) FROM DUAL", &[]).await;
    assert!(error.contains("max_statement_time"), "{error}");
    assert_eq!(one(&database, "SELECT 1", &[]).await, Cell::Integer(1));
}
