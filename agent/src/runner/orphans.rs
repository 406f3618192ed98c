//! Processes that have left their command's group, by `setsid` for one: they end with it all the same.
//!
//! A process whose parent has ended is given to the nearest ancestor that asked for such
//! (`PR_SET_CHILD_SUBREAPER`), and the runner does. Nothing tells which command it is of, but one that
//! began before every command that still runs is of none of these. So an orphan lives for as long as a
//! command that is older, which is five minutes at most, and then it is killed; what it has started
//! itself comes to the runner then, and is looked at in the same way.
//!
//! Tested with whole processes in `agent/tests/runner_orphans.rs`, since the one that adopts must have
//! no children of other kinds, as a test's own process has.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use procfs_core::FromRead as _;
use procfs_core::process::Stat;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, timeout_at};

/// How many of the killed a line of the log names.
const NAMED_MAX: usize = 8;

/// The children of this process, told apart.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    /// Children that this process had before it adopted any; `None` when it adopts none.
    others: Option<HashSet<Pid>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The first process of every command, until it was reaped.
    first: HashMap<Pid, First>,
    /// Orphans that the log has named, until they were reaped.
    named: HashSet<Pid>,
}

/// The first process of a command, whose number is its group's.
#[derive(Clone, Copy, Debug)]
struct First {
    /// When it began, in ticks since the system's start; 0 when that is not known, so that nothing is
    /// taken for older.
    began: u64,
    /// Whether its command is over, and everything of it is to end.
    is_over: bool,
}

impl Orphans {
    /// Has this process adopt what its children leave behind.
    ///
    /// # Errors
    /// When the kernel does not list a process's children, or does not let this one adopt any.
    pub(super) fn adopt() -> io::Result<Self> {
        let others = children()?.into_iter().collect();
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        Ok(Self {
            others: Some(others),
            state: Mutex::default(),
        })
    }

    /// Starts the first process of a command, which is no orphan from its first moment on.
    pub(super) fn start(&self, command: &mut std::process::Command) -> io::Result<Child> {
        // An orphan is looked for by whoever has the lock, and a child without a name here is one.
        let mut state = self.lock();
        let child = command.spawn()?;
        let id = Pid::from_child(&child);
        let began = stat(id).map_or(0, |stat| stat.starttime);
        let is_over = false;
        state.first.insert(id, First { began, is_over });
        Ok(child)
    }

    /// Reaps the first process of a command; `None` while it runs.
    pub(super) fn reap_first(&self, child: &mut Child) -> Option<ExitStatus> {
        let mut state = self.lock();
        let status = child.try_wait().ok().flatten()?;
        state.first.remove(&Pid::from_child(child));
        Some(status)
    }

    /// Takes the first process of a command for an orphan from now on, since nobody will reap it.
    pub(super) fn abandon(&self, id: Pid) {
        self.lock().first.remove(&id);
    }

    /// Reaps orphans that end by themselves, as long as it is waited for: they would stay zombies, and
    /// count as processes, until a command is over.
    pub(super) async fn reap(&self) {
        if self.others.is_some() {
            match signal(SignalKind::child()) {
                Ok(mut ended) => {
                    while ended.recv().await.is_some() {
                        self.look(|_, _| {});
                    }
                }
                Err(error) => tracing::warn!(%error, "ended processes are reaped late"),
            }
        }
        std::future::pending::<()>().await;
    }

    /// Kills every orphan that no running command can have started, with what it has started itself.
    /// The command of the first process `over`, if one is given, is over from now on. Waits for their
    /// ends until `limit` is over; returns whether none is left.
    pub(super) async fn end(&self, over: Option<Pid>, limit: Duration) -> bool {
        if let Some(id) = over
            && let Some(first) = self.lock().first.get_mut(&id)
        {
            first.is_over = true;
        }
        if self.others.is_none() {
            return true;
        }
        let deadline = Instant::now() + limit;
        let mut ended = match signal(SignalKind::child()) {
            Ok(ended) => ended,
            Err(error) => {
                tracing::warn!(%error, "the ends of processes are not waited for");
                return self.kill() == 0;
            }
        };
        // Every end may bring others.
        while self.kill() > 0 {
            if Instant::now() >= deadline || timeout_at(deadline, ended.recv()).await.is_err() {
                return self.kill() == 0;
            }
        }
        true
    }

