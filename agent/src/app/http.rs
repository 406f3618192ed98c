//! Opens the HTTP doors, brings what they count to the board and the store, and renews what guards
//! them.

use std::net::TcpListener;
use std::sync::Arc;

use super::listeners::Inherited;
use super::plugin_doors::PluginDoors;
use crate::config::HttpConfig;
use crate::model::{Batch, Unit};
use crate::serve::http::{Access, AccessError, AccessFiles, Door, Http};
use crate::store::Store;
use crate::telemetry::log::chain;
use crate::telemetry::{Part, Room, StatusBoard, Verdict};

/// The port that the doors have by default.
const PORT: u16 = 61_777;

/// The name of the page, and that systemd gives the sockets (`FileDescriptorName=`).
pub(super) const NAME: &str = "http";

/// The doors that the configuration and systemd opened, and what answers behind them.
#[derive(Debug)]
pub(super) struct HttpDoors {
    /// One per listening socket.
    pub doors: Arc<[Door]>,
    /// What answers.
    pub http: Http,
    /// Further doors on it, which plugins open.
    pub plugins: PluginDoors,
}

/// Opens the HTTP doors: the sockets that systemd passed, the address that is configured, and, when
/// the agent was started by hand and neither is there, loopback.
pub(super) fn open(
    config: &HttpConfig,
    inherited: &mut Inherited,
    by_hand: bool,
    store: &Store,
    board: &StatusBoard,
) -> HttpDoors {
    let part = board.part(Room::Door, NAME, Verdict::Off);
    let http = Http::new(store.clone(), board.clone());
    let by_hand = by_hand.then_some(PORT);
    let (listeners, mut problems) = inherited.tcp_or_bind(NAME, config.listen, by_hand);
    let doors = open_all(&http, listeners, config, &mut problems);
    if !doors.is_empty() || !problems.is_empty() {
        part.set(match (doors.is_empty(), problems.is_empty()) {
            (_, true) => Verdict::Active,
            (false, false) => Verdict::Degraded(problems.join("; ")),
            (true, false) => Verdict::Failed(problems.join("; ")),
        });
    }
    for problem in &problems {
        tracing::error!(door = NAME, problem, "an HTTP socket is not served");
    }
    HttpDoors {
        doors: doors.into(),
        plugins: PluginDoors::guarded(http.clone(), config),
        http,
    }
}

fn open_all(
    http: &Http,
    listeners: Vec<TcpListener>,
    config: &HttpConfig,
    problems: &mut Vec<String>,
) -> Vec<Door> {
    if listeners.is_empty() {
        return Vec::new();
    }
    let access = match access(config) {
        Ok(access) => access,
        // A door that is to be guarded is not opened without its guard.
        Err(error) => {
            problems.push(chain(&error).to_string());
            return Vec::new();
        }
    };
    let mut doors = Vec::new();
    for listener in listeners {
        match http.open(listener, access.clone()) {
            Ok(door) => doors.push(door),
            Err(error) => problems.push(chain(&error).to_string()),
        }
    }
    doors
}

/// Reads what is to guard doors.
///
/// # Errors
/// When a file is missing or holds nothing of use.
pub(super) fn access(config: &HttpConfig) -> Result<Access, AccessError> {
    Access::read(AccessFiles {
        token: config.token_file.as_deref(),
        certificate: config.certificate.as_deref(),
        key: config.key.as_deref(),
    })
}

/// Reads token, certificate and key again, as at every reload: certificates are renewed under the
/// same name. The doors of plugins that are reached from beyond this machine get the same. What is
/// wrong leaves the old ones in force and is shown.
pub(super) fn renew(doors: &HttpDoors, config: &HttpConfig, board: &StatusBoard) {
    let of_plugins = doors.plugins.follow(config);
    let of_plugins = of_plugins.iter().map(Arc::as_ref);
    let mut guarded = doors.doors.iter().chain(of_plugins).peekable();
    let mut problems = Vec::new();
    // Files that guard nothing are not looked at.
    if guarded.peek().is_some() {
        match access(config) {
            Ok(access) => {
                for door in guarded {
                    if let Err(error) = door.set_access(access.clone()) {
                        problems.push(chain(&error).to_string());
                    }
                }
            }
            Err(error) => problems.push(chain(&error).to_string()),
        }
    }
    let part = board.part_as_it_is(Room::Door, NAME);
    if problems.is_empty() {
        if let Verdict::Degraded(reason) = part.verdict()
            && reason.starts_with(NOT_RENEWED)
        {
            part.set(if doors.doors.is_empty() {
                Verdict::Off
            } else {
                Verdict::Active
            });
        }
        return;
    }
    let reason = format!("{NOT_RENEWED}: {}", problems.join("; "));
    tracing::error!(door = NAME, reason, "the old ones hold");
    part.set(Verdict::Degraded(reason));
}

/// How the reason begins when a reload could not renew what guards the doors.
const NOT_RENEWED: &str = "token or certificate not renewed";

/// Brings what was counted to the page and into the batch:
///
/// - `moonward.http.requests{result}`: requests, and connections that were given up;
/// - `moonward.prometheus.samples`, `moonward.prometheus.render.time`: what texts for Prometheus
///   had in them, and the seconds that it took to write them;
/// - `moonward.prometheus.left_out{reason}`: samples that could not be shown.
pub(super) fn count(http: &Http, part: &Part, batch: &mut Batch) {
    const SAMPLES: Unit = Unit::new("{sample}");
    batch.clear();
    let answers = http.answers();
    let (mut answered, mut errors) = (0, 0);
    for (name, number) in answers.counters().list() {
        let tags = [("result", name)];
        let unit = Unit::new("{request}");
        batch.counter("moonward.http.requests", &tags, unit, number);
        match name {
            "answered" | "unhealthy" => answered += number,
            _ => errors += number,
        }
    }
    part.counted(answered, errors);
    let samples = answers.counters().samples.get();
    batch.counter("moonward.prometheus.samples", &[], SAMPLES, samples);
    let seconds = answers.counters().render_microseconds.get() as f64 / 1e6;
    let name = "moonward.prometheus.render.time";
    batch.counter(name, &[], Unit::SECONDS, seconds);
    for (reason, number) in answers.left_out().list() {
        let tags = [("reason", reason)];
        batch.counter("moonward.prometheus.left_out", &tags, SAMPLES, number);
    }
}
