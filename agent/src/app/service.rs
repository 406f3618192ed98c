//! The running service: what it is made of, the orders it obeys, and its end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::doors::{self, ControlSocket, Zabbix};
use super::notify::Notifier;
use super::probing::SharedProbes;
use super::run::{Prepared, RunOptions};
use super::state::State;
use super::supervisor::Supervisor;
use super::{plan, reload, tasks};
use crate::cli::exit;
use crate::collect::schedule::Running;
use crate::collect::unit::UnitWatch;
use crate::config::{Config, Environment};
use crate::model::Moment;
use crate::serve::control::AppCommand;
use crate::store::Store;
use crate::telemetry::StatusBoard;
use crate::telemetry::log::{Log, chain};

/// How long tasks may take to end.
const DRAIN: Duration = Duration::from_secs(5);

/// How long the collector that is running may take to come back at the end.
const COLLECTOR_GRACE: Duration = Duration::from_secs(5);

/// How long READY=1 waits for the first round at most: a hanging file must not fail the start.
const FIRST_ROUND: Duration = Duration::from_secs(5);

/// The service while it runs.
pub(super) struct Service {
    pub(super) options: RunOptions,
    pub(super) environment: Environment,
    pub(super) config: Config,
    pub(super) log: Log,
    pub(super) notifier: Arc<Notifier>,
    pub(super) probes: SharedProbes,
    pub(super) store: Store,
    pub(super) board: StatusBoard,
    pub(super) zabbix: Zabbix,
    pub(super) control_path: String,
    pub(super) started: Moment,
    pub(super) schedule: Option<Running>,
    /// How systemd's units are watched; `None` when they are not.
    pub(super) units: watch::Sender<Option<UnitWatch>>,
    /// How often the snapshot is written; `None` when it is not.
    pub(super) snapshots: watch::Sender<Option<Duration>>,
    pub(super) state: State,
    signals: Signals,
    supervisor: Supervisor,
    own_sockets: Vec<PathBuf>,
}

