//! Who asks the runner, and the log of what was executed for them.

use std::fmt;

use tokio::time::Instant;

use super::outcome::{Ending, Outcome};
use super::request::Command;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) uid: u32,
    pub(super) pid: Option<i32>,
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "uid {}", self.uid)?;
        match self.pid {
            Some(pid) => write!(formatter, " pid {pid}"),
            None => Ok(()),
        }
    }
}

/// Says what became of a command; every one of them, since this is how one finds out afterwards.
pub(super) fn log(peer: Peer, command: &Command, begun: Instant, outcome: Option<&Outcome>) {
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let Some(outcome) = outcome else {
        tracing::info!(%peer, %command, milliseconds, "stopped: its client has left");
        return;
    };
    let lost = outcome.stdout.lost() + outcome.stderr.lost();
    match (&outcome.ending, outcome.error()) {
        (Ending::Refused(reason), _) => tracing::warn!(%peer, %command, %reason, "refused"),
        (Ending::NotStarted(_), Some(result)) => {
            tracing::warn!(%peer, %command, %result, milliseconds, "not started");
        }
        (_, result) => {
            let result = result.unwrap_or_else(|| "exit status 0".to_owned());
            tracing::info!(%peer, %command, %result, milliseconds, lost, "executed");
        }
    }
}
