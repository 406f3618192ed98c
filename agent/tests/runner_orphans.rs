//! Processes that leave the group of their command, and the runner that ends them: the real program.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test runs the program that it tests and fails by panicking"
)]

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use moonward::runner::{Client, Ending, Outcome, Request};
use tokio::task::JoinHandle;

const AGENT: &str = env!("CARGO_BIN_EXE_moonward-agent");

/// How long a test waits for what should happen at once.
const PATIENCE: Duration = Duration::from_mins(1);

/// Starts a process in a session of its own, and goes on once it is there and has told its number.
/// The shell reads `$own` for it afterwards.
const LEAVE: &str = "gate=$(mktemp -u); mkfifo $gate; \
                     (setsid sh -c 'echo $$ >$0; exec sleep 600 >/dev/null 2>&1' $gate &); \
                     read own <$gate; rm $gate; ";

/// A runner with its clients, whose log is not shown.
fn client() -> Client {
    Client::child_of(AGENT, false)
}

async fn ask(client: &Client, text: impl Into<String>) -> Outcome {
    let request = Request::shell(text.into()).with_timeout(PATIENCE);
    client.execute(request).await.unwrap()
}

fn text(outcome: &Outcome) -> String {
    String::from_utf8(outcome.stdout.bytes.clone()).unwrap()
}

/// Whether a process is there, if only as a zombie.
fn exists(pid: &str) -> bool {
    assert!(pid.trim().parse::<u32>().is_ok(), "{pid:?}");
    Path::new("/proc").join(pid.trim()).exists()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("waited too long until {what}"));
}

/// Waits until a process is gone, zombie included; by itself each would take ten minutes.
async fn gone(pid: &str) {
    until("the process was killed and reaped", || !exists(pid)).await;
}

/// A command that runs until its gate is opened; what it wrote first comes with it.
struct Running {
    gate: std::path::PathBuf,
    first: String,
    outcome: JoinHandle<Outcome>,
}

impl Running {
    /// `text` leaves something in `$own`.
    async fn start(client: &Client, directory: &Path, name: &str, text: &str) -> Self {
        let gate = directory.join(format!("{name}.gate"));
        let first = directory.join(format!("{name}.first"));
        let command = format!(
            "{text} mkfifo {0}; echo $own >{1}; read line <{0}",
            gate.display(),
            first.display()
        );
        let client = client.clone();
        let outcome = tokio::spawn(async move { ask(&client, command).await });
        let mut line = String::new();
        until("the command has begun", || {
            line = std::fs::read_to_string(&first).unwrap_or_default();
            line.ends_with('\n')
        })
        .await;
        Self {
            gate,
            first: line,
            outcome,
        }
    }

    async fn end(self) {
        std::fs::write(&self.gate, "\n").unwrap();
        let outcome = self.outcome.await.unwrap();
        assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    }
}

