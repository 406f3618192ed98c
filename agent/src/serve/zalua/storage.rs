//! ZaLua's storage file: the values of plugins, for whoever reads that file, and for the move from
//! ZaLua to Moonward.
//!
//! Moonward's own snapshot (`store::snapshot`) keeps everything exactly; this file has what ZaLua's
//! had, as text. So a value that the store has already is never replaced by one of the file.
//!
//! Read once at start and written from time to time: to a new file beside it, synced, renamed over
//! it. A file that cannot be read as a whole is left alone: nothing is written over it until
//! somebody has moved it away.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use thiserror::Error;

use super::format;
use super::items::{self, Item};
use crate::model::{Glob, Kind, Series, Unit, Value};
use crate::store::{ReadingRef, Store};

/// The source of what comes from the file.
pub const SOURCE: &str = "zalua";

/// What the sources of plugins begin with.
const PLUGIN: &str = "plugin:";

/// The largest file that is read and written: some 500,000 values.
const FILE_MAX: usize = 64 << 20;

/// The unit of a speed whose own unit the file does not tell.
const SPEED: Unit = Unit::new("1/s");

/// Why the file was not read or written.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The file is there and cannot be read.
    #[error("cannot read ZaLua's storage {}; it is left alone, and nothing is written to it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The file is no storage.
    #[error(
        "ZaLua's storage {} is not taken over: {reason}; it is left alone, and nothing is written \
         to it until it is moved away",
        path.display()
    )]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file that was refused at start is still there.
    #[error("ZaLua's storage {} was refused at start and is still there; move it away", path.display())]
    InTheWay {
        /// The file.
        path: PathBuf,
    },
    /// The file system is full, read-only or broken, or permission is missing.
    #[error("cannot write ZaLua's storage {}; the earlier file stays", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
}

/// What came of reading the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// How many values came back.
    pub restored: u64,
    /// How many had expired.
    pub expired: u64,
    /// How many series the store had already.
    pub known: u64,
    /// How many items are none, or have a name or tags that make no series.
    pub odd: u64,
    /// How many a limit of the store refused.
    pub refused: u64,
}

impl fmt::Display for Loaded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} values of ZaLua's storage came back; {} had expired, {} were known, {} are no \
             values, {} were refused",
            self.restored, self.expired, self.known, self.odd, self.refused
        )
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// How many values.
    pub items: u64,
    /// How many were left out because the file would be larger than 64 MiB.
    pub left_out: u64,
}

/// The file.
#[derive(Debug)]
pub struct Storage {
    path: PathBuf,
    /// The largest file in bytes; [`FILE_MAX`] outside tests.
    max: usize,
    /// Whether the file was refused. Held while the file is written: two writers would share the
    /// name of the new file.
    refused: Mutex<bool>,
}

impl Storage {
    /// The file at an absolute path. Its directory must exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            max: FILE_MAX,
            refused: Mutex::new(false),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file into the store with what is left of each value's time; `None` when there is
    /// no file. Values come back as numbers where a number prints as the same text, else as words.
    pub fn load(&self, store: &Store) -> Result<Option<Loaded>, StorageError> {
        let loaded = self.load_file(store);
        if loaded.is_err() {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = true;
        }
        loaded
    }

    fn load_file(&self, store: &Store) -> Result<Option<Loaded>, StorageError> {
        let content = read(&self.path, self.max).map_err(|source| StorageError::Read {
            path: self.path.clone(),
            source,
        })?;
        let refused = |reason: String| StorageError::Refused {
            path: self.path.clone(),
            reason,
        };
        let Some(content) = content else {
            return Ok(None);
        };
        let content = content.map_err(refused)?;
        let now = i64::try_from(store.clock().wall().seconds()).unwrap_or(i64::MAX);
        let mut loaded = Loaded::default();
        items::read(&content, |item| take(store, now, item, &mut loaded))
            .map_err(|error| refused(format!("it is no JSON object of items: {error}")))?;
        Ok(Some(loaded))
    }

    /// Writes every valid value whose source is a plugin or this file. Blocks on the disk, and
    /// never holds a lock of the store while it writes.
    pub fn save(&self, store: &Store) -> Result<Saved, StorageError> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if *refused && std::fs::symlink_metadata(&self.path).is_ok() {
            return Err(StorageError::InTheWay {
                path: self.path.clone(),
            });
        }
        *refused = false;
        let (lines, saved) = collect(store, self.max);
        self.write(&lines).map_err(|source| StorageError::Write {
            path: self.path.clone(),
            source,
        })?;
        Ok(saved)
    }

    fn write(&self, lines: &BTreeMap<String, String>) -> std::io::Result<()> {
        let (Some(directory), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Err(std::io::ErrorKind::IsADirectory.into());
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(directory, flags, Mode::empty())?;
        let mut new = name.to_owned();
        new.push(".tmp");
        let written = write_new(&directory, &new, lines).and_then(|()| {
            rustix::fs::renameat(&directory, &new, &directory, name)?;
            Ok(rustix::fs::fsync(&directory)?)
        });
        if written.is_err() {
            // It may be what filled the file system. That it is gone already is no news.
            let _gone = rustix::fs::unlinkat(&directory, &new, AtFlags::empty());
        }
        written
    }
}

