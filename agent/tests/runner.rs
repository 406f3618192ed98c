//! The runner as a process: the real program, asked through its socket.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test runs the program that it tests and fails by panicking"
)]

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use moonward::runner::{Client, Ending, Outcome, Request, RunnerError, codec};
use rustix::process::{Pid, Signal, kill_process};

const AGENT: &str = env!("CARGO_BIN_EXE_moonward-agent");

/// How long a test waits for what should happen at once.
const PATIENCE: Duration = Duration::from_mins(1);

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("waited too long until {what}");
}

/// One reply's content.
fn reply(stream: &mut UnixStream) -> Outcome {
    let mut header = [0; 4];
    stream.read_exact(&mut header).unwrap();
    let mut content = vec![0; codec::length(header, codec::REPLY_MAX).unwrap()];
    stream.read_exact(&mut content).unwrap();
    Outcome::decode(&content).unwrap()
}

fn send(stream: &mut UnixStream, request: &Request) {
    let content = request.encode().unwrap();
    stream.write_all(&codec::header(content.len())).unwrap();
    stream.write_all(&content).unwrap();
}

/// A runner on one end of a pair, as a person would start it.
fn by_hand(options: &[&str]) -> (Child, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    let child = Command::new(AGENT)
        .args(["runner", "--stdin"])
        .args(options)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    (child, ours)
}

/// The exit status and the log of a process that ends by itself.
fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn the_standard_input_is_served_until_it_closes() {
    let (child, mut stream) = by_hand(&["--allow-all"]);
    send(&mut stream, &Request::shell("echo ok"));
    let outcome = reply(&mut stream);
    assert_eq!(
        (outcome.code(), &outcome.stdout.bytes[..]),
        (Some(0), &b"ok\n"[..])
    );
    send(&mut stream, &Request::shell("exit 3"));
    assert_eq!(reply(&mut stream).code(), Some(3));
    drop(stream);
    let (status, log) = ended(child);
    assert_eq!(status, Some(0), "{log}");
    for words in [
        "executed",
        "echo ok",
        "exit status 3",
        "uid ",
        "milliseconds",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
}

/// Whoever starts a runner may have left descriptors open in it; commands must not see them.
#[test]
fn a_command_has_no_descriptors_but_the_standard_ones() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let script = "exec 9</dev/null; exec \"$0\" runner --stdin --allow-all --quiet";
    let mut child = Command::new("sh")
        .args(["-c", script, AGENT])
        .stdin(OwnedFd::from(theirs))
        .spawn()
        .unwrap();
    let mut stream = ours;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The fourth is the one with which the directory is read.
    send(&mut stream, &Request::program(["ls", "/proc/self/fd"]));
    let outcome = reply(&mut stream);
    assert_eq!(outcome.stdout.bytes, b"0\n1\n2\n3\n", "{outcome:?}");
    drop(stream);
    assert!(child.wait().unwrap().success());
}

/// As under `nohup`, or in the background of a script.
#[test]
fn a_command_does_not_ignore_what_the_runner_was_started_to_ignore() {
    let (mut stream, theirs) = UnixStream::pair().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let script =
        "trap '' HUP INT QUIT USR1 ALRM TSTP; exec \"$0\" runner --stdin --allow-all --quiet";
    let child = Command::new("sh")
        .args(["-c", script, AGENT])
        .stdin(OwnedFd::from(theirs))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The runner itself goes on.
    let ours = child.id();
    let ask = format!("kill -USR1 {ours}; grep SigIgn /proc/self/status");
    send(&mut stream, &Request::shell(&ask));
    let outcome = reply(&mut stream);
    let line = String::from_utf8(outcome.stdout.bytes).unwrap();
    let mask = line.split_whitespace().last().unwrap();
    // The C library keeps 32 and 33 for itself.
    let mask = u64::from_str_radix(mask, 16).unwrap() & 0x7fff_ffff;
    assert_eq!(mask, 0, "{line}");
    drop(stream);
    assert_eq!(ended(child), (Some(0), String::new()));
}

