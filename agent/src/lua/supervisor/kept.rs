//! One plugin that the supervisor keeps: what it is made of, and where it stands.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::time::Instant;

use super::backoff::Backoff;
use super::scan::{Content, Sighting};
use crate::config::PluginSettings;
use crate::lua::register::Page;
use crate::lua::{Host, Limits, Run, Script};

/// A plugin.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) name: String,
    pub(super) page: Arc<Page>,
    pub(super) path: PathBuf,
    pub(super) content: Content,
    pub(super) settings: PluginSettings,
    pub(super) backoff: Backoff,
    pub(super) stand: Stand,
    /// Since when its file has not been seen.
    pub(super) missing: Option<Instant>,
}

/// Where a plugin stands.
#[derive(Debug)]
pub(super) enum Stand {
    /// It is not to run.
    Still,
    /// It is to run at that time.
    Waiting(Instant),
    /// It runs.
    Running(Running),
    /// It is about to end, or has a turn that was left behind and keeps its thread. When that is
    /// over, this follows.
    Ending(Running, Then),
}

/// A run and when it began.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) run: Run,
    pub(super) since: Instant,
}

/// What follows when a plugin has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It runs again, with what is in it by then.
    Start,
    /// It runs again at that time, because it failed.
    Again(Instant),
    /// It is switched off.
    Off,
    /// It is forgotten: its file is gone.
    Forget,
}

impl Kept {
    /// A plugin that was found, before anything is done with it.
    pub(super) fn new(
        name: &str,
        page: Arc<Page>,
        seen: Sighting,
        settings: PluginSettings,
    ) -> Self {
        Self {
            name: name.to_owned(),
            page,
            path: seen.path,
            content: seen.content,
            settings,
            backoff: Backoff::default(),
            stand: Stand::Still,
            missing: None,
        }
    }

    /// Whether it is about to be forgotten.
    pub(super) fn forgets(&self) -> bool {
        matches!(self.stand, Stand::Ending(_, Then::Forget))
    }

    /// The run that has not ended, or keeps a thread.
    pub(super) fn running(&self) -> Option<&Running> {
        match &self.stand {
            Stand::Running(running) | Stand::Ending(running, _) => Some(running),
            Stand::Still | Stand::Waiting(_) => None,
        }
    }

    /// Has it end, and then `then`. Returns whether there is anything to wait for.
    pub(super) fn end(&mut self, then: Then) -> bool {
        match std::mem::replace(&mut self.stand, Stand::Still) {
            Stand::Running(running) => {
                running.run.stop();
                self.stand = Stand::Ending(running, then);
                true
            }
            Stand::Ending(running, _) => {
                self.stand = Stand::Ending(running, then);
                true
            }
            Stand::Still | Stand::Waiting(_) => false,
        }
    }

    /// Starts it; `is_first` is true of ZaLua's first script.
    pub(super) fn start(&mut self, host: &Host, code: Arc<[u8]>, is_first: bool) -> Run {
        let script = Script {
            name: self.name.clone(),
            path: self.path.clone(),
            code: Some(code),
            options: self.settings.options.clone(),
            limits: Limits::from(&self.settings),
            deadline: self.settings.deadline,
        };
        let run = if is_first {
            host.start_first(script)
        } else {
            host.start(script)
        };
        self.page.begins(run.clone());
        self.stand = Stand::Running(Running {
            run: run.clone(),
            since: Instant::now(),
        });
        run
    }
}
