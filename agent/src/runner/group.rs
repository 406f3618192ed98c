//! A command's process group: how it is started, signalled and reaped. What has left it is the matter of
//! `orphans.rs`.
//!
//! The first process stays a zombie until the group has been killed, because its number is the
//! group's: once it is reaped, the number may soon be somebody else's.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;

use super::orphans::Orphans;
use super::request::{Command, Request};

/// Where programs without `/` are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The shell, by POSIX.
const SHELL: &str = "/bin/sh";

/// A running command, with everything that it has started and that stayed in its group. Dropping it
/// kills all of that, but may leave a zombie: that is for the end of the runner only.
#[derive(Debug)]
pub(super) struct Group {
    child: Child,
    id: Pid,
    /// Readable when the first process has ended, even while it is a zombie.
    ended: AsyncFd<OwnedFd>,
    reaped: bool,
    orphans: Arc<Orphans>,
}

/// The runner's ends of a command's pipes.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) stdin: Option<pipe::Sender>,
    pub(super) stdout: pipe::Receiver,
    pub(super) stderr: pipe::Receiver,
}

impl Group {
    /// Starts the command in a process group of its own, in `/`, with nothing in its environment but
    /// `PATH`, `LANG` and `HOME`. Nothing but the three standard descriptors is open in it.
    ///
    /// # Errors
    /// When the program cannot be executed, or there is no process or descriptor left for it.
    pub(super) fn start(
        request: &Request,
        home: &OsStr,
        orphans: &Arc<Orphans>,
    ) -> io::Result<(Self, Pipes)> {
        let mut command = words(&request.command)?;
        command
            .env_clear()
            .env("PATH", PATH)
            .env("LANG", "C.UTF-8")
            .env("HOME", home)
            .current_dir("/")
            .process_group(0)
            .stdin(match request.stdin {
                Some(_) => Stdio::piped(),
                None => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = orphans.start(&mut command)?;
        match Self::watch(&child) {
            Ok((id, ended)) => {
                let mut group = Self {
                    child,
                    id,
                    ended,
                    reaped: false,
                    orphans: Arc::clone(orphans),
                };
                // On a failure the drop kills what was started.
                let pipes = group.pipes()?;
                Ok((group, pipes))
            }
            Err(error) => {
                // It has hardly begun; a SIGKILL is waited for rather than leaving a zombie.
                orphans.abandon(Pid::from_child(&child));
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    #[expect(
        deprecated,
        reason = "sound here: the descriptor that an OwnedFd holds never changes; what replaces it \
                  is unsafe"
    )]
    fn watch(child: &Child) -> io::Result<(Pid, AsyncFd<OwnedFd>)> {
        let id = Pid::from_child(child);
        let descriptor = pidfd_open(id, PidfdFlags::empty())?;
        Ok((id, AsyncFd::with_interest(descriptor, Interest::READABLE)?))
    }

    fn pipes(&mut self) -> io::Result<Pipes> {
        let missing = || io::Error::from(Errno::BADF);
        let stdin = self.child.stdin.take().map(OwnedFd::from);
        let stdout = self.child.stdout.take().ok_or_else(missing)?;
        let stderr = self.child.stderr.take().ok_or_else(missing)?;
        Ok(Pipes {
            stdin: stdin.map(pipe::Sender::from_owned_fd).transpose()?,
            stdout: pipe::Receiver::from_owned_fd(stdout.into())?,
            stderr: pipe::Receiver::from_owned_fd(stderr.into())?,
        })
    }

    /// The number of the group and its first process.
    pub(super) fn id(&self) -> Pid {
        self.id
    }

    /// Waits until the first process has ended.
    pub(super) async fn ended(&self) {
        // The only failure is a runtime that is shutting down, which drops this future.
        if self.ended.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Sends a signal to every process of the group.
    pub(super) fn signal(&self, signal: Signal) {
        if self.reaped {
            return;
        }
        match kill_process_group(self.id, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            // A program that runs as another user (setuid) is beyond the runner's power.
            Err(error) => tracing::warn!(
                group = self.id.as_raw_nonzero(),
                %error,
                "a command cannot be ended; it runs on"
            ),
        }
    }

    /// The exit status of the first process, which is a zombie no longer then; `None` while it runs.
    pub(super) fn reap(&mut self) -> Option<ExitStatus> {
        let status = self.orphans.reap_first(&mut self.child)?;
        self.reaped = true;
        Some(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if !self.reaped && self.reap().is_none() {
            self.orphans.abandon(self.id);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the room that may start programs"
)]
fn words(command: &Command) -> io::Result<std::process::Command> {
    match command {
        Command::Shell(text) => {
            let mut shell = std::process::Command::new(SHELL);
            shell.arg0("sh").arg("-c").arg(text);
            Ok(shell)
        }
        Command::Program(words) => {
            let (program, arguments) = words
                .split_first()
                .ok_or_else(|| io::Error::from(Errno::INVAL))?;
            let mut command = std::process::Command::new(program);
            command.args(arguments);
            Ok(command)
        }
    }
}