#[test]
fn a_quiet_runner_logs_what_has_gone_wrong_only() {
    let (child, mut stream) = by_hand(&["--allow-all", "--quiet"]);
    send(&mut stream, &Request::shell("echo ok"));
    reply(&mut stream);
    send(&mut stream, &Request::program(["/no/such/program"]));
    reply(&mut stream);
    drop(stream);
    let (status, log) = ended(child);
    assert_eq!(status, Some(0), "{log}");
    assert!(!log.contains("echo ok"), "{log}");
    assert!(log.contains("/no/such/program"), "{log}");
}

#[test]
fn what_is_no_socket_is_refused_with_a_reason() {
    for (options, words) in [
        (&["--stdin"][..], "the standard input: "),
        (&[], "systemctl start moonward-runner.socket"),
    ] {
        let output = Command::new(AGENT)
            .arg("runner")
            .args(options)
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let shown = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(69), "{shown}");
        assert!(shown.contains(words), "{shown}");
    }
}

fn write_list(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o640)).unwrap();
}

/// As systemd starts it: a listening socket as descriptor 3 with its name, and ready when it says so.
#[test]
fn as_a_service_it_obeys_its_allow_list_and_reads_it_again() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("runner.toml");
    let socket = directory.path().join("runner.sock");
    let systemd = UnixDatagram::bind(directory.path().join("notify")).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = |words: &str| {
        let mut message = [0; 4096];
        loop {
            let length = systemd.recv(&mut message).unwrap();
            if String::from_utf8_lossy(&message[..length]).contains(words) {
                return;
            }
        }
    };
    write_list(
        &list,
        "[[allow]]\nshell = 'echo listed'\n[[allow]]\nshel = 'x'\n",
    );
    let listener = UnixListener::bind(&socket).unwrap();
    let script = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=runner \
                  exec \"$0\" runner --config \"$1\" 3<&0 </dev/null";
    let child = Command::new("sh")
        .args(["-c", script, AGENT])
        .arg(&list)
        .env("NOTIFY_SOCKET", directory.path().join("notify"))
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&child);
    // The test's own user may not ask by default, unless it is root.
    let user = rustix::process::geteuid().as_raw();
    let runtime = runtime();
    let client = Client::socket(&socket);
    let ask = |text: &str| {
        runtime
            .block_on(client.execute(Request::shell(text)))
            .unwrap()
    };
    heard("READY=1");
    let refused = |outcome: Outcome, words: &str| {
        let Ending::Refused(reason) = outcome.ending else {
            panic!("{outcome:?}");
        };
        assert!(reason.contains(words), "{reason}");
    };
    if user == 0 {
        refused(ask("echo listed"), "4:1: unknown key \"shel\"");
    }
    let good = format!("user = {user}\n[[allow]]\nshell = 'echo listed'\n");
    write_list(&list, &good);
    kill_process(pid, Signal::HUP).unwrap();
    heard("READY=1\nSTATUS=1 entries");
    assert_eq!(ask("echo listed").stdout.bytes, b"listed\n");
    refused(
        ask("echo other"),
        "not on the runner's allow-list, as shell: echo other",
    );
    // A bad one leaves the old one in force.
    write_list(&list, "alow = 1");
    kill_process(pid, Signal::HUP).unwrap();
    heard("the old one holds");
    assert_eq!(ask("echo listed").stdout.bytes, b"listed\n");
    kill_process(pid, Signal::TERM).unwrap();
    let (status, log) = ended(child);
    assert_eq!(status, Some(0), "{log}");
    for words in ["refused", "echo other", "unknown key \"alow\""] {
        assert!(log.contains(words), "{words}: {log}");
    }
}

