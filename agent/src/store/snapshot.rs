//! The store's file: what lets values and the rates of counters survive a restart.
//!
//! Written to a new file beside the old one, synced, renamed over it, and the directory synced:
//! at any moment, power cuts included, there is either the old snapshot or the new one. Nothing
//! here is ever fatal: what goes wrong comes back as a value for the status board.
//!
//! After a restart within one boot everything comes back with what is left of its time. After a
//! reboot only levels and words come back, with the age that the wall clock gives them: counters
//! and histograms have started again from zero, and a value whose age cannot be told (the wall
//! clock is behind) is left out.

use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use thiserror::Error;

pub use super::codec::Damage;
use super::codec::{BOOT_ID, Encoder, Head, decode};
use super::memory::{Cursor, Store};
use super::restore::Restore;

const NAME: &str = "store.snapshot";
const NEW: &str = "store.snapshot.new";
const CORRUPT: &str = "store.snapshot.corrupt-";
/// How many damaged snapshots are kept for whoever wants to know what happened.
const CORRUPT_MAX: usize = 3;
/// The largest snapshot that is written and read: some eight million series.
const BYTES_MAX: u64 = 1 << 30;

/// More than the largest record: units, source, series and a text of the largest size.
const RECORD_MAX: u64 = 2 << 20;

/// Which boot of the machine this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootId([u8; BOOT_ID]);

impl BootId {
    /// The boot id of the running kernel, `/proc/sys/kernel/random/boot_id` (random(4)).
    pub fn current() -> Result<Self, SnapshotError> {
        let path = Path::new("/proc/sys/kernel/random/boot_id");
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(64).read_to_string(&mut text))
            .map_err(|source| SnapshotError::Read {
                path: path.to_owned(),
                source,
            })?;
        Self::parse(&text).ok_or_else(|| SnapshotError::Read {
            path: path.to_owned(),
            source: std::io::ErrorKind::InvalidData.into(),
        })
    }

    /// A boot id as the kernel prints it: 36 characters, hexadecimal digits and dashes.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; BOOT_ID] = text.trim().as_bytes().try_into().ok()?;
        bytes
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
            .then_some(Self(bytes))
    }
}

/// Why a snapshot could not be written or read at all.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The state directory is missing or closed.
    #[error("cannot open the state directory {}; values will not survive a restart", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The file system is full, read-only or broken, or permission is missing.
    #[error("cannot write {}; the earlier snapshot stays", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The file is there and cannot be read.
    #[error("cannot read {}; starting without earlier values", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// How many series.
    pub series: u64,
    /// How many were left out because the snapshot would be too large.
    pub left_out: u64,
    /// The size of the file in bytes.
    pub bytes: u64,
}

/// What came of reading the snapshot at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// There is none.
    Absent,
    /// It was taken over.
    Restored {
        /// Whether it was written in this boot.
        same_boot: bool,
        /// How many series came back.
        restored: u64,
        /// How many had expired meanwhile, or have an age that cannot be told.
        expired: u64,
        /// How many counters and histograms are of an earlier boot.
        restarted: u64,
        /// How many a limit refused, or have a name that is none any more.
        refused: u64,
    },
    /// It is damaged and was set aside.
    Damaged {
        /// What is wrong with it.
        damage: Damage,
        /// Where it is now; `None` when it could not be moved.
        kept_as: Option<PathBuf>,
    },
}

impl fmt::Display for Loaded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => formatter.write_str("there is no snapshot"),
            Self::Restored {
                same_boot,
                restored,
                expired,
                restarted,
                refused,
            } => {
                let boot = if *same_boot { "this" } else { "an earlier" };
                write!(
                    formatter,
                    "{restored} series of {boot} boot came back; {expired} had expired, \
                     {restarted} count from zero again, {refused} were refused"
                )
            }
            Self::Damaged { damage, kept_as } => {
                write!(formatter, "the snapshot was not taken over: {damage}")?;
                match kept_as {
                    Some(path) => write!(formatter, "; it is kept as {}", path.display()),
                    None => formatter.write_str("; it could not be moved aside"),
                }
            }
        }
    }
}

/// The store's file in the state directory.
#[derive(Debug)]
pub struct Snapshot {
    directory: PathBuf,
    boot: BootId,
    /// One writer at a time: they would share the name of the new file.
    writing: Mutex<()>,
}

impl Snapshot {
    /// The snapshot in a state directory, which must exist when it is written.
    pub fn new(directory: impl Into<PathBuf>, boot: BootId) -> Self {
        Self {
            directory: directory.into(),
            boot,
            writing: Mutex::new(()),
        }
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.directory.join(NAME)
    }

