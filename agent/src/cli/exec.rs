//! `moonward exec`: one Lua script, without the service.

use std::io;
use std::path::Path;

use lexopt::Parser;

use super::verb::{Stopped, Verb};
use super::{exit, output};
use crate::lua::{ExecError, Limits, State, run_file};
use crate::model::Clock;
use crate::serve::zalua::daemon;

/// The verb.
pub static VERB: Verb = Verb {
    name: "exec",
    summary: "run one Lua script",
    help: "\
Usage: moonward exec [OPTIONS] FILE

Runs a Lua script in a fresh state, without the service. The exit status is 0 when it ran to its
end, 1 when it failed, 74 when it cannot be read. The dialect is that of Lua 5.1 (LuaJIT with its
compiler off); FILE must be text. There are the standard libraries only, and no metrics yet: base,
package, table, io, os, string, math, bit, coroutine, and of debug getinfo and traceback. A script
may use 256 MiB of memory and as much time as it likes.

Options
  --zalua            be `zalua -e`: everything goes to the standard output, an error as a line of
                     its log, and the exit status is always 0
",
    options: &["zalua"],
};

/// Enough for any script that ran under ZaLua; a runaway one still leaves the machine alone.
const MEMORY: usize = 256 * 1_048_576;

/// Runs the verb.
pub fn run(parser: &mut Parser) -> Result<u8, Stopped> {
    let given = VERB.read(parser, 1)?;
    let Some(file) = given.words.first() else {
        return Err(VERB.wrong("exec wants a FILE"));
    };
    if given.zalua {
        // Not being able to only leaves the standard error where it was.
        rustix::stdio::dup2_stderr(io::stdout()).ok();
    }
    let (status, message) = execute(Path::new(file));
    if let Some(message) = message {
        if given.zalua {
            let message = format!("execute {file}: {}", message.short);
            let line = daemon::log_line(Clock::System.wall(), "FATAL", &message);
            output::print(line.as_bytes());
        } else {
            output::complain(&[message.short, message.further].concat());
        }
    }
    Ok(if given.zalua { exit::OK } else { status })
}

/// What went wrong.
struct Message {
    /// In one line.
    short: String,
    /// The traceback, on lines of its own.
    further: String,
}

impl Message {
    fn new(error: &dyn std::error::Error) -> Self {
        let mut short = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            short.extend([": ", &error.to_string()]);
            source = error.source();
        }
        let further = String::new();
        Self { short, further }
    }
}

/// Runs the file; gives the exit status and what is to be said.
fn execute(file: &Path) -> (u8, Option<Message>) {
    let limits = Limits {
        memory: MEMORY,
        time: None,
    };
    let state = match State::new(Clock::System, limits) {
        Ok(state) => state,
        Err(error) => return (exit::SOFTWARE, Some(Message::new(&error))),
    };
    let result = run_file(&state, file);
    let flushed = state.flush();
    match (result, flushed) {
        (Err(ExecError::Script(error)), _) => {
            let mut message = Message::new(&error);
            if let Some(traceback) = error.traceback {
                message.further = format!("\nstack traceback:\n{traceback}");
            }
            (exit::NOTHING, Some(message))
        }
        (Err(error), _) => (exit::INPUT_OUTPUT, Some(Message::new(&error))),
        // Whoever has read enough and closes the pipe is no error.
        (Ok(()), Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
            let short = format!("cannot write to the standard output: {error}");
            let further = String::new();
            (exit::INPUT_OUTPUT, Some(Message { short, further }))
        }
        (Ok(()), _) => (exit::OK, None),
    }
}
