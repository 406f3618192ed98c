//! The names of signals as Go prints them, which is what plugins of ZaLua look for.

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
