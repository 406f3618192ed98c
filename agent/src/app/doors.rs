//! Opens the doors: the control socket, Zabbix and, where asked for, ZaLua's socket.
//!
//! A door that cannot be opened is shown as failed with its reason; the agent goes on without it.
//! Only without the control socket there is no agent to speak of, so that one error comes back.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use super::listeners::{Inherited, ListenError, SocketFile, bind_unix};
use crate::collect::Root;
use crate::config::{Config, ZabbixConfig};
use crate::model::{Batch, Clock, Unit};
use crate::serve::zabbix::access::AllowList;
use crate::serve::zabbix::door::Door;
use crate::serve::zabbix::items::{Identity, Items};
use crate::store::Store;
use crate::telemetry::log::chain;
use crate::telemetry::{Heartbeat, Part, Room, StatusBoard, Verdict};

/// The port that Zabbix asks agents on.
const ZABBIX_PORT: u16 = 10_050;

/// The names that socket units give their descriptors (`FileDescriptorName=`).
const CONTROL: &str = "control";
const ZABBIX: &str = "zabbix";
const ZALUA: &str = "zalua";

/// Where the control socket came from.
#[derive(Debug)]
pub(super) struct ControlSocket {
    /// The socket.
    pub listener: UnixListener,
    /// Its path, for messages.
    pub path: String,
    /// Its file, when it was bound here, and so is to be removed at the end.
    pub file: Option<SocketFile>,
}

/// The control socket: systemd's, or one of our own.
pub(super) fn control(
    inherited: &mut Inherited,
    path: &Path,
) -> Result<ControlSocket, ListenError> {
    if let Some(listener) = inherited.unix(CONTROL)? {
        let path = listener
            .local_addr()
            .ok()
            .and_then(|address| Some(address.as_pathname()?.display().to_string()))
            .unwrap_or_else(|| "(from systemd)".into());
        return Ok(ControlSocket {
            listener,
            path,
            file: None,
        });
    }
    let (listener, file) = bind_unix(path, 0o660)?;
    Ok(ControlSocket {
        listener,
        path: path.display().to_string(),
        file: Some(file),
    })
}

/// The Zabbix doors that are open, and what they answer from.
#[derive(Debug, Default)]
pub(super) struct Zabbix {
    /// One per listening socket.
    pub doors: Arc<[Door]>,
    /// The sign of life of each door's thread.
    pub hearts: Vec<Heartbeat>,
    /// What they answer from; absent when no door is open.
    pub items: Option<Arc<Items>>,
}

/// Opens the Zabbix doors: the sockets that systemd passed, the address that is configured, and,
/// when the agent was started by hand and nothing is said about them, loopback.
pub(super) fn zabbix(
    config: &ZabbixConfig,
    inherited: &mut Inherited,
    by_hand: bool,
    store: &Store,
    board: &StatusBoard,
) -> Zabbix {
    let part = board.part(Room::Door, ZABBIX, Verdict::Off);
    let by_hand = by_hand.then_some(ZABBIX_PORT);
    let (listeners, mut problems) = inherited.tcp_or_bind(ZABBIX, config.listen, by_hand);
    if listeners.is_empty() && problems.is_empty() {
        return Zabbix::default();
    }
    let items = Arc::new(items(config, store));
    let doors = open_all(listeners, config, &items, store.clock(), &mut problems);
    part.set(match (doors.is_empty(), problems.is_empty()) {
        (_, true) => Verdict::Active,
        (false, false) => Verdict::Degraded(problems.join("; ")),
        (true, false) => Verdict::Failed(problems.join("; ")),
    });
    for problem in &problems {
        tracing::error!(door = ZABBIX, problem, "a Zabbix socket is not served");
    }
    let heart = |_| Heartbeat::new("zabbix", store.clock().clone());
    Zabbix {
        items: (!doors.is_empty()).then_some(items),
        hearts: doors.iter().map(heart).collect(),
        doors: doors.into(),
    }
}

