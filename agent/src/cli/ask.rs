//! The client's side of the control socket: connect, ask, print.
//!
//! Plain blocking calls with deadlines; nothing here starts a runtime or reads a file.

use std::io::{self, ErrorKind as Io, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{exit, output, socket};
use crate::serve::control::codec::{END, HEAD_MAX, Head, Request};

/// How long connecting, one read or one write may take when the caller does not say.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest reply that is taken: a list of a million series is far below.
const REPLY_MAX: u64 = 1 << 30;

/// How to reach the service.
#[derive(Debug, Default)]
pub struct Reach {
    /// The socket, when it is not where it is by default.
    pub socket: Option<PathBuf>,
    /// How long connecting, one read or one write may take.
    pub patience: Option<Duration>,
}

/// Asks the service and prints the body of its reply, or says on the standard error why there is
/// none. Gives the exit status.
pub fn ask(request: &Request, reach: &Reach) -> u8 {
    match reply(request, reach) {
        Ok(body) => output::print(&body),
        Err(status) => status,
    }
}

/// Asks the service and gives the body of its reply; what went wrong has been said when this
/// returns an exit status.
pub fn reply(request: &Request, reach: &Reach) -> Result<Vec<u8>, u8> {
    let stream = connect(reach)?;
    let mut reply = Vec::with_capacity(1024);
    if let Err(error) = exchange(stream, request, &mut reply) {
        return Err(broken(&error));
    }
    let end = reply.iter().take(HEAD_MAX).position(|byte| *byte == b'\n');
    let mut body = end.map(|end| reply.split_off(end + 1)).unwrap_or_default();
    let whole = body.pop_if(|last| *last == END).is_some();
    match (Head::decode(&reply), whole) {
        (Some(Head::Ok), true) => Ok(body),
        (Some(Head::Error(kind, message)), whole) => {
            output::complain(&message);
            output::complain_raw(&String::from_utf8_lossy(&body));
            if !whole && !body.is_empty() {
                output::complain("there was more to this, but the reply is not whole");
            }
            Err(exit::of(kind))
        }
        (Some(Head::Ok), false) => {
            output::complain("the reply is not whole: the service gave up or has ended");
            Err(exit::PROTOCOL)
        }
        _ if reply.is_empty() => {
            output::complain("the service closed the connection without a reply; is it ending?");
            Err(exit::PROTOCOL)
        }
        _ => {
            output::complain("the reply makes no sense: is another program on the socket?");
            Err(exit::PROTOCOL)
        }
    }
}

/// Asks the service at one socket and gives the whole reply, head and end mark included.
/// `patience` is how long connecting, one read or one write may take.
pub fn exchange_at(path: &Path, request: &Request, patience: Duration) -> io::Result<Vec<u8>> {
    let mut reply = Vec::new();
    let stream = socket::open(path, patience)?;
    exchange(stream, request, &mut reply)?;
    Ok(reply)
}

fn exchange(mut stream: UnixStream, request: &Request, reply: &mut Vec<u8>) -> io::Result<()> {
    let written = stream.write_all(&request.encode());
    // A service that turns clients away says so and closes before it reads.
    let read = stream.take(REPLY_MAX).read_to_end(reply);
    if reply.is_empty() {
        written?;
    }
    match read {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == Io::ConnectionReset && !reply.is_empty() => Ok(()),
        Err(error) => Err(error),
    }
}

fn connect(reach: &Reach) -> Result<UnixStream, u8> {
    let mut failure: Option<(PathBuf, io::Error)> = None;
    let patience = reach.patience.unwrap_or(PATIENCE);
    for path in socket::candidates(reach.socket.clone()) {
        match socket::open(&path, patience) {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                // What says more than "there is none" is what the administrator must see.
                if failure
                    .as_ref()
                    .is_none_or(|(_, known)| known.kind() == Io::NotFound)
                {
                    failure = Some((path, error));
                }
            }
        }
    }
    let Some((path, error)) = failure else {
        return Err(exit::UNAVAILABLE);
    };
    Err(unreachable(&path, &error))
}

fn unreachable(path: &Path, error: &io::Error) -> u8 {
    let path = path.display();
    match error.kind() {
        Io::NotFound => output::complain(&format!(
            "the service does not run: there is no {path}; \
             start it with `systemctl start moonward` or `moonward run`"
        )),
        Io::ConnectionRefused => output::complain(&format!(
            "the service has ended: nobody listens on {path}; see `systemctl status moonward`"
        )),
        Io::PermissionDenied => {
            output::complain(&format!(
                "you may not use {path}; become a member of the socket's group or root"
            ));
            return exit::PERMISSION;
        }
        Io::WouldBlock => {
            output::complain(&format!(
                "the service does not accept on {path}: too many clients wait, or it hangs; \
                 see `systemctl status moonward`"
            ));
            return exit::TEMPORARY;
        }
        _ => output::complain(&format!("cannot connect to {path}: {error}")),
    }
    exit::UNAVAILABLE
}

fn broken(error: &io::Error) -> u8 {
    match error.kind() {
        Io::WouldBlock | Io::TimedOut => {
            output::complain("the service did not answer in time; see `--timeout`");
            exit::TEMPORARY
        }
        _ => {
            output::complain(&format!("the connection to the service broke: {error}"));
            exit::INPUT_OUTPUT
        }
    }
}
