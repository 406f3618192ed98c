//! From the small client to the agent: the client becomes the agent's process.
//!
//! The client is small because `moonward get` must start about as fast as `true` does; everything
//! that needs the library is in `moonward-agent`.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{exit, output};

/// The agent's program.
pub const AGENT: &str = "moonward-agent";

/// Where a package may put the agent when it is not beside the client.
const ELSEWHERE: [&str; 2] = ["/usr/lib/moonward", "/usr/libexec/moonward"];

/// The agent's program: beside this one, else where packages put it.
pub fn agent() -> Option<PathBuf> {
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent);
    beside
        .into_iter()
        .chain(ELSEWHERE.iter().map(Path::new))
        .map(|directory| directory.join(AGENT))
        .find(|path| path.is_file())
}

/// A command that starts the agent.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line is not the agent: it starts the agent, and only that"
)]
pub fn command(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Option<Command> {
    let mut command = Command::new(agent()?);
    command.args(arguments);
    Some(command)
}

/// Becomes the agent with this command line. Returns an exit status when that fails.
pub fn become_agent(arguments: Vec<OsString>) -> u8 {
    let Some(mut command) = command(arguments) else {
        output::complain(&format!(
            "{AGENT} is neither beside this program nor in {}; reinstall the package",
            ELSEWHERE.join(" or ")
        ));
        return exit::UNAVAILABLE;
    };
    let error = command.exec();
    output::complain(&format!(
        "cannot start {}: {error}",
        command.get_program().display()
    ));
    exit::UNAVAILABLE
}
