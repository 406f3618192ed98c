//! The whole agent: the real program with a real configuration, asked through its doors, told by
//! signals, and heard through the notification socket that systemd would have given it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test runs the program that it tests and fails by panicking"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long anything here may take before the test gives up; never slept for.
const PATIENCE: Duration = Duration::from_mins(1);

/// A place for one agent: its configuration, sockets and state.
struct Place {
    directory: tempfile::TempDir,
    /// What systemd would listen on.
    systemd: UnixDatagram,
}

impl Place {
    fn new(extra: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let systemd = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        systemd.set_read_timeout(Some(PATIENCE)).unwrap();
        let place = Self { directory, systemd };
        place.configure(extra);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn configure(&self, extra: &str) {
        let text = format!(
            "[control]\nsocket = \"{}\"\n[state]\ndirectory = \"{}\"\n{extra}\n",
            self.path("run/control.sock").display(),
            self.path("state").display(),
        );
        std::fs::write(self.path("moonward.toml"), text).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_moonward-agent"));
        command
            .env_clear()
            .env("NOTIFY_SOCKET", self.path("notify"))
            .args(["run", "--config"])
            .arg(self.path("moonward.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    fn start(&self) -> Agent<'_> {
        let agent = Agent {
            place: self,
            child: self.command().spawn().unwrap(),
        };
        agent.wait_for("READY=1");
        agent
    }

    /// One message to systemd.
    fn heard(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self
            .systemd
            .recv(&mut buffer)
            .expect("the agent says nothing to systemd");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_moonward"))
            .env_clear()
            .env("MOONWARD_SOCKET", self.path("run/control.sock"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn get(&self, key: &str) -> String {
        let output = self.ask(&["get", "--", key]);
        assert!(output.status.success(), "{key}: {output:?}");
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    fn status(&self) -> serde_json::Value {
        let output = self.ask(&["status", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    fn verdict(&self, room: &str, name: &str) -> (String, String) {
        let status = self.status();
        let part = status["parts"]
            .as_array()
            .unwrap()
            .iter()
            .find(|part| part["room"] == room && part["name"] == name)
            .unwrap_or_else(|| panic!("no {room} {name} in {status}"));
        let word = |key: &str| part[key].as_str().unwrap_or_default().to_owned();
        (word("verdict"), word("reason"))
    }
}

/// A running agent; killed when the test ends early.
struct Agent<'a> {
    place: &'a Place,
    child: Child,
}

impl Agent<'_> {
    /// Waits for a message that holds `text` and returns it.
    fn wait_for(&self, text: &str) -> String {
        loop {
            let message = self.place.heard();
            if message.contains(text) {
                return message;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Tells the agent to end; gives its exit status and its log.
    fn end(mut self) -> (Option<i32>, String) {
        self.signal(Signal::TERM);
        self.wait_for("STOPPING=1");
        let mut log = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

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
fn zabbix_is_answered_on_the_configured_address() {
    let place = Place::new("[zabbix]\nlisten = \"127.0.0.1:0\"\nhostname = \"db1\"\n");
    // Port 0 cannot be asked for by a server, but the door says in the log where it is.
    let port = free_port();
    place.configure(&format!(
        "[zabbix]\nlisten = \"127.0.0.1:{port}\"\nhostname = \"db1\"\n"
    ));
    let agent = place.start();
    assert_eq!(zabbix(port, "agent.hostname"), "db1");
    assert_eq!(zabbix(port, "agent.ping"), "1");
    let total: u64 = zabbix(port, "vm.memory.size[total]").parse().unwrap();
    assert_eq!(place.get("system.memory.limit"), total.to_string());
    let discovery: serde_json::Value =
        serde_json::from_str(&zabbix(port, "net.if.discovery")).unwrap();
    assert!(
        discovery
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["{#IFNAME}"] == "lo")
    );
    let series = "system.memory.limit";
    assert_eq!(
        zabbix(port, series),
        total.to_string(),
        "a series is an item key"
    );
    assert!(zabbix(port, "no.such.key").starts_with("ZBX_NOTSUPPORTED\0Unsupported item key."));
    assert_eq!(place.verdict("door", "zabbix").0, "active");
    agent.end();
}

#[test]
fn a_taken_port_is_shown_and_costs_only_that_door() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let place = Place::new(&format!("[zabbix]\nlisten = \"{address}\"\n"));
    let agent = place.start();
    let (verdict, reason) = place.verdict("door", "zabbix");
    assert_eq!(verdict, "failed");
    assert!(reason.contains(&address.to_string()), "{reason}");
    assert!(place.get("system.memory.limit").parse::<u64>().is_ok());
    agent.end();
}

#[test]
fn the_watchdog_is_fed_while_everybody_is_well() {
    let place = Place::new("");
    let mut command = place.command();
    command.env("WATCHDOG_USEC", "3000000");
    let agent = Agent {
        place: &place,
        child: command.spawn().unwrap(),
    };
    agent.wait_for("READY=1");
    agent.wait_for("WATCHDOG=1");
    agent.wait_for("WATCHDOG=1");
    agent.end();
}

#[test]
fn two_agents_cannot_have_one_socket() {
    let place = Place::new("");
    let agent = place.start();
    let output = place
        .command()
        .env_remove("NOTIFY_SOCKET")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("another process answers at"), "{text}");
    assert_eq!(place.status()["pid"], agent.child.id());
    agent.end();
}

#[test]
fn the_socket_of_a_killed_agent_is_taken_over() {
    let place = Place::new("");
    let agent = place.start();
    drop(agent);
    assert!(place.path("run/control.sock").exists());
    let agent = place.start();
    assert!(place.ask(&["ping"]).status.success());
    let output = place.ask(&["stop"]);
    assert!(output.status.success(), "{output:?}");
    agent.wait_for("STOPPING=1");
}

/// Whether `condition` comes to hold; asked again and again, since it depends on another process.
fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec
        + i64::try_from(PATIENCE.as_secs()).unwrap();
    while rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec < deadline {
        if condition() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Asks as a Zabbix server before 7.0 does; gives the body of the reply.
fn zabbix(port: u16, key: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut request = b"ZBXD\x01".to_vec();
    request.extend_from_slice(&(key.len() as u64).to_le_bytes());
    request.extend_from_slice(key.as_bytes());
    stream.write_all(&request).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    assert_eq!(&reply[..5], b"ZBXD\x01");
    String::from_utf8(reply[13..].to_vec()).unwrap()
}
