//! What is peculiar to a service that a ZaLua client has started: its paths come from the
//! environment, its log is a file, and it ends when its socket is taken away.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{MissedTickBehavior, timeout};

use super::codec::{SOCKET, SOCKET_VARIABLE};
use crate::model::{Clock, Wall};

/// How often the service looks whether its socket is still its own.
const WATCH_PERIOD: Duration = Duration::from_secs(1);

/// How long the service may take to answer itself.
const WATCH_TIME: Duration = Duration::from_secs(5);

/// Where things are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The socket: `ZALUA_SOCKET`, else `/tmp/zalua-mon.sock`.
    pub socket: PathBuf,
    /// The first script: `INIT_FILE`, else `/etc/zalua/init.lua`.
    pub init: PathBuf,
    /// The log: `LOG_PATH`, else `/var/log/zabbix/zalua.log`.
    pub log: PathBuf,
}

impl Paths {
    /// Reads the paths with `variable`, which is [`std::env::var_os`] outside tests. An empty
    /// variable is as good as none.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str, default: &str| {
            let value = variable(name).filter(|value| !value.is_empty());
            value.map_or_else(|| PathBuf::from(default), PathBuf::from)
        };
        Self {
            socket: path(SOCKET_VARIABLE, SOCKET),
            init: path("INIT_FILE", "/etc/zalua/init.lua"),
            log: path("LOG_PATH", "/var/log/zabbix/zalua.log"),
        }
    }
}

/// Opens the log to append to it. Never follows a symbolic link: the service may be root.
pub fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0))
        .open(path)
}

/// Why a service that a client has started cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The file system's root cannot be entered.
    #[error("Daemonize error: {0}")]
    Root(io::Error),
    /// The log cannot be opened.
    #[error("Can't open log file: {0}")]
    Log(io::Error),
}

impl DaemonError {
    /// The exit status that ZaLua has for it.
    pub fn status(&self) -> u8 {
        match self {
            Self::Root(_) => 2,
            Self::Log(_) => 3,
        }
    }
}

/// The exit status when the socket cannot be listened on.
pub const NOT_LISTENING: u8 = 5;

/// The exit status when the first script cannot be loaded or has raised an error.
pub const FIRST_SCRIPT_FAILED: u8 = 20;

/// Leaves the client's session and directory and turns both outputs to the log.
pub fn detach(paths: &Paths) -> Result<(), DaemonError> {
    // Fails only when the process leads a group already, and then there is nothing to leave.
    rustix::process::setsid().ok();
    rustix::process::chdir("/").map_err(|error| DaemonError::Root(error.into()))?;
    let log = open_log(&paths.log).map_err(DaemonError::Log)?;
    rustix::stdio::dup2_stdout(&log).map_err(|error| DaemonError::Log(error.into()))?;
    rustix::stdio::dup2_stderr(&log).map_err(|error| DaemonError::Log(error.into()))
}

/// `YYYY/MM/DD HH:MM:SS [LEVEL] message` with a line feed, in UTC.
pub fn log_line(now: Wall, level: &str, message: &str) -> String {
    let [year, month, day, hour, minute, second] = now.utc();
    format!("{year:04}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02} [{level}] {message}\n")
}

/// A line in ZaLua's own log, in its own form.
pub fn log(level: &str, message: &str) {
    let line = log_line(Clock::System.wall(), level, message);
    // There is no other place to report to.
    io::stderr().lock().write_all(line.as_bytes()).ok();
}

/// Returns when the socket is gone or another service answers on it, or when `shutdown` is ready.
/// Says whether the socket was lost.
pub async fn watch_socket(path: &Path, identity: &str, shutdown: impl Future<Output = ()>) -> bool {
    tokio::pin!(shutdown);
    let mut period = tokio::time::interval(WATCH_PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut shutdown => return false,
            _ = period.tick() => {}
        }
        match timeout(WATCH_TIME, ask_identity(path)).await {
            Ok(Ok(answer)) if answer == identity.as_bytes() => {}
            // A stall is no reason to end, and neither is a moment without file descriptors.
            Err(_) => {}
            Ok(Err(error)) if !is_loss(&error) => {}
            Ok(_) => return true,
        }
    }
}

fn is_loss(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory
    )
}

async fn ask_identity(path: &Path) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(b"server-id").await?;
    let mut answer = Vec::new();
    (&mut stream).take(64).read_to_end(&mut answer).await?;
    if answer.is_empty() {
        // Turned away because too many are connected: somebody is there, and it may be us.
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_variables_are_ignored() {
        let paths = Paths::read(|name| match name {
            "INIT_FILE" => Some("/x/init.lua".into()),
            "LOG_PATH" => Some(OsString::new()),
            _ => None,
        });
        assert_eq!(paths.init, Path::new("/x/init.lua"));
        assert_eq!(paths.log, Path::new("/var/log/zabbix/zalua.log"));
        assert_eq!(paths.socket, Path::new("/tmp/zalua-mon.sock"));
    }

    #[test]
    fn log_lines_carry_the_date() {
        for (seconds, expected) in [
            (0, "1970/01/01 00:00:00 [INFO] x\n"),
            (951_782_399, "2000/02/28 23:59:59 [INFO] x\n"),
            (951_782_400, "2000/02/29 00:00:00 [INFO] x\n"),
            (1_541_000_000, "2018/10/31 15:33:20 [INFO] x\n"),
            (4_107_542_400, "2100/03/01 00:00:00 [INFO] x\n"),
        ] {
            assert_eq!(
                log_line(Wall(seconds * 1_000_000_000), "INFO", "x"),
                expected
            );
        }
    }

    #[test]
    fn a_log_is_not_opened_through_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (target, link) = (
            directory.path().join("target"),
            directory.path().join("link"),
        );
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(open_log(&link).is_err());
        assert!(open_log(&target).is_ok());
    }
}
