//! The host of scripts: runs each in a state of its own and knows how it fares.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use super::account::Account;
use super::api::http::Clients;
use super::budget::Budget;
use super::children::DESCENDANTS_MAX;
use super::collectors::{RENEWAL, Registry};
use super::context::{Context, Publish, Services};
use super::drive::{Driver, Left, Observer};
use super::engine::Engine;
use super::listen::Listen;
use super::log_file::LogFile;
use super::pool::Pool;
use super::quota::Quota;
use super::register::Register;
use super::source::read;
use super::speed::Speeds;
use super::state::State;
use super::tally::Tally;
use super::{Fault, Library, Limits, ScriptError};
use crate::collect::Root;
use crate::config::Options;
use crate::model::{Clock, Moment};
use crate::runner::Client;
use crate::store::Store;
use crate::telemetry::StatusBoard;

/// What a host is made with.
#[derive(Debug)]
pub struct HostOptions {
    /// Where values go to and come from.
    pub store: Store,
    /// The kernel's files.
    pub root: Root,
    /// How every part of the agent is doing, and where plugins have their pages; an empty one where
    /// there is no agent.
    pub board: StatusBoard,
    /// The runtime that waits for what scripts wait for.
    pub runtime: Handle,
    /// Whether this is the service, and not a script that a person runs: plugins cannot end it.
    pub is_service: bool,
    /// Who else is to hear of every value that a script puts.
    pub publish: Option<Publish>,
    /// Where `require` looks, in order: directories. After them it looks in the library.
    pub modules: Vec<PathBuf>,
    /// The shipped Lua.
    pub library: Library,
    /// The file that `log.info` and `log.error` append to; the journal when there is none, or the
    /// standard error where this is not the service.
    pub log: Option<PathBuf>,
    /// The way to the runner, which executes what `cmd.exec` is given; none executes nothing.
    pub runner: Option<Client>,
    /// How doors for `/metrics` are opened; none opens none.
    pub listen: Option<Listen>,
}

impl HostOptions {
    /// A host for what a person runs: the machine's files, the Lua that is built in, no modules and
    /// no log of its own.
    pub fn new(store: Store, runtime: Handle) -> Self {
        Self {
            store,
            root: Root::machine(),
            board: StatusBoard::new(),
            runtime,
            is_service: false,
            publish: None,
            modules: Vec::new(),
            library: Library::default(),
            log: None,
            runner: None,
            listen: None,
        }
    }
}

/// A script to run, and what it may use.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its name: its file's without `.lua`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What is in it; none when the file is to be read.
    pub code: Option<Arc<[u8]>>,
    /// What it finds as `plugin.options`.
    pub options: Options,
    /// What it may use.
    pub limits: Limits,
    /// What one run of a function of `plugin.every` may take, waiting included.
    pub deadline: Duration,
}

/// How a script ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// It ran to its end.
    Returned,
    /// It failed, or was ended.
    Failed(ScriptError),
}

/// The host. Clones share it.
#[derive(Clone, Debug)]
pub struct Host {
    services: Arc<Services>,
}

/// A script that runs or ran. Clones share it.
#[derive(Clone, Debug)]
pub struct Run {
    shared: Arc<Shared>,
    stop: Arc<watch::Sender<bool>>,
    hurry: Arc<Notify>,
    ending: watch::Receiver<Option<Ending>>,
    /// True when no thread has a turn of it any more.
    released: watch::Receiver<bool>,
}

/// How a script fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunStatus {
    /// How many runs ended well: each run of a function of `plugin.every`, the script itself, and
    /// what a script that goes on for ever does between two pauses.
    pub runs: u64,
    /// How many turns there were, with the one that closes the state.
    pub turns: u64,
    /// How long the last run took, waiting included.
    pub last_run: Duration,
    /// How many samples it has put.
    pub samples: u64,
    /// For how long turns have run, all together.
    pub ran: Duration,
    /// For how long the turn that runs now has run.
    pub in_turn: Option<Duration>,
    /// For how long its next turn has waited for a place among those of its kin: of all that one
    /// script runs with `plugin.new`, few have a turn at the same time.
    pub awaits_place: Option<Duration>,
    /// For how long its next turn has waited for a thread.
    pub awaits_thread: Option<Duration>,
    /// Memory of its state and of those of all that it runs, each after its last turn, in bytes.
    pub memory: usize,
}

#[derive(Debug)]
struct Shared {
    script: Script,
    budget: Arc<Budget>,
    clock: Clock,
    tally: Arc<Tally>,
    turns: AtomicU64,
    ran: AtomicU64,
    /// When the turn that runs now began, or zero.
    turn: AtomicU64,
    /// When the turn that waits for a place asked for it, or zero.
    waits: AtomicU64,
    /// When the turn that waits for a thread asked for it, or zero.
    asked: AtomicU64,
    account: Arc<Account>,
}

