//! What the agent tells systemd about itself (sd_notify(3)): ready, reloading, stopping, status,
//! watchdog, and the descriptors that systemd keeps for it over a restart.
//!
//! The environment is read once, at the start. Without `NOTIFY_SOCKET` every call does nothing. No
//! call ever blocks: when systemd does not take a message, it is lost and counted.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, sendmsg, socket_with,
};
use sd_notify::NotifyState;
use thiserror::Error;

/// The variable that names the socket.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// The longest STATUS= that is sent, in bytes; `systemctl status` shows it on one line.
const STATUS_LIMIT: usize = 512;

/// The longest FDNAME= that systemd takes (`fdname_is_valid` in systemd's `fd-util.c`).
const NAME_LIMIT: usize = 255;

/// Why systemd did not get a message.
#[derive(Debug, Error)]
pub enum NotifyError {
    /// `NOTIFY_SOCKET` names something that cannot be reached.
    #[error("the notification socket {path:?} cannot be reached")]
    Unreachable {
        /// The socket's path, or `@` and its name.
        path: String,
        /// What the kernel said.
        #[source]
        source: rustix::io::Errno,
    },
    /// A message was not taken.
    #[error("systemd did not take the notification")]
    NotTaken(#[source] rustix::io::Errno),
    /// A descriptor's name is one that systemd would ignore.
    #[error("{name:?} is no name for a kept descriptor: 1 to 255 printable ASCII, no colon")]
    BadName {
        /// The name as it was given.
        name: String,
    },
}

/// The line to systemd.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<OwnedFd>,
    words: Mutex<Words>,
    lost: AtomicU64,
}

/// What STATUS= is put together from.
#[derive(Debug, Default)]
struct Words {
    status: String,
    /// By whoever made them.
    remarks: BTreeMap<&'static str, String>,
}

impl Notifier {
    /// A line to whoever started the process, or one that leads nowhere if nobody listens.
    ///
    /// # Errors
    /// When `NOTIFY_SOCKET` is set but cannot be reached; go on with [`Notifier::off`] then.
    pub fn from_environment() -> Result<Self, NotifyError> {
        match std::env::var_os(VARIABLE) {
            None => Ok(Self::off()),
            Some(path) => Self::to(&path),
        }
    }

    /// A line that leads nowhere.
    pub fn off() -> Self {
        Self::default()
    }

