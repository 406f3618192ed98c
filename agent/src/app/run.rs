//! The order of a run: signals, configuration, log, probes, privileges, store, doors, tasks,
//! READY=1; then orders and signals until the end; then the same backwards.
//!
//! Every step logs one line with what it decided.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::listeners::Inherited;
use super::notify::Notifier;
use super::probing::{self, SharedProbes};
use super::service::Service;
use super::signals::Signals;
use super::{banner, privileges, scripts};
use crate::cli::exit;
use crate::config::{Config, ConfigPaths, Environment, Problems};
use crate::model::Clock;
use crate::probe::{self, Probes};
use crate::runner::Client;
use crate::store::Store;
use crate::telemetry::StatusBoard;
use crate::telemetry::log::{Destination, Log, Settings, chain};

/// How long the log may take to be written at the end.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// The most threads for work that may block: snapshots, name look-ups, the Zabbix catalogue.
const BLOCKING_THREADS: usize = 4;

/// How a run differs from the service that systemd starts.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// The configuration file, when it is not where it is by default.
    pub config: Option<PathBuf>,
    /// The socket of ZaLua's clients, when one of them starts the service.
    pub zalua_socket: Option<PathBuf>,
    /// ZaLua's first script, when one of its clients starts the service and there is one.
    pub zalua_init: Option<PathBuf>,
}

/// What the steps before the runtime have made.
pub(super) struct Prepared {
    pub(super) options: RunOptions,
    pub(super) environment: Environment,
    pub(super) config: Config,
    pub(super) log: Log,
    pub(super) notifier: Arc<Notifier>,
    /// The way to whoever executes programs for plugins.
    pub(super) runner: Option<Client>,
    /// Whether a person has started it, and not a service manager or a ZaLua client.
    pub(super) by_hand: bool,
    pub(super) signals: Signals,
    pub(super) inherited: Inherited,
    pub(super) probes: SharedProbes,
    pub(super) store: Store,
    pub(super) board: StatusBoard,
}

impl RunOptions {
    /// Reads the configuration that this run is to have.
    pub(super) fn load(&self, environment: &Environment) -> Result<Config, Problems> {
        let paths = self
            .config
            .clone()
            .map_or_else(ConfigPaths::system, ConfigPaths::file);
        let mut config = Config::load(&paths, environment)?;
        if self.zalua_socket.is_some() {
            config.zalua.socket.clone_from(&self.zalua_socket);
            config.zalua.init.clone_from(&self.zalua_init);
        }
        Ok(config)
    }

    /// Whether a client of ZaLua's starts the service, and its first script stands for all plugins.
    pub(super) fn is_zaluas(&self) -> bool {
        self.zalua_socket.is_some() && self.zalua_init.is_some()
    }
}

/// Runs the service until it is told to end; gives the exit status (see [`exit`]).
pub fn run(options: RunOptions) -> u8 {
    // First of all: a signal without a receiver ends the process, and systemd takes an end by
    // SIGHUP for one in good order, which is not undone.
    let (runtime, signals) = match receive_signals() {
        Ok(both) => both,
        Err(error) => {
            complain(&format!("the runtime cannot be started: {error}"));
            return exit::SOFTWARE;
        }
    };
    let environment = Environment::current();
    let config = match options.load(&environment) {
        Ok(config) => config,
        Err(problems) => {
            complain(&format!(
                "the configuration has mistakes, nothing was started:\n{problems}"
            ));
            return exit::CONFIGURATION;
        }
    };
    let settings = Settings {
        level: config.agent.log_level.into(),
        destination: Destination::Automatic,
    };
    let log = match Log::start(settings, Clock::System, give_up_in_log_thread) {
        Ok(log) => log,
        Err(error) => {
            complain(&format!("the log cannot be started: {}", chain(&error)));
            return exit::SOFTWARE;
        }
    };
    match prepare(options, environment, config, log, signals) {
        Ok(prepared) => serve(&runtime, prepared),
        Err((log, status)) => {
            log.finish(LOG_PATIENCE);
            status
        }
    }
}

/// The runtime, which has no thread of its own yet, and the signals that wait in it until the
/// service obeys them.
fn receive_signals() -> std::io::Result<(Runtime, Signals)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()?;
    let signals = {
        let _entered = runtime.enter();
        Signals::new()?
    };
    Ok((runtime, signals))
}

fn give_up_in_log_thread() {
    if let Err(error) = privileges::drop_in_this_thread() {
        // The main thread finds out and refuses to go on.
        tracing::error!(error = %chain(&error), "the log's thread keeps its capabilities");
    }
}

