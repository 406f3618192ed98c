//! What the library works with: the services that all scripts share, and what is one script's own.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use mlua::{Lua, MultiValue};
use tokio::runtime::Handle;

use super::account::Account;
use super::api::Failure;
use super::api::http::Clients;
use super::budget::Budget;
use super::children::Children;
use super::collectors::Registry;
use super::host::Script;
use super::library::Library;
use super::listen::{Doors, Listen};
use super::log_file::LogFile;
use super::pool::Pool;
use super::quota::Quota;
use super::register::Register;
use super::speed::Speeds;
use super::tally::Tally;
use super::wait::{Wait, answer};
use crate::collect::Root;
use crate::collect::filesystem::Filesystem;
use crate::collect::filesystem::asking::Outcome;
use crate::collect::mountinfo::Mount;
use crate::config::{Options, PluginConfig};
use crate::model::{Series, Unit, Value};
use crate::runner::Client;
use crate::store::Store;
use crate::telemetry::StatusBoard;

/// What is done with a value that a script puts: the series, its unit, the value and how long it
/// holds. An error is raised in the script.
type Hear = dyn Fn(&Series, Unit, &Value, Duration) -> Result<(), String> + Send + Sync;

/// Hears of every value that a script puts.
#[derive(Clone)]
pub struct Publish(pub Arc<Hear>);

impl std::fmt::Debug for Publish {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Publish")
    }
}

/// What all scripts of a host share.
#[derive(Debug)]
pub(crate) struct Services {
    /// Where values go to and come from.
    pub(crate) store: Store,
    /// The kernel's files.
    pub(crate) root: Root,
    /// The last samples of `metrics.set_speed` and `metrics.set_counter_speed`.
    pub(crate) speeds: Speeds,
    /// Asks file systems for `procfs.filesystems`; shared, so that those that never answer hold
    /// one thread each and not one for every script.
    pub(crate) filesystems: Mutex<Filesystem>,
    /// How every part of the agent is doing.
    pub(crate) board: StatusBoard,
    /// The runtime that waits.
    pub(crate) runtime: Handle,
    /// Whether this is the service, and not a script that a person runs.
    pub(crate) is_service: bool,
    /// Who else is to hear of every value that is put.
    pub(crate) publish: Option<Publish>,
    /// Where `require` looks, in order: directories.
    pub(crate) modules: RwLock<Vec<PathBuf>>,
    /// The shipped Lua.
    pub(crate) library: Library,
    /// The pages of all plugins.
    pub(super) register: Register,
    /// What the configuration says of plugins; none outside the service.
    pub(super) plugins: RwLock<Option<Arc<PluginConfig>>>,
    /// How many scripts run by `plugin.new`.
    pub(super) descendants: Arc<Quota>,
    /// The threads of turns.
    pub(super) pool: Pool,
    /// The file for `log.info` and `log.error`, where there is one.
    pub(crate) log: Option<LogFile>,
    /// The clients of `http`.
    pub(crate) http: Clients,
    /// The collectors of `prometheus_gauge` and its kin.
    pub(crate) collectors: Arc<Registry>,
    /// The way to the runner, where there is one.
    pub(crate) runner: Option<Client>,
    /// How doors for `/metrics` are opened, where they can be.
    pub(crate) listen: Option<Listen>,
}

impl Services {
    /// Asks the mounts that are worth measuring, and says how many were left out for their number.
    pub(crate) fn measure_filesystems(&self, mounts: Vec<Mount>) -> (Vec<(Mount, Outcome)>, usize) {
        self.filesystems
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .measure(&self.root, mounts)
    }
}

/// What is one script's own.
#[derive(Debug)]
pub(crate) struct Context {
    /// What all scripts share.
    pub(crate) services: Arc<Services>,
    /// The script's name: its file's without `.lua`.
    pub(crate) name: String,
    /// What its values are put as: `plugin:NAME`.
    pub(crate) source: String,
    /// The account of its turn.
    pub(crate) budget: Arc<Budget>,
    /// What it has done so far.
    pub(crate) tally: Arc<Tally>,
    /// What one run of a function of `plugin.every` may take, waiting included.
    pub(crate) deadline: Duration,
    /// What it finds as `plugin.options`.
    pub(crate) options: Options,
    /// The plugins that it runs.
    pub(super) children: Children,
    /// What it may take together with them.
    pub(super) account: Arc<Account>,
    /// Files and connections of its objects.
    pub(crate) handles: Arc<Quota>,
    /// Memory of its compiled expressions, in bytes.
    pub(crate) expressions: Arc<Quota>,
    /// The number by which the registry of collectors knows what is its own.
    pub(crate) run: u64,
    /// The doors that it has asked for.
    pub(crate) doors: Doors,
    /// Memory of its windows and histograms, in bytes.
    pub(crate) values: Arc<Quota>,
    pending: Pending,
}

impl Drop for Context {
    fn drop(&mut self) {
        self.services.collectors.end(self.run);
    }
}

#[derive(Default)]
struct Pending(Mutex<Option<Wait>>);

impl std::fmt::Debug for Pending {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Pending")
    }
}

impl Context {
    pub(super) fn new(
        services: Arc<Services>,
        script: &Script,
        budget: Arc<Budget>,
        account: Arc<Account>,
    ) -> Self {
        let run = services.collectors.begin();
        Self {
            tally: Arc::new(Tally::new(services.store.clock().clone())),
            services,
            name: script.name.clone(),
            source: format!("plugin:{}", script.name),
            budget,
            deadline: script.deadline,
            options: script.options.clone(),
            children: Children::default(),
            handles: account.handles(),
            expressions: account.expressions(),
            run,
            doors: Doors::default(),
            values: account.values(),
            account,
            pending: Pending::default(),
        }
    }

    /// Leaves what the script waits for; it is about to yield.
    pub(super) fn leave(&self, wait: Wait) {
        *self
            .pending
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(wait);
    }

    /// Takes what the script waits for.
    pub(super) fn take(&self) -> Option<Wait> {
        self.pending
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Waits on this thread, where the script cannot yield: in a comparison of `table.sort`. A
    /// script that is to end waits no longer.
    pub(super) fn block(&self, lua: &Lua) -> mlua::Result<MultiValue> {
        let Some(wait) = self.take() else {
            let failure = Failure::raise("there is nothing to wait for");
            return answer(lua, Err::<(), _>(failure));
        };
        let reply = self.services.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.budget.stopped() => None,
                reply = wait => Some(reply),
            }
        });
        if let Some(reply) = reply {
            return reply(lua);
        }
        self.budget.give_up();
        let failure = Failure::raise(super::Fault::Stopped.to_string());
        answer(lua, Err::<(), _>(failure))
    }
}
