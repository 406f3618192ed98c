//! Signals of commands: those that they must not inherit as ignored, and their names as Go prints
//! them, which is what plugins of ZaLua look for.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Signal 1 and up, as `syscall/zerrors_linux_amd64.go` of Go's standard library words them.
const NAMES: [&str; 31] = [
    "hangup",
    "interrupt",
    "quit",
    "illegal instruction",
    "trace/breakpoint trap",
    "aborted",
    "bus error",
    "floating point exception",
    "killed",
    "user defined signal 1",
    "segmentation fault",
    "user defined signal 2",
    "broken pipe",
    "alarm clock",
    "terminated",
    "stack fault",
    "child exited",
    "continued",
    "stopped (signal)",
    "stopped",
    "stopped (tty input)",
    "stopped (tty output)",
    "urgent I/O condition",
    "CPU time limit exceeded",
    "file size limit exceeded",
    "virtual timer expired",
    "profiling timer expired",
    "window changed",
    "I/O possible",
    "power failure",
    "bad system call",
];

/// Signals that cannot be caught (`signal(7)`), or that tokio leaves alone for what they say of the
/// process itself; and SIGPIPE, which the standard library sets back in every command.
const LEFT: [i32; 6] = [4, 8, 9, 11, 13, 19];

/// Catches every signal that this process has inherited as ignored, under `nohup` for one. To this
/// process it comes to the same, but what is caught has its default again in a program that is
/// executed, where what is ignored stays ignored (`execve(2)`).
///
/// # Errors
/// When `/proc/self/status` cannot be read, or a signal not be caught.
pub(super) fn catch_ignored() -> io::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    for number in ignored(&status) {
        if !LEFT.contains(&number) {
            // The handler stays for as long as the process; nobody is told.
            drop(signal(SignalKind::from_raw(number))?);
        }
    }
    Ok(())
}

/// The signals that `/proc/PID/status` says are ignored, of those with a name.
fn ignored(status: &str) -> impl Iterator<Item = i32> {
    let mask = status.lines().find_map(|line| {
        let mask = line.strip_prefix("SigIgn:")?;
        u64::from_str_radix(mask.trim(), 16).ok()
    });
    let mask = mask.unwrap_or_default();
    (1..=31).filter(move |number| mask >> (number - 1) & 1 == 1)
}

/// The name of a signal, such as `killed` for 9; `signal 34` for one without a name.
pub fn signal_name(number: i32) -> String {
    usize::try_from(number)
        .ok()
        .and_then(|number| NAMES.get(number.checked_sub(1)?))
        .map_or_else(|| format!("signal {number}"), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_the_names_that_go_gives_them() {
        for (number, name) in [
            (1, "hangup"),
            (9, "killed"),
            (11, "segmentation fault"),
            (15, "terminated"),
            (31, "bad system call"),
            (34, "signal 34"),
            (0, "signal 0"),
            (-1, "signal -1"),
        ] {
            assert_eq!(signal_name(number), name);
        }
    }
}
