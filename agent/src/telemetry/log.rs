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
            write!(formatter, "{}", self.0)?;
            let mut cause = self.0.source();
            while let Some(error) = cause {
                write!(formatter, ": {error}")?;
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
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A sink that writes a line only when the test lets it.
    struct Gated {
        allowed: Receiver<()>,
        written: Sender<String>,
    }

    impl Sink for Gated {
        fn write(&mut self, record: &Record) -> io::Result<()> {
            // An error means that the test has let go: then it writes freely.
            self.allowed.recv().ok();
            let line = record.line(false);
            let (_, text) = line.split_once(' ').unwrap();
            self.written.send(text.to_owned()).unwrap();
            Ok(())
        }
    }

    struct Scene {
        shared: Arc<Shared>,
        dispatch: Dispatch,
        allow: Sender<()>,
        written: Receiver<String>,
    }

    fn scene(level: Level, capacity: usize) -> Scene {
        let (allow, allowed) = channel();
        let (sender, written) = channel();
        let (shared, dispatch) = assemble(level, Clock::System, capacity);
        let sink = Gated {
            allowed,
            written: sender,
        };
        write_in_a_thread(&shared, Box::new(sink), dispatch.clone(), || {}).unwrap();
        Scene {
            shared,
            dispatch,
            allow,
            written,
        }
    }

    #[test]
    fn a_sink_that_stands_still_blocks_nobody_and_what_is_lost_is_counted() {
        let scene = scene(Level::INFO, 16);
        tracing::dispatcher::with_default(&scene.dispatch, || {
            for number in 0..5000 {
                tracing::info!(number, "event");
            }
        });
        // The writer holds one at most, the queue sixteen.
        let dropped = scene.shared.queue.dropped();
        assert!((5000 - 17..=5000 - 16).contains(&dropped), "{dropped}");
        drop(scene.allow);
        // Reports may come in parts; the last one names them all.
        let report = scene
            .written
            .iter()
            .find(|line| line.contains(&format!("total={}", scene.shared.queue.dropped())))
            .unwrap();
        assert!(
            report.starts_with("WARN  telemetry::log: log events were dropped"),
            "{report}"
        );
        scene.shared.queue.close();
        assert!(scene.shared.queue.wait_for_end(Duration::from_mins(1)));
    }

    #[test]
    fn finishing_writes_what_waits_but_does_not_wait_for_ever() {
        let scene = scene(Level::INFO, 16);
        let log = Log {
            shared: Arc::clone(&scene.shared),
            destination: Destination::StandardError,
        };
        tracing::dispatcher::with_default(&scene.dispatch, || {
            tracing::info!("one");
            tracing::info!(unit = "nginx.service", state = "not found", "two\nlines");
        });
        assert!(
            !log.finish(Duration::from_millis(1)),
            "the sink stands still"
        );
        drop(scene.allow);
        assert!(scene.shared.queue.wait_for_end(Duration::from_mins(1)));
        let lines: Vec<String> = scene.written.iter().collect();
        assert_eq!(
            lines,
            [
                "INFO  telemetry::log::tests: one\n",
                "INFO  telemetry::log::tests: two\\nlines unit=nginx.service state=\"not found\"\n"
            ]
        );
    }

    #[test]
    fn the_level_is_for_our_own_events_and_can_change() {
        let scene = scene(Level::INFO, 64);
        drop(scene.allow);
        let log = Log {
            shared: Arc::clone(&scene.shared),
            destination: Destination::StandardError,
        };
        let speak = |when: &str| {
            tracing::debug!(when, "own debug");
            tracing::info!(target: "zbus::connection", when, "foreign info");
            tracing::warn!(target: "zbus::connection", when, "foreign warning");
            tracing::info!(target: "moonwardly", when, "not ours either");
        };
        tracing::dispatcher::with_default(&scene.dispatch, || {
            speak("before");
            log.set_level(Level::DEBUG);
            speak("between");
            log.set_level(Level::ERROR);
            speak("after");
        });
        assert!(log.finish(Duration::from_mins(1)));
        let lines: Vec<String> = scene.written.iter().collect();
        assert_eq!(
            lines,
            [
                "WARN  zbus::connection: foreign warning when=before\n",
                "DEBUG telemetry::log::tests: own debug when=between\n",
                "WARN  zbus::connection: foreign warning when=between\n",
            ]
        );
    }

    #[test]
    fn the_thread_is_prepared_when_the_log_has_started() {
        let prepared = Arc::new(Mutex::new(false));
        let (shared, dispatch) = assemble(Level::INFO, Clock::System, 4);
        let told = Arc::clone(&prepared);
        let sink = Box::new(StandardError { colour: false });
        write_in_a_thread(&shared, sink, dispatch, move || {
            *told.lock().unwrap() = true;
        })
        .unwrap();
        assert!(*prepared.lock().unwrap());
        shared.queue.close();
        assert!(shared.queue.wait_for_end(Duration::from_mins(1)));
    }

    #[test]
    fn a_journal_stream_counts_only_if_it_is_this_file() {
        assert!(is_stream("8:1234", 8, 1234));
        assert!(!is_stream("8:1234", 8, 1235));
        assert!(!is_stream("", 8, 1234));
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        let error = LogError::Thread(io::Error::other("no memory"));
        assert_eq!(
            chain(&error).to_string(),
            "the log's thread could not be started: no memory"
        );
    }
}
