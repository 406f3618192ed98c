//! Where doors get their listening sockets: from systemd by name, or bound here.
//!
//! systemd names each descriptor it hands over (`FileDescriptorName=`, sd_listen_fds(3)); the order
//! is not the order of the units, so a socket is only ever taken by name.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt,
};
use thiserror::Error;

use crate::config::DoorAddress;
use crate::telemetry::log::chain;

/// Why a door has no socket.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Somebody answers at the path.
    #[error("another process answers at {0}; stop it or set another path")]
    Alive(PathBuf),
    /// What is at the path is not ours to remove.
    #[error("{0} exists and is not a socket of this user; remove it or set another path")]
    Foreign(PathBuf),
    /// The directory is another user's.
    #[error(
        "{0} belongs to another user, who could put another socket in the place of this one; set a path elsewhere"
    )]
    Unsafe(PathBuf),
    /// The socket could not be made.
    #[error("cannot listen at {place}")]
    Bind {
        /// Path or address.
        place: String,
        /// What the kernel answered.
        #[source]
        source: io::Error,
    },
    /// systemd handed over something else.
    #[error(
        "the descriptor {name:?} from systemd is not a listening {expected} socket; check ListenStream= of its socket unit"
    )]
    Kind {
        /// The descriptor's name.
        name: String,
        /// What the door needs.
        expected: &'static str,
    },
}

/// The descriptors that came with the process, each with its name.
#[derive(Debug, Default)]
pub struct Inherited {
    descriptors: Vec<(String, OwnedFd)>,
}

impl Inherited {
    /// Takes note of what came with the process.
    pub fn new(descriptors: Vec<(String, OwnedFd)>) -> Self {
        Self { descriptors }
    }

    /// Takes every descriptor whose name fits.
    fn take(&mut self, fits: impl Fn(&str) -> bool) -> Vec<(String, OwnedFd)> {
        let (taken, left) = std::mem::take(&mut self.descriptors)
            .into_iter()
            .partition(|(name, _)| fits(name));
        self.descriptors = left;
        taken
    }

    /// The names of what nobody took.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.descriptors.iter().map(|(name, _)| name.as_str())
    }

    /// The first unix socket of that name, if systemd handed one over; others stay, to be reported
    /// as what nobody took.
    pub fn unix(&mut self, name: &str) -> Result<Option<UnixListener>, ListenError> {
        let mut taken = self.take(|given| given == name).into_iter();
        let Some((name, descriptor)) = taken.next() else {
            return Ok(None);
        };
        self.descriptors.extend(taken);
        let families = [AddressFamily::UNIX];
        let descriptor = listening(name, descriptor, &families, "unix stream")?;
        Ok(Some(UnixListener::from(descriptor)))
    }

    /// Each TCP socket of that name, or what is wrong with it; one unit may have several
    /// `ListenStream=`.
    pub fn tcp(&mut self, name: &str) -> Vec<Result<TcpListener, ListenError>> {
        self.take(|given| given == name)
            .into_iter()
            .map(|(name, descriptor)| {
                let families = [AddressFamily::INET, AddressFamily::INET6];
                listening(name, descriptor, &families, "TCP").map(TcpListener::from)
            })
            .collect()
    }

    /// The sockets of a TCP door, and what is wrong with others: those of that name that systemd
    /// passed, the address that is configured, and, when nothing is said about it, no socket was
    /// passed and the agent was started by hand, loopback at the port `by_hand`.
    pub fn tcp_or_bind(
        &mut self,
        name: &str,
        configured: DoorAddress,
        by_hand: Option<u16>,
    ) -> (Vec<TcpListener>, Vec<String>) {
        let (mut listeners, mut problems) = (Vec::new(), Vec::new());
        for listener in self.tcp(name) {
            match listener {
                Ok(listener) => listeners.push(listener),
                Err(error) => problems.push(error.to_string()),
            }
        }
        let address = match configured {
            DoorAddress::At(address) => Some(address),
            DoorAddress::Auto if listeners.is_empty() => {
                by_hand.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            }
            DoorAddress::Auto | DoorAddress::Off => None,
        };
        match address.map(bind_tcp) {
            Some(Ok(listener)) => listeners.push(listener),
            Some(Err(error)) => problems.push(chain(&error).to_string()),
            None => {}
        }
        (listeners, problems)
    }
}

