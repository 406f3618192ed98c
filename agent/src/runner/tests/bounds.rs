//! Outputs, numbers and time within their bounds, and clients that leave.

use super::*;
use crate::runner::policy::{Allowed, Rule, Rules};
use crate::runner::server::CONNECTIONS_MAX;
use crate::runner::{Client, Ending, Output, PLACES, RunnerError};

#[tokio::test]
async fn an_output_over_the_bound_is_cut_and_counted() {
    let (_house, mut connection) = House::open();
    let text = "head -c 3000000 /dev/zero | tr '\\0' x; head -c 1048577 /dev/zero >&2";
    let outcome = connection.ask(Request::shell(text)).await;
    assert_eq!(outcome.code(), Some(0), "{:?}", outcome.ending);
    assert_eq!(outcome.stdout.bytes.len(), Output::MAX);
    assert_eq!(outcome.stdout.total, 3_000_000);
    assert!(outcome.stdout.bytes.iter().all(|byte| *byte == b'x'));
    assert_eq!(outcome.stderr.lost(), 1);
    let outcome = connection
        .ask(Request::shell("head -c 1048576 /dev/zero"))
        .await;
    assert!(!outcome.stdout.truncated(), "just enough is not too much");
}

#[tokio::test]
async fn the_policy_bounds_the_time() {
    let policy = Policy {
        user: None,
        rules: Rules::Listed(vec![Rule {
            what: Allowed::Shell("sleep 60".into()),
            timeout: Duration::from_millis(50),
        }]),
    };
    let (house, mut connection) = House::with(Server::new(policy, "/"));
    let outcome = connection.ask(Request::shell("sleep 60")).await;
    let limit = Duration::from_millis(50);
    assert_eq!(outcome.ending, Ending::TimedOut(limit));
    let outcome = connection.ask(Request::shell("id")).await;
    let reason = "not on the runner's allow-list, as shell: id";
    assert_eq!(outcome.ending, Ending::Refused(reason.to_owned()));
    assert_eq!(outcome.error().as_deref(), Some(reason));
    // Another policy holds from the next request on.
    house.server.set_policy(Policy::everything());
    assert_eq!(connection.say("echo now").await, "now\n");
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_the_next_one_is_answered() {
    let (_house, mut connection) = House::open();
    connection.send(b"nonsense").await;
    let outcome = connection.reply().await;
    assert!(matches!(outcome.ending, Ending::Refused(_)), "{outcome:?}");
    assert_eq!(connection.say("echo yes").await, "yes\n");
    // A length over the bound ends the connection, after a reply.
    connection.0.write_all(&[255; 4]).await.unwrap();
    let outcome = connection.reply().await;
    assert!(matches!(outcome.ending, Ending::Refused(_)), "{outcome:?}");
    assert_eq!(connection.0.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_request_that_comes_early_has_its_turn() {
    let (_house, mut connection) = House::open();
    for text in ["sleep 0.1; echo one", "echo two", "echo three"] {
        let request = Request::shell(text).encode().unwrap();
        connection.send(&request).await;
    }
    for expected in ["one\n", "two\n", "three\n"] {
        let outcome = connection.reply().await;
        assert_eq!(outcome.stdout.bytes, expected.as_bytes());
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_command() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let (house, mut connection) = House::open();
    let text = format!("echo $$ >{}; sleep 60 & wait", file.display());
    connection
        .send(&Request::shell(text).encode().unwrap())
        .await;
    let pid = line_of(&file).await;
    assert!(lives(&pid));
    drop(connection);
    // The server ends with its only connection, once the command is over.
    house.ended().await;
    assert!(!Path::new("/proc").join(&pid).exists(), "not even a zombie");
}

#[tokio::test]
async fn the_end_of_the_runner_ends_its_commands() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let (mut house, mut connection) = House::open();
    let text = format!("echo $$ >{}; sleep 60 & wait", file.display());
    connection
        .send(&Request::shell(text).encode().unwrap())
        .await;
    let pid = line_of(&file).await;
    house.end.take();
    house.ended().await;
    assert!(!Path::new("/proc").join(&pid).exists(), "not even a zombie");
    assert_eq!(connection.0.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn more_commands_than_places_wait_within_their_time() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("runner.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let server = Server::new(Policy::everything(), "/").for_own_user();
    let _house = House::serve(server, Door::Listening(listener));
    let client = Client::socket(&socket);
    // Each holds its place until it can read from the pipe.
    let gate = directory.path().join("gate");
    let made = client
        .execute(Request::program(["mkfifo".as_ref(), gate.as_os_str()]))
        .await;
    assert_eq!(made.unwrap().code(), Some(0));
    let mut holders = tokio::task::JoinSet::new();
    for number in 0..PLACES {
        let text = format!(
            "echo $$ >{}/{number}; read line <{}",
            directory.path().display(),
            gate.display()
        );
        let client = client.clone();
        let request = Request::shell(text).with_timeout(Duration::from_mins(1));
        holders.spawn(async move { client.execute(request).await });
    }
    for number in 0..PLACES {
        line_of(&directory.path().join(number.to_string())).await;
    }
    let late = Request::shell("true").with_timeout(Duration::from_millis(50));
    let outcome = client.execute(late).await.unwrap();
    let reason = "16 other commands were running for all of its 0.05 seconds";
    assert_eq!(outcome.ending, Ending::NotStarted(reason.to_owned()));
    // One that waits longer gets the place of the first that ends.
    let patient = client.execute(Request::shell("echo in").with_timeout(PATIENCE));
    holders.abort_all();
    assert_eq!(patient.await.unwrap().stdout.bytes, b"in\n");
}

#[tokio::test]
async fn fifty_requests_at_once_are_all_answered() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("runner.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let server = Server::new(Policy::everything(), "/").for_own_user();
    let _house = House::serve(server, Door::Listening(listener));
    let client = Client::socket(&socket);
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..50 {
        let client = client.clone();
        let request = Request::shell(format!("sleep 0.02; echo {number}"));
        asked.spawn(async move {
            let outcome = client.execute(request.with_timeout(PATIENCE)).await;
            (number, outcome.unwrap())
        });
    }
    while let Some(answered) = asked.join_next().await {
        let (number, outcome) = answered.unwrap();
        assert_eq!(outcome.stdout.bytes, format!("{number}\n").as_bytes());
        assert_eq!(outcome.code(), Some(0));
    }
}

#[tokio::test]
async fn a_crowd_of_connections_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("runner.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let server = Server::new(Policy::everything(), "/").for_own_user();
    let _house = House::serve(server, Door::Listening(listener));
    let mut crowd = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        crowd.push(UnixStream::connect(&socket).await.unwrap());
    }
    let mut refused = UnixStream::connect(&socket).await.unwrap();
    assert_eq!(refused.read(&mut [0]).await.unwrap_or(0), 0);
    let client = Client::socket(&socket);
    let lost = client.execute(Request::shell("true")).await.unwrap_err();
    assert!(matches!(lost, RunnerError::Lost(_)), "{lost:?}");
    let mut first = Connection(crowd.remove(0));
    assert_eq!(first.say("echo served").await, "served\n");
}

#[tokio::test]
async fn who_cannot_be_reaped_in_time_is_waited_for_behind_the_scenes() {
    let patience = Patience {
        term: Duration::ZERO,
        kill: Duration::ZERO,
        linger: Duration::ZERO,
        drain: Duration::ZERO,
    };
    let server = Server::new(Policy::everything(), "/").with_patience(patience);
    let (_house, mut connection) = House::with(server);
    for _ in 0..2 * PLACES {
        let text = "echo $$; sleep 60 & wait";
        let request = Request::shell(text).with_timeout(Duration::from_millis(50));
        let outcome = connection.ask(request).await;
        assert!(matches!(outcome.ending, Ending::TimedOut(_)), "{outcome:?}");
        let pid = String::from_utf8(outcome.stdout.bytes).unwrap();
        let zombie = Path::new("/proc").join(pid.trim());
        assert!(!pid.is_empty());
        until("it was reaped", || !zombie.exists()).await;
    }
    assert_eq!(connection.say("echo room").await, "room\n");
}
