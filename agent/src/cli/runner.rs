//! `moonward runner`: the process that executes programs.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lexopt::Parser;
use rustix::fs::{Mode, OFlags};
use tokio::signal::unix::{SignalKind, signal};
use tracing::Level;

use super::verb::{Given, Stopped, Verb};
use super::{exit, output};
use crate::app::listeners::Inherited;
use crate::app::notify::Notifier;
use crate::model::Clock;
use crate::probe::{close_in_children, inherited};
use crate::runner::{Door, Policy, SYSTEM_FILE, Server};
use crate::telemetry::log::{Log, Settings, chain};

/// The verb.
pub static VERB: Verb = Verb {
    name: "runner",
    summary: "execute the programs that the service may ask for",
    help: "\
Usage: moonward runner [OPTIONS]

Executes what the service, which never executes anything itself, asks for: commands of plugins,
above all. Under systemd it is started by moonward-runner.socket and executes what is on the
allow-list, for root and for the user that the list names. SIGHUP has it read the list again; a
list with mistakes changes nothing, and at the start it allows nothing.

A command has the environment PATH, LANG and HOME, the directory / and a process group of its own,
of which nothing is left when it is over. What has left the group (setsid) is killed as well, once no
command runs that was there before it and may have started it.

Options
  --config FILE      the allow-list; default /etc/moonward/runner.toml
  --check            print every mistake in the allow-list and exit; the exit status is 0 when
                     there is none, else 78
  --stdin            serve the connected unix socket that is the standard input, and end with it;
                     the user who started it may ask, too
  --allow-all        no allow-list: whatever this user may execute
  --quiet            log warnings and errors only
",
    options: &["config", "check", "stdin", "allow-all", "quiet"],
};

/// The name that the socket unit gives the socket.
const SOCKET_NAME: &str = "runner";

/// How long the log may take to be written at the end.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// Runs the verb.
pub fn run(parser: &mut Parser) -> Result<u8, Stopped> {
    let given = VERB.read(parser, 0)?;
    if given.has("allow-all") && (given.has("check") || given.config.is_some()) {
        return Err(VERB.wrong("--allow-all goes without an allow-list"));
    }
    let list = Path::new(SYSTEM_FILE);
    let list = given.config.as_deref().unwrap_or(list).to_owned();
    if given.has("check") {
        return Ok(check(&list));
    }
    // First of all: before this process opens descriptors of its own.
    let door = match door(&given) {
        Ok(door) => door,
        Err((status, message)) => {
            output::complain(&message);
            return Ok(status);
        }
    };
    if let Err(error) = close_in_children() {
        output::complain(&format!("open descriptors cannot be listed: {error}"));
        return Ok(exit::UNAVAILABLE);
    }
    let settings = Settings {
        level: if given.has("quiet") {
            Level::WARN
        } else {
            Level::INFO
        },
        ..Settings::default()
    };
    let log = match Log::start(settings, Clock::System, || {}) {
        Ok(log) => log,
        Err(error) => {
            output::complain(&chain(&error).to_string());
            return Ok(exit::SOFTWARE);
        }
    };
    let list = (!given.has("allow-all")).then_some(list);
    let status = match serve(door, list.as_deref(), given.has("stdin")) {
        Ok(()) => exit::OK,
        Err(error) => {
            tracing::error!(%error, "the runner cannot serve; ending");
            exit::SOFTWARE
        }
    };
    log.finish(LOG_PATIENCE);
    Ok(status)
}

fn check(list: &Path) -> u8 {
    match Policy::load(list) {
        Ok(_) => output::print(b"the allow-list has no mistakes\n"),
        Err(mistakes) => {
            output::complain_raw(&format!("{mistakes}\n"));
            exit::CONFIGURATION
        }
    }
}

/// The socket that systemd or the standard input gave.
fn door(given: &Given) -> Result<Door, (u8, String)> {
    if given.has("stdin") {
        return standard_input()
            .map_err(|error| (exit::UNAVAILABLE, format!("the standard input: {error}")));
    }
    match Inherited::new(inherited()).unix(SOCKET_NAME) {
        Ok(Some(listener)) => Ok(Door::Listening(listener)),
        Ok(None) => Err((
            exit::UNAVAILABLE,
            "there is no socket to serve; `systemctl start moonward-runner.socket` brings one, and \
             --stdin serves the standard input"
                .to_owned(),
        )),
        Err(error) => Err((exit::UNAVAILABLE, chain(&error).to_string())),
    }
}

/// Takes the socket that is descriptor 0, and leaves `/dev/null` in its place.
fn standard_input() -> io::Result<Door> {
    let socket: OwnedFd = io::stdin().as_fd().try_clone_to_owned()?;
    let door = Door::connected(socket)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(null)?;
    Ok(door)
}

/// Serves until the door is closed or a signal ends it.
fn serve(door: Door, list: Option<&Path>, by_hand: bool) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let notifier = Notifier::from_environment().unwrap_or_else(|error| {
        tracing::warn!(error = %chain(&error), "systemd cannot be told anything");
        Notifier::off()
    });
    runtime.block_on(async {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut server = Server::new(first_policy(list, &notifier), home());
        if let Err(error) = server.adopt() {
            tracing::warn!(
                %error,
                "processes that leave the group of their command (setsid) outlive it here"
            );
        }
        let server = Arc::new(if by_hand {
            server.for_own_user()
        } else {
            server
        });
        let told = async {
            loop {
                tokio::select! {
                    biased;
                    _ = terminate.recv() => break,
                    _ = interrupt.recv() => break,
                    _ = hangup.recv() => {
                        if let Some(list) = list {
                            reload(&server, list, &notifier);
                        }
                    }
                }
            }
            notifier.stopping("ending");
        };
        server.serve(door, told).await
    })
}

/// The policy at the start; with mistakes in it, nothing is allowed.
fn first_policy(list: Option<&Path>, notifier: &Notifier) -> Policy {
    let policy = match list.map(Policy::load) {
        None => Policy::everything(),
        Some(Ok(policy)) => policy,
        Some(Err(mistakes)) => {
            tracing::error!(
                mistakes = mistakes.list().len(),
                "the allow-list is bad, and nothing is allowed until it is mended"
            );
            for mistake in mistakes.list() {
                tracing::error!("{mistake}");
            }
            let first = mistakes.list().first().map(ToString::to_string);
            Policy::nothing(first.unwrap_or_default())
        }
    };
    notifier.ready(&headline(&policy));
    tracing::info!(allowed = headline(&policy), "ready");
    policy
}

/// Takes the list as it is now, if it has no mistakes.
fn reload(server: &Server, list: &Path, notifier: &Notifier) {
    notifier.reloading();
    match Policy::load(list) {
        Ok(policy) => {
            let headline = headline(&policy);
            server.set_policy(policy);
            tracing::info!(allowed = headline, "the allow-list was read again");
            notifier.ready(&headline);
        }
        Err(mistakes) => {
            tracing::error!(
                mistakes = mistakes.list().len(),
                "the new allow-list is bad, the old one holds"
            );
            for mistake in mistakes.list() {
                tracing::error!("{mistake}");
            }
            notifier.ready("the new allow-list is bad, the old one holds");
        }
    }
}

fn headline(policy: &Policy) -> String {
    match policy.entries() {
        None => "everything is allowed".to_owned(),
        Some(entries) => format!("{entries} entries on the allow-list"),
    }
}

/// What commands find in `HOME`.
fn home() -> OsString {
    std::env::var_os("HOME")
        .filter(|home| Path::new(home).is_absolute())
        .unwrap_or_else(|| "/".into())
}
