//! Says when something changed that plugins are made of: inotify(7), no polling.
//!
//! Only directories are watched, and of their entries those names that matter. A file that is being
//! written is left alone until it is closed, or nobody has written to it for a while: truncate(2)
//! changes a file without opening it, and a writer can be forgotten.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::net::unix::pipe::Receiver;
use tokio::time::{Instant, sleep_until};

use super::path::Step;
use super::scan::is_script;

/// Room for the events of one read: some thirty with long names.
const BUFFER: usize = 16 * 1024;

/// How long nobody has to have written to a file that was not closed, before it is looked at: more
/// than whoever writes a file rests in the middle of it.
const QUIET: Duration = Duration::from_secs(10);

/// What matters in a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Interest {
    /// Entries of these names.
    pub(super) names: BTreeSet<OsString>,
    /// Every script.
    pub(super) scripts: bool,
}

/// What matters, by directory.
pub(super) type Interests = BTreeMap<PathBuf, Interest>;

/// The watch over directories.
#[derive(Debug)]
pub(super) struct Watch {
    /// No pipe, but read like one: `AsyncFd` cannot be made without unsafe code.
    inotify: Receiver,
    watched: HashMap<i32, Watched>,
    /// Files that somebody has changed and not yet closed, and when that was.
    open: HashMap<(i32, OsString), Instant>,
    /// Files that were changed since [`Watch::begin`].
    touched: HashSet<(i32, OsString)>,
}

#[derive(Debug, Default)]
struct Watched {
    /// Usually one; two when a directory is mounted twice.
    directories: Vec<PathBuf>,
    interest: Interest,
}

impl Watch {
    /// Watches nothing yet. To be called on a runtime.
    pub(super) fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self {
            inotify: Receiver::from_owned_fd_unchecked(inotify)?,
            watched: HashMap::new(),
            open: HashMap::new(),
            touched: HashSet::new(),
        })
    }

    /// Watches these directories and no others; returns whether one of them is new, so that what
    /// was read before may be out of date.
    pub(super) fn watch(&mut self, interests: &Interests) -> io::Result<bool> {
        let mut now: HashMap<i32, Watched> = HashMap::new();
        let mut is_new = false;
        for (directory, interest) in interests {
            let watch = match inotify::add_watch(&self.inotify, directory, flags()) {
                Ok(watch) => watch,
                // It went away, or is not ours to look into: its parent is watched too.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => continue,
                Err(error) => return Err(error.into()),
            };
            is_new |= !self.watched.contains_key(&watch);
            let watched = now.entry(watch).or_default();
            watched.directories.push(directory.clone());
            watched.interest.scripts |= interest.scripts;
            watched
                .interest
                .names
                .extend(interest.names.iter().cloned());
        }
        for watch in self.watched.keys().filter(|watch| !now.contains_key(watch)) {
            // It is gone already when its directory is.
            inotify::remove_watch(&self.inotify, *watch).ok();
        }
        self.watched = now;
        self.open
            .retain(|(watch, _), _| self.watched.contains_key(watch));
        Ok(is_new)
    }

    /// A look at the files begins: gives those that are being written.
    pub(super) fn begin(&mut self) -> HashSet<Step> {
        self.touched.clear();
        self.changing()
    }

    /// The files that are being written, or were since [`Watch::begin`].
    pub(super) fn changing(&self) -> HashSet<Step> {
        let mut open = HashSet::new();
        for (watch, name) in self.open.keys().chain(&self.touched) {
            for directory in self
                .watched
                .get(watch)
                .iter()
                .flat_map(|watched| &watched.directories)
            {
                open.insert((directory.clone(), name.clone()));
            }
        }
        open
    }

    /// Returns when something that matters has changed and is whole.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        loop {
            let quiet = self.open.values().min().map(|last| *last + QUIET);
            tokio::select! {
                biased;
                ready = self.inotify.readable() => ready?,
                () = until(quiet) => {
                    let now = Instant::now();
                    self.open.retain(|_, last| *last + QUIET > now);
                    return Ok(());
                }
            }
            let changed = self.take()?;
            // All of it is read, so there is something to wait for again.
            self.inotify
                .try_io(|| Err::<(), _>(io::ErrorKind::WouldBlock.into()))
                .ok();
            if changed {
                return Ok(());
            }
        }
    }

    /// Takes note of everything that has happened so far, without waiting; returns whether
    /// something that matters has changed and is whole.
    pub(super) fn take(&mut self) -> io::Result<bool> {
        let mut changed = false;
        loop {
            let events = match read(&self.inotify) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(changed),
                events => events?,
            };
            for event in events {
                changed |= self.matters(event);
            }
        }
    }

    /// Takes note of one event; returns whether it is a reason to look.
    fn matters(&mut self, event: Event) -> bool {
        let Event { watch, what, name } = event;
        if what.contains(ReadFlags::QUEUE_OVERFLOW) {
            tracing::warn!("changes of plugins came too fast; looking at all of them");
            self.open.clear();
            return true;
        }
        if what.contains(ReadFlags::IGNORED) {
            self.open.retain(|(of, _), _| *of != watch);
            return self.watched.remove(&watch).is_some();
        }
        let Some(watched) = self.watched.get(&watch) else {
            return false;
        };
        let Some(name) = name else {
            // About the directory itself.
            return what.intersects(
                ReadFlags::DELETE_SELF
                    | ReadFlags::MOVE_SELF
                    | ReadFlags::UNMOUNT
                    | ReadFlags::ATTRIB,
            );
        };
        if !watched.interest.wants(&name) {
            return false;
        }
        let key = (watch, name);
        if what.intersects(ReadFlags::CREATE | ReadFlags::MODIFY)
            && !what.contains(ReadFlags::ISDIR)
        {
            let is_written = what.contains(ReadFlags::MODIFY)
                || watched
                    .directories
                    .first()
                    .is_some_and(|directory| is_being_made(&directory.join(&key.1)));
            if is_written {
                self.touched.insert(key.clone());
                self.open.insert(key, Instant::now());
                return false;
            }
            return true;
        }
        // A file that is read closes too, but not for writing.
        if !what.contains(ReadFlags::ATTRIB) {
            self.open.remove(&key);
        }
        true
    }
}

