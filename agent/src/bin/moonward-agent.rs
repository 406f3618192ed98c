//! The agent: the service and every verb of the command line that needs the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = std::env::args_os();
    ExitCode::from(moonward::cli::dispatch::dispatch(
        arguments,
        moonward::cli::agent::perform,
    ))
}
