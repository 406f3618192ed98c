//! Where doors get their listening sockets: from systemd by name, or bound here.
//!
//! systemd names each descriptor it hands over (`FileDescriptorName=`, sd_listen_fds(3)); the order
//! is not the order of the units, so a socket is only ever taken by name.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketType, sockopt};
use thiserror::Error;

/// Why a door has no socket.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Somebody answers at the path.
    #[error("another process answers at {0}; stop it or set another path")]
    Alive(PathBuf),
    /// What is at the path is not ours to remove.
    #[error("{0} exists and is not a socket of this user; remove it or set another path")]
    Foreign(PathBuf),
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
    pub fn take(&mut self, fits: impl Fn(&str) -> bool) -> Vec<(String, OwnedFd)> {
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

    /// The unix socket of that name, if systemd handed one over.
    pub fn unix(&mut self, name: &str) -> Result<Option<UnixListener>, ListenError> {
        let Some(descriptor) = self.take_one(name, AddressFamily::UNIX, "unix stream")? else {
            return Ok(None);
        };
        Ok(Some(UnixListener::from(descriptor)))
    }

    /// The TCP sockets of that name; one unit may have several `ListenStream=`.
    pub fn tcp(&mut self, name: &str) -> Result<Vec<TcpListener>, ListenError> {
        let taken = self.take(|given| given == name);
        let mut listeners = Vec::with_capacity(taken.len());
        for (given, descriptor) in taken {
            if !is_listening(&descriptor, AddressFamily::INET)
                && !is_listening(&descriptor, AddressFamily::INET6)
            {
                return Err(ListenError::Kind {
                    name: given,
                    expected: "TCP",
                });
            }
            listeners.push(TcpListener::from(descriptor));
        }
        Ok(listeners)
    }

    fn take_one(
        &mut self,
        name: &str,
        family: AddressFamily,
        expected: &'static str,
    ) -> Result<Option<OwnedFd>, ListenError> {
        let Some((given, descriptor)) = self.take(|given| given == name).into_iter().next() else {
            return Ok(None);
        };
        if is_listening(&descriptor, family) {
            Ok(Some(descriptor))
        } else {
            Err(ListenError::Kind {
                name: given,
                expected,
            })
        }
    }
}

fn is_listening(descriptor: &OwnedFd, family: AddressFamily) -> bool {
    sockopt::socket_domain(descriptor).is_ok_and(|domain| domain == family)
        && sockopt::socket_type(descriptor).is_ok_and(|kind| kind == SocketType::STREAM)
        && sockopt::socket_acceptconn(descriptor).unwrap_or(false)
}

/// Binds a unix socket at `path` with the given mode. A dead socket of this user is replaced;
/// one that answers, or anything of somebody else, is left alone.
pub fn bind_unix(path: &Path, mode: u32) -> Result<UnixListener, ListenError> {
    let failed = |source| ListenError::Bind {
        place: path.display().to_string(),
        source,
    };
    if let Ok(metadata) = path.symlink_metadata() {
        let ours = metadata.uid() == rustix::process::geteuid().as_raw();
        if !metadata.file_type().is_socket() || !ours {
            return Err(ListenError::Foreign(path.to_owned()));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(ListenError::Alive(path.to_owned()));
        }
        std::fs::remove_file(path).map_err(failed)?;
    }
    if let Some(directory) = path.parent()
        && !directory.exists()
    {
        std::fs::create_dir_all(directory).map_err(failed)?;
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))
            .map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    Ok(listener)
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
        drop(first);
        drop(bind_unix(&path, 0o600).unwrap());
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
        let mut inherited = Inherited::new(vec![
            ("zabbix".into(), zabbix.into()),
            ("control".into(), control.into()),
            ("other".into(), wrong.into()),
        ]);
        assert!(inherited.unix("control").unwrap().is_some());
        assert!(inherited.unix("control").unwrap().is_none());
        assert_eq!(inherited.tcp("zabbix").unwrap().len(), 1);
        assert!(inherited.tcp("zabbix").unwrap().is_empty());
        assert!(matches!(
            inherited.unix("other"),
            Err(ListenError::Kind { .. })
        ));
    }
}