impl Interest {
    fn wants(&self, name: &OsStr) -> bool {
        self.names.contains(name) || (self.scripts && is_script(name))
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Whether whoever made the file will close it. Links, pipes and directories are whole at once.
fn is_being_made(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    path.symlink_metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.nlink() == 1)
}

fn flags() -> WatchFlags {
    WatchFlags::CREATE
        | WatchFlags::MODIFY
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::MOVED_TO
        | WatchFlags::MOVED_FROM
        | WatchFlags::DELETE
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::ATTRIB
        | WatchFlags::ONLYDIR
}

/// One event, taken out of the buffer.
struct Event {
    watch: i32,
    what: ReadFlags,
    name: Option<OsString>,
}

/// Reads events once.
fn read(inotify: &Receiver) -> io::Result<Vec<Event>> {
    let mut events = Vec::new();
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut reader = inotify::Reader::new(inotify, &mut buffer);
    loop {
        let event = reader.next()?;
        events.push(Event {
            watch: event.wd(),
            what: event.events(),
            name: event
                .file_name()
                .map(|name| OsStr::from_bytes(name.to_bytes()).to_owned()),
        });
        if reader.is_buffer_empty() {
            return Ok(events);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_changed_and_never_closed_is_looked_at_when_it_is_quiet() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let mut file = fs::File::create(root.join("a.lua")).unwrap();
        let mut watch = Watch::new().unwrap();
        let scripts = Interest {
            scripts: true,
            ..Interest::default()
        };
        let interests = Interests::from([(root.clone(), scripts)]);
        assert!(watch.watch(&interests).unwrap());
        let step = (root.clone(), OsString::from("a.lua"));
        file.write_all(b"one").unwrap();
        assert!(!watch.take().unwrap(), "it may be half a file");
        assert!(watch.begin().contains(&step));
        tokio::time::advance(QUIET / 2).await;
        file.write_all(b"two").unwrap();
        let since = Instant::now();
        assert!(!watch.take().unwrap());
        watch.changed().await.unwrap();
        assert!(since.elapsed() >= QUIET, "{:?}", since.elapsed());
        assert!(watch.begin().is_empty());
        // Whoever writes after all is waited for.
        file.write_all(b"three").unwrap();
        assert!(!watch.take().unwrap());
        assert!(watch.begin().contains(&step));
        drop(file);
        assert!(watch.take().unwrap());
        assert!(watch.begin().is_empty());
    }
}
