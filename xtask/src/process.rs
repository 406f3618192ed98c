//! Starting programs: the one place in the workshop that does.
//!
//! A [`Program`] is built, then run in one of four ways: seen by the person at the terminal
//! ([`Program::run`]), captured ([`Program::capture`]), kept as a child ([`Program::spawn`]) or put
//! in the place of this process ([`Program::replace`]). It never goes through a shell.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};

/// Variables that cargo and rustup set for the programs they start. A nested cargo with another
/// tool chain must not see them.
const CARGO_LEFTOVERS: [&str; 8] = [
    "RUSTUP_TOOLCHAIN",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "CARGO",
    "CARGO_MAKEFLAGS",
    "CARGO_TARGET_DIR",
    "RUSTFLAGS",
];

/// What a captured program left behind.
pub(crate) struct Captured {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Its standard output, with invalid UTF-8 replaced.
    pub(crate) stdout: String,
    /// Its standard error, likewise.
    pub(crate) stderr: String,
}

/// A program with its arguments, not yet started.
pub(crate) struct Program {
    command: Command,
}

impl Program {
    /// Names a program, looked up in `PATH` unless it holds a slash.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place of the workshop that starts programs"
    )]
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            command: Command::new(program),
        }
    }

    /// Names a program that the kernel ends together with this process, however that ends.
    pub(crate) fn bound_to_us(program: impl AsRef<OsStr>) -> Self {
        Self::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
    }

    /// Adds one argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds several arguments.
    pub(crate) fn args<I, S>(mut self, arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes away what an outer cargo or rustup put into the environment.
    pub(crate) fn without_cargo_environment(mut self) -> Self {
        for name in CARGO_LEFTOVERS {
            self.command.env_remove(name);
        }
        self
    }

    /// Starts it in another directory.
    pub(crate) fn within(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Sends its standard output to a file.
    pub(crate) fn output_to(mut self, file: File) -> Self {
        self.command.stdout(file);
        self
    }

    /// Sends its standard error to a file.
    pub(crate) fn errors_to(mut self, file: File) -> Self {
        self.command.stderr(file);
        self
    }

    /// Gives it nothing to read.
    pub(crate) fn without_input(mut self) -> Self {
        self.command.stdin(Stdio::null());
        self
    }

    /// Throws away what it prints.
    pub(crate) fn without_output(mut self) -> Self {
        self.command.stdout(Stdio::null());
        self
    }

    /// Runs it in sight of the person at the terminal; an exit code other than 0 is an error.
    pub(crate) fn run(mut self) -> Result<()> {
        let line = self.line();
        let status = self
            .command
            .status()
            .with_context(|| format!("cannot start `{line}`"))?;
        if !status.success() {
            bail!("`{line}` ended with {status}");
        }
        Ok(())
    }

    /// Runs it to its end whatever that is, without judging the exit code.
    pub(crate) fn status(mut self) -> Result<ExitStatus> {
        let line = self.line();
        self.command
            .status()
            .with_context(|| format!("cannot start `{line}`"))
    }

    /// Runs it out of sight and keeps what it said; an exit code other than 0 is not an error.
    pub(crate) fn attempt(mut self) -> Result<Captured> {
        let line = self.line();
        self.command.stdin(Stdio::null());
        let output = self
            .command
            .output()
            .with_context(|| format!("cannot start `{line}`"))?;
        Ok(Captured {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs it out of sight and returns its standard output; an exit code other than 0 is an
    /// error that holds the last lines of what it complained about.
    pub(crate) fn capture(self) -> Result<String> {
        let line = self.line();
        let captured = self.attempt()?;
        if !captured.status.success() {
            let complaint: Vec<&str> = captured.stderr.trim().lines().rev().take(5).collect();
            let complaint: Vec<&str> = complaint.into_iter().rev().collect();
            bail!(
                "`{line}` ended with {}: {}",
                captured.status,
                complaint.join("\n  ")
            );
        }
        Ok(captured.stdout)
    }

    /// Starts it as a child with a pipe on its standard output.
    pub(crate) fn spawn_with_output(mut self) -> Result<Child> {
        let line = self.line();
        self.command.stdout(Stdio::piped());
        self.command
            .spawn()
            .with_context(|| format!("cannot start `{line}`"))
    }

    /// Starts it as a child of its own; whoever holds the child ends it.
    pub(crate) fn spawn(mut self) -> Result<Child> {
        let line = self.line();
        self.command
            .spawn()
            .with_context(|| format!("cannot start `{line}`"))
    }

    /// Puts it in the place of this process; comes back only when it could not be started.
    pub(crate) fn replace(mut self) -> anyhow::Error {
        let line = self.line();
        anyhow::Error::new(self.command.exec()).context(format!("cannot start `{line}`"))
    }

    /// The command line, for messages.
    fn line(&self) -> String {
        let mut words: Vec<OsString> = vec![self.command.get_program().to_owned()];
        words.extend(self.command.get_args().map(OsStr::to_owned));
        words
            .iter()
            .map(|word| word.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// Whether a program of that name can be found in `PATH`.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Administration tools live where an unprivileged shell does not look.
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| directory.join(program).is_file())
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_capture_tells_what_the_program_complained_about() {
        let error = Program::new("sh")
            .args(["-c", "echo no such disk >&2; exit 3"])
            .capture();
        let text = format!("{:#}", error.expect_err("exit code 3"));
        assert!(text.contains("no such disk"), "{text}");
        assert!(text.contains("exit status: 3"), "{text}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Program::new("no-such-program-here")
            .run()
            .expect_err("not there");
        assert!(format!("{error:#}").contains("no-such-program-here"));
        assert!(!is_installed("no-such-program-here"));
        assert!(is_installed("sh"));
    }
}
