//! What becomes of each plugin of a [`Keeper`]: it is started, has ended, starts anew, or goes.

use std::time::Duration;

use tokio::time::Instant;

use super::Init;
use super::keeper::Keeper;
use super::kept::{Kept, Running, Stand, Then};
use super::scan::{Content, INIT, Sighting};
use crate::lua::{Ending, Fault, Run, ScriptError};
use crate::telemetry::Verdict;

impl Keeper {
    pub(super) fn add(&mut self, name: &str, seen: Sighting) {
        if seen.content == Content::BeingWritten {
            return;
        }
        let page = self.host.services().register.page(name);
        let settings = self.plan.config.settings(name);
        let plugin = Kept::new(name, page, seen, settings);
        self.plugins.insert(name.to_owned(), plugin);
        self.restart(name);
    }

    /// Starts a plugin anew, when its run has ended.
    pub(super) fn restart(&mut self, name: &str) {
        let Some(plugin) = self.plugins.get_mut(name) else {
            return;
        };
        let then = if plugin.settings.enabled {
            Then::Start
        } else {
            Then::Off
        };
        if !plugin.end(then) {
            self.follow_up(name, then);
        }
    }

    /// Takes a plugin off whose file is gone.
    pub(super) fn forget(&mut self, name: &str) {
        let Some(plugin) = self.plugins.get_mut(name) else {
            return;
        };
        plugin.missing = None;
        if let Content::Closed(_) = plugin.content {
            tracing::info!(
                directory = name,
                "a directory of plugins can be looked into again, or is gone"
            );
        } else {
            tracing::info!(plugin = name, file = %plugin.path.display(), "a plugin is gone");
        }
        if !plugin.end(Then::Forget) {
            self.follow_up(name, Then::Forget);
        }
    }

    /// Does what follows when a plugin does not run.
    pub(super) fn follow_up(&mut self, name: &str, then: Then) {
        match then {
            Then::Start => self.begin(name),
            Then::Again(at) => {
                if let Some(plugin) = self.plugins.get_mut(name) {
                    plugin.stand = Stand::Waiting(at);
                }
            }
            Then::Off => {
                if let Some(plugin) = self.plugins.get_mut(name) {
                    plugin.stand = Stand::Still;
                    if plugin.page.set(Verdict::Off) {
                        tracing::info!(plugin = name, "a plugin is switched off");
                    }
                }
            }
            Then::Forget => {
                // Its page goes with it.
                if let Some(plugin) = self.plugins.remove(name)
                    && !matches!(plugin.content, Content::Refused(_) | Content::Closed(_))
                {
                    let store = &self.host.services().store;
                    store.remove_source(&format!("plugin:{name}"));
                }
            }
        }
    }

    /// Starts a plugin whose time has come; a file that could not be read is read again, and so is a
    /// directory.
    pub(super) fn start(&mut self, name: &str) {
        if let Some(plugin) = self.plugins.get_mut(name)
            && matches!(plugin.content, Content::Unreadable(_) | Content::Closed(_))
        {
            plugin.stand = Stand::Still;
            // What is found out now is followed by what `meet` makes of a change.
            plugin.content = Content::BeingWritten;
            self.look_soon();
            return;
        }
        self.begin(name);
    }

