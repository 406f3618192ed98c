//! Descriptors that the service manager passed at start (sd_listen_fds(3)): sockets and the
//! content of the descriptor store.
//!
//! It takes each of them over exactly once and reads nothing from them. The variables stay in the
//! environment, where `LISTEN_PID` keeps any child from taking them for its own.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// `SD_LISTEN_FDS_START`.
const FIRST: RawFd = 3;
/// The most descriptors that are taken; `FileDescriptorStoreMax=` of a service is far below.
const COUNT_MAX: usize = 4096;
/// What systemd calls a descriptor that has no name.
const UNNAMED: &str = "unknown";

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The descriptors with their names, in the order in which they were passed; nothing if they were
/// meant for another process, or on a second call.
///
/// Must be called before the process opens descriptors of its own with numbers it was not given:
/// in practice first thing in `main`.
pub fn inherited() -> Vec<(String, OwnedFd)> {
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Vec::new();
    }
    let variable = |name| std::env::var(name).unwrap_or_default();
    let (pid, count, names) = (
        variable("LISTEN_PID"),
        variable("LISTEN_FDS"),
        variable("LISTEN_FDNAMES"),
    );
    parse(&pid, &count, &names, std::process::id())
        .into_iter()
        .filter_map(|(name, descriptor)| Some((name, take(descriptor)?)))
        .collect()
}

/// Keeps the descriptors that whoever started this process left open in it from the programs that
/// it starts: every one but the standard three is closed there from now on.
///
/// # Errors
/// When the kernel does not list them.
pub fn close_in_children() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.parse::<RawFd>().ok());
        if let Some(descriptor) = number.filter(|number| *number >= FIRST)
            && let Some(flags) = flags(descriptor)
        {
            // SAFETY: the flag is of no consequence before an exec, whoever owns the descriptor.
            unsafe { libc::fcntl(descriptor, libc::F_SETFD, flags | libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}

/// The flags of a descriptor; `None` when it is not open.
fn flags(descriptor: RawFd) -> Option<i32> {
    // SAFETY: asking for the flags of a number harms nothing, open or not.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
    (flags >= 0).then_some(flags)
}

fn take(descriptor: RawFd) -> Option<OwnedFd> {
    let flags = flags(descriptor)?;
    // SAFETY: the number is open, the service manager passed it to this process, and the flag
    // above lets it be taken once; so nobody else owns it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
    // SAFETY: the descriptor is open and ours. A failure would leave it open in children.
    unsafe {
        libc::fcntl(
            descriptor.as_raw_fd(),
            libc::F_SETFD,
            flags | libc::FD_CLOEXEC,
        )
    };
    Some(descriptor)
}

/// What the variables say, for the process `own_pid`.
fn parse(pid: &str, count: &str, names: &str, own_pid: u32) -> Vec<(String, RawFd)> {
    if pid.parse() != Ok(own_pid) {
        return Vec::new();
    }
    let count = count.parse::<usize>().unwrap_or(0).min(COUNT_MAX);
    let names = names
        .split(':')
        .filter(|name| !name.is_empty())
        .chain(std::iter::repeat(UNNAMED));
    names
        .zip(FIRST..)
        .take(count)
        .map(|(name, descriptor)| (name.to_owned(), descriptor))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_go_with_numbers() {
        assert_eq!(
            parse("7", "3", "http.socket:map.block.RECORDS.0", 7),
            [
                ("http.socket".to_owned(), 3),
                ("map.block.RECORDS.0".to_owned(), 4),
                ("unknown".to_owned(), 5)
            ]
        );
    }

    #[test]
    fn what_is_meant_for_others_is_left_alone() {
        assert!(parse("8", "2", "a:b", 7).is_empty());
        assert!(parse("", "2", "", 7).is_empty());
        assert!(parse("7", "-1", "", 7).is_empty());
        assert!(parse("7", "many", "", 7).is_empty());
    }

    #[test]
    fn a_second_call_gets_nothing() {
        drop(inherited());
        assert!(inherited().is_empty());
    }

    proptest! {
        #[test]
        fn any_variables_are_bounded(pid in ".{0,8}", count in ".{0,24}", names in ".{0,80}") {
            prop_assert!(parse(&pid, &count, &names, 1).len() <= COUNT_MAX);
            prop_assert!(parse("1", &count, &names, 1).len() <= COUNT_MAX);
        }
    }
}