#[test]
fn every_mistake_of_an_allow_list_is_printed() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("runner.toml");
    let check = || {
        let output = Command::new(AGENT)
            .args(["runner", "--check", "--config"])
            .arg(&list)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    write_list(&list, "a = 1\nb = 2\n");
    let (status, _, shown) = check();
    assert_eq!(status, Some(78));
    let place = list.display();
    assert!(
        shown.contains(&format!("{place}:1:1: unknown key \"a\"")),
        "{shown}"
    );
    assert!(
        shown.contains(&format!("{place}:2:1: unknown key \"b\"")),
        "{shown}"
    );
    write_list(&list, "");
    let (status, out, err) = check();
    assert_eq!((status, err.as_str()), (Some(0), ""), "{out}");
}

#[test]
fn a_child_serves_any_runtime_and_is_started_again() {
    let client = Client::child_of(AGENT, false);
    client.start_child_now().unwrap();
    let pid_of_runner = || {
        let outcome = runtime()
            .block_on(client.execute(Request::shell("echo $PPID")))
            .unwrap();
        String::from_utf8(outcome.stdout.bytes).unwrap()
    };
    let first = pid_of_runner();
    assert_eq!(pid_of_runner(), first, "one child for two runtimes");
    let number: i32 = first.trim().parse().unwrap();
    kill_process(Pid::from_raw(number).unwrap(), Signal::KILL).unwrap();
    // Until the kernel has ended it, a request may still get lost in it.
    let mut second = String::new();
    wait_until("another runner answers", || {
        match runtime().block_on(client.execute(Request::shell("echo $PPID"))) {
            Ok(outcome) => second = String::from_utf8(outcome.stdout.bytes).unwrap(),
            Err(RunnerError::Lost(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
        !second.is_empty()
    });
    assert_ne!(second, first);
    assert!(!Path::new("/proc").join(first.trim()).exists(), "reaped");
    drop(client);
    let second = Path::new("/proc").join(second.trim());
    wait_until("the runner has ended with its client", || !second.exists());
}

#[test]
fn many_requests_of_a_child_run_side_by_side() {
    let client = Client::child_of(AGENT, false);
    runtime().block_on(async {
        let mut asked = tokio::task::JoinSet::new();
        for number in 0..50 {
            let client = client.clone();
            let request = Request::shell(format!("sleep 0.1; echo {number}"));
            asked.spawn(async move {
                let outcome = client.execute(request.with_timeout(PATIENCE)).await;
                (number, outcome.unwrap())
            });
        }
        while let Some(answered) = asked.join_next().await {
            let (number, outcome) = answered.unwrap();
            assert_eq!(outcome.stdout.bytes, format!("{number}\n").as_bytes());
        }
    });
}

#[test]
fn giving_up_a_request_ends_its_command() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let client = Client::child_of(AGENT, false);
    let text = format!("echo $$ >{}; exec sleep 60", file.display());
    let runtime = runtime();
    let pid = runtime.block_on(async {
        let asking = client.execute(Request::shell(text));
        tokio::pin!(asking);
        loop {
            let pause = Duration::from_millis(5);
            if let Ok(outcome) = tokio::time::timeout(pause, &mut asking).await {
                panic!("{outcome:?}");
            }
            let line = std::fs::read_to_string(&file).unwrap_or_default();
            if line.ends_with('\n') {
                return line.trim().to_owned();
            }
        }
    });
    let process = Path::new("/proc").join(pid);
    wait_until("the command was ended", || !process.exists());
}

#[test]
fn a_child_that_cannot_be_started_says_why() {
    let client = Client::child_of("/no/such/agent", false);
    let error = client.start_child_now().unwrap_err();
    assert!(matches!(error, RunnerError::NoChild(_)), "{error:?}");
    // One that ends at once takes the request with it.
    let client = Client::child_of("/bin/false", false);
    let error = runtime()
        .block_on(client.execute(Request::shell("true")))
        .unwrap_err();
    let plausible = matches!(error, RunnerError::Lost(_) | RunnerError::NoChild(_));
    assert!(plausible, "{error:?}");
}
