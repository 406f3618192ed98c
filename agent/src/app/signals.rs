//! The signals that the service obeys.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Read the configuration again.
    Reload,
    /// End; the signal's name is for the log.
    End(&'static str),
}

/// Receives SIGHUP, SIGTERM and SIGINT from its making on: what comes before anybody looks, waits.
#[derive(Debug)]
pub(super) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals from the kernel's default, which is to end the process. Must be called
    /// inside a runtime.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next signal. Several of one kind that come at once count as one.
    pub(super) async fn next(&mut self) -> Wish {
        // The end first: a storm of reloads must not put it off.
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Wish::End("SIGTERM"),
            _ = self.interrupt.recv() => Wish::End("SIGINT"),
            _ = self.hangup.recv() => Wish::Reload,
        }
    }
}
