//! One request and its reply over ZaLua's socket.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::super::socket::open;
use super::super::{exit, output};
use crate::serve::zalua::codec::{COMMAND_ERROR, EMPTY, PONG, UNKNOWN_COMMAND, UNKNOWN_METRIC};

/// How long one read or write may take. ZaLua gave 100 ms, which fails on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest reply that is taken. ZaLua cut replies at 64 KiB.
const REPLY_MAX: u64 = 1 << 30;

/// The exit status when the socket cannot be reached.
pub const UNREACHABLE: u8 = 7;
/// The exit status when the request or its reply was lost.
const LOST: u8 = 10;

/// Whether somebody answers on the socket.
pub fn is_alive(socket: &Path) -> bool {
    open(socket, PATIENCE)
        .and_then(|stream| exchange(stream, b"ping"))
        .is_ok_and(|reply| reply == PONG.as_bytes())
}

/// Sends the request and prints the reply; gives the exit status. `key` is what a message about an
/// unknown value names.
pub fn ask(socket: &Path, request: &[u8], key: Option<&OsStr>) -> u8 {
    let stream = match open(socket, PATIENCE) {
        Ok(stream) => stream,
        Err(error) => {
            output::complain_raw(&format!(
                "cannot connect to {}: {error}\n",
                socket.display()
            ));
            return UNREACHABLE;
        }
    };
    match exchange(stream, request) {
        Ok(reply) => show(reply, key),
        Err(error) => lost(&error.to_string()),
    }
}

/// Prints a reply; gives the exit status. `key` is what a message about an unknown value names.
pub fn show(mut reply: Vec<u8>, key: Option<&OsStr>) -> u8 {
    if reply.is_empty() {
        return lost("EOF");
    }
    match std::str::from_utf8(&reply) {
        Ok(EMPTY) => exit::OK,
        Ok(UNKNOWN_METRIC) => {
            let key = key.unwrap_or_default().display();
            output::complain_raw(&format!("zalua: unknown metric '{key}'\n"));
            11
        }
        Ok(UNKNOWN_COMMAND) => {
            output::complain_raw("zalua: unknown command\n");
            12
        }
        Ok(COMMAND_ERROR) => {
            output::complain_raw("zalua: command error\n");
            13
        }
        _ => {
            reply.push(b'\n');
            output::print(&reply)
        }
    }
}

fn lost(why: &str) -> u8 {
    output::complain_raw(&format!("send message error: {why}\n"));
    LOST
}

fn exchange(mut stream: UnixStream, request: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(request)?;
    let mut reply = Vec::with_capacity(1024);
    stream.take(REPLY_MAX).read_to_end(&mut reply)?;
    Ok(reply)
}
