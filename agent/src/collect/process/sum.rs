//! The sum of the IO files of all processes: the collector's, and that of scripts.

use std::io;

use moonward_ebpf::process::Io;
use rustix::io::Errno;

use super::io::read;
use super::walk::Walk;
use crate::collect::Root;

/// How many closed files it takes to give up, unless more were open.
const CLOSED_MAX: usize = 32;

/// Why the sums are not those of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Objection {
    /// Most files are closed to this process.
    Closed,
    /// There are no such files.
    Missing,
}

/// What one walk saw of the IO files.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// The sums over what could be read.
    pub(crate) sums: Io,
    /// How many files could be read.
    pub(crate) open: usize,
    /// How many files were closed to this process.
    pub(crate) closed: usize,
    /// How many files were not there, or held no number.
    pub(crate) missing: usize,
}

impl Seen {
    /// Reads the file of one process.
    pub(super) fn look(&mut self, walk: &mut Walk, pid: u32) {
        match walk.read(pid, "io") {
            Ok(text) => match read(text) {
                Some(io) => {
                    self.sums = self.sums.plus(io);
                    self.open += 1;
                }
                None => self.missing += 1,
            },
            Err(Errno::ACCESS | Errno::PERM) => self.closed += 1,
            Err(_) => self.missing += 1,
        }
    }

    /// Whether so many files were closed that the rest need not be tried.
    pub(super) fn is_hopeless(&self) -> bool {
        self.closed >= CLOSED_MAX && self.closed >= self.open
    }

    /// Why the sums are not those of the machine, if so.
    pub(super) fn objection(&self) -> Option<Objection> {
        if self.closed > self.open {
            Some(Objection::Closed)
        } else if self.open == 0 {
            Some(Objection::Missing)
        } else {
            None
        }
    }
}

/// Sums up what can be read now, each process once.
pub(crate) fn sum(root: &Root) -> io::Result<Seen> {
    let mut walk = Walk::open(root)?;
    let mut pids = Vec::new();
    walk.pids(&mut pids)?;
    let mut seen = Seen::default();
    for pid in pids {
        seen.look(&mut walk, pid);
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_counts_once_and_closed_files_are_counted() {
        let tree = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("1", "rchar: 10\nsyscr: 1\n"),
            ("20", "rchar: 5\nread_bytes: 4096\n"),
            ("self", "rchar: 1000\n"),
            ("thread-self", "rchar: 1000\n"),
            ("30", "nothing\n"),
        ] {
            let folder = tree.path().join("proc").join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("io"), text).unwrap();
        }
        let seen = sum(&Root::recorded(tree.path())).unwrap();
        assert_eq!(seen.sums.read_called_bytes, 15);
        assert_eq!(seen.sums.read_storage_bytes, 4096);
        assert_eq!((seen.open, seen.closed, seen.missing), (2, 0, 1));
        assert!(sum(&Root::recorded(tree.path().join("nowhere"))).is_err());
    }
}