/// Waits until the clock of processes, which has ticks of a hundredth of a second, has moved on.
async fn another_tick() {
    let uptime = || {
        let text = std::fs::read_to_string("/proc/uptime").unwrap();
        text.split(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let begun = uptime();
    until("time has passed", || uptime() > begun + 0.02).await;
}

#[tokio::test]
async fn what_has_left_its_group_ends_with_its_command() {
    let client = client();
    let outcome = ask(&client, format!("{LEAVE} echo $own")).await;
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    gone(&text(&outcome)).await;
    // One that has left a process that had left itself, and one that timed out.
    let deep = "gate=$(mktemp -u); mkfifo $gate; \
                (setsid sh -c 'setsid sh -c \"echo \\$\\$ >$0; exec sleep 600\" & wait' $gate &); \
                read own <$gate; rm $gate; echo $own";
    let outcome = ask(&client, deep).await;
    gone(&text(&outcome)).await;
    let limit = Duration::from_secs(2);
    let request = Request::shell(format!("{LEAVE} echo $own; sleep 600")).with_timeout(limit);
    let outcome = client.execute(request).await.unwrap();
    assert_eq!(outcome.ending, Ending::TimedOut(limit), "{outcome:?}");
    gone(&text(&outcome)).await;
}

/// The kill of the group and `setsid` race here.
#[tokio::test]
async fn of_many_commands_side_by_side_nothing_is_left() {
    let client = client();
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let client = client.clone();
        asked.spawn(async move {
            text(&ask(&client, "setsid sleep 600 >/dev/null 2>&1 & echo $!").await)
        });
    }
    // What one leaves may belong to another that still runs, until the last is over.
    for pid in asked.join_all().await {
        gone(&pid).await;
    }
}

#[tokio::test]
async fn what_may_be_of_a_running_command_ends_with_that_one() {
    let directory = tempfile::tempdir().unwrap();
    let client = client();
    let old = Running::start(&client, directory.path(), "old", LEAVE).await;
    assert!(exists(&old.first));
    let orphan = text(&ask(&client, format!("{LEAVE} echo $own")).await);
    another_tick().await;
    let new = Running::start(&client, directory.path(), "new", LEAVE).await;
    // A command that is over takes nothing of the others with it.
    ask(&client, "true").await;
    assert!(exists(&old.first) && exists(&new.first));
    assert!(exists(&orphan), "the older command may have started it");
    let (first, last) = (old.first.clone(), new.first.clone());
    old.end().await;
    // Both were there before the command that still runs.
    gone(&first).await;
    gone(&orphan).await;
    assert!(exists(&last));
    new.end().await;
    gone(&last).await;
}

#[tokio::test]
async fn orphans_that_end_by_themselves_leave_no_zombies() {
    let directory = tempfile::tempdir().unwrap();
    let client = client();
    let many = "own=$PPID; for i in 1 2 3 4 5 6 7 8 9; do (sh -c : &); done;";
    let running = Running::start(&client, directory.path(), "many", many).await;
    let runner = running.first.trim();
    let list = format!("/proc/{runner}/task/{runner}/children");
    until("only the command's first process is left", || {
        let children = std::fs::read_to_string(&list).unwrap();
        children.split_whitespace().count() == 1
    })
    .await;
    running.end().await;
}

#[tokio::test]
async fn the_end_of_the_runner_ends_what_has_left_a_group() {
    let directory = tempfile::tempdir().unwrap();
    let client = client();
    let running = Running::start(&client, directory.path(), "left", LEAVE).await;
    let pid = running.first.clone();
    assert!(exists(&pid));
    running.outcome.abort();
    drop(client);
    gone(&pid).await;
}

/// Whoever becomes a runner may have children, of a script for one, that are none of its business.
#[test]
fn children_from_before_are_left_alone_and_the_killed_are_logged() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let script = "sleep 600 </dev/null >/dev/null 2>&1 & echo $!; \
                  exec \"$0\" runner --stdin --allow-all";
    let child = Command::new("sh")
        .args(["-c", script, AGENT])
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let told = directory.path().join("told");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        ours.set_nonblocking(true).unwrap();
        let mut stream = tokio::net::UnixStream::from_std(ours).unwrap();
        let text = format!("{LEAVE} echo $own >{}", told.display());
        let content = Request::shell(text).encode().unwrap();
        let header = moonward::runner::codec::header(content.len());
        stream.write_all(&header).await.unwrap();
        stream.write_all(&content).await.unwrap();
        // Its reply begins when the command is over.
        stream.read_exact(&mut [0]).await.unwrap();
    });
    let killed = std::fs::read_to_string(&told).unwrap();
    runtime.block_on(gone(&killed));
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    let words = format!("{} (sleep)", killed.trim());
    assert!(log.contains(&words) && log.contains("killed=1"), "{log}");
    let other = String::from_utf8(output.stdout).unwrap();
    assert!(exists(&other), "{other}");
    let other = rustix::process::Pid::from_raw(other.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(other, rustix::process::Signal::KILL).unwrap();
}