impl Host {
    /// A host without scripts.
    pub fn new(options: HostOptions) -> Self {
        let collectors = Arc::new(Registry::new(options.store.clone()));
        options.runtime.spawn(renew(Arc::downgrade(&collectors)));
        let services = Services {
            register: Register::new(options.board.clone(), options.store.clone()),
            pool: Pool::new(options.store.clock().clone()),
            descendants: Quota::new(DESCENDANTS_MAX),
            plugins: RwLock::default(),
            library: options.library,
            store: options.store,
            root: options.root,
            board: options.board,
            speeds: Speeds::default(),
            filesystems: Mutex::default(),
            runtime: options.runtime,
            is_service: options.is_service,
            publish: options.publish,
            modules: RwLock::new(options.modules),
            log: options.log.map(LogFile::new),
            http: Clients::default(),
            collectors,
            runner: options.runner,
            listen: options.listen,
        };
        Self {
            services: Arc::new(services),
        }
    }

    /// The host that has these services.
    pub(super) fn of(services: Arc<Services>) -> Self {
        Self { services }
    }

    /// What is shared by everything that runs here.
    pub(super) fn parts(&self) -> (Arc<Services>, Pool) {
        (Arc::clone(&self.services), self.services.pool.clone())
    }

    pub(super) fn services(&self) -> Arc<Services> {
        Arc::clone(&self.services)
    }

    /// Starts a script. The file is read when its first turn comes.
    pub fn start(&self, script: Script) -> Run {
        let account = Account::new(script.limits.memory);
        self.begin(script, account, Vec::new())
    }

    /// Starts ZaLua's first script: the plugins that it runs stand apart from it.
    pub(super) fn start_first(&self, script: Script) -> Run {
        let account = Account::first(script.limits.memory);
        self.begin(script, account, Vec::new())
    }

    /// Starts a script that another one runs, when no thread has a turn of those runs before it any
    /// more.
    pub(super) fn start_child(&self, script: Script, of: &Arc<Account>, before: Vec<Run>) -> Run {
        let account = of.child(script.limits.memory);
        self.begin(script, account, before)
    }

    fn begin(&self, script: Script, account: Arc<Account>, before: Vec<Run>) -> Run {
        let (stop, mut stopped) = watch::channel(false);
        let (end, ending) = watch::channel(None);
        let (release, released) = watch::channel(false);
        let clock = self.services.store.clock().clone();
        let budget = Arc::new(Budget::new(clock.clone(), script.limits));
        let context = Context::new(Arc::clone(&self.services), &script, budget, account);
        let shared = Arc::new(Shared {
            script,
            budget: Arc::clone(&context.budget),
            clock,
            tally: Arc::clone(&context.tally),
            turns: AtomicU64::default(),
            ran: AtomicU64::default(),
            turn: AtomicU64::default(),
            waits: AtomicU64::default(),
            asked: AtomicU64::default(),
            account: Arc::clone(&context.account),
        });
        let (collectors, own) = (Arc::clone(&self.services.collectors), context.run);
        let context = Arc::new(context);
        let pool = self.services.pool.clone();
        let observer = Arc::clone(&shared);
        let hurry = Arc::new(Notify::new());
        let wake = Arc::clone(&hurry);
        self.services.runtime.spawn(async move {
            for before in before {
                tokio::select! {
                    biased;
                    () = before.released() => {}
                    // It begins no more; whoever could stop it may also be gone.
                    _ = stopped.wait_for(|stop| *stop) => context.budget.stop(),
                }
            }
            let children = Arc::clone(&context);
            let (result, left) = run(pool, context, observer, stopped, wake).await;
            let ending = match result {
                Ok(()) => Ending::Returned,
                Err(error) => Ending::Failed(error),
            };
            children.children.end().await;
            drop(children);
            // A state that was left behind in the middle of a turn has its context for longer.
            collectors.end(own);
            // Nobody may want to know either. Who sees the end can see whether a thread is held.
            if left.is_none() {
                release.send_replace(true);
            }
            end.send_replace(Some(ending));
            if let Some(left) = left {
                drop(left.await);
                release.send_replace(true);
            }
        });
        Run {
            shared,
            stop: Arc::new(stop),
            hurry,
            ending,
            released,
        }
    }
}

/// Puts what scripts' collectors have into the store again and again, until the host is gone.
async fn renew(collectors: Weak<Registry>) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        match collectors.upgrade() {
            Some(collectors) => collectors.renew(),
            None => return,
        }
    }
}

