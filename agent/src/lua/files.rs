//! Which files the scripts of the service may open and change.
//!
//! The service's own rights are few (its unit sees to that), and what it may read a script may read.
//! But the kernel also shows the process itself as files, and whoever writes to its memory or opens
//! its descriptors has left the sandbox; and the service's own state is the service's.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use rustix::fs::{FileType, Mode, OFlags, PROC_SUPER_MAGIC, fstat, fstatfs, open, openat};
use rustix::io::Errno;

/// Below these directories scripts may make, change and remove files. In the unit both are private.
const WRITABLE: [&str; 2] = ["/tmp", "/var/tmp"];

/// What gives nothing and takes everything.
const NULL: &str = "/dev/null";

/// What a script may read of the process that it runs in (proc(5)).
const OWN: [&str; 16] = [
    "cgroup",
    "cmdline",
    "comm",
    "io",
    "limits",
    "loginuid",
    "mountinfo",
    "mounts",
    "mountstats",
    "net",
    "numa_maps",
    "oom_score",
    "schedstat",
    "stat",
    "statm",
    "status",
];

/// What is to be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Look at it.
    Read,
    /// Make it, change it or remove it.
    Write,
}

/// Why a script may not have a file, or cannot.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It may not; the message for the script.
    Guard(String),
    /// The system does not give it.
    System(io::Error),
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        Self::System(error.into())
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Guard(message) => Self::new(io::ErrorKind::PermissionDenied, message),
            Refusal::System(error) => error,
        }
    }
}

/// Whether a script of the service may do it, for a library that opens the file itself. Whoever can
/// takes a [`Seen`] file, whose name cannot come to mean another one meanwhile.
///
/// # Errors
/// Why not, for the script. A file that is not there or is closed to the service is for the system
/// to refuse.
pub(crate) fn check(path: &[u8], access: Access) -> Result<(), String> {
    let path = Path::new(OsStr::from_bytes(path));
    let place = match place(path) {
        Ok(place) => place,
        Err(Refusal::Guard(message)) => return Err(message),
        Err(Refusal::System(error)) => return unless_absent(path, &error),
    };
    let changed = match fs::canonicalize(path) {
        Ok(target) => {
            not_own(&target)?;
            target
        }
        Err(_) if access == Access::Write && place.is_symlink() => {
            return Err(format!("{}: is a link to nothing", place.display()));
        }
        Err(error) => {
            unless_absent(path, &error)?;
            place
        }
    };
    match access {
        Access::Write => writable(&changed),
        Access::Read => Ok(()),
    }
}

/// What the system refuses as well is its to refuse; anything else was not looked at.
fn unless_absent(path: &Path, error: &io::Error) -> Result<(), String> {
    match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::NotADirectory => Ok(()),
        _ => Err(format!("{}: {error}", path.display())),
    }
}

/// The place of a name, without links in its directory: a link in the kernel's own files leads to
/// what has no path that could be looked at.
fn place(path: &Path) -> Result<PathBuf, Refusal> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.contains(&0) {
        // C would take what is before it for the whole path.
        let message = format!("{:?}: has a zero byte in it", path.display());
        return Err(Refusal::Guard(message));
    }
    let name = path.file_name().unwrap_or_default();
    let place = fs::canonicalize(directory(path)).map_err(Refusal::System)?;
    let place = place.join(name);
    not_own(&place).map_err(Refusal::Guard)?;
    Ok(place)
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        // The root has no parent.
        None if path.has_root() => path,
        _ => Path::new("."),
    }
}

fn not_own(path: &Path) -> Result<(), String> {
    if is_own(path) {
        return Err(format!("{}: is part of the service itself", path.display()));
    }
    Ok(())
}

fn writable(path: &Path) -> Result<(), String> {
    let mut directories = WRITABLE.iter();
    if path == Path::new(NULL) || directories.any(|directory| path.starts_with(directory)) {
        return Ok(());
    }
    Err(format!(
        "{}: a plugin writes below {} alone",
        path.display(),
        WRITABLE.join(" and ")
    ))
}

/// A file that was looked at and is held on to: what is opened of it is what was looked at, whatever
/// its name has come to mean meanwhile.
#[derive(Debug)]
pub(crate) struct Seen {
    file: OwnedFd,
}

impl Seen {
    /// A file that is there, and that a script of the service may so access.
    ///
    /// # Errors
    /// When it may not, or the file is not there.
    pub(crate) fn find(path: &Path, access: Access) -> Result<Self, Refusal> {
        place(path)?;
        let file = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let seen = Self { file };
        let target = seen.target()?;
        not_own(&target).map_err(Refusal::Guard)?;
        if access == Access::Write {
            writable(&target).map_err(Refusal::Guard)?;
        }
        Ok(seen)
    }

    /// A new file, where a script of the service may make one.
    ///
    /// # Errors
    /// When it may not or cannot, and when there is something of that name, be it a link to nothing.
    pub(crate) fn create(path: &Path) -> Result<Self, Refusal> {
        let (directory, name) = Self::place(path)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(&directory.file, name, flags, Mode::from_raw_mode(0o666))?;
        Ok(Self { file })
    }

    /// The directory of a file that a script of the service may make or remove, and its name there.
    pub(super) fn place(path: &Path) -> Result<(Self, &OsStr), Refusal> {
        let place = place(path)?;
        let name = path.file_name().ok_or(Errno::INVAL)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let file = open(directory(path), flags, Mode::empty())?;
        let directory = Self { file };
        let target = directory.target()?.join(name);
        for path in [&place, &target] {
            not_own(path).map_err(Refusal::Guard)?;
        }
        writable(&target).map_err(Refusal::Guard)?;
        Ok((directory, name))
    }

    /// A path that leads to it, for as long as it is held.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }

