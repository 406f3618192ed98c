//! Who may ask.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::runner::{Client, Ending, RunnerError};

/// Somebody who is neither root nor, most likely, this test's user.
const STRANGER: u32 = 54_321;

/// Asks from a thread that is another user, if this one may become one.
fn ask_as(uid: u32, socket: &Path) -> Result<Outcome, RunnerError> {
    let client = Client::socket(socket);
    std::thread::spawn(move || {
        if rustix::process::geteuid().is_root() {
            // Of this thread alone.
            let uid = rustix::process::Uid::from_raw(uid);
            rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
        }
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(client.execute(Request::shell("id -u")))
    })
    .join()
    .unwrap()
}

#[tokio::test]
async fn only_those_who_may_ask_are_answered() {
    let directory = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(directory.path(), 0o755);
    let socket = directory.path().join("runner.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    mode(&socket, 0o777);
    // Without root, the stranger is this test's user.
    let own = rustix::process::geteuid();
    let stranger = if own.is_root() {
        STRANGER
    } else {
        own.as_raw()
    };
    let mut policy = Policy::everything();
    let server = Server::new(policy.clone(), "/");
    let house = House::serve(server, Door::Listening(listener));
    let path = socket.clone();
    let refused = tokio::task::spawn_blocking(move || ask_as(stranger, &path));
    let refused = refused.await.unwrap().unwrap();
    let reason =
        format!("user {stranger} may not ask the runner; root may, and the user of its allow-list");
    assert_eq!(refused.ending, Ending::Refused(reason));
    assert_eq!(refused.stdout.total, 0);
    policy.user = Some(stranger);
    house.server.set_policy(policy);
    let answered = tokio::task::spawn_blocking(move || ask_as(stranger, &socket));
    let answered = answered.await.unwrap().unwrap();
    // The command runs as the runner's user, not as the one who asked.
    let expected = format!("{}\n", own.as_raw());
    assert_eq!(answered.stdout.bytes, expected.as_bytes());
}

#[tokio::test]
async fn nobody_there_is_an_error_that_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let client = Client::socket(directory.path().join("runner.sock"));
    let error = client.execute(Request::shell("true")).await.unwrap_err();
    let words = crate::telemetry::log::chain(&error).to_string();
    assert!(
        words.contains("runner.sock; is moonward-runner.socket enabled?"),
        "{words}"
    );
    assert!(words.contains("No such file"), "{words}");
    let error = client.execute(Request::shell("a\0")).await.unwrap_err();
    assert!(matches!(error, RunnerError::Request(_)), "{error:?}");
}

#[test]
fn only_connected_unix_sockets_are_doors() {
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(Door::connected(tcp.into()).is_err());
    let null = std::fs::File::open("/dev/null").unwrap();
    assert!(Door::connected(null.into()).is_err());
    let (datagrams, _other) = std::os::unix::net::UnixDatagram::pair().unwrap();
    assert!(Door::connected(datagrams.into()).is_err());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("listening");
    let listening = std::os::unix::net::UnixListener::bind(path).unwrap();
    assert!(Door::connected(listening.into()).is_err());
    let (stream, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    assert!(matches!(
        Door::connected(stream.into()),
        Ok(Door::Connected(_))
    ));
}

#[tokio::test]
async fn a_packet_without_a_connection_is_passed_over() {
    use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    let server = Server::new(Policy::everything(), "/").for_own_user();
    let house = House::serve(server, Door::connected(theirs).unwrap());
    send(&ours, b"x", SendFlags::empty()).unwrap();
    // And one with what is no connection: it is closed.
    let (read, write) = rustix::pipe::pipe().unwrap();
    crate::runner::client::send(&ours, &write).unwrap();
    drop(write);
    let waiting = tokio::net::unix::pipe::Receiver::from_owned_fd(read).unwrap();
    tokio::time::timeout(PATIENCE, waiting.readable())
        .await
        .unwrap()
        .unwrap();
    let (client, door) = std::os::unix::net::UnixStream::pair().unwrap();
    crate::runner::client::send(&ours, &door.into()).unwrap();
    let mut connection = Connection::new(client);
    assert_eq!(connection.say("echo passed").await, "passed\n");
    drop((ours, connection));
    house.ended().await;
}
