//! The supervisor: starts every plugin that is there, and sees that it goes on.
//!
//! [`scan`] says which plugins there are and what is in them, [`watch`] when to look again, and
//! [`path`] what a path leads through, so that every change on the way is seen. [`keeper`] has the
//! plugins and its task, [`lives`] what becomes of each; [`kept`] is one of them, [`backoff`] when it
//! runs again, [`told`] what ZaLua's keys say of failures.

mod backoff;
mod keeper;
mod kept;
mod lives;
mod path;
mod scan;
mod told;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch as channel;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::keeper::Keeper;
use super::drive::HANGING;
use super::{Ending, Host};
use crate::config::PluginConfig;

/// What there is to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The plugins.
    pub config: PluginConfig,
    /// ZaLua's first script.
    pub init: Option<Init>,
}

/// ZaLua's first script, which runs as a plugin that is called `init`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it stands for everything, as in a service that a client of ZaLua's has started: then
    /// no other plugin runs, and it is not run again.
    pub alone: bool,
}

/// How the supervisor takes its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The pause before a script that came to its end runs again.
    pub(super) again: Duration,
    /// How often pages are brought up to date.
    pub(super) refresh: Duration,
    /// How often the series are put.
    pub(super) publish: Duration,
    /// How often `zalua.error.count` is put.
    pub(super) count: Duration,
    /// A run this long was steady: the pauses begin anew.
    pub(super) steady: Duration,
    /// A look at the files that takes longer than this hangs.
    pub(super) hanging: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            // ZaLua's was 55 to 65 s.
            again: Duration::from_mins(1),
            refresh: Duration::from_secs(1),
            publish: Duration::from_secs(10),
            count: Duration::from_mins(1),
            steady: Duration::from_mins(2),
            hanging: HANGING,
        }
    }
}

/// The running supervisor. It is to be told to end by [`Supervisor::stop`]; its plugins end with
/// it.
#[derive(Debug)]
pub struct Supervisor {
    plan: channel::Sender<Arc<Plan>>,
    stop: channel::Sender<bool>,
    init: channel::Receiver<Option<Ending>>,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Starts it on the runtime of the host. Returns at once.
    pub fn start(host: &Host, plan: Plan) -> Self {
        Self::with_pace(host, plan, Pace::default())
    }

    pub(super) fn with_pace(host: &Host, plan: Plan, pace: Pace) -> Self {
        let (plan, plans) = channel::channel(Arc::new(plan));
        let (stop, stopped) = channel::channel(false);
        let (ended, init) = channel::channel(None);
        let keeper = Keeper::new(host.clone(), plans, ended, pace);
        let task = host.services().runtime.spawn(keeper.run(stopped));
        Self {
            plan,
            stop,
            init,
            task,
        }
    }

    /// Has it follow another plan: what differs is applied, and nothing else is touched.
    pub fn follow(&self, plan: Plan) {
        self.plan.send_replace(Arc::new(plan));
    }

    /// Tells how ZaLua's first script ended, once, if it runs alone.
    pub fn init(&self) -> channel::Receiver<Option<Ending>> {
        self.init.clone()
    }

    /// Stops every plugin and waits until they have ended, at most `grace`. Returns whether they
    /// have.
    pub async fn stop(self, grace: Duration) -> bool {
        self.stop.send_replace(true);
        match timeout(grace, self.task).await {
            Ok(ended) => {
                if let Err(error) = &ended {
                    tracing::error!(%error, "the supervisor of plugins did not end cleanly");
                }
                ended.is_ok()
            }
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod closed_tests;
#[cfg(test)]
mod hang_tests;
#[cfg(test)]
mod look_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod zalua_tests;
