//! `moonward run`: the service in the foreground.

use std::io::Write;
use std::path::PathBuf;

use lexopt::Parser;

use super::verb::{Stopped, Verb};
use super::{exit, output};
use crate::app::listeners::bind_unix;
use crate::model::Clock;
use crate::serve::control::{self, AppCommand};
use crate::serve::zalua::{self, daemon};
use crate::store::{Store, StoreLimits};
use crate::telemetry::StatusBoard;

/// The verb.
pub static VERB: Verb = Verb {
    name: "run",
    summary: "run the service in the foreground",
    help: "\
Usage: moonward run [OPTIONS]

Runs the service until it is told to stop. Under systemd it is started by moonward.service.

Options
  --config FILE      read this file instead of /etc/moonward/moonward.toml and
                     /etc/moonward/conf.d/*.toml
  --zalua            be the service of ZaLua's clients: listen on $ZALUA_SOCKET, else
                     /tmp/zalua-mon.sock; log to $LOG_PATH, else /var/log/zabbix/zalua.log; end
                     when the socket is removed
",
    options: &["config", "zalua"],
};

/// What the command line says about a run.
#[derive(Debug, Default)]
pub struct Options {
    /// The configuration file, when it is not where it is by default.
    pub config: Option<PathBuf>,
    /// Where things are for ZaLua's clients, when one of them starts the service. The process has
    /// left its client then, and both outputs are the log.
    pub zalua: Option<daemon::Paths>,
}

/// Runs the verb.
pub fn run(parser: &mut Parser) -> Result<u8, Stopped> {
    let given = VERB.read(parser, 0)?;
    let mut options = Options {
        config: given.config,
        zalua: None,
    };
    if given.zalua {
        let paths = daemon::Paths::read(|name| std::env::var_os(name));
        if let Err(error) = daemon::detach(&paths) {
            output::complain_raw(&format!("{error}\n"));
            return Ok(error.status());
        }
        options.zalua = Some(paths);
    }
    Ok(doors(&options))
}

/// The doors alone, over an empty store.
fn doors(options: &Options) -> u8 {
    let clock = Clock::default();
    let log = |level: &str, message: &str| {
        let line = daemon::log_line(Clock::default().wall(), level, message);
        // There is no other place to report to.
        std::io::stderr().lock().write_all(line.as_bytes()).ok();
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        log("FATAL", "cannot start the runtime");
        return exit::SOFTWARE;
    };
    runtime.block_on(async {
        let store = Store::new(clock.clone(), StoreLimits::default());
        let board = StatusBoard::new();
        let (commands, mut received) = tokio::sync::mpsc::channel(4);
        let mut tasks = tokio::task::JoinSet::new();
        log("INFO", "Start server");
        for path in super::socket::candidates(None) {
            if let Ok(listener) = bind_unix(&path, 0o660) {
                let context = control::Context {
                    store: store.clone(),
                    board: board.clone(),
                    commands: commands.clone(),
                    started: clock.now(),
                };
                tasks.spawn(control::serve(listener, context, std::future::pending()));
                break;
            }
        }
        if let Some(paths) = options.zalua.clone() {
            log(
                "ERROR",
                &format!(
                    "Settings file: {}: not run, the Lua host is not part of this build",
                    paths.init.display()
                ),
            );
            let listener = match bind_unix(&paths.socket, 0o666) {
                Ok(listener) => listener,
                Err(error) => {
                    log("FATAL", &format!("Listen server: {error}"));
                    return daemon::NOT_LISTENING;
                }
            };
            let identity = zalua::identity(&clock);
            let door = zalua::Door::new(zalua::Context {
                store: store.clone(),
                board: board.clone(),
                commands: commands.clone(),
                identity: std::sync::Arc::clone(&identity),
            });
            tasks.spawn(door.serve(listener, std::future::pending()));
            tasks.spawn(async move {
                if daemon::watch_socket(&paths.socket, &identity, std::future::pending()).await {
                    commands.send(AppCommand::Stop(exit::OK)).await.ok();
                }
                Ok(())
            });
        }
        loop {
            match received.recv().await {
                Some(AppCommand::Stop(status)) => return status,
                Some(AppCommand::Reload(reply)) => {
                    // The client may have gone.
                    reply.send(Ok(())).ok();
                }
                None => return exit::SOFTWARE,
            }
        }
    })
}