fn write_new(
    directory: &OwnedFd,
    name: &std::ffi::OsStr,
    lines: &BTreeMap<String, String>,
) -> std::io::Result<()> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    let file = rustix::fs::openat(directory, name, flags, mode)?;
    // Whatever the umask is: others read this file.
    rustix::fs::fchmod(&file, mode)?;
    let mut out = BufWriter::new(File::from(file));
    out.write_all(b"{")?;
    let mut separator: &[u8] = b"";
    for line in lines.values() {
        out.write_all(separator)?;
        out.write_all(line.as_bytes())?;
        separator = b",";
    }
    out.write_all(b"}")?;
    out.into_inner()
        .map_err(std::io::IntoInnerError::into_error)?
        .sync_all()
}

/// The values to write, as `"key":{item}` by key.
fn collect(store: &Store, max: usize) -> (BTreeMap<String, String>, Saved) {
    let (now, wall) = (store.clock().now(), store.clock().wall());
    let mut lines = BTreeMap::new();
    let mut saved = Saved::default();
    let mut bytes = 2;
    store.visit(&Glob::new("*"), |reading| {
        if reading.source != SOURCE && !reading.source.starts_with(PLUGIN) {
            return;
        }
        let age = now.since(reading.at).as_nanos();
        let created = u128::from(wall.0).saturating_sub(age) / 1_000_000_000;
        let Some(item) = item(reading, i64::try_from(created).unwrap_or(i64::MAX)) else {
            return;
        };
        let identity = item.identity();
        let mut line = String::with_capacity(160);
        items::write_text(&mut line, &identity);
        line.push(':');
        item.write(&mut line);
        bytes += line.len() + 1;
        if bytes > max {
            bytes -= line.len() + 1;
            saved.left_out += 1;
        } else {
            lines.insert(identity, line);
        }
    });
    saved.items = lines.len() as u64;
    (lines, saved)
}

/// A value as an item; `None` for a distribution, which ZaLua did not know.
fn item(reading: &ReadingRef<'_>, created_at: i64) -> Option<Item> {
    if reading.kind == Kind::Histogram {
        return None;
    }
    let holds = reading.expires.since(reading.at);
    let ttl = holds.as_secs() + u64::from(holds.subsec_nanos() > 0);
    Some(Item {
        metric: reading.series.name().to_owned(),
        value: format::value(reading.value, reading.unit),
        tags: reading
            .series
            .tags()
            .into_iter()
            .map(|(tag, value)| (tag.into_owned(), value.into_owned()))
            .collect(),
        created_at,
        ttl: i64::try_from(ttl).unwrap_or(i64::MAX),
    })
}

fn take(store: &Store, now: i64, item: Option<Item>, loaded: &mut Loaded) {
    let Some(item) = item else {
        loaded.odd += 1;
        return;
    };
    let Some(left) = item.left(now) else {
        loaded.expired += 1;
        return;
    };
    let tags: Vec<(&str, &str)> = item
        .tags
        .iter()
        .map(|(tag, value)| (tag.as_str(), value.as_str()))
        .collect();
    let Ok(series) = Series::new(&item.metric, &tags) else {
        loaded.odd += 1;
        return;
    };
    if store.with(series.as_str(), |_| ()).is_some() {
        loaded.known += 1;
        return;
    }
    let age = u64::try_from(now.saturating_sub(item.created_at)).unwrap_or(0);
    let (age, left) = (Duration::from_secs(age), Duration::from_secs(left));
    if store.put_back(SOURCE, &series, value(&item.value), age, left) {
        loaded.restored += 1;
    } else {
        loaded.refused += 1;
    }
}

/// The value that prints as the text: a number, a speed, a large whole number, or words.
fn value(text: &str) -> (Kind, Unit, Value) {
    if let Ok(float) = text.parse::<f64>() {
        if format::number(float) == text {
            return (Kind::Gauge, Unit::NONE, Value::Float(float));
        }
        if format::speed(float) == text {
            return (Kind::Gauge, SPEED, Value::Float(float));
        }
    }
    // Beyond 2^53, where not every whole number is a float.
    if let Some(whole) = text.strip_suffix(".00").and_then(|text| text.parse().ok()) {
        let value = Value::Unsigned(whole);
        if format::value(&value, Unit::NONE) == text {
            return (Kind::Gauge, Unit::NONE, value);
        }
    }
    (Kind::Text, Unit::NONE, text.into())
}

/// The content of the file, or why it is not taken; `None` when there is none.
fn read(path: &Path, max: usize) -> std::io::Result<Option<Result<Vec<u8>, String>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        // A link, a socket: open(2).
        Err(Errno::LOOP | Errno::NXIO) => {
            return Ok(Some(Err("it is not a regular file".to_owned())));
        }
        Err(error) => return Err(error.into()),
    };
    let status = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Ok(Some(Err("it is not a regular file".to_owned())));
    }
    // ZaLua's was in /tmp, where anybody could have made it.
    if status.st_uid != 0 && status.st_uid != rustix::process::geteuid().as_raw() {
        let reason = "neither to root nor to the user of this service";
        return Ok(Some(Err(format!(
            "it belongs to user {}, {reason}",
            status.st_uid
        ))));
    }
    let mut content = Vec::new();
    File::from(file)
        .take(max as u64 + 1)
        .read_to_end(&mut content)?;
    if content.len() > max {
        return Ok(Some(Err(format!("it is larger than {max} bytes"))));
    }
    Ok(Some(Ok(content)))
}

#[cfg(test)]
#[path = "storage_tests.rs"]
mod tests;
