//! The real host for tests: one script after the other, each in a file of its own.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::{
    Ending, Host, HostOptions, Limits, Run, RuntimeThread, Script, ScriptError, script_name,
};
use crate::collect::Root;
use crate::config::Options;
use crate::model::Clock;
use crate::store::{Store, StoreLimits};
use crate::telemetry::StatusBoard;

/// What a plugin may use by default in tests.
pub(crate) const LIMITS: Limits = Limits {
    memory: 16 * 1_048_576,
    instructions: None,
    time: Some(Duration::from_secs(20)),
};

/// A host with a store and a directory for scripts.
pub(crate) struct Stage {
    pub(crate) runtime: RuntimeThread,
    pub(crate) store: Store,
    pub(crate) board: StatusBoard,
    pub(crate) host: Host,
    pub(crate) directory: TempDir,
    pub(crate) limits: Limits,
}

impl Stage {
    /// A host that runs scripts as the service does, on the machine's own files.
    pub(crate) fn new() -> Self {
        Self::with(Clock::System, Root::machine())
    }

    /// The same with another clock for the store, or recorded files.
    pub(crate) fn with(clock: Clock, root: Root) -> Self {
        Self::made(clock, root, |_| {})
    }

    /// The same with other options for the host.
    pub(crate) fn changed(change: impl FnOnce(&mut HostOptions)) -> Self {
        Self::made(Clock::System, Root::machine(), change)
    }

    /// The same with all of them.
    pub(crate) fn made(clock: Clock, root: Root, change: impl FnOnce(&mut HostOptions)) -> Self {
        let runtime = RuntimeThread::start().unwrap();
        let store = Store::new(clock, StoreLimits::default());
        let directory = tempfile::tempdir().unwrap();
        let board = StatusBoard::new();
        let mut options = HostOptions {
            root,
            board: board.clone(),
            is_service: true,
            modules: vec![directory.path().to_owned()],
            ..HostOptions::new(store.clone(), runtime.handle().clone())
        };
        change(&mut options);
        let host = Host::new(options);
        Self {
            runtime,
            store,
            board,
            host,
            directory,
            limits: LIMITS,
        }
    }

    /// Writes a file into the directory.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Starts a script that is called `name`.
    pub(crate) fn start(&self, name: &str, source: impl AsRef<[u8]>) -> Run {
        self.write(name, source);
        self.host.start(self.script(name))
    }

    /// The script in a file of the directory.
    pub(crate) fn script(&self, name: &str) -> Script {
        let path = self.directory.path().join(name);
        Script {
            name: script_name(&path),
            path,
            code: None,
            options: Options::default(),
            limits: self.limits,
            deadline: Duration::from_secs(20),
        }
    }

    /// Waits for the end of a script.
    pub(crate) fn wait(&self, run: &Run) -> Result<(), ScriptError> {
        match self.runtime.handle().block_on(run.ended()) {
            Ending::Returned => Ok(()),
            Ending::Failed(error) => Err(error),
        }
    }

    /// Runs a script to its end.
    pub(crate) fn run(&self, source: impl AsRef<[u8]>) -> Result<(), ScriptError> {
        self.wait(&self.start("script.lua", source))
    }

    /// Runs a script that must not fail.
    #[track_caller]
    pub(crate) fn pass(&self, source: impl AsRef<[u8]>) {
        if let Err(error) = self.run(source) {
            let trace = error.traceback.as_deref().unwrap_or_default();
            panic!("{error}\n{trace}");
        }
    }
}