/// The descriptor, if it is a socket of one of these families that listens.
fn listening(
    name: String,
    descriptor: OwnedFd,
    families: &[AddressFamily],
    expected: &'static str,
) -> Result<OwnedFd, ListenError> {
    if families
        .iter()
        .any(|family| is_listening(&descriptor, *family))
    {
        Ok(descriptor)
    } else {
        Err(ListenError::Kind { name, expected })
    }
}

fn is_listening(descriptor: &OwnedFd, family: AddressFamily) -> bool {
    sockopt::socket_domain(descriptor).is_ok_and(|domain| domain == family)
        && sockopt::socket_type(descriptor).is_ok_and(|kind| kind == SocketType::STREAM)
        && sockopt::socket_acceptconn(descriptor).unwrap_or(false)
}

/// Binds a unix socket at `path` with the given mode, and gives its file, which goes when that is
/// dropped. A dead socket of this user is replaced;
/// one that answers, or anything of somebody else, is left alone.
pub fn bind_unix(path: &Path, mode: u32) -> Result<(UnixListener, SocketFile), ListenError> {
    let failed = |source| ListenError::Bind {
        place: path.display().to_string(),
        source,
    };
    if let Ok(metadata) = path.symlink_metadata() {
        let ours = metadata.uid() == rustix::process::geteuid().as_raw();
        if !metadata.file_type().is_socket() || !ours {
            return Err(ListenError::Foreign(path.to_owned()));
        }
        if !is_dead(path).map_err(failed)? {
            return Err(ListenError::Alive(path.to_owned()));
        }
        std::fs::remove_file(path).map_err(failed)?;
    }
    // A bare name has an empty parent: the current directory.
    let directory = path.parent().filter(|parent| *parent != Path::new(""));
    if let Some(directory) = directory {
        if !directory.exists() {
            std::fs::create_dir_all(directory).map_err(failed)?;
            std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))
                .map_err(failed)?;
        }
        if !is_safe(directory, rustix::process::geteuid().as_raw()).map_err(failed)? {
            return Err(ListenError::Unsafe(directory.to_owned()));
        }
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    let file = SocketFile {
        path: path.to_owned(),
        identity: identity(path).map_err(failed)?,
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    Ok((listener, file))
}

/// Whether a directory is this user's or root's: anybody else could put a socket of their own in the
/// place of one in it.
fn is_safe(directory: &Path, uid: u32) -> io::Result<bool> {
    let owner = directory.metadata()?.uid();
    Ok(owner == uid || owner == 0)
}

/// Whether nobody listens on the unix socket at `path` any more. Does not wait, whoever holds it.
fn is_dead(path: &Path) -> io::Result<bool> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&socket, &address) {
        // AGAIN: the queue of one who does not accept is full. PROTOTYPE: it has datagrams.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Ok(false),
        Err(Errno::CONNREFUSED) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// The file of a socket that was bound here; it is removed when this is dropped, unless something
/// else is at its path by then: an agent that was started meanwhile may have its socket there.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let socket = self.path.display();
        match identity(&self.path) {
            Ok(now) if now == self.identity => {
                if let Err(error) = std::fs::remove_file(&self.path) {
                    tracing::warn!(%error, %socket, "the socket cannot be removed");
                }
            }
            Ok(_) => tracing::info!(%socket, "the socket is another agent's by now"),
            Err(error) => tracing::debug!(%error, %socket, "the socket was gone already"),
        }
    }
}