    pub(super) fn begin(&mut self, name: &str) {
        let Some(plugin) = self.plugins.get_mut(name) else {
            return;
        };
        match plugin.content.clone() {
            Content::Code(code) => {
                let is_first = name == INIT && self.plan.init.is_some();
                let run = plugin.start(&self.host, code, is_first);
                tracing::debug!(plugin = name, file = %plugin.path.display(), "a plugin is started");
                let name = name.to_owned();
                self.ends.spawn(async move {
                    run.ended().await;
                    (name, run)
                });
            }
            Content::Unreadable(reason) => {
                let error = ScriptError::of(
                    &plugin.path.display().to_string(),
                    Fault::Unreadable(reason),
                );
                let pause = self.pause(name, Duration::ZERO);
                if let Some(plugin) = self.plugins.get_mut(name) {
                    plugin.page.fails(&error, Some(pause));
                    plugin.page.set(Verdict::Failed(error.to_string()));
                    plugin.stand = Stand::Waiting(Instant::now() + pause);
                }
                self.told.failed(&error, self.is_quiet());
            }
            Content::Closed(reason) => {
                let pause = self.pause(name, Duration::ZERO);
                if let Some(plugin) = self.plugins.get_mut(name) {
                    plugin.stand = Stand::Waiting(Instant::now() + pause);
                    if plugin.page.set(Verdict::Failed(reason.clone())) {
                        tracing::error!(
                            directory = name,
                            reason,
                            "a directory of plugins cannot be looked into; its plugins stay as \
                             they are until it can"
                        );
                    }
                }
            }
            Content::Refused(reason) => {
                plugin.stand = Stand::Still;
                let file = plugin.path.display();
                if plugin
                    .page
                    .set(Verdict::Failed(format!("{file}: {reason}")))
                {
                    tracing::error!(%file, reason, "a file is not run as a plugin");
                }
            }
            Content::BeingWritten => plugin.stand = Stand::Still,
        }
    }

    /// The pause after a failure.
    pub(super) fn pause(&mut self, name: &str, ran: Duration) -> Duration {
        let config = &self.plan.config;
        let (first, longest) = (config.restart_delay, config.restart_delay_max);
        let steady = self.pace.steady;
        self.plugins.get_mut(name).map_or(first, |plugin| {
            plugin.backoff.failed(ran, steady, first, longest)
        })
    }

    /// A run has ended.
    pub(super) fn ended(&mut self, name: &str, run: &Run) {
        let Some(ending) = run.ending() else {
            return;
        };
        let Some(plugin) = self.plugins.get_mut(name) else {
            return;
        };
        if !plugin.running().is_some_and(|running| running.run.is(run)) {
            return;
        }
        let now = Instant::now();
        let running = match std::mem::replace(&mut plugin.stand, Stand::Still) {
            Stand::Ending(running, then) => {
                plugin.page.ended(run, None);
                return self.follow_release(name, running, then);
            }
            Stand::Running(running) => running,
            Stand::Still | Stand::Waiting(_) => return,
        };
        let alone = name == INIT && Init::is_alone(self.plan.init.as_ref());
        let again = match &ending {
            _ if alone => None,
            Ending::Returned => {
                plugin.backoff.reset();
                Some(self.pace.again)
            }
            Ending::Failed(_) => Some(self.pause(name, now - running.since)),
        };
        if let Some(plugin) = self.plugins.get_mut(name) {
            plugin.page.ended(run, again);
            if let Some(pause) = again {
                self.follow_release(name, running, Then::Again(now + pause));
            }
        }
        if let Ending::Failed(error) = &ending {
            self.told.failed(error, self.is_quiet());
        }
        if alone {
            self.init.send_replace(Some(ending));
        }
    }

    /// Does what follows when a run that has ended has no thread any more: one whose last turn hangs
    /// has, and each run beside it could take another, until none were left for other plugins.
    pub(super) fn follow_release(&mut self, name: &str, running: Running, then: Then) {
        if !running.run.is_left_behind() {
            return self.follow_up(name, then);
        }
        let (name, run) = (name.to_owned(), running.run.clone());
        if let Some(plugin) = self.plugins.get_mut(&name) {
            plugin.stand = Stand::Ending(running, then);
        }
        self.releases.spawn(async move {
            run.released().await;
            (name, run)
        });
    }

    /// A run that was left behind has let go of its thread.
    pub(super) fn released(&mut self, name: &str, run: &Run) {
        let Some(plugin) = self.plugins.get_mut(name) else {
            return;
        };
        if !plugin.running().is_some_and(|running| running.run.is(run)) {
            return;
        }
        tracing::info!(plugin = name, "what a plugin hung in has ended");
        if let Stand::Ending(_, then) = std::mem::replace(&mut plugin.stand, Stand::Still) {
            plugin.page.rests(run, matches!(then, Then::Again(_)));
            self.follow_up(name, then);
        }
    }
}
