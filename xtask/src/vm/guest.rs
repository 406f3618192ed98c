//! The channel to a machine: commands and files go in, results come out.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::boot::Machine;
use super::wire::{self, Reply, Request};
use crate::stopwatch::Stopwatch;

/// How long a command may take when nothing else is said. The machine is emulated: what takes one
/// second on hardware takes ten here.
const PATIENCE: u64 = 120;

/// What the channel grants beyond the time of the command itself.
const GRACE: u64 = 60;

/// A machine needs this long until it answers, in the worst case.
const BOOT: u64 = 300;

/// What became of a command.
#[derive(Debug)]
pub(crate) struct Output {
    /// Exit code; 124 when it took too long.
    pub(crate) status: i32,
    /// What it printed.
    pub(crate) stdout: String,
    /// What it complained about.
    pub(crate) stderr: String,
}

/// A machine that answers.
pub(crate) struct Guest {
    machine: Machine,
    channel: Channel,
}

impl Guest {
    /// Waits until a machine that was started answers.
    pub(crate) fn wait_for(mut machine: Machine) -> Result<Self> {
        let mut channel = Channel::connect(&machine.socket())?;
        channel
            .ask(&Request::Ping, &[], BOOT, &mut || machine.still_runs())
            .context("the machine did not come up")?;
        Ok(Self { machine, channel })
    }

    /// Runs a shell command, whatever its exit code.
    ///
    /// # Errors
    /// When the machine is gone or does not answer.
    pub(crate) fn run(&mut self, command: &str) -> Result<Output> {
        self.run_within(command, PATIENCE)
    }

    /// The same with another limit of time, in seconds.
    pub(crate) fn run_within(&mut self, command: &str, seconds: u64) -> Result<Output> {
        let machine = &mut self.machine;
        self.channel
            .run(command, seconds, &mut || machine.still_runs())
            .with_context(|| format!("while running in the machine: {command}"))
    }

    /// Runs a shell command that has to work; returns what it printed, trimmed.
    pub(crate) fn must(&mut self, command: &str) -> Result<String> {
        let output = self.run(command)?;
        if output.status != 0 {
            bail!(
                "`{command}` ended with {}: {}{}",
                output.status,
                output.stdout.trim(),
                output.stderr.trim()
            );
        }
        Ok(output.stdout.trim().to_owned())
    }

    /// Runs a shell command until it works, at most for that many seconds.
    pub(crate) fn until(&mut self, seconds: u64, command: &str) -> Result<()> {
        let patient = format!(
            "end=$((SECONDS+{seconds})); until {{ {command}\n}} >/tmp/until 2>&1; do \
             [ $SECONDS -lt $end ] || {{ cat /tmp/until; exit 1; }}; sleep 0.3; done"
        );
        let output = self.run_within(&patient, seconds + PATIENCE)?;
        if output.status != 0 {
            bail!(
                "not within {seconds} s: {command}: {}",
                output.stdout.trim()
            );
        }
        Ok(())
    }

    /// Writes a file in the machine.
    pub(crate) fn push(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        let machine = &mut self.machine;
        let request = Request::Push {
            path: path.to_owned(),
            mode,
        };
        match self
            .channel
            .ask(&request, content, PATIENCE, &mut || machine.still_runs())?
        {
            (Reply::Done, _) => Ok(()),
            (reply, _) => bail!("cannot write {path} in the machine: {reply:?}"),
        }
    }

    /// Reads a file of the machine.
    pub(crate) fn pull(&mut self, path: &str) -> Result<Vec<u8>> {
        let machine = &mut self.machine;
        let request = Request::Pull {
            path: path.to_owned(),
        };
        match self
            .channel
            .ask(&request, &[], PATIENCE, &mut || machine.still_runs())?
        {
            (Reply::File, content) => Ok(content),
            (reply, _) => bail!("cannot read {path} in the machine: {reply:?}"),
        }
    }

    /// What helps to understand a failure: the last lines of the agent's journal and of the
    /// console. Never fails; what cannot be had is left out.
    pub(crate) fn last_words(&mut self) -> String {
        let mut words = String::new();
        let journal = "journalctl --no-pager -q -o short-monotonic -n 40 -u 'moonward*'; \
                       systemctl --no-pager --failed --plain --no-legend";
        if let Ok(output) = self.run_within(journal, 30) {
            write!(words, "-- journal\n{}", output.stdout).unwrap_or_default();
        }
        let console = self.machine.console_tail(15);
        write!(words, "-- console\n{console}").unwrap_or_default();
        words
    }

    /// Lets the machine run on when this is dropped; returns how to reach it.
    pub(crate) fn keep(self) -> String {
        let socket = self.machine.socket().display().to_string();
        let process = self.machine.keep();
        format!("kept: cargo xtask vm --socket {socket} 'COMMAND'   (end it with: kill {process})")
    }
}

/// The stream itself.
pub(crate) struct Channel {
    stream: UnixStream,
}

impl Channel {
    /// Connects to the socket of a machine that runs.
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("cannot connect to {}", socket.display()))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        Ok(Self { stream })
    }

    /// Runs a command; see [`Guest::run`].
    pub(crate) fn run(
        &mut self,
        command: &str,
        seconds: u64,
        alive: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Output> {
        let request = Request::Run {
            command: command.to_owned(),
            seconds,
        };
        match self.ask(&request, &[], seconds + GRACE, alive)? {
            (Reply::Ended { status, stdout }, body) => {
                let (stdout, stderr) = body
                    .split_at_checked(usize::try_from(stdout)?)
                    .context("bad reply")?;
                Ok(Output {
                    status,
                    stdout: String::from_utf8_lossy(stdout).into_owned(),
                    stderr: String::from_utf8_lossy(stderr).into_owned(),
                })
            }
            (reply, _) => bail!("cannot run that: {reply:?}"),
        }
    }

    fn ask(
        &mut self,
        request: &Request,
        body: &[u8],
        seconds: u64,
        alive: &mut dyn FnMut() -> Result<()>,
    ) -> Result<(Reply, Vec<u8>)> {
        let exchanged = wire::write(&mut self.stream, request, body).and_then(|()| {
            let mut reader = Patient {
                stream: &self.stream,
                watch: Stopwatch::start(),
                limit: Duration::from_secs(seconds),
                alive: &mut *alive,
            };
            wire::read(&mut reader)
        });
        exchanged.or_else(|error| {
            // A broken channel is most often a machine that went down, which tells more.
            std::thread::sleep(Duration::from_millis(300));
            alive()?;
            Err(error)
        })
    }
}

/// Reads with a limit of time, looking after the machine every second.
struct Patient<'a> {
    stream: &'a UnixStream,
    watch: Stopwatch,
    limit: Duration,
    alive: &'a mut dyn FnMut() -> Result<()>,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match Read::read(&mut self.stream, buffer) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    (self.alive)().map_err(|error| std::io::Error::other(format!("{error:#}")))?;
                    if self.watch.elapsed() > self.limit {
                        return Err(std::io::Error::new(
                            ErrorKind::TimedOut,
                            "no answer in time",
                        ));
                    }
                }
                result => return result,
            }
        }
    }
}