/// Device and inode of what is at the path.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = path.symlink_metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Binds a TCP socket.
pub fn bind_tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).map_err(|source| ListenError::Bind {
        place: address.to_string(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/control.sock");
        let first = bind_unix(&path, 0o660).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o660);
        assert!(matches!(
            bind_unix(&path, 0o660),
            Err(ListenError::Alive(_))
        ));
        // As a killed agent leaves it: the file is there, and nobody listens.
        let (listener, file) = first;
        drop(listener);
        std::mem::forget(file);
        let (_listener, _file) = bind_unix(&path, 0o600).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_directory_must_be_this_users_or_roots() {
        let directory = tempfile::tempdir().unwrap();
        let own = rustix::process::geteuid().as_raw();
        assert!(is_safe(directory.path(), own).unwrap());
        assert!(is_safe(Path::new("/"), own).unwrap());
        assert_eq!(is_safe(directory.path(), own + 1).unwrap(), own == 0);
        assert!(is_safe(&directory.path().join("absent"), own).is_err());
    }

    #[test]
    fn a_socket_of_datagrams_is_somebodys() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let _datagrams = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        assert!(matches!(
            bind_unix(&path, 0o660),
            Err(ListenError::Alive(_))
        ));
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(
            bind_unix(&path, 0o660),
            Err(ListenError::Foreign(_))
        ));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn sockets_are_taken_by_name_and_checked() {
        let directory = tempfile::tempdir().unwrap();
        let control = UnixListener::bind(directory.path().join("a")).unwrap();
        let zabbix = bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let wrong = bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let second = UnixListener::bind(directory.path().join("b")).unwrap();
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut inherited = Inherited::new(vec![
            ("zabbix".into(), datagrams.into()),
            ("zabbix".into(), zabbix.into()),
            ("control".into(), control.into()),
            ("control".into(), second.into()),
            ("other".into(), wrong.into()),
        ]);
        assert!(inherited.unix("control").unwrap().is_some());
        let zabbix = inherited.tcp("zabbix");
        assert!(matches!(zabbix[0], Err(ListenError::Kind { .. })));
        assert!(zabbix[1].is_ok(), "one bad socket costs no other");
        assert!(inherited.tcp("zabbix").is_empty());
        assert_eq!(
            inherited.names().collect::<Vec<_>>(),
            ["other", "control"],
            "what nobody took is reported"
        );
        assert!(matches!(
            inherited.unix("other"),
            Err(ListenError::Kind { .. })
        ));
    }

    #[test]
    fn a_door_that_is_off_is_not_opened_by_hand_either() {
        let free = bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let open = |configured, by_hand| {
            let mut nothing = Inherited::default();
            let (listeners, problems) = nothing.tcp_or_bind("http", configured, by_hand);
            assert!(problems.is_empty(), "{problems:?}");
            let addresses = listeners.iter().map(|door| door.local_addr().unwrap());
            addresses.collect::<Vec<_>>()
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        assert_eq!(open(DoorAddress::Off, Some(port)), []);
        assert_eq!(open(DoorAddress::Auto, None), []);
        assert_eq!(open(DoorAddress::Auto, Some(port)), [address]);
        assert_eq!(open(DoorAddress::At(address), None), [address]);
        // What systemd passes is a door of its own, and stands for the one by hand.
        let passed = bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let passed_at = passed.local_addr().unwrap();
        for configured in [DoorAddress::Auto, DoorAddress::Off] {
            let copy = passed.try_clone().unwrap();
            let mut inherited = Inherited::new(vec![("http".into(), copy.into())]);
            let (listeners, _) = inherited.tcp_or_bind("http", configured, Some(port));
            assert_eq!(listeners.len(), 1);
            assert_eq!(listeners[0].local_addr().unwrap(), passed_at);
        }
    }

    #[test]
    fn only_the_socket_that_was_bound_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let (listener, first) = bind_unix(&path, 0o660).unwrap();
        std::fs::remove_file(&path).unwrap();
        let (other, second) = bind_unix(&path, 0o660).unwrap();
        drop(first);
        assert!(path.exists(), "another agent's socket was removed");
        drop(second);
        assert!(!path.exists());
        drop((listener, other));
    }
}
