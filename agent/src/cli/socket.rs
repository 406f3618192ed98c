//! Where the control socket is, and how a client connects to a unix socket.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

/// Names the socket when it is not where it is by default.
pub const VARIABLE: &str = "MOONWARD_SOCKET";

/// The service's socket.
pub const SYSTEM: &str = "/run/moonward/control.sock";

/// Where the socket may be, in the order in which to try: what the caller or the environment names,
/// alone; else the service's, and that of a `moonward run` by hand.
pub fn candidates(named: Option<PathBuf>) -> Vec<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = named.or_else(|| set(VARIABLE).map(PathBuf::from)) {
        return vec![path];
    }
    let mut paths = vec![PathBuf::from(SYSTEM)];
    if let Some(directory) = set("XDG_RUNTIME_DIR") {
        paths.push(PathBuf::from(directory).join("moonward/control.sock"));
    }
    // Where a service by hand makes it when there is no session.
    let uid = rustix::process::geteuid().as_raw();
    paths.push(PathBuf::from(format!("/tmp/moonward-{uid}/control.sock")));
    paths
}

/// Connects to the unix socket at `path`. `patience` is how long this, and each read and write on
/// the stream, may take: a service that hangs does not accept, and without a limit its clients
/// would pile up behind it.
pub fn open(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    for which in [Timeout::Send, Timeout::Recv] {
        // That for sending holds for connect(2) too (socket(7), SO_SNDTIMEO).
        set_socket_timeout(&socket, which, Some(patience))?;
    }
    connect(&socket, &address)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_ever_behind_a_service_that_hangs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hung.sock");
        let flags = SocketFlags::CLOEXEC;
        let hung = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        rustix::net::bind(&hung, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&hung, 0).unwrap();
        let patience = Duration::from_millis(20);
        let mut waiting = Vec::new();
        let refused = loop {
            match open(&path, patience) {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error,
            }
            assert!(waiting.len() < 100, "the queue has no end");
        };
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    }
}