/// Brings what the doors have counted to their page, and as `moonward.zabbix.requests{result}` into
/// the batch.
pub(super) fn count(doors: &[Door], part: &Part, batch: &mut Batch) {
    batch.clear();
    let mut sums: Vec<(&'static str, u64)> = Vec::new();
    for door in doors {
        for (index, (name, number)) in door.counters().list().into_iter().enumerate() {
            match sums.get_mut(index) {
                Some((_, sum)) => *sum += number,
                None => sums.push((name, number)),
            }
        }
    }
    let (mut answers, mut errors) = (0, 0);
    for (name, sum) in sums {
        let tags = [("result", name)];
        batch.counter(
            "moonward.zabbix.requests",
            &tags,
            Unit::new("{request}"),
            sum,
        );
        match name {
            "answered" | "not_supported" => answers += sum,
            _ => errors += sum,
        }
    }
    part.counted(answers, errors);
}

fn items(config: &ZabbixConfig, store: &Store) -> Items {
    let identity = Identity {
        hostname: config.hostname.clone(),
        metadata: config.metadata.clone(),
    };
    Items::new(store.clone(), identity, Root::machine())
}

/// Who may ask, as the configuration says.
pub(super) fn allowed(config: &ZabbixConfig) -> AllowList {
    let entries: Vec<String> = config.server.iter().map(ToString::to_string).collect();
    // The configuration has read every entry already.
    AllowList::from_entries(entries.iter().map(String::as_str)).unwrap_or_default()
}

fn open_all(
    listeners: Vec<TcpListener>,
    config: &ZabbixConfig,
    items: &Arc<Items>,
    clock: &Clock,
    problems: &mut Vec<String>,
) -> Vec<Door> {
    let mut doors = Vec::new();
    for listener in listeners {
        let answer = Arc::clone(items) as Arc<dyn crate::serve::zabbix::answer::Answer>;
        match Door::open(listener, allowed(config), answer, clock.clone()) {
            Ok(door) => doors.push(door),
            Err(error) => problems.push(format!("the Zabbix door cannot be opened: {error}")),
        }
    }
    doors
}

/// The socket of ZaLua's clients: systemd's, else the one that the configuration or the command line
/// asks for. The file is there when it was bound here.
pub(super) fn zalua(
    config: &Config,
    inherited: &mut Inherited,
    board: &StatusBoard,
) -> (Option<UnixListener>, Option<SocketFile>) {
    let part = board.part(Room::Door, ZALUA, Verdict::Off);
    let path = config.zalua.socket.as_deref();
    let opened = match inherited.unix(ZALUA) {
        Ok(Some(listener)) => {
            if let Some(path) = path.filter(|path| !is_at(&listener, path)) {
                tracing::warn!(
                    socket = %path.display(),
                    "zalua.socket is not opened: systemd has passed the socket of \
                     moonward-zalua.socket in its place"
                );
            }
            return (Some(listener), None);
        }
        Ok(None) => path.map(|path| bind_unix(path, 0o666)),
        Err(error) => Some(Err(error)),
    };
    match opened {
        Some(Ok((listener, file))) => (Some(listener), Some(file)),
        Some(Err(error)) => {
            let reason = chain(&error).to_string();
            tracing::error!(door = ZALUA, reason, "the socket is not served");
            part.set(Verdict::Failed(reason));
            (None, None)
        }
        None => (None, None),
    }
}

fn is_at(listener: &UnixListener, path: &Path) -> bool {
    let address = listener.local_addr().ok();
    address.is_some_and(|address| address.as_pathname() == Some(path))
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;
    use crate::config::Environment;

    #[test]
    fn the_socket_of_zaluas_clients_is_systemds_before_one_of_our_own() {
        let directory = tempfile::tempdir().unwrap();
        let (passed, own) = (
            directory.path().join("passed"),
            directory.path().join("own"),
        );
        let mut config = Config::defaults(&Environment::current());
        let open = |config: &Config, passed: Vec<(String, OwnedFd)>| {
            let board = StatusBoard::new();
            let opened = zalua(config, &mut Inherited::new(passed), &board);
            (opened, board.part_as_it_is(Room::Door, ZALUA).verdict())
        };
        let ((listener, file), verdict) = open(&config, Vec::new());
        assert!(listener.is_none() && file.is_none() && verdict == Verdict::Off);
        config.zalua.socket = Some(own.clone());
        let ((listener, file), _) = open(&config, Vec::new());
        assert!(is_at(&listener.unwrap(), &own) && file.is_some());
        drop(file);
        let socket: OwnedFd = UnixListener::bind(&passed).unwrap().into();
        let ((listener, file), _) = open(&config, vec![(ZALUA.into(), socket)]);
        assert!(is_at(&listener.unwrap(), &passed));
        assert!(file.is_none(), "the file is systemd's");
        assert!(!own.exists());
        let wrong: OwnedFd = std::net::TcpListener::bind("127.0.0.1:0").unwrap().into();
        let ((listener, _), verdict) = open(&config, vec![(ZALUA.into(), wrong)]);
        assert!(listener.is_none() && matches!(verdict, Verdict::Failed(_)));
    }
}
