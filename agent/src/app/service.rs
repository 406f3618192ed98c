//! The running service: what it is made of, the orders it obeys, and its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::doors::{self, Zabbix};
use super::http::{self, HttpDoors};
use super::listeners::SocketFile;
use super::notify::Notifier;
use super::probing::SharedProbes;
use super::run::{Prepared, RunOptions};
use super::scripts::{self, Scripts};
use super::signals::{Signals, Wish};
use super::state::State;
use super::supervisor::Supervisor;
use super::zalua_storage::ZaluaStorage;
use super::{plan, reload, tasks};
use crate::cli::exit;
use crate::collect::schedule::Running;
use crate::collect::unit::UnitWatch;
use crate::config::{Config, Environment};
use crate::model::Moment;
use crate::serve::control::AppCommand;
use crate::store::Store;
use crate::telemetry::log::{Log, chain};
use crate::telemetry::{Heartbeat, StatusBoard};

/// How long tasks may take to end.
const DRAIN: Duration = Duration::from_secs(5);

/// How long the collector that is running may take to come back at the end.
const COLLECTOR_GRACE: Duration = Duration::from_secs(5);

/// How long the last snapshot may take.
const SNAPSHOT_TIME: Duration = Duration::from_secs(30);

/// How long READY=1 waits for the first round at most: a hanging file must not fail the start.
const FIRST_ROUND: Duration = Duration::from_secs(5);

/// The service while it runs.
pub(super) struct Service {
    pub(super) options: RunOptions,
    pub(super) environment: Environment,
    pub(super) config: Config,
    /// The configuration at the start, which still holds for every key that takes a restart.
    pub(super) started_with: Config,
    pub(super) log: Log,
    pub(super) notifier: Arc<Notifier>,
    pub(super) probes: SharedProbes,
    pub(super) store: Store,
    pub(super) board: StatusBoard,
    pub(super) zabbix: Zabbix,
    pub(super) http: HttpDoors,
    pub(super) control_path: String,
    pub(super) started: Moment,
    pub(super) schedule: Option<Running>,
    /// The sign of life of the collecting thread, also of one that a reload has made anew.
    pub(super) collecting: Heartbeat,
    /// How systemd's units are watched; `None` when they are not.
    pub(super) units: watch::Sender<Option<UnitWatch>>,
    /// How often the snapshot is written; `None` when it is not.
    pub(super) snapshots: watch::Sender<Option<Duration>>,
    /// How often what the Zabbix doors answer from looks at what there is to discover.
    pub(super) zabbix_looks: watch::Sender<Duration>,
    pub(super) state: State,
    pub(super) zalua_storage: Option<ZaluaStorage>,
    /// The plugins; `None` when there is no thread for them.
    pub(super) scripts: Option<Scripts>,
    signals: Signals,
    supervisor: Supervisor,
    /// The files of the sockets that were bound here; they go at the end.
    socket_files: Vec<SocketFile>,
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
            runner,
            by_hand,
            signals,
            mut inherited,
            probes,
            store,
            board,
        } = prepared;
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
        let zabbix = doors::zabbix(&config.zabbix, &mut inherited, by_hand, &store, &board);
        let http = http::open(&config.http, &mut inherited, by_hand, &store, &board);
        let (zalua, zalua_file) = doors::zalua(&config, &mut inherited, &board);
        if options.zalua_socket.is_some() && zalua.is_none() {
            return Err((log, crate::serve::zalua::daemon::NOT_LISTENING));
        }
        for name in inherited.names() {
            tracing::warn!(
                name,
                "systemd passed a descriptor that nothing here is named for"
            );
        }
        let control_path = control.as_ref().map(|control| control.path.clone());
        let (control, control_file) = control.map_or((None, None), |control| {
            (Some(control.listener), control.file)
        });
        let state = State::new(&config, &board);
        if config.store.snapshot {
            state.restore(&store);
        }
        let zalua_storage = ZaluaStorage::new(&config.zalua, &board);
        if let Some(storage) = &zalua_storage {
            storage.restore(&store);
        }
        let mut service = Self {
            started: store.clock().now(),
            control_path: control_path.unwrap_or_default(),
            schedule: None,
            collecting: Heartbeat::new("collect", store.clock().clone()),
            units: watch::Sender::new(plan::unit_watch(&config.collect)),
            snapshots: watch::Sender::new(plan::snapshots(&config.store)),
            zabbix_looks: watch::Sender::new(plan::zabbix_looks(&config.collect)),
            state,
            zalua_storage,
            scripts: None,
            signals,
            supervisor: Supervisor::default(),
            options,
            environment,
            started_with: config.clone(),
            config,
            log,
            notifier,
            probes,
            store,
            board,
            zabbix,
            http,
            socket_files: control_file.into_iter().chain(zalua_file).collect(),
        };
        service.start_schedule();
        let runtime = tasks::spawn(&mut service, control, zalua, orders.clone());
        service.scripts = Scripts::start(
            &service.config,
            service.options.is_zaluas(),
            &service.store,
            &service.board,
            runner,
            service.http.plugins.clone().listen(),
        );
        scripts::end_with_first_script(&mut service, &orders);
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
        let schedule = plan::schedule(&self.config, &self.store, &self.board, &self.probes)
            .with_heartbeat(self.collecting.clone());
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

    fn watch_over(&mut self, runtime: Heartbeat) {
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
                wish = self.signals.next() => match wish {
                    // What went wrong is in the log and in the status line.
                    Wish::Reload => drop(reload::reload(self)),
                    Wish::End(signal) => return self.told(signal),
                },
                order = orders.recv() => match order {
                    Some(AppCommand::Stop(status)) => {
                        self.told("an order through a door");
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

    /// Stops collecting and the plugins, closes the doors, writes the snapshot.
    pub(super) async fn end(mut self) -> Log {
        if let Some(schedule) = self.schedule.take()
            && let Err(error) = schedule.stop(COLLECTOR_GRACE)
        {
            tracing::warn!(error = %chain(&error), "collection did not end cleanly");
        }
        if let Some(scripts) = self.scripts.take() {
            scripts.end().await;
        }
        // While the sockets are still held: a file at the same path cannot be taken for theirs.
        self.socket_files.clear();
        let left = self.supervisor.drain(DRAIN).await;
        if left > 0 {
            tracing::warn!(tasks = left, "some tasks did not end in time");
        }
        self.zabbix = Zabbix::default();
        // The watch over them has ended; what plugins still hold closes with them.
        drop(self.http);
        if self.config.store.snapshot {
            // A busy disk is no reason to lose it to TimeoutStopSec=.
            self.notifier.extend_timeout(SNAPSHOT_TIME);
            self.state.save(&self.store);
        }
        if let Some(storage) = &self.zalua_storage {
            self.notifier.extend_timeout(SNAPSHOT_TIME);
            storage.save(&self.store);
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
