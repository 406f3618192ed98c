//! The file that `log.info` and `log.error` write to where one is configured, as ZaLua's did.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::serve::zalua::daemon::open_log;

/// A log that is opened again when its file was moved away or removed, so that rotating it takes
/// no signal.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    file: File,
    identity: (u64, u64),
}

impl LogFile {
    /// A log that is opened when the first line comes.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            open: Mutex::default(),
        }
    }

    /// Appends a line, which ends in a line feed, in one write: lines of several plugins do not mix.
    pub(crate) fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let there = std::fs::symlink_metadata(&self.path).ok();
        let identity = there.map(|data| (data.dev(), data.ino()));
        if open.as_ref().map(|open| open.identity) != identity {
            *open = None;
        }
        if open.is_none() {
            let file = open_log(&self.path)?;
            let data = file.metadata()?;
            *open = Some(Open {
                identity: (data.dev(), data.ino()),
                file,
            });
        }
        match open.as_mut() {
            Some(open) => open.file.write_all(line),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_rotated_log_is_begun_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("zalua.log");
        let old = directory.path().join("zalua.log.1");
        let log = LogFile::new(path.clone());
        log.append(b"one\n").unwrap();
        log.append(b"two\n").unwrap();
        fs::rename(&path, &old).unwrap();
        log.append(b"three\n").unwrap();
        fs::remove_file(&path).unwrap();
        log.append(b"four\n").unwrap();
        assert_eq!(fs::read_to_string(&old).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
    }

    #[test]
    fn a_log_does_not_follow_links() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("zalua.log");
        std::os::unix::fs::symlink(directory.path().join("elsewhere"), &path).unwrap();
        LogFile::new(path).append(b"one\n").unwrap_err();
    }
}
