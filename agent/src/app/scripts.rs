//! The plugins of the service: the thread that waits for them, their host and their supervisor.

use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::Access;
use tokio::sync::mpsc;

use super::service::Service;
use crate::config::{Config, Environment};
use crate::lua::{
    Ending, Host, HostOptions, Init, Library, Listen, Plan, RuntimeThread, Supervisor as Plugins,
};
use crate::probe;
use crate::runner::Client;
use crate::serve::control::AppCommand;
use crate::serve::zalua::daemon;
use crate::store::Store;
use crate::telemetry::log::chain;
use crate::telemetry::{Heartbeat, StatusBoard};

/// How often the runtime of plugins says that it is alive.
const BEAT: Duration = Duration::from_secs(2);

/// How long plugins may take to end: one that hangs is left behind after a second.
const GRACE: Duration = Duration::from_secs(3);

/// Everything that plugins need. The runtime goes last.
#[derive(Debug)]
pub(super) struct Scripts {
    plugins: Plugins,
    /// The sign of life of the runtime.
    pub(super) heart: Heartbeat,
    /// Whether ZaLua's first script stands for everything.
    alone: bool,
    runtime: RuntimeThread,
}

impl Scripts {
    /// Starts the plugins; returns at once. Nothing when there is no thread for them, which is
    /// logged.
    pub(super) fn start(
        config: &Config,
        alone: bool,
        store: &Store,
        board: &StatusBoard,
        runner: Option<Client>,
        listen: Listen,
    ) -> Option<Self> {
        let runtime = match RuntimeThread::start() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(error = %chain(&error), "no plugin runs: there is no thread for them");
                return None;
            }
        };
        let host = Host::new(HostOptions {
            board: board.clone(),
            is_service: true,
            modules: config.plugin.modules.clone(),
            library: Library::at(&config.plugin.library),
            log: config.zalua.log.clone(),
            runner,
            listen: Some(listen),
            ..HostOptions::new(store.clone(), runtime.handle().clone())
        });
        let heart = Heartbeat::new("lua", store.clock().clone());
        let beating = heart.clone();
        runtime.handle().spawn(async move {
            loop {
                beating.beat();
                tokio::time::sleep(BEAT).await;
            }
        });
        Some(Self {
            plugins: Plugins::start(&host, plan(config, alone)),
            heart,
            alone,
            runtime,
        })
    }

    /// Has the plugins follow a new configuration.
    pub(super) fn follow(&self, config: &Config) {
        self.plugins.follow(plan(config, self.alone));
    }

    /// Stops all plugins.
    pub(super) async fn end(self) {
        if !self.plugins.stop(GRACE).await {
            tracing::warn!("some plugins did not end in time");
        }
        drop(self.runtime);
    }
}

/// The way to whoever executes programs; nothing when none are to be executed. It is the configured
/// socket, but where no service manager has made that and this user finds none, a child with the
/// rights that the agent has now. Who chose the socket chose a runner with its allow-list: nobody
/// stands in for that one.
pub(super) fn runner(
    config: &Config,
    environment: &Environment,
    is_managed: bool,
) -> Option<Client> {
    let Some(socket) = &config.runner.socket else {
        tracing::info!("nothing is executed for plugins");
        return None;
    };
    // To connect is to write. Asking harms nothing, where to connect would start the runner's unit.
    let is_there = rustix::fs::access(socket, Access::WRITE_OK).is_ok();
    let is_chosen = *socket != environment.runner_socket();
    if is_managed || is_there || is_chosen {
        tracing::info!(socket = %socket.display(), "plugins have their commands executed there");
        return Some(Client::socket(socket));
    }
    // What the shell left open is not for the child either.
    if let Err(error) = probe::close_in_children() {
        tracing::warn!(%error, "the runner may inherit open descriptors");
    }
    let client = Client::child();
    match client.start_child_now() {
        Ok(()) => tracing::info!("a child executes for plugins, whatever they ask for"),
        // It is tried again with the first command.
        Err(error) => tracing::warn!(error = %chain(&error), "there is no runner yet"),
    }
    Some(client)
}

fn plan(config: &Config, alone: bool) -> Plan {
    let init = config.zalua.init.clone();
    Plan {
        config: config.plugin.clone(),
        init: init.map(|path| Init { path, alone }),
    }
}

/// The first script of a service that a client of ZaLua's has started. Where ZaLua has it by
/// default it may be absent; then the service runs its own plugins.
pub fn first_script(paths: &daemon::Paths) -> Option<PathBuf> {
    let is_default = paths.init == daemon::Paths::read(|_| None).init;
    (!is_default || paths.init.exists()).then(|| paths.init.clone())
}

/// Ends a service that a client of ZaLua's has started when its first script has ended: with ZaLua's
/// exit statuses.
pub(super) fn end_with_first_script(service: &mut Service, orders: &mpsc::Sender<AppCommand>) {
    let Some(scripts) = service.scripts.as_ref().filter(|scripts| scripts.alone) else {
        return;
    };
    let (ended, orders) = (scripts.plugins.init(), orders.clone());
    service
        .supervisor()
        .spawn("zalua-init", None, move |mut shutdown| {
            let (mut ended, orders) = (ended.clone(), orders.clone());
            async move {
                let status = async {
                    match ended.wait_for(Option::is_some).await.as_deref() {
                        Ok(Some(Ending::Failed(error))) => {
                            let message = format!("Settings file: {}", error.with_traceback());
                            daemon::log("FATAL", &message);
                            Some(daemon::FIRST_SCRIPT_FAILED)
                        }
                        Ok(_) => Some(0),
                        // The plugins have ended, since the service does.
                        Err(_) => None,
                    }
                };
                let status = tokio::select! {
                    status = status => status,
                    () = shutdown.wait() => None,
                };
                if let Some(status) = status
                    && orders.send(AppCommand::Stop(status)).await.is_err()
                {
                    tracing::debug!("the service is ending already");
                }
                shutdown.wait().await;
                Ok(())
            }
        });
}