impl Service {
    /// Opens the doors and starts the tasks; READY=1 when everything answers and the first round
    /// of values is there.
    pub(super) async fn start(
        prepared: Prepared,
        orders: mpsc::Sender<AppCommand>,
    ) -> Result<Self, (Log, u8)> {
        let Prepared {
            options,
            environment,
            config,
            log,
            notifier,
            mut inherited,
            ..
        } = prepared;
        let (probes, store, board) = (prepared.probes, prepared.store, prepared.board);
        // Before anybody can know the process: a signal without a receiver would end it.
        let signals = match Signals::new() {
            Ok(signals) => signals,
            Err(error) => {
                tracing::error!(%error, "signals cannot be received; ending");
                return Err((log, exit::SOFTWARE));
            }
        };
        let control = match doors::control(&mut inherited, &config.control.socket) {
            Ok(control) => Some(control),
            // ZaLua's clients have their own socket, and may start theirs beside a running agent.
            Err(error) if options.zalua_socket.is_some() => {
                tracing::warn!(error = %chain(&error), "there is no control socket");
                None
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "the control socket is not to be had; ending");
                return Err((log, exit::UNAVAILABLE));
            }
        };
        let by_hand = !notifier.is_on() && options.zalua_socket.is_none();
        let zabbix = doors::zabbix(&config.zabbix, &mut inherited, by_hand, &store, &board);
        let zalua = doors::zalua(&config, &board);
        if options.zalua_socket.is_some() && zalua.is_none() {
            return Err((log, crate::serve::zalua::daemon::NOT_LISTENING));
        }
        for name in inherited.names() {
            tracing::warn!(
                name,
                "systemd passed a descriptor that nothing here is named for"
            );
        }
        let own_sockets = own_sockets(control.as_ref(), zalua.is_some(), &config);
        let state = State::new(&config, &board);
        if config.store.snapshot {
            state.restore(&store);
        }
        let mut service = Self {
            started: store.clock().now(),
            control_path: control
                .as_ref()
                .map(|control| control.path.clone())
                .unwrap_or_default(),
            schedule: None,
            units: watch::Sender::new(plan::unit_watch(&config.collect)),
            snapshots: watch::Sender::new(plan::snapshots(&config.store)),
            state,
            signals,
            supervisor: Supervisor::default(),
            options,
            environment,
            config,
            log,
            notifier,
            probes,
            store,
            board,
            zabbix,
            own_sockets,
        };
        service.start_schedule();
        let runtime = tasks::spawn(
            &mut service,
            control.map(|control| control.listener),
            zalua,
            orders,
        );
        service.watch_over(runtime);
        service.wait_for_first_round().await;
        if let Some(items) = &service.zabbix.items {
            // Discovery documents are whole from the first question on.
            items.refresh();
        }
        service.notifier.ready(&service.headline());
        tracing::info!(series = service.store.status().series, "ready");
        Ok(service)
    }

    pub(super) fn supervisor(&mut self) -> &mut Supervisor {
        &mut self.supervisor
    }

    /// Starts the collectors and probe readers on their thread.
    pub(super) fn start_schedule(&mut self) {
        let schedule = plan::schedule(&self.config, &self.store, &self.board, &self.probes);
        match schedule.start() {
            Ok(running) => self.schedule = Some(running),
            Err(error) => tracing::error!(error = %chain(&error), "nothing is collected"),
        }
    }

    /// Makes the schedule anew from the configuration.
    pub(super) fn restart_schedule(&mut self) {
        if let Some(schedule) = self.schedule.take()
            && let Err(error) = schedule.stop(COLLECTOR_GRACE)
        {
            tracing::warn!(error = %chain(&error), "collection did not end cleanly");
        }
        self.start_schedule();
    }

    fn watch_over(&mut self, runtime: crate::telemetry::Heartbeat) {
        let Some(watchdog) = tasks::watchdog(self, runtime) else {
            return;
        };
        let notifier = Arc::clone(&self.notifier);
        let mut watchdog = Some(watchdog);
        self.supervisor
            .spawn("watchdog", None, move |mut shutdown| {
                let (watchdog, notifier) = (watchdog.take(), Arc::clone(&notifier));
                async move {
                    let Some(watchdog) = watchdog else {
                        return Err("cannot be started twice".into());
                    };
                    tokio::select! {
                        () = watchdog.run(notifier) => {}
                        () = shutdown.wait() => {}
                    }
                    Ok(())
                }
            });
    }

    async fn wait_for_first_round(&self) {
        let Some(schedule) = &self.schedule else {
            return;
        };
        if tokio::time::timeout(FIRST_ROUND, schedule.first_round())
            .await
            .is_err()
        {
            tracing::warn!("the first round of collection is late; serving what there is");
        }
    }

    /// One line on how the service is, for `systemctl status`.
    pub(super) fn headline(&self) -> String {
        headline(&self.store, &self.board)
    }

    /// Obeys signals and orders until one of them ends the service; gives the exit status.
    pub(super) async fn obey(&mut self, mut orders: mpsc::Receiver<AppCommand>) -> u8 {
        loop {
            tokio::select! {
                _ = self.signals.hangup.recv() => {
                    // What went wrong is in the log and in the status line.
                    drop(reload::reload(self));
                }
                _ = self.signals.terminate.recv() => return self.told("SIGTERM"),
                _ = self.signals.interrupt.recv() => return self.told("SIGINT"),
                order = orders.recv() => match order {
                    Some(AppCommand::Stop(status)) => {
                        self.told("the control socket");
                        return status;
                    }
                    Some(AppCommand::Reload(reply)) => {
                        if reply.send(reload::reload(self)).is_err() {
                            tracing::debug!("who asked for the reload has gone");
                        }
                    }
                    None => return self.told("the end of all doors"),
                },
            }
        }
    }

    fn told(&self, by: &str) -> u8 {
        tracing::info!(by, "ending");
        self.notifier.stopping("ending");
        exit::OK
    }

    /// Stops collecting, closes the doors, writes the snapshot.
    pub(super) async fn end(mut self) -> Log {
        if let Some(schedule) = self.schedule.take()
            && let Err(error) = schedule.stop(COLLECTOR_GRACE)
        {
            tracing::warn!(error = %chain(&error), "collection did not end cleanly");
        }
        let left = self.supervisor.drain(DRAIN).await;
        if left > 0 {
            tracing::warn!(tasks = left, "some tasks did not end in time");
        }
        self.zabbix = Zabbix::default();
        if self.config.store.snapshot {
            self.state.save(&self.store);
        }
        for socket in &self.own_sockets {
            if let Err(error) = std::fs::remove_file(socket) {
                tracing::debug!(%error, socket = %socket.display(), "the socket was gone already");
            }
        }
        tracing::info!("ended");
        self.log
    }
}

/// One line on how the service is: how much it knows and how many parts work.
pub(super) fn headline(store: &Store, board: &StatusBoard) -> String {
    let active = board.count("active");
    let troubled = board.count("failed") + board.count("degraded");
    let series = store.status().series;
    format!("{series} series, {active} parts active, {troubled} failed or degraded")
}

fn own_sockets(control: Option<&ControlSocket>, zalua: bool, config: &Config) -> Vec<PathBuf> {
    let control = control
        .filter(|control| control.own)
        .map(|control| PathBuf::from(&control.path));
    let zalua = zalua.then(|| config.zalua.socket.clone()).flatten();
    control.into_iter().chain(zalua).collect()
}

/// The signals that the service obeys.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}