    /// A line to the socket at `path`; a leading `@` means the abstract name space.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn to(path: &OsStr) -> Result<Self, NotifyError> {
        let unreachable = |source| NotifyError::Unreachable {
            path: path.to_string_lossy().into_owned(),
            source,
        };
        let address = match path.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddrUnix::new_abstract_name(name),
            None => SocketAddrUnix::new(path),
        }
        .map_err(unreachable)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
            .map_err(unreachable)?;
        connect(&socket, &address).map_err(unreachable)?;
        Ok(Self {
            socket: Some(socket),
            ..Self::default()
        })
    }

    /// Whether whoever started the process wants to be told.
    pub fn is_wanted() -> bool {
        std::env::var_os(VARIABLE).is_some()
    }

    /// Messages that were not taken.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// READY=1: the agent serves, or serves again after a reload.
    pub fn ready(&self, status: &str) {
        let status = self.worded(|words| words.status = one_line(status));
        self.say(&[NotifyState::Ready, NotifyState::Status(&status)]);
    }

    /// RELOADING=1; to be followed by [`Notifier::ready`], whatever the reload comes to.
    pub fn reloading(&self) {
        // systemd 253 and later refuse RELOADING=1 without the time.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.say(&[NotifyState::Reloading, now]),
            Err(_) => self.say(&[NotifyState::Reloading]),
        }
    }

    /// STOPPING=1: the agent drains and ends.
    pub fn stopping(&self, status: &str) {
        let status = self.worded(|words| words.status = one_line(status));
        self.say(&[NotifyState::Stopping, NotifyState::Status(&status)]);
    }

    /// STATUS=: the line that `systemctl status` shows.
    pub fn status(&self, status: &str) {
        let status = self.worded(|words| words.status = one_line(status));
        self.say(&[NotifyState::Status(&status)]);
    }

    /// Puts a remark of `who` behind every status from now on, or takes it away with an empty one.
    pub fn remark(&self, who: &'static str, remark: &str) {
        let status = self.worded(|words| {
            words.remarks.insert(who, one_line(remark));
        });
        self.say(&[NotifyState::Status(&status)]);
    }

    /// WATCHDOG=1: every task has been heard of. Only [`super::watchdog`] says this.
    pub fn watchdog(&self) {
        self.say(&[NotifyState::Watchdog]);
    }

    /// EXTEND_TIMEOUT_USEC=: the start, reload or stop in progress may take `more` from now.
    pub fn extend_timeout(&self, more: Duration) {
        let microseconds = u32::try_from(more.as_micros()).unwrap_or(u32::MAX);
        self.say(&[NotifyState::ExtendTimeoutUsec(microseconds)]);
    }

    /// Gives systemd a descriptor to keep over restarts (FDSTORE=1). It comes back under `name`
    /// through `LISTEN_FDNAMES`, which is why a name holds no colon.
    ///
    /// # Errors
    /// When the name is not one, or systemd does not take the message. systemd does not say
    /// whether its store had room.
    pub fn keep(&self, name: &str, descriptor: BorrowedFd<'_>) -> Result<(), NotifyError> {
        check_name(name)?;
        // FDPOLL=0: a BPF map polls as hung up, and systemd would drop it at once.
        let message = render(&[
            NotifyState::FdStore,
            NotifyState::FdName(name),
            NotifyState::Custom("FDPOLL=0"),
        ]);
        self.send(&message, &[descriptor])
    }

    /// Has systemd close the descriptors that it keeps under `name` (FDSTOREREMOVE=1).
    ///
    /// # Errors
    /// When the name is not one, or systemd does not take the message.
    pub fn forget(&self, name: &str) -> Result<(), NotifyError> {
        check_name(name)?;
        self.send(
            &render(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]),
            &[],
        )
    }

    fn worded(&self, change: impl FnOnce(&mut Words)) -> String {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut words);
        let remarks = words.remarks.values().map(String::as_str);
        let said: Vec<&str> = std::iter::once(words.status.as_str())
            .chain(remarks)
            .filter(|said| !said.is_empty())
            .collect();
        said.join("; ")
    }

    /// Sends what may be lost: it is said again, or systemd's own time-outs catch it.
    fn say(&self, states: &[NotifyState<'_>]) {
        if let Err(error) = self.send(&render(states), &[]) {
            tracing::warn!(error = %crate::telemetry::log::chain(&error), "systemd was not told");
        }
    }

    fn send(&self, message: &str, descriptors: &[BorrowedFd<'_>]) -> Result<(), NotifyError> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            // One descriptor is all that is ever sent, and the space is for one.
            ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match sendmsg(
            socket.as_fd(),
            &[IoSlice::new(message.as_bytes())],
            &mut ancillary,
            flags,
        ) {
            Ok(_) => Ok(()),
            Err(errno) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                Err(NotifyError::NotTaken(errno))
            }
        }
    }
}

/// How often systemd wants to hear from the watchdog, if it wants to hear from this process:
/// `WATCHDOG_USEC` and `WATCHDOG_PID` (sd_watchdog_enabled(3)).
pub fn watchdog_timeout() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn render(states: &[NotifyState<'_>]) -> String {
    let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// A status must not bring lines of its own: each line of a notification is an order to systemd.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(STATUS_LIMIT));
    for character in text.chars() {
        if line.len() + character.len_utf8() > STATUS_LIMIT {
            break;
        }
        line.push(if character.is_control() {
            ' '
        } else {
            character
        });
    }
    line
}

fn check_name(name: &str) -> Result<(), NotifyError> {
    let fine = |byte: u8| (b' '..127).contains(&byte) && byte != b':';
    if name.is_empty() || name.len() > NAME_LIMIT || !name.bytes().all(fine) {
        return Err(NotifyError::BadName {
            name: name.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
