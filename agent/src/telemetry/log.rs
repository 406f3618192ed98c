//! The log: events go into a bounded queue, and a thread of its own writes them to journald or to
//! standard error.
//!
//! Whoever logs never waits, since journald, a terminal or a pipe can stand still for ever, and the
//! watchdog would then end a healthy agent. When the queue is full, events are dropped and
//! counted, and the count is logged once there is room. Spans are not used.

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use super::journal::Journal;
use super::queue::Queue;
use super::record::Record;
use crate::model::clock::Clock;

/// How many events wait for the writer; at a usual 200 bytes, 200 KB.
const QUEUE_CAPACITY: usize = 1024;

/// Where the log goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// To journald if systemd connected standard error to it, else to standard error.
    #[default]
    Automatic,
    /// To journald.
    Journal,
    /// To standard error, a line per event.
    StandardError,
}

/// How the log is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The least grave level that is logged. Of other people's crates only warnings and worse are.
    pub level: Level,
    /// Where the log goes.
    pub destination: Destination,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            level: Level::INFO,
            destination: Destination::Automatic,
        }
    }
}

/// Why there is no log.
#[derive(Debug, Error)]
pub enum LogError {
    /// The writer's thread could not be made.
    #[error("the log's thread could not be started")]
    Thread(#[source] io::Error),
    /// What was to run first in the writer's thread panicked.
    #[error("the log's thread ended before it wrote anything")]
    Unprepared,
    /// A log was set up before in this process.
    #[error("the log was set up twice")]
    Twice,
}

/// The running log.
#[derive(Debug)]
pub struct Log {
    shared: Arc<Shared>,
    destination: Destination,
}

#[derive(Debug)]
struct Shared {
    queue: Queue<Record>,
    clock: Clock,
    level: Mutex<Level>,
    undelivered: AtomicU64,
}

/// What the writer writes to.
pub(super) trait Sink: Send {
    /// Writes one record; may block.
    fn write(&mut self, record: &Record) -> io::Result<()>;
}

impl Log {
    /// Starts the log for the whole process. `prepare` runs first in the writer's thread, and has
    /// run when this returns; it is where that thread gives up the capabilities that it was
    /// started with.
    ///
    /// # Errors
    /// When the thread cannot be made, or a log is there already.
    pub fn start(
        settings: Settings,
        clock: Clock,
        prepare: impl FnOnce() + Send + 'static,
    ) -> Result<Self, LogError> {
        let (sink, destination, complaint): (Box<dyn Sink>, _, _) =
            if wants_journal(settings.destination) {
                match Journal::new() {
                    Ok(journal) => (Box::new(journal), Destination::Journal, None),
                    Err(error) => (
                        Box::new(StandardError::new()),
                        Destination::StandardError,
                        Some(error),
                    ),
                }
            } else {
                (
                    Box::new(StandardError::new()),
                    Destination::StandardError,
                    None,
                )
            };
        let (shared, dispatch) = assemble(settings.level, clock, QUEUE_CAPACITY);
        tracing::dispatcher::set_global_default(dispatch.clone()).map_err(|_| LogError::Twice)?;
        write_in_a_thread(&shared, sink, dispatch, prepare)?;
        if let Some(error) = complaint {
            tracing::warn!(error = %chain(&error), "journald cannot be reached; logging to standard error");
        }
        Ok(Self {
            shared,
            destination,
        })
    }

    /// Where the log goes in fact.
    pub fn destination(&self) -> Destination {
        self.destination
    }

    /// Changes the level, at once and for every thread.
    pub fn set_level(&self, level: Level) {
        *self.shared.lock_level() = level;
        tracing::callsite::rebuild_interest_cache();
    }

    /// Events that were dropped because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.shared.queue.dropped()
    }

    /// Events that neither journald nor standard error took.
    pub fn undelivered(&self) -> u64 {
        self.shared.undelivered.load(Ordering::Relaxed)
    }

    /// Writes what waits, for at most `patience`; returns whether everything was written. Nothing
    /// is logged afterwards.
    pub fn finish(self, patience: Duration) -> bool {
        self.shared.queue.close();
        self.shared.queue.wait_for_end(patience)
    }
}

