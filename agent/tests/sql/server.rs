//! A PostgreSQL server that the tests which run at one time share.

#![expect(
    clippy::unwrap_used,
    reason = "a server that cannot be set up fails the test"
)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use moonward::lua::sql::{Database, Kind, Options, SqlError};
use rustix::process::Signal;

use crate::certificates::{self, Certificates};
use crate::programs::{self, Running};

/// PostgreSQL's own account.
pub(crate) const ACCOUNT: &str = "postgres";

/// The name in the server's certificate.
pub(crate) const NAME: &str = "localhost";

/// Who may come in how: everybody on the socket, one user with a password and one with TLS only.
const ACCESS: &str = "\
local all all trust
local replication all trust
host all secret 127.0.0.1/32 scram-sha-256
hostssl all encrypted 127.0.0.1/32 trust
hostnossl all encrypted 127.0.0.1/32 reject
host all postgres 127.0.0.1/32 trust
";

const USERS: &str = "\
CREATE ROLE secret LOGIN PASSWORD 'Mond''schein';
CREATE ROLE encrypted LOGIN;
";

/// A running server.
pub(crate) struct Postgres {
    directory: tempfile::TempDir,
    program: PathBuf,
    pub(crate) port: u16,
    running: Mutex<Running>,
}

static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());

impl Postgres {
    /// The server that all tests share, started by the first and stopped by the last of them.
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
        server.until_ready().await;
        Some(server)
    }

    /// A server of the test's own.
    pub(crate) async fn alone() -> Option<Self> {
        let server = Self::start()?;
        server.until_ready().await;
        Some(server)
    }

    fn start() -> Option<Self> {
        let initdb = programs::find("initdb")?;
        let program = programs::find("postgres")?;
        let directory = programs::directory(ACCOUNT);
        let data = directory.path().join("data");
        programs::run(
            programs::command(&initdb, ACCOUNT)
                .args(["--no-sync", "--auth=trust", "--username=postgres"])
                .args(["--no-locale", "--encoding=UTF8", "--pgdata"])
                .arg(&data),
        );
        std::fs::write(data.join("pg_hba.conf"), ACCESS).unwrap();
        let Certificates {
            authority,
            certificate,
            key,
        } = certificates::for_host(NAME);
        std::fs::write(directory.path().join("authority.pem"), authority).unwrap();
        std::fs::write(data.join("server.crt"), certificate).unwrap();
        let key_file = data.join("server.key");
        std::fs::write(&key_file, key).unwrap();
        programs::give(&key_file, ACCOUNT);
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&key_file, private).unwrap();
        let port = programs::free_port();
        let running = Mutex::new(Self::launch(&program, directory.path(), port));
        Some(Self {
            directory,
            program,
            port,
            running,
        })
    }

    fn launch(program: &Path, directory: &Path, port: u16) -> Running {
        let mut command = programs::command(program, ACCOUNT);
        command.arg("-D").arg(directory.join("data"));
        for setting in [
            "fsync=off",
            "ssl=on",
            "listen_addresses=127.0.0.1",
            "max_connections=20",
            "dynamic_shared_memory_type=mmap",
            "log_statement=all",
            "shared_preload_libraries=pg_stat_statements",
            "track_io_timing=on",
            &format!("port={port}"),
            &format!("unix_socket_directories={}", directory.display()),
        ] {
            command.args(["-c", setting]);
        }
        Running::start(command, &directory.join("log"))
    }

    /// A server that follows this one, on a copy of its data.
    pub(crate) async fn replica(&self) -> Option<Self> {
        let copier = programs::find("pg_basebackup")?;
        let directory = programs::directory(ACCOUNT);
        programs::run(
            programs::command(&copier, ACCOUNT)
                .args(["--checkpoint=fast", "--no-sync", "--write-recovery-conf"])
                .args(["--username=postgres", "--port"])
                .arg(self.port.to_string())
                .arg("--host")
                .arg(self.directory())
                .arg("--pgdata")
                .arg(directory.path().join("data")),
        );
        let port = programs::free_port();
        let running = Mutex::new(Self::launch(&self.program, directory.path(), port));
        let replica = Self {
            directory,
            program: self.program.clone(),
            port,
            running,
        };
        replica.until_ready().await;
        Some(replica)
    }

    /// Stops the server and starts it again on the same data.
    pub(crate) async fn restart(&self) {
        {
            let mut running = self.running.lock().unwrap();
            running.stop(Signal::INT);
            *running = Self::launch(&self.program, self.directory.path(), self.port);
        }
        self.until_ready().await;
    }

    /// Everything that was logged, each statement included.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    async fn until_ready(&self) {
        let log = self.directory.path().join("log");
        let database = programs::until_ready(&log, || self.open()).await;
        // Once is enough; the tests that come later find the users there.
        database.query(USERS, &[]).await.ok();
        database.close().await;
    }

    /// The directory with the socket, and the authority's certificate.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Options for the socket, as the superuser.
    pub(crate) fn options(&self) -> Options {
        Options {
            host: Some(self.directory.path().display().to_string()),
            port: Some(self.port),
            ..Options::default()
        }
    }

    /// Options for the port of the loopback, as a user.
    pub(crate) fn by_port(&self, user: &str) -> Options {
        Options {
            host: Some("127.0.0.1".to_owned()),
            port: Some(self.port),
            user: Some(user.to_owned()),
            ..Options::default()
        }
    }

    /// Opens the database over the socket.
    pub(crate) async fn open(&self) -> Result<Database, SqlError> {
        Database::open(Kind::Postgres, self.options()).await
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.running
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .stop(Signal::QUIT);
    }
}
