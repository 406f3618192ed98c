//! Gives up everything that the kernel granted beyond an ordinary user.
//!
//! Capabilities belong to threads, not to processes (capabilities(7)): a thread can only drop its
//! own, and a new thread gets those of the thread that made it. So [`drop_all`] belongs after the
//! probes are loaded and before the runtime's threads are made, on the thread that makes them; a
//! thread that is older (the log's writer) calls [`drop_in_this_thread`] itself. [`drop_all`] looks
//! at every thread afterwards and fails if one still holds anything.
//!
//! Started by hand as root, the process keeps uid 0: it reads and writes what root owns, as any
//! owner does, and can do nothing else that root can.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
use thiserror::Error;

/// The most capabilities that are named one by one.
const NAMED_MAX: u32 = 8;

/// Why the agent could not give up what it holds. It must not open a door then.
#[derive(Debug, Error)]
pub enum PrivilegeError {
    /// A system call was refused.
    #[error("{call} was refused")]
    Refused {
        /// Which.
        call: &'static str,
        /// What the kernel said.
        #[source]
        source: Errno,
    },
    /// The kernel's account of this process cannot be read.
    #[error("{path} cannot be read, so nobody knows what the threads still hold")]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// A thread still holds something.
    #[error(
        "thread {thread} ({name}) still holds {what}; it was made before capabilities were dropped"
    )]
    Held {
        /// The thread's id.
        thread: String,
        /// The thread's name.
        name: String,
        /// The line of its status that says so.
        what: String,
    },
}

/// What was given up, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The capabilities that were effective before.
    pub held: CapabilitySet,
    /// Whether the bounding set is empty too; it takes CAP_SETPCAP to empty it, and without it
    /// `no_new_privs` alone keeps a program that is executed from gaining anything.
    pub bounding_emptied: bool,
    /// How many threads were looked at.
    pub threads: usize,
}

impl fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.held.is_empty() {
            return formatter.write_str("held no capabilities");
        }
        write!(formatter, "dropped {}", names(self.held))
    }
}

/// The capabilities that are effective in this thread.
///
/// # Errors
/// When the kernel refuses capget(2).
pub fn held() -> Result<CapabilitySet, PrivilegeError> {
    Ok(sets()?.effective)
}

/// The names of a set, `CAP_BPF CAP_PERFMON`, or how many there are when those are too many to read.
pub fn names(set: CapabilitySet) -> String {
    match set.bits().count_ones() {
        0 => "no capabilities".to_owned(),
        count if count > NAMED_MAX => format!("{count} capabilities"),
        _ => {
            let names: Vec<String> = known()
                .filter(|(_, flag)| set.contains(*flag))
                .map(|(name, _)| format!("CAP_{name}"))
                .collect();
            names.join(" ")
        }
    }
}

/// Drops every capability of this thread, forbids it to gain any, and checks that no other thread
/// holds one.
///
/// # Errors
/// When a call is refused, or a thread still holds something.
pub fn drop_all() -> Result<Dropped, PrivilegeError> {
    let held = held()?;
    let bounding_emptied = drop_in_this_thread()?;
    let threads = verify(Path::new("/proc/self/task"))?;
    Ok(Dropped {
        held,
        bounding_emptied,
        threads,
    })
}

/// Drops every capability of this thread alone; returns whether the bounding set is empty too.
///
/// # Errors
/// When the kernel refuses a call.
pub fn drop_in_this_thread() -> Result<bool, PrivilegeError> {
    set_no_new_privs(true).map_err(refused("prctl(PR_SET_NO_NEW_PRIVS)"))?;
    let bounding_emptied = sets()?.effective.contains(CapabilitySet::SETPCAP) && empty_bounding()?;
    clear_ambient_capability_set().map_err(refused("prctl(PR_CAP_AMBIENT_CLEAR_ALL)"))?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).map_err(refused("capset"))?;
    Ok(bounding_emptied)
}

fn empty_bounding() -> Result<bool, PrivilegeError> {
    for (_, capability) in known() {
        match remove_capability_from_bounding_set(capability) {
            // EINVAL: this kernel is older than the capability.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(errno) => return Err(refused("prctl(PR_CAPBSET_DROP)")(errno)),
        }
    }
    Ok(true)
}

/// The capabilities that have a name here, one flag each.
fn known() -> impl Iterator<Item = (&'static str, CapabilitySet)> {
    CapabilitySet::all()
        .iter_names()
        .filter(|(_, flag)| flag.bits().is_power_of_two())
}

fn sets() -> Result<CapabilitySets, PrivilegeError> {
    capabilities(None).map_err(refused("capget"))
}