/// Everything up to the drop of privileges.
fn prepare(
    options: RunOptions,
    environment: Environment,
    config: Config,
    log: Log,
    signals: Signals,
) -> Result<Prepared, (Log, u8)> {
    let notifier = Arc::new(Notifier::from_environment().unwrap_or_else(|error| {
        tracing::warn!(error = %chain(&error), "the service manager is not told about this run");
        Notifier::off()
    }));
    // A service manager that cannot be reached is one all the same.
    let is_managed = Notifier::is_wanted();
    let by_hand = !is_managed && options.zalua_socket.is_none();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        files = config.files.len(),
        hostname = config.agent.hostname,
        "starting"
    );
    let board = StatusBoard::new();
    let store = Store::new(Clock::System, config.store.limits());
    let (probes, inherited) = load_probes(&config, probe::inherited(), &notifier, &board);
    // The last program that is started, with what the agent may do now and not for long.
    let runner = scripts::runner(&config, &environment, is_managed);
    match privileges::drop_all() {
        Ok(dropped) => tracing::info!(threads = dropped.threads, "{dropped}"),
        Err(error) => {
            tracing::error!(error = %chain(&error), "capabilities cannot be given up; ending");
            return Err((log, exit::PERMISSION));
        }
    }
    let inherited = Inherited::new(inherited);
    Ok(Prepared {
        options,
        environment,
        config,
        log,
        notifier,
        runner,
        by_hand,
        signals,
        inherited,
        probes,
        store,
        board,
    })
}

fn load_probes(
    config: &Config,
    inherited: Vec<(String, OwnedFd)>,
    notifier: &Notifier,
    board: &StatusBoard,
) -> (SharedProbes, Vec<(String, OwnedFd)>) {
    let begun = Clock::System.now();
    let (probes, inherited) = Probes::load(probing::wanted(&config.probe), inherited);
    let active = probes
        .verdicts()
        .iter()
        .filter(|program| program.verdict.is_active())
        .count();
    tracing::info!(
        attached = active,
        programs = probes.verdicts().len(),
        objects_continued = probes.adopted().len(),
        map_bytes = probes.map_memory(),
        milliseconds = Clock::System.now().since(begun).as_secs_f64() * 1000.0,
        "probes loaded"
    );
    for (reason, programs) in unattached(&probes) {
        tracing::warn!(programs, reason, "some probes are not attached");
    }
    for name in probes.obsolete_descriptors() {
        if let Err(error) = notifier.forget(name) {
            tracing::warn!(name, error = %chain(&error), "systemd keeps a descriptor of no use");
        }
    }
    for (name, descriptor) in probes.stored_descriptors() {
        if let Err(error) = notifier.keep(&name, descriptor) {
            tracing::warn!(name, error = %chain(&error), "counters will not survive a restart");
        }
    }
    let probes = Arc::new(Mutex::new(probes));
    probing::show(&probes, board);
    (probes, inherited)
}

/// The programs that are not attached, by the reason: one line a reason, not one a program.
fn unattached(probes: &Probes) -> BTreeMap<&str, String> {
    let mut reasons: BTreeMap<&str, String> = BTreeMap::new();
    for program in probes.verdicts() {
        if let Some(reason) = program.verdict.reason() {
            let programs = reasons.entry(reason).or_default();
            let separator = if programs.is_empty() { "" } else { ", " };
            programs.push_str(separator);
            programs.push_str(program.program);
        }
    }
    reasons
}

/// From the doors to the end.
fn serve(runtime: &Runtime, prepared: Prepared) -> u8 {
    let (sender, orders) = mpsc::channel(8);
    let by_hand = prepared.by_hand;
    let local = tokio::task::LocalSet::new();
    let (status, log) = local.block_on(runtime, async {
        match Service::start(prepared, sender).await {
            Ok(mut service) => {
                if by_hand {
                    banner::show(&service);
                }
                let status = service.obey(orders).await;
                (status, service.end().await)
            }
            Err((log, status)) => (status, log),
        }
    });
    // On standard error whoever does not take the log does not take a complaint either, and to
    // wait for that would be to wait for ever.
    let elsewhere = log.destination() == Destination::Journal;
    if !log.finish(LOG_PATIENCE) && elsewhere {
        complain("the end of the log could not be written in time");
    }
    status
}

/// A line for whoever started the program, where there is no log.
fn complain(text: &str) {
    // There is no other place to report to.
    if writeln!(std::io::stderr().lock(), "moonward: {}", text.trim_end()).is_err() {}
}