impl Shared {
    fn lock_level(&self) -> std::sync::MutexGuard<'_, Level> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let level = *self.lock_level();
        let own = metadata.target().split("::").next() == Some("moonward");
        // The graver level is the lesser one in tracing's order.
        let limit = if own { level } else { level.min(Level::WARN) };
        metadata.is_event() && *metadata.level() <= limit
    }
}

/// An error with everything that caused it, on one line.
pub fn chain<'error>(error: &'error (dyn Error + 'static)) -> impl fmt::Display + use<'error> {
    struct Chain<'error>(&'error (dyn Error + 'static));
    impl fmt::Display for Chain<'_> {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            let mut said = self.0.to_string();
            formatter.write_str(&said)?;
            let mut cause = self.0.source();
            while let Some(error) = cause {
                let words = error.to_string();
                // Other people's errors often hold their cause in their own words already.
                if !said.ends_with(&words) {
                    write!(formatter, ": {words}")?;
                }
                said = words;
                cause = error.source();
            }
            Ok(())
        }
    }
    Chain(error)
}

fn assemble(level: Level, clock: Clock, capacity: usize) -> (Arc<Shared>, Dispatch) {
    let shared = Arc::new(Shared {
        queue: Queue::new(capacity),
        clock,
        level: Mutex::new(level),
        undelivered: AtomicU64::default(),
    });
    let collector = Collector {
        shared: Arc::clone(&shared),
    };
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(collector));
    (shared, dispatch)
}

fn write_in_a_thread(
    shared: &Arc<Shared>,
    sink: Box<dyn Sink>,
    dispatch: Dispatch,
    prepare: impl FnOnce() + Send + 'static,
) -> Result<(), LogError> {
    let shared = Arc::clone(shared);
    let (prepared, is_prepared) = std::sync::mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || {
            tracing::dispatcher::with_default(&dispatch, || {
                prepare();
                if prepared.send(()).is_ok() {
                    write_all(&shared, sink);
                }
            });
            shared.queue.end();
        })
        .map_err(LogError::Thread)?;
    // Whoever checks afterwards that no thread holds a capability must not come too early.
    is_prepared.recv().map_err(|_| LogError::Unprepared)
}

/// Writes until the queue is closed and empty.
fn write_all(shared: &Shared, mut sink: Box<dyn Sink>) {
    let mut said = 0;
    while let Some(record) = shared.queue.pop() {
        let dropped = shared.queue.dropped();
        if dropped > said {
            // Goes through the queue like any other; one was just taken out, so there is room.
            tracing::warn!(
                dropped = dropped - said,
                total = dropped,
                "log events were dropped: they came faster than they could be written"
            );
            said = dropped;
        }
        if sink.write(&record).is_err() {
            // The last resort, and the last thing that can be tried.
            if StandardError::new().write(&record).is_err() {
                shared.undelivered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Puts every event that is wanted into the queue.
struct Collector {
    shared: Arc<Shared>,
}

impl<S: Subscriber> Layer<S> for Collector {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.shared.wants(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.shared.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some((*self.shared.lock_level()).max(Level::WARN).into())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let record = Record::new(event, self.shared.clock.wall());
        self.shared.queue.push(record);
    }
}

/// Writes records to standard error, a line each.
struct StandardError {
    colour: bool,
}

impl StandardError {
    fn new() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colour: !plain && io::stderr().is_terminal(),
        }
    }
}

impl Sink for StandardError {
    fn write(&mut self, record: &Record) -> io::Result<()> {
        io::stderr().write_all(record.line(self.colour).as_bytes())
    }
}

fn wants_journal(destination: Destination) -> bool {
    match destination {
        Destination::Journal => true,
        Destination::StandardError => false,
        Destination::Automatic => {
            let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
            rustix::fs::fstat(io::stderr())
                .is_ok_and(|stat| is_stream(&stream, stat.st_dev, stat.st_ino))
        }
    }
}

/// Whether `JOURNAL_STREAM` names this file: only then is it true of this process and not
/// inherited from a parent that was a service (systemd.exec(5)).
fn is_stream(stream: &str, device: u64, inode: u64) -> bool {
    stream == format!("{device}:{inode}")
}

#[cfg(test)]
mod tests;
