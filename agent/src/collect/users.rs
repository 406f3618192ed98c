//! How many users are logged in.
//!
//! Reads `/run/utmp` or `/var/run/utmp` (utmp(5)); where there is none, as on systems that have
//! left it behind, `/run/systemd/sessions/*` (what `loginctl list-sessions` shows).
//!
//! | series | unit | kind |
//! |---|---|---|
//! | `system.users.count` | {session} | gauge |
//!
//! The figure is that of `who | wc -l`: one per login, so a person with two terminals is two.
//! A record whose process has ended without signing off does not count.

use std::fs::File;
use std::io::{ErrorKind, Read};

use rustix::process::{Pid, test_kill_process};

use super::{Collector, Round};
use crate::model::Unit;

const UTMP: [&str; 2] = ["/run/utmp", "/var/run/utmp"];
const SESSIONS: &str = "/run/systemd/sessions";
/// The largest utmp that is read: some 2,700 records.
const UTMP_MAX: u64 = 1024 * 1024;
/// The most session files that are read.
const SESSIONS_MAX: usize = 4096;

/// The size of glibc's `struct utmp`: where 32-bit programs share the file it keeps 32-bit times
/// (bits/utmp.h, `__WORDSIZE_TIME64_COMPAT32`), elsewhere times and session number take 64 bits.
const RECORD: usize = if cfg!(any(
    target_arch = "aarch64",
    target_arch = "riscv64",
    target_arch = "loongarch64"
)) {
    400
} else {
    384
};
/// `ut_type` of a login (utmp(5)).
const USER_PROCESS: i16 = 7;

/// The collector of logged-in users.
#[derive(Debug, Default)]
pub struct Users {
    bytes: Vec<u8>,
}

impl Collector for Users {
    fn name(&self) -> &'static str {
        "users"
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        let count = self.count_utmp(round).or_else(|| count_sessions(round));
        if let Some(count) = count {
            let unit = Unit::new("{session}");
            round.batch.gauge("system.users.count", &[], unit, count);
        }
    }
}

impl Users {
    fn count_utmp(&mut self, round: &mut Round<'_>) -> Option<u64> {
        for path in UTMP {
            self.bytes.clear();
            let read = File::open(round.root.path(path))
                .and_then(|file| file.take(UTMP_MAX).read_to_end(&mut self.bytes));
            match read {
                Ok(_) => {
                    let machine = round.root.is_machine();
                    let records = read_utmp(&self.bytes);
                    if records.rest > 0 {
                        round.lost(format!(
                            "{path}: the last record is cut after {} of {RECORD} bytes",
                            records.rest
                        ));
                    }
                    let alive = records
                        .logins
                        .into_iter()
                        .filter(|pid| !machine || is_alive(*pid))
                        .count();
                    return u64::try_from(alive).ok();
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => round.lost(format!("{path} cannot be read: {error}")),
            }
        }
        None
    }
}

/// What a utmp file holds.
#[derive(Debug, PartialEq, Eq)]
struct Records {
    /// The process of each login.
    logins: Vec<i32>,
    /// How many bytes follow the last whole record.
    rest: usize,
}

fn read_utmp(bytes: &[u8]) -> Records {
    let records = bytes.chunks_exact(RECORD);
    let rest = records.remainder().len();
    Records {
        logins: records.filter_map(login).collect(),
        rest,
    }
}

/// The process of a record that is a login with a name: `ut_type` is at 0, `ut_pid` at 4,
/// `ut_line` (32 bytes) at 8, `ut_id` (4) at 40, `ut_user` at 44.
fn login(record: &[u8]) -> Option<i32> {
    let kind = i16::from_ne_bytes(*record.first_chunk()?);
    let pid = i32::from_ne_bytes(*record.get(4..)?.first_chunk()?);
    let named = *record.get(44)? != 0;
    (kind == USER_PROCESS && named).then_some(pid)
}

/// Asks the kernel rather than `/proc`, which may hide the processes of others.
fn is_alive(pid: i32) -> bool {
    // rustix wants no negative number, which kill(2) would take as a group.
    let pid = if pid > 0 { Pid::from_raw(pid) } else { None };
    pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// Counts the sessions of people: class `user` (or a kind of it, such as `user-early`) that are
/// not about to end.
fn count_sessions(round: &mut Round<'_>) -> Option<u64> {
    let folder = round.root.path(SESSIONS);
    if !folder.is_dir() {
        round.absent(format!("neither utmp nor {SESSIONS} is there"));
        return None;
    }
    let names = round.root.names(SESSIONS);
    if names.len() > SESSIONS_MAX {
        round.lost(format!(
            "{SESSIONS}: {} files, only {SESSIONS_MAX} are read",
            names.len()
        ));
    }
    let mut count = 0;
    for name in names.iter().take(SESSIONS_MAX) {
        // Beside each session lies a FIFO, on which opening would wait for a writer.
        if !folder.join(name).is_file() {
            continue;
        }
        // A session that ends while we look is not a loss.
        if let Ok(text) = round.root.read(&format!("{SESSIONS}/{name}"))
            && is_users(&text)
        {
            count += 1;
        }
    }
    Some(count)
}

fn is_users(session: &str) -> bool {
    let value = |key: &str| {
        session
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    value("CLASS").is_some_and(|class| class == "user" || class.starts_with("user-"))
        && value("STATE") != Some("closing")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collect::Root;
    use crate::model::{Batch, Moment};

    fn record(kind: i16, pid: i32, user: &str) -> Vec<u8> {
        let mut record = vec![0; RECORD];
        record[..2].copy_from_slice(&kind.to_ne_bytes());
        record[4..8].copy_from_slice(&pid.to_ne_bytes());
        record[44..44 + user.len()].copy_from_slice(user.as_bytes());
        record
    }

    #[test]
    fn logins_with_a_name_count() {
        let mut file = record(2, 0, "reboot");
        file.extend(record(7, 10, "alice"));
        file.extend(record(7, 11, ""));
        file.extend(record(8, 12, "bob"));
        file.extend(record(7, 13, "carol"));
        file.extend([0; 5]);
        assert_eq!(
            read_utmp(&file),
            Records {
                logins: vec![10, 13],
                rest: 5
            }
        );
    }

    #[test]
    fn a_process_that_is_gone_is_not_alive() {
        assert!(is_alive(rustix::process::getpid().as_raw_nonzero().get()));
        assert!(!is_alive(0));
        assert!(!is_alive(-1));
        assert!(!is_alive(i32::MAX));
    }

    #[test]
    fn sessions_of_people_count() {
        assert!(is_users("USER=a\nCLASS=user\nSTATE=active\n"));
        assert!(!is_users("CLASS=user\nSTATE=closing\n"));
        assert!(!is_users("CLASS=background\n"));
        assert!(!is_users(""));
    }

    #[test]
    fn a_fifo_among_the_sessions_does_not_block() {
        let tree = tempfile::tempdir().unwrap();
        let folder = tree.path().join("run/systemd/sessions");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("1"), "CLASS=user\n").unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            folder.join("1.ref"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let root = Root::recorded(tree.path());
        let mut batch = Batch::new();
        Users::default().collect(&mut Round::new(&root, &mut batch, Moment(1)));
        assert_eq!(batch.iter().next().unwrap().value.as_f64(), Some(1.0));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
            let records = read_utmp(&bytes);
            prop_assert!(records.logins.len() <= bytes.len() / RECORD);
            is_users(&String::from_utf8_lossy(&bytes));
        }
    }
}