    /// One round; returns how many of the killed are not gone yet.
    fn kill(&self) -> usize {
        let mut left = 0;
        let mut killed = Vec::new();
        self.look(|state, id| {
            let stat = stat(id);
            if !state.is_over(stat.as_ref()) {
                return;
            }
            let is_new = state.named.insert(id);
            match kill_process(id, Signal::KILL) {
                Ok(()) => {
                    left += 1;
                    // Those of a group that was killed are only waited for.
                    let has_left = state.group(stat.as_ref()).is_none();
                    if is_new && has_left {
                        killed.push((id, stat.map(|stat| stat.comm).unwrap_or_default()));
                    }
                }
                // Reaped in the next round.
                Err(Errno::SRCH) => left += 1,
                // A program that runs as another user (setuid) is beyond the runner's power.
                Err(error) if is_new => tracing::warn!(
                    process = id.as_raw_nonzero(),
                    %error,
                    "a process that a command has left behind cannot be ended; it runs on"
                ),
                Err(_) => {}
            }
        });
        if !killed.is_empty() {
            let names = killed.iter().take(NAMED_MAX);
            let names = names
                .map(|(id, name)| format!("{} ({})", id.as_raw_nonzero(), name.escape_debug()));
            tracing::info!(
                killed = killed.len(),
                processes = names.collect::<Vec<_>>().join(", "),
                "processes that had left the group of their command were killed"
            );
        }
        left
    }

    /// Shows every orphan that lives, and reaps those that do not.
    fn look(&self, mut show: impl FnMut(&mut State, Pid)) {
        let Some(others) = &self.others else {
            return;
        };
        let mut state = self.lock();
        let children = match children() {
            Ok(children) => children,
            Err(error) => {
                tracing::warn!(%error, "the runner's children cannot be listed");
                return;
            }
        };
        for id in children {
            if others.contains(&id) || state.first.contains_key(&id) {
                continue;
            }
            match waitpid(Some(id), WaitOptions::NOHANG) {
                Ok(None) => show(&mut state, id),
                // It is gone, or never was a child: the number is somebody else's from now on.
                Ok(Some(_)) | Err(_) => {
                    state.named.remove(&id);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether no running command can have started this orphan.
    fn is_over(&self, orphan: Option<&Stat>) -> bool {
        let running = self.first.values().filter(|first| !first.is_over);
        let Some(since) = running.map(|first| first.began).min() else {
            return true;
        };
        // One whose file may not be read (hidepid) waits until nothing runs.
        orphan.is_some_and(|orphan| orphan.starttime < since)
            || self.group(orphan).is_some_and(|group| group.is_over)
    }

    /// The command in whose group this orphan has stayed.
    fn group(&self, orphan: Option<&Stat>) -> Option<First> {
        let group = Pid::from_raw(orphan?.pgrp)?;
        self.first.get(&group).copied()
    }
}

/// The children of this process. Orphans are given to its first thread, which is also the one that
/// starts commands in the runner.
fn children() -> io::Result<Vec<Pid>> {
    let own = rustix::process::getpid().as_raw_nonzero();
    let list = std::fs::read_to_string(format!("/proc/self/task/{own}/children"))?;
    let numbers = list.split_ascii_whitespace();
    Ok(numbers
        .filter_map(|number| Pid::from_raw(number.parse().ok()?))
        .collect())
}

/// What the kernel tells of a process.
fn stat(id: Pid) -> Option<Stat> {
    let path = PathBuf::from(format!("/proc/{}/stat", id.as_raw_nonzero()));
    let text = std::fs::read(path).ok()?;
    Stat::from_read(text.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(commands: &[(i32, u64, bool)]) -> State {
        let first = commands.iter().map(|(id, began, is_over)| {
            let (began, is_over) = (*began, *is_over);
            (Pid::from_raw(*id).unwrap(), First { began, is_over })
        });
        State {
            first: first.collect(),
            named: HashSet::new(),
        }
    }

    fn orphan(pgrp: i32, starttime: u64) -> Stat {
        let mut stat = stat(rustix::process::getpid()).unwrap();
        (stat.pgrp, stat.starttime) = (pgrp, starttime);
        stat
    }

    #[test]
    fn an_orphan_is_over_when_it_is_older_than_all_that_runs() {
        let state = state(&[(10, 100, false), (20, 200, false), (30, 50, true)]);
        for (pgrp, starttime, is_over) in [
            (7, 99, true),
            // The clock of processes has ticks of a hundredth of a second.
            (7, 100, false),
            (7, 150, false),
            (7, 300, false),
            (10, 150, false),
            (30, 150, true),
        ] {
            let orphan = orphan(pgrp, starttime);
            assert_eq!(state.is_over(Some(&orphan)), is_over, "{pgrp} {starttime}");
        }
        assert!(!state.is_over(None));
    }

    #[test]
    fn every_orphan_is_over_when_nothing_runs() {
        for state in [state(&[]), state(&[(30, 50, true)])] {
            assert!(state.is_over(Some(&orphan(7, 300))) && state.is_over(None));
        }
        // It is not known when this one began.
        let unknown = state(&[(10, 0, false)]);
        assert!(!unknown.is_over(Some(&orphan(7, 1))));
    }

    #[test]
    fn the_kernel_lists_children_and_tells_of_them() {
        children().unwrap();
        let own = stat(rustix::process::getpid()).unwrap();
        assert_eq!(own.pid, rustix::process::getpid().as_raw_nonzero().get());
        assert!(own.starttime > 0);
    }
}
