//! One command from its start to the end of everything that it has started.

use std::ffi::OsStr;
use std::future::Future;
use std::os::unix::process::ExitStatusExt as _;
use std::pin::{Pin, pin};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Fuse, FusedFuture as _, FutureExt as _};
use rustix::process::Signal;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until, timeout};

use super::capture::capture;
use super::group::{Group, Pipes};
use super::orphans::Orphans;
use super::outcome::{Ending, Output};
use super::request::Request;

/// How long the ends of commands are waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From SIGTERM to SIGKILL.
    pub(super) term: Duration,
    /// From SIGKILL until nobody waits any longer: a process that hangs in the kernel cannot even be
    /// killed. First for the group, then for what has left it.
    pub(super) kill: Duration,
    /// From the end of the first process until what it left behind is killed, if that still holds
    /// the output: the last words of a background process belong to the result.
    pub(super) linger: Duration,
    /// For what is in the pipes when everybody in the group is dead; one that has left the group may
    /// hold them open for ever.
    pub(super) drain: Duration,
}

impl Patience {
    pub(super) const DEFAULT: Self = Self {
        term: Duration::from_secs(1),
        kill: Duration::from_secs(1),
        linger: Duration::from_secs(1),
        drain: Duration::from_millis(200),
    };

    /// How long a command may take to end once it has to.
    pub(super) const fn end(&self) -> Duration {
        self.term
            .saturating_add(self.kill)
            .saturating_add(self.kill)
    }
}

/// What is left when a command is over for its client.
#[derive(Debug)]
pub(super) struct Ended {
    /// How; `None` when it was stopped because nobody wants to know any more.
    pub(super) ending: Option<Ending>,
    pub(super) stdout: Output,
    pub(super) stderr: Output,
    /// A group whose first process could not be reaped yet, although it was killed.
    pub(super) remains: Option<Group>,
    /// Whether processes that had left the group, of this command or an earlier one, were killed and
    /// are not gone yet.
    pub(super) strays: bool,
}

/// Why waiting for the first process has stopped.
enum Stop {
    Ended,
    TimedOut,
    Unwanted,
}

/// Runs the command until it ends, until `deadline`, or until `unwanted` is ready, and then ends
/// whatever it has started. `limit` is what the ending names as the time limit.
pub(super) async fn run(
    request: &Request,
    home: &OsStr,
    orphans: &Arc<Orphans>,
    (deadline, limit): (Instant, Duration),
    patience: Patience,
    unwanted: impl Future<Output = ()>,
) -> Ended {
    let (mut stdout, mut stderr) = (Output::default(), Output::default());
    let (mut group, pipes) = match Group::start(request, home, orphans) {
        Ok(started) => started,
        Err(error) => {
            return Ended {
                ending: Some(Ending::NotStarted(format!(
                    "cannot start {}: {error}",
                    request.command
                ))),
                stdout,
                stderr,
                remains: None,
                strays: false,
            };
        }
    };
    let Pipes {
        stdin,
        stdout: out,
        stderr: error,
    } = pipes;
    let (stop, clean) = {
        let copying = async {
            tokio::join!(
                feed(stdin, request.stdin.as_deref().unwrap_or_default()),
                capture(out, &mut stdout),
                capture(error, &mut stderr),
            );
        };
        let mut copying = pin!(copying.fuse());
        let stop = async {
            tokio::select! {
                biased;
                () = group.ended() => Stop::Ended,
                () = unwanted => Stop::Unwanted,
                () = sleep_until(deadline) => Stop::TimedOut,
            }
        };
        let stop = meanwhile(stop, copying.as_mut()).await;
        let clean = end(&group, orphans, &stop, deadline, patience, copying).await;
        (stop, clean)
    };
    let status = group.reap();
    let ending = match (stop, status) {
        (Stop::Ended, Some(status)) => Some(ending(status)),
        // Only if somebody else has reaped it, and nobody is there to do so.
        (Stop::Ended, None) => Some(Ending::NotStarted(
            "the exit status of the command is lost".to_owned(),
        )),
        (Stop::TimedOut, _) => Some(Ending::TimedOut(limit)),
        (Stop::Unwanted, _) => None,
    };
    Ended {
        ending,
        stdout,
        stderr,
        remains: status.is_none().then_some(group),
        strays: !clean,
    }
}

/// Ends everything of the group, and what has left it; returns whether nothing of the latter is left.
async fn end(
    group: &Group,
    orphans: &Orphans,
    stop: &Stop,
    deadline: Instant,
    patience: Patience,
    mut copying: Pin<&mut Fuse<impl Future<Output = ()>>>,
) -> bool {
    // What runs out here is a limit and no error: the next step is the harder one.
    if matches!(stop, Stop::Ended) {
        let left = deadline.saturating_duration_since(Instant::now());
        let _late = timeout(patience.linger.min(left), rest(copying.as_mut())).await;
        group.signal(Signal::KILL);
        let clean = orphans.end(Some(group.id()), patience.kill).await;
        let _late = timeout(patience.drain, rest(copying)).await;
        return clean;
    }
    group.signal(Signal::TERM);
    let both = async {
        tokio::join!(group.ended(), rest(copying.as_mut()));
    };
    let _late = timeout(patience.term, both).await;
    // Also when all is over: a process may have closed its outputs and live on.
    group.signal(Signal::KILL);
    let _late = timeout(patience.kill, group.ended()).await;
    let clean = orphans.end(Some(group.id()), patience.kill).await;
    let _late = timeout(patience.drain, rest(copying)).await;
    clean
}

/// Waits for the copying, if it is not over yet.
async fn rest(copying: Pin<&mut Fuse<impl Future<Output = ()>>>) {
    if !copying.is_terminated() {
        copying.await;
    }
}

/// Waits for `wanted` while the copying goes on.
async fn meanwhile<T>(
    wanted: impl Future<Output = T>,
    mut copying: Pin<&mut Fuse<impl Future<Output = ()>>>,
) -> T {
    let mut wanted = pin!(wanted);
    loop {
        tokio::select! {
            biased;
            result = &mut wanted => return result,
            () = copying.as_mut(), if !copying.is_terminated() => {}
        }
    }
}

/// Writes the input and closes it.
async fn feed(pipe: Option<pipe::Sender>, input: &[u8]) {
    if let Some(mut pipe) = pipe {
        // A command that does not read all of its input is no error.
        pipe.write_all(input).await.ok();
    }
}

fn ending(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, Some(signal)) => Ending::Signalled {
            signal,
            core_dumped: status.core_dumped(),
        },
        // wait(2) reports nothing else of a process that has ended.
        (None, None) => {
            Ending::NotStarted(format!("the command ended in an unknown way: {status}"))
        }
    }
}
