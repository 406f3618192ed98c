//! Who executes programs for the plugins of the whole agent: by hand a child, else the socket.

use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::place::{Agent, Place, eventually};
use crate::plugins::{place, save};

/// Says what became of a command.
const PLUGIN: &str = r#"local result, message = cmd.exec("echo ok")
    metrics.set("said", result and result.stdout or message)
    while true do time.sleep(60) end"#;

/// A place with the plugin, and what the configuration says of the runner: nothing, "off", or a
/// socket by that name in the place. Its doors are out of the way of other tests.
fn place_with(socket: Option<&str>) -> Place {
    let place = place("");
    let at = match socket {
        None => String::new(),
        Some("off") => "socket = \"off\"".to_owned(),
        Some(name) => format!("socket = \"{}\"", place.path(name).display()),
    };
    place.configure(&format!(
        "[plugin]\nstock = false\ndirectories = [\"{}\"]\n[runner]\n{at}\n\
         [http]\nlisten = \"127.0.0.1:0\"\n[zabbix]\nlisten = \"127.0.0.1:0\"\n",
        place.path("plugins").display()
    ));
    save(&place, "says.lua", PLUGIN);
    place
}

/// The command with which a person starts the agent; by default the runner's socket is in the place.
fn command(place: &Place) -> Command {
    let mut command = place.command();
    command
        .env_remove("NOTIFY_SOCKET")
        .env("RUNTIME_DIRECTORY", place.path(""));
    command
}

fn start(place: &Place) -> Agent<'_> {
    let child = command(place).spawn().unwrap();
    Agent { place, child }
}

fn said(place: &Place) -> Option<String> {
    let output = place.ask(&["get", "--", "said"]);
    let text = String::from_utf8(output.stdout).unwrap();
    output.status.success().then(|| text.trim_end().to_owned())
}

fn wait_for_said(place: &Place) -> String {
    assert!(eventually(|| said(place).is_some()), "the plugin is silent");
    said(place).unwrap()
}

/// State and parent of a process: the fields behind its name.
fn state(pid: u32) -> Option<(String, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

/// Whether it runs; who waits for what is dead here is another question.
fn runs(pid: u32) -> bool {
    state(pid).is_some_and(|(state, _)| state != "Z" && state != "X")
}

fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap();
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| state(*pid).is_some_and(|(_, of)| of == parent))
        .collect()
}

fn effective_capabilities(process: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("CapEff:"));
    line.unwrap().to_owned()
}

fn has_open(pid: u32, path: &Path) -> bool {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    descriptors
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .any(|target| target == path)
}

#[test]
fn by_hand_a_child_executes_with_the_authority_of_the_user() {
    let place = place_with(None);
    // A descriptor that programs inherit, as a shell may leave one open.
    let leak = std::fs::File::create(place.path("leak")).unwrap();
    let inherited = rustix::io::dup(leak.as_fd()).unwrap();
    let mut agent = start(&place);
    assert_eq!(wait_for_said(&place), "ok");
    drop(inherited);
    let children = children(agent.child.id());
    assert_eq!(children.len(), 1, "{children:?}");
    let runner = children[0];
    let words = std::fs::read_to_string(format!("/proc/{runner}/cmdline")).unwrap();
    assert!(words.contains("runner\0--stdin\0--allow-all"), "{words:?}");
    assert_eq!(
        effective_capabilities(&runner.to_string()),
        effective_capabilities("self"),
        "it was started before the agent gave its capabilities up"
    );
    assert!(effective_capabilities(&agent.child.id().to_string()).ends_with("0000000000000000"));
    assert!(has_open(agent.child.id(), &place.path("leak")));
    assert!(!has_open(runner, &place.path("leak")));
    agent.signal(Signal::TERM);
    assert_eq!(agent.child.wait().unwrap().code(), Some(0));
    assert!(eventually(|| !runs(runner)), "the runner is left behind");
    let mut log = String::new();
    let mut stderr = agent.child.stderr.take().unwrap();
    stderr.read_to_string(&mut log).unwrap();
    assert!(log.contains("a child executes for plugins"), "{log}");
}

#[test]
fn the_child_ends_with_an_agent_that_is_killed() {
    let place = place_with(None);
    let agent = start(&place);
    assert_eq!(wait_for_said(&place), "ok");
    let children = children(agent.child.id());
    assert_eq!(children.len(), 1);
    drop(agent);
    assert!(eventually(|| !children.iter().any(|child| runs(*child))));
}

#[test]
fn by_hand_a_socket_that_is_there_is_used() {
    let place = place_with(None);
    let runner = UnixListener::bind(place.path("runner.sock")).unwrap();
    let agent = start(&place);
    runner.set_nonblocking(true).unwrap();
    let mut connection = None;
    assert!(eventually(|| {
        connection = runner.accept().ok();
        connection.is_some()
    }));
    assert!(children(agent.child.id()).is_empty());
    drop(connection);
    let said = wait_for_said(&place);
    assert!(said.contains("left without a reply"), "{said}");
}

#[test]
fn by_hand_nobody_stands_in_for_a_runner_that_the_configuration_names() {
    let place = place_with(Some("chosen.sock"));
    let agent = start(&place);
    let said = wait_for_said(&place);
    assert!(said.contains("cannot be reached at"), "{said}");
    assert!(children(agent.child.id()).is_empty());
}

#[test]
fn off_means_that_nothing_is_executed() {
    let place = place_with(Some("off"));
    let agent = start(&place);
    let said = wait_for_said(&place);
    assert_ne!(said, "ok");
    assert!(said.contains("runner"), "{said}");
    assert!(children(agent.child.id()).is_empty());
}

#[test]
fn the_service_has_no_child() {
    let place = place_with(Some("no.sock"));
    let agent = place.start();
    let said = wait_for_said(&place);
    assert!(said.contains("cannot be reached at"), "{said}");
    assert!(children(agent.child.id()).is_empty());
    agent.end();
}
