//! The way to ask a runner.
//!
//! Each request has a connection of its own, so that one waits for no other and leaving ends its
//! command. A connection belongs to the runtime in which it is used; a client belongs to none.

use std::fmt;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream as Socket;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use super::codec::{self, HEADER, REPLY_MAX, ReplyError};
use super::outcome::Outcome;
use super::request::{Request, RequestError};

/// How much longer than the command a reply may take: the runner ends what has to end within two
/// seconds.
const GRACE: Duration = Duration::from_secs(10);

/// How many requests of one client are under way; half of what the runner takes. Others wait within
/// their time limit.
const UNDER_WAY_MAX: usize = 128;

/// How long to wait when the runner's child has not taken enough connections yet.
const PAUSE: Duration = Duration::from_millis(5);

/// This very program, also after its file was replaced.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// What a child inherits of the environment: where its own log goes, and what commands find in
/// `HOME`.
const INHERITED: [&str; 3] = ["HOME", "JOURNAL_STREAM", "NO_COLOR"];

/// Why there is no outcome.
#[derive(Debug, Error)]
pub enum RunnerError {
    /// The request is not one that the runner takes.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Nobody answers at the socket, or not for this user.
    #[error("the runner cannot be reached at {path}; is moonward-runner.socket enabled?")]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The child could not be started.
    #[error("the runner cannot be started as a child of this process")]
    NoChild(#[source] io::Error),
    /// The connection ended before the reply. The command may have been executed.
    #[error("the runner left without a reply; its log says why")]
    Lost(#[source] io::Error),
    /// The reply did not come in time, or too many other requests are under way.
    #[error("the runner did not reply within {} seconds", .0.as_secs_f64())]
    Silent(Duration),
    /// The reply makes no sense.
    #[error(transparent)]
    Reply(#[from] ReplyError),
}

/// The way to a runner. Clones share it.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    way: Way,
    under_way: Semaphore,
}

enum Way {
    Socket(PathBuf),
    Child(Mutex<ChildRunner>),
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.way {
            Way::Socket(path) => formatter.debug_tuple("Socket").field(path).finish(),
            Way::Child(child) => formatter.debug_tuple("Child").field(child).finish(),
        }
    }
}

impl Client {
    /// A client of the runner that listens at `path`.
    pub fn socket(path: impl Into<PathBuf>) -> Self {
        Self::new(Way::Socket(path.into()))
    }

    /// A client of a runner of its own: a child of this process that permits everything and ends
    /// with the last clone of this client. It is started at the first request, or by
    /// [`Client::start_child_now`], and again when it is gone. This program must be the agent.
    pub fn child() -> Self {
        Self::child_of(OWN_PROGRAM, true)
    }

    /// The same, where the runner's log of commands would be in somebody's way: it logs only what
    /// has gone wrong.
    pub fn quiet_child() -> Self {
        Self::child_of(OWN_PROGRAM, false)
    }

    /// The same with the agent at `program`, an absolute path.
    pub fn child_of(program: impl AsRef<Path>, logs: bool) -> Self {
        Self::new(Way::Child(Mutex::new(ChildRunner {
            program: program.as_ref().to_owned(),
            logs,
            running: None,
        })))
    }

    fn new(way: Way) -> Self {
        Self(Arc::new(Inner {
            way,
            under_way: Semaphore::new(UNDER_WAY_MAX),
        }))
    }

    /// Starts the child, with what this thread is allowed to do now, unless it runs already. A child
    /// that has to be started anew later has only what is left then. Does nothing for a socket, and
    /// needs no runtime.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_child_now(&self) -> Result<(), RunnerError> {
        match &self.0.way {
            Way::Socket(_) => Ok(()),
            Way::Child(child) => child
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .running()
                .map(drop)
                .map_err(RunnerError::NoChild),
        }
    }

    /// Has the command executed. Giving up this future ends the command.
    ///
    /// # Errors
    /// When it is not known what became of the request; a command that could not be executed, or not
    /// to its end, is an [`Outcome`].
    pub async fn execute(&self, request: Request) -> Result<Outcome, RunnerError> {
        let content = request.encode()?;
        let patience = request.timeout + GRACE;
        let deadline = Instant::now() + patience;
        let asking = async {
            // Nobody closes the semaphore.
            let _place = self.0.under_way.acquire().await.ok();
            let mut stream = self.connect().await?;
            exchange(&mut stream, &content).await
        };
        timeout_at(deadline, asking)
            .await
            .unwrap_or(Err(RunnerError::Silent(patience)))
    }