/// Runs a script; gives how it ended, and its last turn when that was left behind.
async fn run(
    pool: Pool,
    context: Arc<Context>,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
    hurry: Arc<Notify>,
) -> (Result<(), ScriptError>, Option<Left>) {
    let (path, name) = (
        shared.script.path.clone(),
        shared.script.path.display().to_string(),
    );
    let code = shared.script.code.clone();
    if shared.budget.is_stopped() {
        return (Err(ScriptError::of(&name, Fault::Stopped)), None);
    }
    shared.tally.begins();
    let called = name.clone();
    let make = move |engine: &mut Engine| {
        let fails = |text| ScriptError::of(&called, text);
        let source = match code {
            Some(code) => code,
            None => read(&path)
                .map_err(|error| fails(Fault::Unreadable(with_causes(&error))))?
                .into(),
        };
        let state = State::new(context, &called)
            .map_err(|error| fails(Fault::Host(with_causes(&error))))?;
        engine.hold(state).compile(&source)
    };
    let mut driver = Driver {
        engine: Some(Engine::new(pool.clone(), name.clone())),
        pool,
        name: name.clone(),
        budget: Arc::clone(&shared.budget),
        account: Arc::clone(&shared.account),
        left: None,
        stop,
        hurry,
        deadline: shared.script.deadline,
        observer: Arc::clone(&shared) as Arc<dyn Observer>,
    };
    let result = driver.run(make).await;
    let result = match (result, driver.close().await) {
        // Whoever has read enough and closes the pipe is no error.
        (Ok(()), Ok(Err(error))) if error.kind() != io::ErrorKind::BrokenPipe => {
            let text = format!("cannot write to the standard output: {error}");
            Err(ScriptError::of(&name, Fault::Host(text)))
        }
        (result, _) => result,
    };
    (result, driver.left)
}

fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    crate::telemetry::log::chain(error).to_string()
}

impl Run {
    /// The script that it is a run of.
    pub fn script(&self) -> &Script {
        &self.shared.script
    }

    /// Has the script end. It does so at its next instruction or in the middle of what it waits for;
    /// a turn that hangs in a call of the library or the system is left behind after a second.
    pub fn stop(&self) {
        self.shared.budget.stop();
        self.stop.send_replace(true);
    }

    /// What it and all that it runs take.
    pub(super) fn account(&self) -> &Arc<Account> {
        &self.shared.account
    }

    /// Whether both are the same run.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Whether it was told to end, and may have.
    pub fn is_stopped(&self) -> bool {
        self.shared.budget.is_stopped()
    }

    /// Has the function of `plugin.every` that is due next run now.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// How it ended; none while it runs.
    pub fn ending(&self) -> Option<Ending> {
        self.ending.borrow().clone()
    }

    /// Waits for the end.
    pub async fn ended(&self) -> Ending {
        let mut ending = self.ending.clone();
        let lost = || ScriptError::of(&self.shared.script.name, Fault::Stopped);
        match ending.wait_for(Option::is_some).await {
            Ok(ending) => ending.clone().unwrap_or_else(|| Ending::Failed(lost())),
            // The runtime went away with it.
            Err(_) => Ending::Failed(lost()),
        }
    }

    /// Waits until no thread has a turn of it. That is when it has ended, but for a turn that hangs in
    /// a call of the library or the system and was left behind.
    pub async fn released(&self) {
        // An error means that the runtime went away with it.
        if self.released.clone().wait_for(|is| *is).await.is_err() {}
    }

    /// Whether no thread has a turn of it any more.
    pub(super) fn is_released(&self) -> bool {
        *self.released.borrow()
    }

    /// Whether it has ended and its last turn still has a thread.
    pub fn is_left_behind(&self) -> bool {
        self.ending.borrow().is_some() && !self.is_released()
    }

    /// How it fares.
    pub fn status(&self) -> RunStatus {
        let shared = &self.shared;
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let since = |moment: &AtomicU64| {
            let moment = count(moment);
            (moment != 0).then(|| shared.clock.now().since(Moment(moment)))
        };
        RunStatus {
            runs: shared.tally.runs(),
            turns: count(&shared.turns),
            last_run: shared.tally.last_run(),
            samples: shared.tally.samples(),
            ran: Duration::from_nanos(count(&shared.ran)),
            in_turn: since(&shared.turn),
            awaits_place: since(&shared.waits),
            awaits_thread: since(&shared.asked),
            memory: shared.account.sum(),
        }
    }
}

impl Observer for Shared {
    fn turn_waits(&self) {
        self.waits
            .store(self.clock.now().0.max(1), Ordering::Relaxed);
    }

    fn turn_asks(&self) {
        self.waits.store(0, Ordering::Relaxed);
        self.asked
            .store(self.clock.now().0.max(1), Ordering::Relaxed);
    }

    fn turn_begins(&self) {
        self.asked.store(0, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.turn
            .store(self.clock.now().0.max(1), Ordering::Relaxed);
    }

    fn turn_ends(&self) {
        let began = Moment(self.turn.swap(0, Ordering::Relaxed));
        self.ran.fetch_add(
            nanoseconds(self.clock.now().since(began)),
            Ordering::Relaxed,
        );
    }

    fn main_ended(&self) {
        self.tally.main_ended();
    }

    fn ran(&self, took: Duration) {
        self.tally.ran(took);
    }
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The name of the script in a file: the file's without `.lua`.
pub fn script_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(".lua").unwrap_or(&name).to_owned()
}