    /// Writes every valid value. Blocks on the disk, and never holds a lock of the store while it
    /// writes.
    pub fn write(&self, store: &Store) -> Result<Written, SnapshotError> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = self.open_directory()?;
        let result = self.write_new(&directory, store);
        if result.is_err() {
            // It may be what filled the file system. That it is gone already is no news.
            let _gone = rustix::fs::unlinkat(&directory, NEW, AtFlags::empty());
        }
        result.map_err(|source| SnapshotError::Write {
            path: self.path(),
            source,
        })
    }

    fn write_new(&self, directory: &OwnedFd, store: &Store) -> std::io::Result<Written> {
        match rustix::fs::unlinkat(directory, NEW, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let mut file = File::from(rustix::fs::openat(directory, NEW, flags, mode)?);
        let now = store.clock().now();
        let mut encoder = Encoder::new(&Head {
            boot: self.boot.0,
            at: now,
            wall: store.clock().wall(),
        });
        let mut left_out = 0;
        let mut cursor = Cursor::default();
        loop {
            let more = store.page(&mut cursor, "", now, |reading| {
                if encoder.len() >= BYTES_MAX - RECORD_MAX || !encoder.add(reading) {
                    left_out += 1;
                }
            });
            file.write_all(encoder.piece())?;
            encoder.written();
            if !more {
                break;
            }
        }
        let (series, bytes) = (encoder.series, encoder.bytes);
        let end = encoder.end();
        file.write_all(&end)?;
        file.sync_all()?;
        rustix::fs::renameat(directory, NEW, directory, NAME)?;
        rustix::fs::fsync(directory)?;
        Ok(Written {
            series,
            left_out,
            bytes: bytes + end.len() as u64,
        })
    }

    /// Reads the snapshot into the store. A series that the store already has stays as it is. A
    /// damaged snapshot is renamed to `store.snapshot.corrupt-<seconds since 1970>`, of which the
    /// latest three are kept.
    pub fn load(&self, store: &Store) -> Result<Loaded, SnapshotError> {
        let directory = match self.open_directory() {
            Err(SnapshotError::Directory { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Ok(Loaded::Absent);
            }
            other => other?,
        };
        let read = read(&directory).map_err(|source| SnapshotError::Read {
            path: self.path(),
            source: source.into(),
        })?;
        let Some(content) = read else {
            return Ok(Loaded::Absent);
        };
        let mut restore = Restore::new(store, self.boot.0);
        match content.and_then(|bytes| decode(&bytes, |head, saved| restore.take(head, saved))) {
            Ok(head) => Ok(Loaded::Restored {
                same_boot: head.boot == self.boot.0,
                restored: restore.restored,
                expired: restore.expired,
                restarted: restore.restarted,
                refused: restore.refused,
            }),
            Err(damage) => Ok(Loaded::Damaged {
                damage,
                kept_as: self.set_aside(&directory, store.clock().wall().seconds()),
            }),
        }
    }

    fn open_directory(&self) -> Result<OwnedFd, SnapshotError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(&self.directory, flags, Mode::empty()).map_err(|error| {
            SnapshotError::Directory {
                path: self.directory.clone(),
                source: error.into(),
            }
        })
    }

    fn set_aside(&self, directory: &OwnedFd, seconds: u64) -> Option<PathBuf> {
        let name = format!("{CORRUPT}{seconds}");
        rustix::fs::renameat(directory, NAME, directory, &*name).ok()?;
        let mut kept: Vec<u64> = std::fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let name = entry.ok()?.file_name();
                name.to_str()?.strip_prefix(CORRUPT)?.parse().ok()
            })
            .collect();
        kept.sort_unstable();
        for old in kept.iter().rev().skip(CORRUPT_MAX) {
            let old = format!("{CORRUPT}{old}");
            // One that cannot be removed costs room and nothing else.
            let _gone = rustix::fs::unlinkat(directory, &*old, AtFlags::empty());
        }
        Some(self.directory.join(name))
    }
}

/// The content of the file, or what is wrong with it as a file; `None` when there is none.
fn read(directory: &OwnedFd) -> Result<Option<Result<Vec<u8>, Damage>>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(directory, NAME, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        // A link, a socket: open(2).
        Err(Errno::LOOP | Errno::NXIO) => return Ok(Some(Err(Damage::NotAFile))),
        Err(error) => return Err(error),
    };
    let status = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Ok(Some(Err(Damage::NotAFile)));
    }
    let size = u64::try_from(status.st_size).unwrap_or(u64::MAX);
    if size > BYTES_MAX {
        return Ok(Some(Err(Damage::TooLarge(size))));
    }
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    File::from(file)
        .take(BYTES_MAX)
        .read_to_end(&mut content)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(Some(Ok(content)))
}
