//! The kernel's files, below the real root or below a recorded tree.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The largest file that a collector reads. `/proc/stat` of a machine with 1,000 CPUs is about
/// 300 KiB and a mount table with 10,000 mounts about 2 MiB; past that something is wrong.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// Why a file could not be read.
#[derive(Debug, Error)]
#[error("{path} cannot be read")]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// What the kernel answered.
    #[source]
    pub source: std::io::Error,
}

/// Where `/proc` and `/sys` are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    path: PathBuf,
}

impl Default for Root {
    fn default() -> Self {
        Self {
            path: PathBuf::from("/"),
        }
    }
}

impl Root {
    /// The machine's own files.
    pub fn machine() -> Self {
        Self::default()
    }

    /// A recorded tree with `proc` and `sys` in it.
    pub fn recorded(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Whether this is the running machine, so that system calls about it mean something.
    pub fn is_machine(&self) -> bool {
        self.path == Path::new("/")
    }

    /// The real place of `path`, which is written as on the machine (`/proc/stat`).
    pub fn path(&self, path: &str) -> PathBuf {
        self.path.join(path.trim_start_matches('/'))
    }

    /// Reads a file into `buffer`, which is emptied first. Bytes that are not UTF-8 are replaced:
    /// the kernel lets a process or a disk have any name.
    pub fn read_into(&self, path: &str, buffer: &mut String) -> Result<(), ReadError> {
        buffer.clear();
        let read = || -> std::io::Result<String> {
            let mut bytes = std::mem::take(&mut *buffer).into_bytes();
            // Without room the standard library probes with 32 bytes first, and a file below
            // /proc/sys gives only what fits into the first read.
            bytes.reserve(4096);
            File::open(self.path(path))?
                .take(FILE_MAX)
                .read_to_end(&mut bytes)?;
            Ok(String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
        };
        let mut read = read;
        *buffer = read().map_err(|source| ReadError {
            path: PathBuf::from(path),
            source,
        })?;
        Ok(())
    }

    /// Reads a whole file.
    pub fn read(&self, path: &str) -> Result<String, ReadError> {
        let mut buffer = String::new();
        self.read_into(path, &mut buffer)?;
        Ok(buffer)
    }

    /// The names in a directory, sorted; none when it cannot be read.
    pub fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(path)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        names
    }
}
