//! Finding server programs, and running them for as long as a test wants them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

/// Where Debian puts programs that are in no `PATH`; PostgreSQL's have a directory per version.
const FURTHER: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];
const POSTGRESQL: &str = "/usr/lib/postgresql";

/// Looks for a program. Without it the test is skipped, or fails where servers are required.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    directories.extend(FURTHER.iter().map(PathBuf::from));
    if let Ok(versions) = std::fs::read_dir(POSTGRESQL) {
        directories.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    let found = directories
        .iter()
        .map(|directory| directory.join(program))
        .find(|path| path.is_file());
    assert!(
        found.is_some() || std::env::var_os("MOONWARD_REQUIRE_SERVERS").is_none(),
        "{program} is not installed, and MOONWARD_REQUIRE_SERVERS wants it \
         (Debian: postgresql, pgbouncer, mariadb-server)"
    );
    if found.is_none() {
        // Past the test harness, which would show it only when the test fails.
        let line = format!("SKIPPED: {program} is not installed\n");
        std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).ok();
    }
    found
}

/// A program under the account that its package made, because these refuse to run as root.
#[expect(
    clippy::disallowed_methods,
    reason = "the test runs the servers that it talks to"
)]
pub(crate) fn command(program: &Path, account: &str) -> Command {
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", account, "--regid", account, "--init-groups"])
            .args(["--pdeathsig", "KILL"])
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    command.stdin(Stdio::null());
    command
}

/// Runs a program to its end.
#[expect(
    clippy::unwrap_used,
    reason = "a program that does not start fails the test"
)]
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A directory that the account owns.
#[expect(
    clippy::unwrap_used,
    reason = "a directory that cannot be made fails the test"
)]
pub(crate) fn directory(account: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    give(directory.path(), account);
    directory
}

/// Gives a file to the account.
#[expect(
    clippy::unwrap_used,
    reason = "an account that is not there fails the test"
)]
pub(crate) fn give(path: &Path, account: &str) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = accounts
        .lines()
        .find(|line| line.split(':').next() == Some(account))
        .unwrap();
    let mut numbers = line.split(':').skip(2).map(|number| number.parse().ok());
    let (user, group) = (numbers.next().flatten(), numbers.next().flatten());
    std::os::unix::fs::chown(path, user, group).unwrap();
}

/// A port of the loopback that nobody uses.
#[expect(
    clippy::unwrap_used,
    reason = "a loopback without a port fails the test"
)]
pub(crate) fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// A server that runs until this is dropped, or the tests end in whatever way.
pub(crate) struct Running {
    process: rustix::process::Pid,
    ended: Mutex<mpsc::Receiver<()>>,
}

impl Running {
    /// Starts it, with what it prints going to a file.
    #[expect(
        clippy::unwrap_used,
        reason = "a server that does not start fails the test"
    )]
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let (started, process) = mpsc::channel();
        let (ending, ended) = mpsc::channel();
        // The kernel ends the server with the thread that started it, so that thread stays.
        std::thread::spawn(move || {
            let mut child: Child = command.spawn().unwrap();
            started
                .send(rustix::process::Pid::from_child(&child))
                .unwrap();
            child.wait().unwrap();
            ending.send(()).ok();
        });
        Self {
            process: process.recv().unwrap(),
            ended: Mutex::new(ended),
        }
    }

    /// Stops it in the quick and clean way, and waits.
    pub(crate) fn stop(&self, signal: rustix::process::Signal) {
        // It may have ended already.
        rustix::process::kill_process(self.process, signal).ok();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(Duration::from_secs(20)).is_err() {
            rustix::process::kill_process(self.process, rustix::process::Signal::KILL).ok();
        }
    }
}

/// Waits until a server answers, at most half a minute; after that its log is shown.
pub(crate) async fn until_ready<T, E: std::fmt::Display, F: Future<Output = Result<T, E>>>(
    log: &Path,
    mut ask: impl FnMut() -> F,
) -> T {
    let mut last = String::new();
    for _ in 0..600 {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let log = std::fs::read_to_string(log).unwrap_or_default();
    panic!("the server does not answer: {last}\n{log}");
}