    /// Its real path; that of what has none is the kernel's description.
    fn target(&self) -> Result<PathBuf, Refusal> {
        let target = fs::read_link(self.path()).map_err(Refusal::System)?;
        if fstatfs(&self.file)?.f_type == PROC_SUPER_MAGIC && !target.starts_with("/proc") {
            // There this process would have another path.
            let message = format!("{}: is another place of /proc", target.display());
            return Err(Refusal::Guard(message));
        }
        Ok(target)
    }

    /// What kind of file it is.
    pub(super) fn kind(&self) -> Result<FileType, Refusal> {
        Ok(FileType::from_raw_mode(fstat(&self.file)?.st_mode))
    }

    /// Whether it is a regular file or `/dev/null`: nothing that reading could wait for, or that
    /// has no end.
    ///
    /// # Errors
    /// When it is anything else.
    pub(super) fn plain(self, path: &Path) -> Result<Self, Refusal> {
        match self.kind()? {
            FileType::RegularFile => Ok(self),
            FileType::Directory => Err(Errno::ISDIR.into()),
            FileType::CharacterDevice if self.target()? == Path::new(NULL) => Ok(self),
            _ => Err(Refusal::Guard(format!(
                "{}: is no regular file",
                path.display()
            ))),
        }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Whether the path, which has no links left in it, shows what is private of this process.
fn is_own(path: &Path) -> bool {
    let mut parts = path.components().map(Component::as_os_str);
    let (Some(_), Some(proc), Some(number)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let number = number.to_string_lossy();
    if proc != "proc" || !is_ours(&number) {
        return false;
    }
    let mut rest = parts.map(OsStr::to_string_lossy);
    let mut first = rest.next();
    if first.as_deref() == Some("task") {
        // The thread's number, and then the same files as of the process.
        first = rest.nth(1);
    }
    first.is_some_and(|name| !OWN.contains(&&*name))
}

/// Whether a process or thread of that number is this process.
fn is_ours(number: &str) -> bool {
    let own = std::process::id();
    if number.parse() == Ok(own) {
        return true;
    }
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    // A thread has a directory of its own beside that of its process.
    let thread = PathBuf::from(format!("/proc/{own}/task/{number}"));
    thread.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(path: &str, access: Access) -> bool {
        check(path.as_bytes(), access).is_ok()
    }

    #[test]
    fn the_process_itself_is_closed() {
        let own = std::process::id();
        let thread = rustix::thread::gettid().as_raw_nonzero();
        for path in [
            "/proc/self/mem".to_owned(),
            "/proc/thread-self/mem".to_owned(),
            format!("/proc/{own}/mem"),
            format!("/proc/{thread}/mem"),
            format!("/proc/self/task/{thread}/mem"),
            "/proc/self/root/proc/self/mem".to_owned(),
            "/../proc/./self/../self/mem".to_owned(),
            "/proc/self/environ".to_owned(),
            "/proc/self/fd/0".to_owned(),
            "/dev/fd/1".to_owned(),
            "/proc/self/maps".to_owned(),
            "/proc/self/attr/current".to_owned(),
        ] {
            assert!(!may(&path, Access::Read), "{path}");
            assert!(!may(&path, Access::Write), "{path}");
        }
        for path in [
            "/proc/self/stat",
            "/proc/self/net/dev",
            "/proc/stat",
            "/proc/1/status",
        ] {
            assert!(may(path, Access::Read), "{path}");
            assert!(!may(path, Access::Write), "{path}");
        }
    }

    #[test]
    fn what_c_would_cut_or_nobody_looked_at_is_refused() {
        for path in ["/proc/self/mem\0/x", "/etc/x\0", "\0"] {
            assert!(!may(path, Access::Read), "{path:?}");
            assert!(Seen::find(Path::new(path), Access::Read).is_err());
            assert!(Seen::create(Path::new(path)).is_err());
        }
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        let endless = directory.path().join("endless");
        std::os::unix::fs::symlink(&endless, &endless).unwrap();
        let endless = endless.join("x");
        assert!(!may(endless.to_str().unwrap(), Access::Read));
        assert!(may("/dev/null", Access::Write));
    }

    #[test]
    fn what_is_opened_is_what_was_looked_at() {
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "seen").unwrap();
        let seen = Seen::find(&file, Access::Write).unwrap();
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &file).unwrap();
        assert_eq!(fs::read_to_string(seen.path()).unwrap(), "seen");
        assert!(matches!(
            Seen::find(&file, Access::Write),
            Err(Refusal::Guard(_))
        ));
        assert!(matches!(Seen::create(&file), Err(Refusal::System(_))));
        // The directory that was looked at is the one that is worked in.
        let inner = directory.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let name = inner.join("new");
        let (place, new) = Seen::place(&name).unwrap();
        fs::remove_dir(&inner).unwrap();
        std::os::unix::fs::symlink("/etc", &inner).unwrap();
        let made = openat(place.as_fd(), new, OFlags::CREATE, Mode::RWXU);
        assert_eq!(made.unwrap_err(), Errno::NOENT);
        assert!(Seen::place(&name).is_err());
    }

    #[test]
    fn a_link_is_where_it_leads_to() {
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
        assert!(may(link.to_str().unwrap(), Access::Read));
        assert!(!may(link.to_str().unwrap(), Access::Write));
        let dangling = directory.path().join("dangling");
        std::os::unix::fs::symlink("/etc/moonward-absent", &dangling).unwrap();
        assert!(!may(dangling.to_str().unwrap(), Access::Write));
        let file = directory.path().join("file");
        assert!(may(file.to_str().unwrap(), Access::Write));
        assert!(!may("/etc/moonward-plugin", Access::Write));
        assert!(
            may("/no/such/directory/file", Access::Write),
            "the system says it better"
        );
    }
}
