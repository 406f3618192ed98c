//! How a script fails.

use std::time::Duration;

use super::budget::Verdict;

/// Where the engine begins a traceback inside a message.
const TRACEBACK: &str = "\nstack traceback:\n";

/// What a script did wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not Lua, or not text.
    #[error("{0}")]
    Syntax(String),
    /// It raised an error and nothing caught it.
    #[error("{0}")]
    Raised(String),
    /// It wanted more memory than it may have, in bytes.
    #[error("not enough memory (the limit is {} MiB)", .0 / 1_048_576)]
    Memory(usize),
    /// One turn took longer than it may.
    #[error("stopped, it ran longer than {} s without a pause", .0.as_secs_f64())]
    Time(Duration),
    /// One turn took more instructions than it may.
    #[error("stopped, it ran more than {0} instructions without a pause")]
    Instructions(u64),
    /// One run of a function of `plugin.every`, with all its waiting, took longer than it may.
    #[error("stopped, one run took longer than {} s", .0.as_secs_f64())]
    Deadline(Duration),
    /// Somebody had it end.
    #[error("plugin was stopped")]
    Stopped,
    /// Its file cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The host could not go on with it.
    #[error("{0}")]
    Host(String),
}

/// A script that failed, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// The script's name, as it was given.
    pub script: String,
    /// The line of that script, where it is known. The place of an error in another file is in the
    /// message.
    pub line: Option<u32>,
    /// What happened.
    pub fault: Fault,
    /// The calls that led there, one per line, innermost first.
    pub traceback: Option<String>,
}

impl std::error::Error for ScriptError {}

impl std::fmt::Display for ScriptError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            // The message has the path.
            _ if matches!(self.fault, Fault::Unreadable(_)) => self.fault.fmt(out),
            Some(line) => write!(out, "{}:{line}: {}", self.script, self.fault),
            None => write!(out, "{}: {}", self.script, self.fault),
        }
    }
}

impl ScriptError {
    /// The message and, on lines of its own, the calls that led there.
    pub fn with_traceback(&self) -> String {
        match &self.traceback {
            Some(traceback) => format!("{self}{TRACEBACK}{traceback}"),
            None => self.to_string(),
        }
    }

    /// Sorts what the engine says. `short` is the engine's name for the script in messages, which
    /// it cuts at 60 bytes; `memory` is the limit that was in force.
    pub(super) fn new(script: &str, short: &str, memory: usize, error: &mlua::Error) -> Self {
        let (text, own_trace) = unwrapped(error);
        let (text, trace) = match text.split_once(TRACEBACK) {
            Some((message, trace)) => (message, Some(trace)),
            None => (text.as_str(), own_trace.as_deref()),
        };
        let (line, message) = match located(text, short) {
            Some((line, message)) => (Some(line), message),
            // A function of ours raises without a place; the innermost line of the script that
            // called it is in the traceback.
            None => (trace.and_then(|trace| first_line(trace, short)), text),
        };
        let message = message.to_owned();
        let fault = match error {
            mlua::Error::SyntaxError { .. } => Fault::Syntax(message),
            mlua::Error::MemoryError(_) => Fault::Memory(memory),
            _ => Fault::Raised(message),
        };
        Self {
            script: script.to_owned(),
            line,
            fault,
            traceback: trace.map(|trace| trace.trim_end().to_owned()),
        }
    }

    /// A script that was ended.
    pub(super) fn ended(script: &str, short: &str, verdict: &Verdict) -> Self {
        Self {
            line: located(&verdict.place, short).map(|(line, _)| line),
            ..Self::of(script, verdict.fault.clone())
        }
    }

    /// A fault that has no place in the script.
    pub(super) fn of(script: &str, fault: Fault) -> Self {
        Self {
            script: script.to_owned(),
            line: None,
            fault,
            traceback: None,
        }
    }
}

/// The innermost message of an error, without its traceback.
pub(super) fn message(error: &mlua::Error) -> String {
    unwrapped(error).0
}

/// The innermost message, and the traceback that came beside it.
fn unwrapped(error: &mlua::Error) -> (String, Option<String>) {
    match error {
        mlua::Error::CallbackError { traceback, cause } => {
            let (text, inner) = unwrapped(cause);
            let own = traceback.strip_prefix(TRACEBACK.trim_start());
            (text, inner.or_else(|| own.map(str::to_owned)))
        }
        mlua::Error::SyntaxError { message, .. }
        | mlua::Error::RuntimeError(message)
        | mlua::Error::MemoryError(message) => (message.clone(), None),
        other => (other.to_string(), None),
    }
}

/// Splits `SHORT:LINE: message`.
fn located<'a>(text: &'a str, short: &str) -> Option<(u32, &'a str)> {
    let rest = text.strip_prefix(short)?.strip_prefix(':')?;
    let (line, message) = rest.split_once(':')?;
    Some((
        line.parse().ok()?,
        message.strip_prefix(' ').unwrap_or(message),
    ))
}

fn first_line(trace: &str, short: &str) -> Option<u32> {
    let mut lines = trace.lines().map(str::trim_start);
    lines
        .find_map(|line| located(line, short))
        .map(|(line, _)| line)
}
