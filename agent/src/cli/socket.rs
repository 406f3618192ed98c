//! Where the control socket is.

use std::path::PathBuf;

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
