//! The one way out to the terminal.

use std::io::{self, IsTerminal, Write};

use super::exit;

/// Writes to the standard output and gives the exit status: whoever has read enough of a list and
/// closes the pipe (`moonward metrics | head`) is no error.
pub fn print(bytes: &[u8]) -> u8 {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => exit::OK,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::OK,
        Err(error) => {
            complain(&format!("cannot write to the standard output: {error}"));
            exit::INPUT_OUTPUT
        }
    }
}

/// Writes `moonward: ` and the message to the standard error. Nobody is left to tell when that
/// fails.
pub fn complain(message: &str) {
    complain_raw(&format!("moonward: {message}\n"));
}

/// Writes to the standard error as it is.
pub fn complain_raw(text: &str) {
    io::stderr().lock().write_all(text.as_bytes()).ok();
}

/// Whether to use colours: on a terminal that does not say otherwise (<https://no-color.org>).
pub fn colours() -> bool {
    io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|value| value != "dumb")
}
