//! The command line of ZaLua, word for word and with its exit statuses.
//!
//! The order is that program's: version, usage and `-e` need no service; then the service is
//! started if none answers; then the words are looked at. [`words`] reads them, [`talk`] asks the
//! service, [`elsewhere`] asks one that has no socket of ZaLua's, [`start`] starts one.

pub mod elsewhere;
pub mod start;
pub mod talk;
pub mod words;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use self::words::Action;
use super::{handoff, output};
use crate::serve::zalua::codec::{SOCKET, SOCKET_VARIABLE, get_request};

/// The environment variable that makes the program the service; its value is `1`.
const MARKER: &str = "_runned_is_daemon";

/// The exit status of version and usage.
const USAGE: u8 = 1;

/// The exit status of a word that is no command.
const UNKNOWN: u8 = 8;

/// Does what the words say; gives the exit status.
pub fn run(own: &OsStr, arguments: &[OsString]) -> u8 {
    if std::env::var_os(MARKER).is_some_and(|value| value == "1") {
        return handoff::become_agent(vec!["run".into(), "--zalua".into()]);
    }
    let own = own.to_string_lossy();
    let action = words::read(arguments);
    match action {
        Action::Version => {
            output::print(format!("{own} version: {}\n", env!("CARGO_PKG_VERSION")).as_bytes());
            return USAGE;
        }
        Action::Usage => return usage(&own),
        Action::Execute(file) => {
            // The exit status is 0 even when the script fails. Only when nothing could run at all,
            // because the agent is not installed, it is not.
            let words = [
                "exec".into(),
                "--zalua".into(),
                "--".into(),
                file.to_owned(),
            ];
            return handoff::become_agent(words.into());
        }
        _ => {}
    }
    let (request, key) = match &action {
        Action::Ask(request) => (Some(request.clone()), None),
        Action::Get(key) => (Some(get_request(key.as_encoded_bytes())), Some(*key)),
        _ => (None, None),
    };
    let socket = socket();
    if !talk::is_alive(&socket) {
        match elsewhere::ask(request.as_deref().unwrap_or(b"ping")) {
            Some(Ok(reply)) if request.is_some() => return talk::show(reply, key),
            // It runs, and the words are wrong all the same.
            Some(Ok(_)) => {}
            Some(Err(status)) => return status,
            None => {
                if let Err(status) = start::start(&socket, MARKER) {
                    return status;
                }
            }
        }
    }
    match (action, request) {
        (_, Some(request)) => talk::ask(&socket, &request, key),
        (Action::LateUsage, None) => usage(&own),
        (_, None) => {
            output::complain_raw("unknown command\n");
            UNKNOWN
        }
    }
}

fn usage(own: &str) -> u8 {
    output::complain_raw(&words::usage(own));
    USAGE
}

fn socket() -> PathBuf {
    let named = std::env::var_os(SOCKET_VARIABLE).filter(|value| !value.is_empty());
    named.map_or_else(|| PathBuf::from(SOCKET), PathBuf::from)
}
