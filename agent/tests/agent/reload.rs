//! Reloads: what takes effect, what waits for a restart, and that a bad file changes nothing.

use rustix::process::Signal;

use crate::place::{Place, eventually};

#[test]
fn a_bad_reload_keeps_the_old_configuration() {
    let place = Place::new("[collect.load]\nenabled = true\n");
    let agent = place.start();
    place.configure("[collect.load]\nenabled = maybe\n");
    agent.signal(Signal::HUP);
    agent.wait_for("RELOADING=1");
    let said = agent.wait_for("READY=1");
    assert!(
        said.contains("the new configuration is bad, the old one holds"),
        "{said}"
    );
    assert_eq!(place.verdict("collector", "load").0, "active");

    place.configure("[collect.load]\nenabled = false\n");
    let output = place.ask(&["reload"]);
    assert!(output.status.success(), "{output:?}");
    agent.wait_for("RELOADING=1");
    agent.wait_for("READY=1");
    let off = || place.verdict("collector", "load").0 == "off";
    assert!(eventually(off), "the collector is still on");

    place.configure("[collect.lod]\n");
    let output = place.ask(&["reload"]);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("did you mean \"load\"?"), "{text}");
    let (code, log) = agent.end();
    assert_eq!(code, Some(0), "{log}");
}

fn stdout(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_mistake_of_a_reload_has_a_line_of_its_own() {
    let place = Place::new("");
    let agent = place.start();
    let bad: String = (0..200).fold(String::new(), |text, index| {
        text + &format!("no_such_key_{index} = 1\n")
    });
    place.configure(&bad);
    let output = place.ask(&["reload"]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    let mut lines = text.lines();
    let head = "moonward: the new configuration has mistakes, the old one holds:";
    assert_eq!(lines.next(), Some(head));
    for index in 0..200 {
        let line = lines.next().unwrap_or_default();
        assert!(line.contains(&format!("\"no_such_key_{index}\"")), "{line}");
    }
    assert_eq!(lines.next(), None);
    agent.wait_for("RELOADING=1");
    agent.wait_for("READY=1");
    // Not only until the next round of housekeeping.
    agent.wait_for("the new configuration is bad, the old one holds");
    let (_, log) = agent.end();
    assert!(log.contains("mistakes=200"), "{log}");
}

#[test]
fn what_takes_a_restart_is_said_until_it_is_made_or_taken_back() {
    let place = Place::new("");
    let agent = place.start();
    place.configure("[store]\nttl = \"7m\"\n[agent]\nlog_level = \"debug\"\n");
    let says = "store.ttl takes effect after a restart\n";
    for _ in 0..2 {
        let output = place.ask(&["reload"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(stdout(&output), says);
    }
    agent.wait_for("restart for store.ttl");
    place.configure("");
    assert_eq!(stdout(&place.ask(&["reload"])), "");
    agent.end();
}

#[test]
fn the_snapshot_is_switched_off_and_on() {
    let place = Place::new("[store]\nsnapshot_interval = \"1s\"\n");
    let agent = place.start();
    let snapshot = || place.verdict("store", "snapshot").0;
    assert_eq!(snapshot(), "active");
    place.configure("[store]\nsnapshot = false\n");
    assert!(place.ask(&["reload"]).status.success());
    assert_eq!(snapshot(), "off");
    place.configure("[store]\nsnapshot_interval = \"1s\"\n");
    assert!(place.ask(&["reload"]).status.success());
    assert!(eventually(|| snapshot() == "active"));
    agent.end();
}
