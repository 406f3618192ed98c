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
