//! Starts the service when no client finds one.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::super::{handoff, output};
use super::talk;

/// How often the socket is tried while the service starts, [`PAUSE`] apart: 5 s in all.
const ATTEMPTS: u32 = 250;
const PAUSE: Duration = Duration::from_millis(20);

/// The exit status when the service could not be started.
const NOT_STARTED: u8 = 2;

/// Starts the service and waits until it answers, ends, or 5 s have passed. Whether it answers is
/// for the caller to find out.
pub fn start(socket: &Path, marker: &str) -> Result<(), u8> {
    output::complain_raw(&format!(
        "Socket {} is not alive, start daemon\n",
        socket.display()
    ));
    let Some(mut command) = handoff::command(["run", "--zalua"]) else {
        output::complain_raw(&format!(
            "Daemonize error: {} is not installed\n",
            handoff::AGENT
        ));
        return Err(NOT_STARTED);
    };
    command.env(marker, "1");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| {
        output::complain_raw(&format!("Daemonize error: {error}\n"));
        NOT_STARTED
    })?;
    for _ in 0..ATTEMPTS {
        if talk::is_alive(socket) || matches!(child.try_wait(), Ok(Some(_))) {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    output::complain_raw("Daemon starting, continue as client\n");
    Ok(())
}
