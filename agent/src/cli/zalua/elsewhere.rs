//! ZaLua's questions to a service that has no socket of ZaLua's: they go through its own.
//!
//! A service that systemd started has ZaLua's socket only where `moonward-zalua.socket` is enabled.
//! To start another beside it would be to measure everything twice.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::super::{ask, output, socket};
use super::talk::UNREACHABLE;
use crate::serve::control::codec::{END, HEAD_MAX, Head, Request};
use crate::serve::zalua::codec::SOCKET_VARIABLE;

/// How long connecting, one read or one write may take: systemd may have to start the service.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the service at the control socket. `None` when there is none; `Some(Err(_))` is the exit
/// status when there is one that does not answer, which has been said then.
///
/// Who names another socket of ZaLua's means the service behind that one, so there is nobody else
/// to ask, unless a control socket is named as well.
pub fn ask(question: &[u8]) -> Option<Result<Vec<u8>, u8>> {
    let is_named = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_named(SOCKET_VARIABLE) && !is_named(socket::VARIABLE) {
        return None;
    }
    let request = Request::Zalua(String::from_utf8_lossy(question).into_owned());
    for path in socket::candidates(None) {
        match ask::exchange_at(&path, &request, PATIENCE) {
            Ok(reply) => return Some(body(reply, &path)),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory
                ) => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Some(Err(complain(&format!(
                    "the service runs, and you may not use {}: become a member of the socket's \
                     group, or have the administrator enable moonward-zalua.socket",
                    path.display()
                ))));
            }
            Err(error) => {
                let path = path.display();
                return Some(Err(complain(&format!(
                    "the service at {path} does not answer: {error}"
                ))));
            }
        }
    }
    None
}

/// What follows the first line of a good reply.
fn body(mut reply: Vec<u8>, path: &Path) -> Result<Vec<u8>, u8> {
    let end = reply.iter().take(HEAD_MAX).position(|byte| *byte == b'\n');
    let mut body = end.map(|end| reply.split_off(end + 1)).unwrap_or_default();
    let is_whole = body.pop_if(|last| *last == END).is_some();
    match Head::decode(&reply) {
        Some(Head::Ok) if is_whole => Ok(body),
        Some(Head::Error(_, message)) => Err(complain(&message)),
        _ => Err(complain(&format!(
            "the reply of the service at {} is not whole",
            path.display()
        ))),
    }
}

fn complain(message: &str) -> u8 {
    output::complain_raw(&format!("zalua: {message}\n"));
    UNREACHABLE
}