fn refused(call: &'static str) -> impl FnOnce(Errno) -> PrivilegeError {
    move |source| PrivilegeError::Refused { call, source }
}

/// Reads the status of every thread under `tasks`; returns how many there are.
fn verify(tasks: &Path) -> Result<usize, PrivilegeError> {
    let unknown = |path: &Path, source| PrivilegeError::Unknown {
        path: path.to_owned(),
        source,
    };
    let mut threads = 0;
    for entry in fs::read_dir(tasks).map_err(|source| unknown(tasks, source))? {
        let entry = entry.map_err(|source| unknown(tasks, source))?;
        let path = entry.path().join("status");
        let status = match fs::read_to_string(&path) {
            Ok(status) => status,
            // The thread has ended since.
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound
                    || Errno::from_io_error(&error) == Some(Errno::SRCH) =>
            {
                continue;
            }
            Err(source) => return Err(unknown(&path, source)),
        };
        if let Some(what) = still_held(&status) {
            return Err(PrivilegeError::Held {
                thread: entry.file_name().to_string_lossy().into_owned(),
                name: value(&status, "Name").unwrap_or_default().to_owned(),
                what,
            });
        }
        threads += 1;
    }
    Ok(threads)
}

/// The line of a thread's status (proc_pid_status(5)) that shows a capability or the chance to gain
/// one. A line that is missing is no proof of innocence.
fn still_held(status: &str) -> Option<String> {
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        let mask = value(status, set);
        if mask.is_none_or(|mask| u64::from_str_radix(mask, 16) != Ok(0)) {
            return Some(format!("{set} {}", mask.unwrap_or("(not shown)")));
        }
    }
    match value(status, "NoNewPrivs") {
        Some("1") => None,
        other => Some(format!("NoNewPrivs {}", other.unwrap_or("(not shown)"))),
    }
}

fn value<'status>(status: &'status str, name: &str) -> Option<&'status str> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: &str = "Name:\tmoonward\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n\
        CapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\n\
        NoNewPrivs:\t1\n";

    #[test]
    fn a_status_without_anything_is_clean_whatever_the_bounding_set() {
        assert_eq!(still_held(CLEAN), None);
    }

    #[test]
    fn every_set_and_a_missing_line_count() {
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            let status = CLEAN.replace(
                &format!("{set}:\t0000000000000000"),
                &format!("{set}:\t0000008000000000"),
            );
            assert_eq!(
                still_held(&status).unwrap(),
                format!("{set} 0000008000000000")
            );
            let without = CLEAN.replace(set, "Other");
            assert_eq!(still_held(&without).unwrap(), format!("{set} (not shown)"));
        }
        let status = CLEAN.replace("NoNewPrivs:\t1", "NoNewPrivs:\t0");
        assert_eq!(still_held(&status).unwrap(), "NoNewPrivs 0");
    }

    /// Works with and without root: it drops on a thread of its own, and looks at that thread only.
    #[test]
    fn a_thread_drops_all_that_it_holds_and_stays_so() {
        let thread = std::thread::spawn(|| {
            let before = held().unwrap();
            let emptied = drop_in_this_thread().unwrap();
            assert_eq!(emptied, before.contains(CapabilitySet::SETPCAP));
            assert!(held().unwrap().is_empty());
            let status = fs::read_to_string("/proc/thread-self/status").unwrap();
            assert_eq!(still_held(&status), None);
            if emptied {
                assert_eq!(value(&status, "CapBnd"), Some("0000000000000000"));
            }
            // A child of this thread gains nothing either, and dropping twice does no harm.
            assert!(
                std::thread::spawn(|| held().unwrap().is_empty())
                    .join()
                    .unwrap()
            );
            drop_in_this_thread().unwrap();
        });
        thread.join().unwrap();
    }

    #[test]
    fn an_older_thread_that_kept_something_is_named() {
        if held().unwrap().is_empty() {
            return;
        }
        // The threads of the test runner hold what they were started with.
        let error = std::thread::spawn(drop_all).join().unwrap().unwrap_err();
        assert!(matches!(error, PrivilegeError::Held { .. }), "{error}");
    }

    #[test]
    fn sets_have_names() {
        assert_eq!(
            names(CapabilitySet::BPF | CapabilitySet::PERFMON),
            "CAP_PERFMON CAP_BPF"
        );
        let many = CapabilitySet::from_bits_retain((1 << 41) - 1);
        assert_eq!(names(many), "41 capabilities");
        assert_eq!(names(CapabilitySet::empty()), "no capabilities");
        let dropped = Dropped {
            held: CapabilitySet::empty(),
            bounding_emptied: false,
            threads: 1,
        };
        assert_eq!(dropped.to_string(), "held no capabilities");
    }
}
