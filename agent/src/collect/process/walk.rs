//! Reads one small file of every process, cheaply: two system calls to find a thousand processes,
//! three for each file, no allocation once the buffers have grown.

use std::fmt::Write;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, RawDir};
use rustix::io::Errno;

use crate::collect::Root;

/// The most processes that are looked at: the default bound on the number of processes of a
/// machine with some hundred CPUs.
pub(super) const PROCESSES_MAX: usize = 100_000;

/// An open `/proc` and the processes that were in it.
pub(super) struct Walk {
    proc: OwnedFd,
    path: String,
    buffer: Vec<u8>,
}

/// Room for what is read of one file; the fields that are wanted come in the first half of it.
const FILE_BYTES: usize = 1024;

/// Room for some thousand directory entries at a time.
const ENTRIES_BYTES: usize = 32 * 1024;

impl Walk {
    pub(super) fn open(root: &Root) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = rustix::fs::open(root.path("/proc"), flags, Mode::empty())?;
        Ok(Self {
            proc,
            path: String::new(),
            buffer: vec![0; FILE_BYTES],
        })
    }

    /// Puts the numbers of all processes into `pids`, in rising order, and says how many more than
    /// [`PROCESSES_MAX`] there are.
    pub(super) fn pids(&self, pids: &mut Vec<u32>) -> io::Result<usize> {
        pids.clear();
        let mut beyond = 0;
        let mut entries = vec![MaybeUninit::uninit(); ENTRIES_BYTES];
        let mut directory = RawDir::new(&self.proc, entries.as_mut_slice());
        while let Some(entry) = directory.next() {
            let entry = entry?;
            let Some(pid) = pid(entry.file_name().to_bytes()) else {
                continue;
            };
            if pids.len() < PROCESSES_MAX {
                pids.push(pid);
            } else {
                beyond += 1;
            }
        }
        // The kernel lists them in this order; a recorded tree need not.
        pids.sort_unstable();
        Ok(beyond)
    }

    /// The beginning of `/proc/PID/NAME`, at most 1,024 bytes.
    pub(super) fn read(&mut self, pid: u32, name: &str) -> Result<&[u8], Errno> {
        self.path.clear();
        // Writing to a String cannot fail; a short path would be refused by the kernel.
        if write!(self.path, "{pid}/{name}").is_err() {
            return Err(Errno::INVAL);
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.proc, self.path.as_str(), flags, Mode::empty())?;
        let length = rustix::io::read(&file, self.buffer.as_mut_slice())?;
        Ok(self.buffer.get(..length).unwrap_or_default())
    }
}

fn pid(name: &[u8]) -> Option<u32> {
    if !name.first()?.is_ascii_digit() {
        return None;
    }
    std::str::from_utf8(name).ok()?.parse().ok()
}

/// State and number of threads, out of `/proc/PID/stat`.
///
/// By hand, and only as far as needed: `procfs-core` makes an owned name and fifty numbers of every
/// process. The name may hold anything, so the fields are counted from the last parenthesis.
pub(super) fn state_and_threads(stat: &[u8]) -> Option<(u8, u64)> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    // proc_pid_stat(5): the state is field 3, the number of threads field 20.
    let threads = fields.nth(16)?.parse().ok()?;
    Some((state, threads))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn this_process_is_found_with_its_threads() {
        let mut walk = Walk::open(&Root::machine()).unwrap();
        let mut pids = Vec::new();
        assert_eq!(walk.pids(&mut pids).unwrap(), 0);
        let own = std::process::id();
        assert!(pids.contains(&own));
        assert!(pids.is_sorted());
        let (state, threads) = state_and_threads(walk.read(own, "stat").unwrap()).unwrap();
        assert!(matches!(state, b'R' | b'S'), "{state}");
        assert!(threads >= 1);
        assert_eq!(walk.read(own, "nothing"), Err(Errno::NOENT));
    }

    #[test]
    fn a_name_may_hold_anything() {
        let stat = b"12 (a) S 1 (b) c) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 42 0 99";
        assert_eq!(state_and_threads(stat), Some((b'R', 42)));
        assert_eq!(state_and_threads(b"12 (x) R 1 2"), None);
        assert_eq!(state_and_threads(b""), None);
    }

    proptest! {
        #[test]
        fn every_process_comes_back(
            name in "[ -~]{0,15}",
            state in "[RSDTtZXI]",
            fields in proptest::collection::vec(any::<i64>(), 16),
            threads: u32,
        ) {
            let words: Vec<String> = fields.iter().map(i64::to_string).collect();
            let stat = format!("7 ({name}) {state} {} {threads} 0 0\n", words.join(" "));
            let expected = (state.as_bytes()[0], u64::from(threads));
            prop_assert_eq!(state_and_threads(stat.as_bytes()), Some(expected));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = state_and_threads(&bytes);
            let _ = pid(&bytes);
        }
    }
}
