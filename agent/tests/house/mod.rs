//! A service of doors over a store that a test fills, in the test's own process, and the real
//! command line beside it.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "each test program uses a part of it"
)]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use moonward::model::{Batch, Clock, Histogram, Kind, Unit, histogram::Bucket};
use moonward::serve::control::{self, AppCommand};
use moonward::serve::zalua;
use moonward::store::{Store, StoreLimits};
use moonward::telemetry::{Room, StatusBoard, Verdict};
use tokio::sync::{mpsc, oneshot};

/// What a process left behind.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub out: String,
    pub err: String,
    pub status: Option<i32>,
}

impl Outcome {
    pub fn new(out: &str, err: &str, status: i32) -> Self {
        Self {
            out: out.into(),
            err: err.into(),
            status: Some(status),
        }
    }
}

/// A directory with both sockets' places and a `zalua` that is the client.
pub struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let client = env!("CARGO_BIN_EXE_moonward");
        std::os::unix::fs::symlink(client, directory.path().join("zalua")).unwrap();
        Self { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the test runs the program that it tests"
    )]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("MOONWARD_SOCKET", self.path("control.sock"))
            .env("ZALUA_SOCKET", self.path("zalua.sock"))
            .env("RUNTIME_DIRECTORY", self.path("run"))
            .env("STATE_DIRECTORY", self.path("state"))
            .env("LOG_PATH", self.path("zalua.log"))
            .stdin(Stdio::null());
        command
    }

    pub fn zalua(&self, arguments: &[&str]) -> Outcome {
        outcome(self.command(&self.path("zalua")).args(arguments))
    }

    pub fn moonward(&self, arguments: &[&str]) -> Outcome {
        let program = Path::new(env!("CARGO_BIN_EXE_moonward"));
        outcome(self.command(program).args(arguments))
    }

    pub fn agent(&self) -> Command {
        self.command(Path::new(env!("CARGO_BIN_EXE_moonward-agent")))
    }
}

pub fn outcome(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    Outcome {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        status: output.status.code(),
    }
}

/// Waits until the condition holds, at most 10 s.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("waited too long until {what}");
}

/// The service.
pub struct House {
    pub place: Place,
    pub store: Store,
    pub board: StatusBoard,
    pub commands: mpsc::Receiver<AppCommand>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl House {
    pub fn open() -> Self {
        Self::with_clock(Clock::default())
    }

    pub fn with_clock(clock: Clock) -> Self {
        let place = Place::new();
        let store = Store::new(clock, StoreLimits::default());
        let board = StatusBoard::new();
        let (sender, commands) = mpsc::channel(4);
        let control = UnixListener::bind(place.path("control.sock")).unwrap();
        let compatible = UnixListener::bind(place.path("zalua.sock")).unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let control_context = control::Context {
            store: store.clone(),
            board: board.clone(),
            commands: sender.clone(),
            started: store.clock().now(),
        };
        let door = zalua::Door::new(zalua::Context {
            store: store.clone(),
            board: board.clone(),
            commands: sender,
            identity: zalua::identity(store.clock()),
        });
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                tokio::select! {
                    result = control::serve(control, control_context, std::future::pending()) => {
                        panic!("{result:?}");
                    }
                    result = door.serve(compatible, std::future::pending()) => {
                        panic!("{result:?}");
                    }
                    _ = ended => {}
                }
            });
        });
        Self {
            place,
            store,
            board,
            commands,
            end: Some(end),
            thread: Some(thread),
        }
    }

    /// A house with one sample of every kind.
    pub fn furnished() -> Self {
        let house = Self::open();
        house.put(|batch| {
            batch.gauge("load", &[], Unit::ONE, 0.25);
            batch.gauge(
                "disk.used",
                &[("mode", "rw"), ("device", "vda")],
                Unit::BYTES,
                7_u64,
            );
            batch.gauge("tagged", &[("a", "b")], Unit::ONE, 1.0);
            batch.counter("bytes", &[], Unit::BYTES, 1_000_000_u64);
            batch.text("words", &[], "two words");
            let histogram = Histogram {
                count: 2,
                sum: 3.0,
                buckets: vec![Bucket {
                    lower: 1.0,
                    upper: 2.0,
                    count: 2,
                }],
            };
            batch.push("latency", &[], Kind::Histogram, Unit::SECONDS, histogram);
        });
        house
    }

    pub fn put(&self, fill: impl FnOnce(&mut Batch)) {
        let mut batch = Batch::new();
        fill(&mut batch);
        self.store.put("test", &batch, None);
    }

    /// Has the list of metrics be so many bytes or a little more.
    pub fn grow(&self, bytes: usize) {
        let long = "x".repeat(1000);
        self.put(|batch| {
            for number in 0..bytes / 1000 {
                let number = number.to_string();
                batch.gauge("x", &[("number", &number), ("x", &long)], Unit::ONE, 1.0);
            }
        });
    }

    pub fn plugin(&self, name: &str, verdict: Verdict) {
        self.board.part(Room::Plugin, name, verdict);
    }

    /// Sends bytes to the ZaLua socket and gives the reply.
    pub fn send(&self, request: &[u8]) -> String {
        send(&self.place.path("zalua.sock"), request)
    }

    /// Sends bytes to the ZaLua socket and reads the first byte of the reply.
    pub fn ask_slowly(&self, request: &[u8]) -> UnixStream {
        let mut stream = UnixStream::connect(self.place.path("zalua.sock")).unwrap();
        stream.write_all(request).unwrap();
        stream.read_exact(&mut [0]).unwrap();
        stream
    }
}

/// How much memory this process has.
pub fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

pub fn send(socket: &Path, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(request).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

/// A service that gives every client the same reply, once per reply.
pub fn parrot(socket: &Path, replies: &'static [&'static str]) -> std::thread::JoinHandle<()> {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for reply in replies {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(reply.as_bytes()).unwrap();
        }
    })
}

impl Drop for House {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}
