//! What became of a request.

use std::time::Duration;

use super::signal::signal_name;

/// How a command ended, or why it was not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It ended by itself, with this exit status; 127 and 126 are the shell's words for a program
    /// that is not there or cannot be executed.
    Exited(i32),
    /// A signal ended it.
    Signalled {
        /// The signal's number.
        signal: i32,
        /// Whether the kernel wrote a core file.
        core_dumped: bool,
    },
    /// It took longer than this time limit, and was ended with everything that it had started.
    TimedOut(Duration),
    /// It is not allowed; the reason.
    Refused(String),
    /// It could not be started; the reason.
    NotStarted(String),
}

/// One output of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The first bytes of it, at most [`Output::MAX`].
    pub bytes: Vec<u8>,
    /// How many bytes there were, kept or not.
    pub total: u64,
}

impl Output {
    /// How many bytes of an output are kept; what follows is read and counted.
    pub const MAX: usize = 1 << 20;

    /// Whether some of it was not kept.
    pub fn truncated(&self) -> bool {
        self.lost() > 0
    }

    /// How many bytes were not kept.
    pub fn lost(&self) -> u64 {
        self.total.saturating_sub(self.bytes.len() as u64)
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// The standard output, as far as it came.
    pub stdout: Output,
    /// The standard error, as far as it came.
    pub stderr: Output,
    /// From the request's arrival to its end, waiting for a place included; to the microsecond.
    pub duration: Duration,
}

impl Outcome {
    /// An outcome without any output.
    pub(super) fn bare(ending: Ending, duration: Duration) -> Self {
        Self {
            ending,
            stdout: Output::default(),
            stderr: Output::default(),
            duration,
        }
    }

    /// The exit status, -1 when a signal ended the command, and `None` when it did not come to an
    /// end of its own or was not executed.
    pub fn code(&self) -> Option<i32> {
        match self.ending {
            Ending::Exited(code) => Some(code),
            Ending::Signalled { .. } => Some(-1),
            Ending::TimedOut(_) | Ending::Refused(_) | Ending::NotStarted(_) => None,
        }
    }

    /// What went wrong, in the words that ZaLua's `cmd.exec` gives where it has any: `exit status 3`,
    /// `signal: killed`, `execute timeout after 10 seconds`; `None` after exit status 0.
    pub fn error(&self) -> Option<String> {
        match &self.ending {
            Ending::Exited(0) => None,
            Ending::Exited(code) => Some(format!("exit status {code}")),
            Ending::Signalled {
                signal,
                core_dumped,
            } => {
                let core = if *core_dumped { " (core dumped)" } else { "" };
                Some(format!("signal: {}{core}", signal_name(*signal)))
            }
            Ending::TimedOut(limit) => Some(format!(
                "execute timeout after {} seconds",
                limit.as_secs_f64()
            )),
            Ending::Refused(reason) | Ending::NotStarted(reason) => Some(reason.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zalua_56_endings_have_the_words_of_cmd_exec() {
        for (ending, code, error) in [
            (Ending::Exited(0), Some(0), None),
            (Ending::Exited(3), Some(3), Some("exit status 3")),
            (
                Ending::Signalled {
                    signal: 9,
                    core_dumped: false,
                },
                Some(-1),
                Some("signal: killed"),
            ),
            (
                Ending::Signalled {
                    signal: 11,
                    core_dumped: true,
                },
                Some(-1),
                Some("signal: segmentation fault (core dumped)"),
            ),
            (
                Ending::TimedOut(Request::TIMEOUT_DEFAULT),
                None,
                Some("execute timeout after 10 seconds"),
            ),
            (
                Ending::TimedOut(Duration::from_millis(200)),
                None,
                Some("execute timeout after 0.2 seconds"),
            ),
            (Ending::NotStarted("no".into()), None, Some("no")),
        ] {
            let outcome = Outcome::bare(ending, Duration::ZERO);
            assert_eq!(outcome.code(), code, "{outcome:?}");
            assert_eq!(outcome.error().as_deref(), error, "{outcome:?}");
        }
    }

    use super::super::Request;

    #[test]
    fn what_is_not_kept_is_counted() {
        let output = Output {
            bytes: vec![b'x'; 3],
            total: 10,
        };
        assert!(output.truncated());
        assert_eq!(output.lost(), 7);
        assert!(!Output::default().truncated());
    }
}
