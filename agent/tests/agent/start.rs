//! Start, end, and what is kept from the one to the other.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

use rustix::process::Signal;

use crate::place::{Agent, Place, eventually};

#[test]
fn ready_means_that_values_are_there() {
    let place = Place::new("");
    let agent = place.start();
    assert!(place.get("system.memory.limit").parse::<u64>().unwrap() > 0);
    assert!(place.get("system.uptime").parse::<f64>().unwrap() > 0.0);
    assert_eq!(place.verdict("collector", "cpu").0, "active");
    assert_eq!(place.verdict("door", "control").0, "active");
    let mode = place
        .path("run/control.sock")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
    let status = place.status();
    assert_eq!(status["pid"], agent.child.id());
    assert!(status["store"]["series"].as_u64().unwrap() > 100);
    let (code, log) = agent.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("ended"), "{log}");
    assert!(
        !place.path("run/control.sock").exists(),
        "the socket is left behind"
    );
}

#[test]
fn no_thread_holds_a_capability_once_ready() {
    let place = Place::new("");
    let agent = place.start();
    let mut looked = 0;
    for task in std::fs::read_dir(format!("/proc/{}/task", agent.child.id())).unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        for set in ["CapEff", "CapPrm", "CapAmb"] {
            let line = status.lines().find(|line| line.starts_with(set)).unwrap();
            assert!(line.ends_with("0000000000000000"), "{line}");
        }
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        looked += 1;
    }
    assert!(looked >= 3, "only {looked} threads were looked at");
    agent.end();
}

#[test]
fn every_mistake_is_listed_and_nothing_starts() {
    let place = Place::new("[store]\nmax_seris = 5\nttl = \"10 parsecs\"\n[zabix]\n");
    let output = place.command().output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let text = String::from_utf8(output.stderr).unwrap();
    for expected in [
        "moonward.toml:6:1: unknown key \"max_seris\" in [store]; did you mean \"max_series\"?",
        "moonward.toml:7:7: store.ttl: found \"10 parsecs\"",
        "moonward.toml:8:2: unknown key \"zabix\" in the file; did you mean \"zabbix\"?",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    assert!(!place.path("run").exists() && !place.path("state").exists());
}

#[test]
fn values_and_rates_survive_a_restart() {
    let place = Place::new("[collect]\ninterval = \"100ms\"\n");
    let agent = place.start();
    let rate = "system.cpu.context_switches";
    assert!(eventually(|| place
        .ask(&["get", "--rate", "--", rate])
        .status
        .success()));
    agent.end();
    assert!(place.path("state/store.snapshot").exists());
    // A collector that does not run any more leaves its last value to the snapshot alone.
    place.configure("[collect.load]\nenabled = false\n");
    let agent = place.start();
    assert!(
        place
            .get("system.cpu.load_average{period=\"1m\"}")
            .parse::<f64>()
            .is_ok()
    );
    assert_eq!(place.verdict("store", "snapshot").0, "active");
    agent.end();
}

#[test]
fn a_damaged_snapshot_is_set_aside_and_shown() {
    let place = Place::new("");
    std::fs::create_dir(place.path("state")).unwrap();
    std::fs::write(place.path("state/store.snapshot"), "not a snapshot").unwrap();
    let agent = place.start();
    let (verdict, reason) = place.verdict("store", "snapshot");
    assert_eq!(verdict, "degraded");
    assert!(reason.contains("store.snapshot.corrupt-"), "{reason}");
    let (code, _) = agent.end();
    assert_eq!(code, Some(0));
    // The end has written a good one.
    let names: Vec<String> = std::fs::read_dir(place.path("state"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        names.iter().any(|name| name == "store.snapshot"),
        "{names:?}"
    );
    assert!(
        names
            .iter()
            .any(|name| name.starts_with("store.snapshot.corrupt-")),
        "{names:?}"
    );
}

#[test]
fn a_state_directory_that_cannot_be_written_is_no_reason_not_to_serve() {
    let place = Place::new("[store]\nsnapshot_interval = \"1s\"\n");
    // A file where the directory should be: also root cannot write below it.
    std::fs::write(place.path("state"), "").unwrap();
    let agent = place.start();
    assert!(place.get("system.memory.limit").parse::<u64>().is_ok());
    assert!(eventually(
        || place.verdict("store", "snapshot").0 == "failed"
    ));
    let (code, log) = agent.end();
    assert_eq!(code, Some(0));
    assert!(log.contains("will not survive a restart"), "{log}");
}

#[test]
fn a_closed_state_directory_is_shown_at_once() {
    let place = Place::new("");
    // Without capabilities root is its owner and no more, so it cannot write there either.
    std::fs::DirBuilder::new()
        .mode(0o500)
        .create(place.path("state"))
        .unwrap();
    let agent = place.start();
    let (verdict, reason) = place.verdict("store", "snapshot");
    assert_eq!(verdict, "failed", "{reason}");
    assert!(reason.contains("cannot be written"), "{reason}");
    agent.end();
}

#[test]
fn the_watchdog_is_fed_while_everybody_is_well() {
    let place = Place::new("");
    let agent = place.start_watched();
    agent.wait_for("WATCHDOG=1");
    agent.wait_for("WATCHDOG=1");
    agent.end();
}

#[test]
fn a_log_that_nobody_reads_keeps_nobody_from_ending() {
    let place = Place::new("[store]\nsnapshot = false\n");
    let (_reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
    while rustix::io::write(&writer, &[b'x'; 4096]).is_ok() {}
    // The agent's end waits, as a pipe does that a shell makes.
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::empty()).unwrap();
    let mut command = place.command();
    command.stderr(writer);
    let mut agent = Agent {
        place: &place,
        child: command.spawn().unwrap(),
    };
    agent.wait_for("READY=1");
    assert!(place.ask(&["ping"]).status.success());
    agent.signal(Signal::TERM);
    agent.wait_for("STOPPING=1");
    let ended = || matches!(agent.child.try_wait(), Ok(Some(_)));
    assert!(eventually(ended), "it waits for a reader of its log");
}

#[test]
fn a_signal_during_the_start_waits_for_its_end() {
    let place = Place::new("");
    let mut agent = Agent {
        place: &place,
        child: place.command().spawn().unwrap(),
    };
    let mut log = BufReader::new(agent.child.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(line.contains("starting"), "{line}");
    // Long before READY=1: the probes are being loaded.
    agent.signal(Signal::HUP);
    agent.wait_for("READY=1");
    agent.wait_for("RELOADING=1");
    agent.wait_for("READY=1");
    assert!(place.ask(&["ping"]).status.success());
    agent.signal(Signal::TERM);
    agent.wait_for("STOPPING=1");
    assert_eq!(agent.child.wait().unwrap().code(), Some(0));
}
