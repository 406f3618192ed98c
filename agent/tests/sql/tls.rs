//! Encryption of the connection to PostgreSQL, by the words of `sslmode`.

use moonward::lua::sql::{Cell, Database, Kind, Options, SslMode};

use crate::one;
use crate::server::{NAME, Postgres};

const USED: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

#[tokio::test]
async fn encryption_is_used_when_it_is_asked_for() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    for (sslmode, used) in [
        (SslMode::Disable, false),
        (SslMode::Allow, false),
        (SslMode::Prefer, true),
        (SslMode::Require, true),
    ] {
        let options = Options {
            sslmode: Some(sslmode),
            ..server.by_port("postgres")
        };
        let database = Database::open(Kind::Postgres, options).await.unwrap();
        assert_eq!(
            one(&database, USED, &[]).await,
            Cell::Bool(used),
            "{sslmode:?}"
        );
    }
    // A socket is never encrypted, whatever is asked.
    let options = Options {
        sslmode: Some(SslMode::VerifyFull),
        ..server.options()
    };
    let database = Database::open(Kind::Postgres, options).await.unwrap();
    assert_eq!(one(&database, USED, &[]).await, Cell::Bool(false));
}

#[tokio::test]
async fn a_server_that_wants_encryption_gets_it_where_that_is_allowed() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let options = |sslmode| Options {
        sslmode: Some(sslmode),
        database: Some("postgres".to_owned()),
        ..server.by_port("encrypted")
    };
    let database = Database::open(Kind::Postgres, options(SslMode::Allow))
        .await
        .unwrap();
    assert_eq!(one(&database, USED, &[]).await, Cell::Bool(true));
    let refused = Database::open(Kind::Postgres, options(SslMode::Disable)).await;
    let error = refused.err().unwrap().to_string();
    assert!(
        error.contains("28000") && error.contains("pg_hba.conf"),
        "{error}"
    );
}

#[tokio::test]
async fn a_certificate_is_checked_to_the_depth_that_is_asked_for() {
    let Some(server) = Postgres::shared().await else {
        return;
    };
    let options = |sslmode, host: &str, known: bool| Options {
        sslmode: Some(sslmode),
        host: Some(host.to_owned()),
        sslrootcert: known.then(|| server.directory().join("authority.pem")),
        ..server.by_port("postgres")
    };
    // The certificate names the host and not its address.
    for (sslmode, host, known, let_in) in [
        (SslMode::VerifyFull, NAME, true, true),
        (SslMode::VerifyCa, "127.0.0.1", true, true),
        (SslMode::VerifyFull, "127.0.0.1", true, false),
        (SslMode::VerifyCa, NAME, false, false),
        (SslMode::VerifyFull, NAME, false, false),
        (SslMode::Require, NAME, false, true),
    ] {
        let outcome = Database::open(Kind::Postgres, options(sslmode, host, known)).await;
        match outcome {
            Ok(database) => {
                assert!(let_in, "{sslmode:?} {host} {known}");
                assert_eq!(one(&database, USED, &[]).await, Cell::Bool(true));
            }
            Err(error) => {
                assert!(!let_in, "{sslmode:?} {host} {known}: {error}");
                let error = error.to_string();
                assert!(error.contains("certificate verify failed"), "{error}");
            }
        }
    }
    let mut lost = options(SslMode::VerifyCa, NAME, true);
    lost.sslrootcert = Some("/nonexistent/authority.pem".into());
    let error = Database::open(Kind::Postgres, lost)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("No such file"), "{error}");
}
