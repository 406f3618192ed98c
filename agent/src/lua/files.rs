//! Which files the scripts of the service may open and change.
//!
//! The service's own rights are few (its unit sees to that), and what it may read a script may read.
//! But the kernel also shows the process itself as files, and whoever writes to its memory or opens
//! its descriptors has left the sandbox; and the service's own state is the service's.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Below these directories scripts may make, change and remove files. In the unit both are private.
const WRITABLE: [&str; 2] = ["/tmp", "/var/tmp"];

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

/// Whether a script of the service may do it.
///
/// # Errors
/// Why not, for the script. A file that is not there or is closed to the service is for the system
/// to refuse.
pub(crate) fn check(path: &[u8], access: Access) -> Result<(), String> {
    let path = Path::new(OsStr::from_bytes(path));
    // The place of the name, and what the name leads to: a link in the kernel's own files has no
    // path that could be looked at.
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path.file_name().unwrap_or_default();
    let Ok(directory) = fs::canonicalize(directory) else {
        return Ok(());
    };
    let place = directory.join(name);
    let target = fs::canonicalize(path).ok();
    for path in [Some(&place), target.as_ref()].into_iter().flatten() {
        if is_own(path) {
            return Err(format!("{}: is part of the service itself", path.display()));
        }
    }
    let changed = target.unwrap_or(place);
    if access == Access::Write
        && !WRITABLE
            .iter()
            .any(|directory| changed.starts_with(directory))
    {
        return Err(format!(
            "{}: a plugin writes below {} alone",
            changed.display(),
            WRITABLE.join(" and ")
        ));
    }
    Ok(())
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
    fn a_link_is_where_it_leads_to() {
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
        assert!(may(link.to_str().unwrap(), Access::Read));
        assert!(!may(link.to_str().unwrap(), Access::Write));
        let file = directory.path().join("file");
        assert!(may(file.to_str().unwrap(), Access::Write));
        assert!(!may("/etc/moonward-plugin", Access::Write));
        assert!(
            may("/no/such/directory/file", Access::Write),
            "the system says it better"
        );
    }
}
