//! A place for one agent, and the agent in it.

use std::io::Read as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long anything here may take before the test gives up; never slept for.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A place for one agent: its configuration, sockets and state.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    /// What systemd would listen on.
    systemd: UnixDatagram,
}

impl Place {
    pub(crate) fn new(extra: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let systemd = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        systemd.set_read_timeout(Some(PATIENCE)).unwrap();
        let place = Self { directory, systemd };
        place.configure(extra);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn configure(&self, extra: &str) {
        // The stock plugins are for those tests that name them.
        let plugins = if extra.contains("[plugin]") {
            ""
        } else {
            "[plugin]\nstock = false\ndirectories = []\n"
        };
        let text = format!(
            "[control]\nsocket = \"{}\"\n[state]\ndirectory = \"{}\"\n{extra}\n{plugins}",
            self.path("run/control.sock").display(),
            self.path("state").display(),
        );
        std::fs::write(self.path("moonward.toml"), text).unwrap();
    }

    pub(crate) fn command(&self) -> Command {
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

    pub(crate) fn start(&self) -> Agent<'_> {
        self.started(self.command())
    }

    /// Starts it under systemd's watchdog, which wants a sign of life every three seconds.
    pub(crate) fn start_watched(&self) -> Agent<'_> {
        let mut command = self.command();
        command.env("WATCHDOG_USEC", "3000000");
        self.started(command)
    }

    fn started(&self, mut command: Command) -> Agent<'_> {
        let agent = Agent {
            place: self,
            child: command.spawn().unwrap(),
        };
        agent.wait_for("READY=1");
        agent
    }

    /// One message to systemd.
    pub(crate) fn heard(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self
            .systemd
            .recv(&mut buffer)
            .expect("the agent says nothing to systemd");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Drops what systemd was told so far.
    pub(crate) fn forget_heard(&self) {
        self.systemd.set_nonblocking(true).unwrap();
        while self.systemd.recv(&mut [0; 4096]).is_ok() {}
        self.systemd.set_nonblocking(false).unwrap();
    }

    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_moonward"))
            .env_clear()
            .env("MOONWARD_SOCKET", self.path("run/control.sock"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    pub(crate) fn get(&self, key: &str) -> String {
        let output = self.ask(&["get", "--", key]);
        assert!(output.status.success(), "{key}: {output:?}");
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        let output = self.ask(&["status", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    pub(crate) fn verdict(&self, room: &str, name: &str) -> (String, String) {
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
pub(crate) struct Agent<'a> {
    pub(crate) place: &'a Place,
    pub(crate) child: Child,
}

impl Agent<'_> {
    /// Waits for a message that holds `text` and returns it.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        loop {
            let message = self.place.heard();
            if message.contains(text) {
                return message;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Tells the agent to end; gives its exit status and its log.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
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

/// Whether `condition` comes to hold; asked again and again, since it depends on another process.
pub(crate) fn eventually(mut condition: impl FnMut() -> bool) -> bool {
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
