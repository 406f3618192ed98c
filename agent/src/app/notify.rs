//! What the agent tells systemd about itself (sd_notify(3)): ready, reloading, stopping, status,
//! watchdog, and the descriptors that systemd keeps for it over a restart.
//!
//! The environment is read once, at the start. Without `NOTIFY_SOCKET` every call does nothing. No
//! call ever blocks: when systemd does not take a message, it is lost and counted.

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
    remark: String,
}

impl Notifier {
    /// A line to whoever started the process, or one that leads nowhere if nobody listens.
    ///
    /// # Errors
    /// When `NOTIFY_SOCKET` is set but cannot be reached; go on with [`Notifier::off`] then.
    pub fn from_environment() -> Result<Self, NotifyError> {
        match std::env::var_os("NOTIFY_SOCKET") {
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

    /// Whether anybody listens.
    pub fn is_on(&self) -> bool {
        self.socket.is_some()
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

    /// Puts a remark behind the status, or takes it away with an empty one.
    pub fn remark(&self, remark: &str) {
        let status = self.worded(|words| words.remark = one_line(remark));
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
        match (words.status.as_str(), words.remark.as_str()) {
            (status, "") => status.to_owned(),
            ("", remark) => remark.to_owned(),
            (status, remark) => format!("{status}; {remark}"),
        }
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
mod tests {
    use std::os::unix::net::UnixDatagram;

    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

    use super::*;

    /// A stand-in for systemd's end of the line.
    struct Systemd {
        socket: UnixDatagram,
        _directory: tempfile::TempDir,
        line: Notifier,
    }

    fn systemd() -> Systemd {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let line = Notifier::to(path.as_os_str()).unwrap();
        Systemd {
            socket,
            _directory: directory,
            line,
        }
    }

    impl Systemd {
        fn hears(&self) -> String {
            let mut buffer = [0; 2048];
            let length = self.socket.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        }
    }

    #[test]
    fn each_state_is_one_message() {
        let systemd = systemd();
        systemd.line.ready("98 series");
        assert_eq!(systemd.hears(), "READY=1\nSTATUS=98 series");
        systemd.line.reloading();
        let heard = systemd.hears();
        let (first, time) = heard.split_once("\nMONOTONIC_USEC=").unwrap();
        assert_eq!(first, "RELOADING=1");
        assert!(time.parse::<u64>().unwrap() > 0);
        systemd.line.watchdog();
        assert_eq!(systemd.hears(), "WATCHDOG=1");
        systemd.line.extend_timeout(Duration::from_secs(5));
        assert_eq!(systemd.hears(), "EXTEND_TIMEOUT_USEC=5000000");
        systemd.line.stopping("writing the snapshot");
        assert_eq!(systemd.hears(), "STOPPING=1\nSTATUS=writing the snapshot");
    }

    #[test]
    fn a_status_cannot_give_orders() {
        let systemd = systemd();
        systemd.line.status("fine\nWATCHDOG=trigger\nMAINPID=1");
        assert_eq!(systemd.hears(), "STATUS=fine WATCHDOG=trigger MAINPID=1");
        systemd.line.status(&"ä".repeat(5000));
        assert_eq!(systemd.hears().len(), "STATUS=".len() + STATUS_LIMIT);
    }

    #[test]
    fn a_remark_follows_the_status_until_it_is_taken_away() {
        let systemd = systemd();
        systemd.line.remark("late: store");
        assert_eq!(systemd.hears(), "STATUS=late: store");
        systemd.line.status("98 series");
        assert_eq!(systemd.hears(), "STATUS=98 series; late: store");
        systemd.line.remark("");
        assert_eq!(systemd.hears(), "STATUS=98 series");
    }

    #[test]
    fn a_kept_descriptor_travels_with_its_name() {
        let systemd = systemd();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        systemd.line.keep("map/block/io", writer.as_fd()).unwrap();
        drop(writer);

        let mut text = [0; 256];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let length = recvmsg(
            &systemd.socket,
            &mut [std::io::IoSliceMut::new(&mut text)],
            &mut ancillary,
            RecvFlags::empty(),
        )
        .unwrap()
        .bytes;
        assert_eq!(&text[..length], b"FDSTORE=1\nFDNAME=map/block/io\nFDPOLL=0");
        let kept: Vec<OwnedFd> = ancillary
            .drain()
            .flat_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
                _ => Vec::new(),
            })
            .collect();
        rustix::io::write(&kept[0], b"still here").unwrap();
        let mut read = [0; 16];
        assert_eq!(rustix::io::read(&reader, &mut read).unwrap(), 10);

        systemd.line.forget("map/block/io").unwrap();
        assert_eq!(systemd.hears(), "FDSTOREREMOVE=1\nFDNAME=map/block/io");
    }

    #[test]
    fn names_that_systemd_would_ignore_are_refused() {
        let line = Notifier::off();
        let (_reader, writer) = rustix::pipe::pipe().unwrap();
        for name in [
            "",
            "map:block",
            "a\nWATCHDOG=trigger",
            "ü",
            &"x".repeat(256),
        ] {
            assert!(
                matches!(
                    line.keep(name, writer.as_fd()),
                    Err(NotifyError::BadName { .. })
                ),
                "{name:?}"
            );
        }
        line.keep(&"x".repeat(255), writer.as_fd()).unwrap();
    }

    #[test]
    fn a_systemd_that_does_not_read_blocks_nobody() {
        let systemd = systemd();
        // The queue of a datagram socket holds net.unix.max_dgram_qlen messages; far fewer than this.
        for _ in 0..100_000 {
            systemd.line.watchdog();
            if systemd.line.lost() > 0 {
                break;
            }
        }
        assert!(systemd.line.lost() > 0);
        assert_eq!(systemd.hears(), "WATCHDOG=1");
    }

    #[test]
    fn without_a_listener_nothing_happens() {
        let line = Notifier::off();
        assert!(!line.is_on());
        line.ready("nobody hears this");
        assert_eq!(line.lost(), 0);
        assert!(matches!(
            Notifier::to(OsStr::new("/nonexistent/notify")),
            Err(NotifyError::Unreachable { .. })
        ));
    }
}