    async fn connect(&self) -> Result<UnixStream, RunnerError> {
        match &self.0.way {
            Way::Socket(path) => connect(path).await,
            Way::Child(child) => pass(child).await,
        }
    }
}

/// Connects to the socket; when its queue is full, tries again until the caller gives up.
async fn connect(path: &Path) -> Result<UnixStream, RunnerError> {
    loop {
        match UnixStream::connect(path).await {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(PAUSE).await,
            Err(source) => {
                return Err(RunnerError::Unreachable {
                    path: path.to_owned(),
                    source,
                });
            }
        }
    }
}

/// Makes a connection and passes the other end to the child.
async fn pass(child: &Mutex<ChildRunner>) -> Result<UnixStream, RunnerError> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(|error| RunnerError::NoChild(error.into()))?;
    let mut died = false;
    loop {
        let sent = {
            let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
            let socket = child.running().map_err(RunnerError::NoChild)?;
            let sent = send(socket, &theirs);
            if matches!(sent, Err(Errno::PIPE | Errno::CONNRESET)) {
                child.stop();
            }
            sent
        };
        match sent {
            Ok(()) => break,
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => sleep(PAUSE).await,
            // It died since the last request; the next one is new.
            Err(Errno::PIPE | Errno::CONNRESET) if !died => died = true,
            Err(error) => return Err(RunnerError::NoChild(error.into())),
        }
    }
    drop(theirs);
    UnixStream::from_std(Socket::from(ours)).map_err(RunnerError::NoChild)
}

/// Sends a connection over the socket of packets, without waiting.
pub(super) fn send(socket: &OwnedFd, connection: &OwnedFd) -> Result<(), Errno> {
    let descriptors = [connection.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    // The space is for one.
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &[IoSlice::new(&[0])], &mut ancillary, flags).map(drop)
}

/// Sends the request and reads the reply.
async fn exchange(stream: &mut UnixStream, content: &[u8]) -> Result<Outcome, RunnerError> {
    let lost = RunnerError::Lost;
    stream
        .write_all(&codec::header(content.len()))
        .await
        .map_err(lost)?;
    stream.write_all(content).await.map_err(lost)?;
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).await.map_err(lost)?;
    let length = codec::length(header, REPLY_MAX).ok_or(ReplyError)?;
    let mut reply = Vec::with_capacity(length);
    stream
        .take(length as u64)
        .read_to_end(&mut reply)
        .await
        .map_err(lost)?;
    if reply.len() < length {
        return Err(lost(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(Outcome::decode(&reply)?)
}

/// A runner that is a child of this process.
#[derive(Debug)]
struct ChildRunner {
    program: PathBuf,
    logs: bool,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    /// Closing it ends the child.
    socket: OwnedFd,
    child: Child,
}

impl ChildRunner {
    /// The socket to the running child, which is started if there is none.
    fn running(&mut self) -> io::Result<&OwnedFd> {
        let gone = |running: &mut Running| !matches!(running.child.try_wait(), Ok(None));
        if self.running.as_mut().is_some_and(gone) {
            tracing::warn!("the runner has ended and is started again");
            self.running = None;
        }
        let running = match self.running.take() {
            Some(running) => running,
            None => self.start()?,
        };
        Ok(&self.running.insert(running).socket)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the room that may start programs, and the program is this one"
    )]
    fn start(&self) -> io::Result<Running> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let mut command = std::process::Command::new(&self.program);
        command
            .arg0("moonward-agent")
            .args(["runner", "--stdin", "--allow-all"])
            .args((!self.logs).then_some("--quiet"))
            .env_clear()
            .envs(
                INHERITED
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .current_dir("/")
            // What a terminal sends to this process is not for it: it ends when its work is done.
            .process_group(0)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null());
        Ok(Running {
            child: command.spawn()?,
            socket: ours,
        })
    }

    /// Gives the child up; it ends when it notices.
    fn stop(&mut self) {
        let Some(Running { socket, mut child }) = self.running.take() else {
            return;
        };
        drop(socket);
        if matches!(child.try_wait(), Ok(None)) {
            // So that it leaves no zombie in a process that lives on. It takes as long as the
            // runner gives its commands to end; without a thread, the zombie stays.
            let waiting = std::thread::Builder::new().name("runner-end".to_owned());
            waiting.spawn(move || child.wait()).ok();
        }
    }
}

impl Drop for ChildRunner {
    fn drop(&mut self) {
        self.stop();
    }
}
