//! The control door itself: accepts, reads one request, answers, closes.
//!
//! Every connection is a task with deadlines of its own, and the number of connections and of long
//! lists is bounded, so that a client that stalls costs nobody else anything. It never waits for
//! the rest of the service except to pass a reload on.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::super::accept::accept;
use super::answer::Door;
use super::codec::{ErrorKind, Head, REQUEST_MAX};
use crate::model::Moment;
use crate::store::Store;
use crate::telemetry::StatusBoard;

/// How long a client may take to send its request.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// How long an answer may take, the client's reading included.
const REPLY_TIME: Duration = Duration::from_secs(30);

/// What the door asks the rest of the service to do.
#[derive(Debug)]
pub enum AppCommand {
    /// End the service with this exit status.
    Stop(u8),
    /// Read the configuration again and say how that went.
    Reload(oneshot::Sender<Reloaded>),
}

/// What came of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The new configuration holds, except for these keys, which take effect after a restart.
    Taken(Vec<String>),
    /// The old configuration holds, because the new one has these mistakes, one per line.
    Bad(String),
}

/// What the door answers from.
#[derive(Clone, Debug)]
pub struct Context {
    /// The latest values.
    pub store: Store,
    /// The status of every part.
    pub board: StatusBoard,
    /// Where requests that change the service go.
    pub commands: mpsc::Sender<AppCommand>,
    /// When the service started.
    pub started: Moment,
}

/// Answers on `listener`, whose socket should have mode 0660, until `shutdown` is ready. Connections
/// that are open then are given up.
pub async fn serve(
    listener: std::os::unix::net::UnixListener,
    context: Context,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let door = Arc::new(Door::new(context));
    let part = Arc::clone(&door.part);
    accept(listener, &part, shutdown, refuse, |stream| {
        let door = Arc::clone(&door);
        async move { connection(&door, stream).await }
    })
    .await
}

fn refuse(stream: &UnixStream) {
    let message = "too many clients are connected; try again".to_owned();
    // The peer may be gone already; there is nobody else to tell.
    stream
        .try_write(&Head::Error(ErrorKind::Busy, message).encode())
        .ok();
}

/// Reads the request, has it answered, and keeps count.
async fn connection(door: &Door, mut stream: UnixStream) {
    let line = match timeout(REQUEST_TIME, read_line(&mut stream)).await {
        Ok(Ok(line)) if !line.is_empty() => line,
        // Connecting and leaving is how others look whether anybody listens.
        Ok(Ok(_)) => return,
        Ok(Err(_)) | Err(_) => return door.part.erred(1),
    };
    let clock = door.context.store.clock();
    let begun = clock.now();
    let answered = timeout(REPLY_TIME, door.answer(&mut stream, &line)).await;
    if !matches!(answered, Ok(Ok(()))) {
        door.part.erred(1);
    }
    door.part.ran(clock.now().since(begun), 1);
}

/// What comes until the first line feed or the end, at most one byte more than a request may have.
async fn read_line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(256);
    loop {
        let start = line.len();
        let room = (REQUEST_MAX + 1).saturating_sub(start) as u64;
        if (&mut *stream).take(room).read_buf(&mut line).await? == 0 {
            return Ok(line);
        }
        let fresh = line.get(start..).unwrap_or_default();
        if let Some(end) = fresh.iter().position(|byte| *byte == b'\n') {
            line.truncate(start + end + 1);
            return Ok(line);
        }
        if line.len() == line.capacity() {
            line.reserve(line.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream as Client;

    use super::super::super::accept::CONNECTIONS_MAX;
    use super::super::codec::{END, OK, Put, Request};
    use super::*;
    use crate::model::{Batch, Clock, Unit};
    use crate::store::StoreLimits;

    struct House {
        path: std::path::PathBuf,
        store: Store,
        commands: mpsc::Receiver<AppCommand>,
        _directory: tempfile::TempDir,
        end: Option<oneshot::Sender<()>>,
        thread: Option<std::thread::JoinHandle<io::Result<()>>>,
    }

    impl House {
        fn open() -> Self {
            Self::with(StoreLimits::default())
        }

        fn with(limits: StoreLimits) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("control.sock");
            let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
            let store = Store::new(Clock::default(), limits);
            let (sender, commands) = mpsc::channel(4);
            let context = Context {
                store: store.clone(),
                board: StatusBoard::new(),
                commands: sender,
                started: store.clock().now(),
            };
            let (end, ended) = oneshot::channel::<()>();
            let thread = std::thread::spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?
                    .block_on(serve(listener, context, async move {
                        ended.await.unwrap_or_default();
                    }))
            });
            Self {
                path,
                store,
                commands,
                _directory: directory,
                end: Some(end),
                thread: Some(thread),
            }
        }

        fn ask(&self, request: &[u8]) -> Vec<u8> {
            let mut client = Client::connect(&self.path).unwrap();
            client.write_all(request).unwrap();
            let mut reply = Vec::new();
            client.read_to_end(&mut reply).unwrap();
            reply
        }
    }

    impl Drop for House {
        fn drop(&mut self) {
            drop(self.end.take());
            let result = self.thread.take().unwrap().join().unwrap();
            assert!(result.is_ok());
        }
    }

    fn put(store: &Store, count: u32) {
        let mut batch = Batch::new();
        for index in 0..count {
            let device = format!("device-{index:06}");
            batch.gauge("disk", &[("device", &device)], Unit::BYTES, index);
        }
        store.put("test", &batch, None);
    }

    #[test]
    fn requests_are_answered_and_bad_ones_are_told_so() {
        let house = House::open();
        put(&house.store, 2);
        assert_eq!(house.ask(b"ping\n"), b"ok\npong\n\0");
        assert_eq!(house.ask(b"get\tdisk device=device-000001\n"), b"ok\n1\n\0");
        assert_eq!(
            house.ask(b"metrics\t*1\"}\n"),
            b"ok\ndisk{device=\"device-000001\"}\t1\tBy\n\0"
        );
        assert!(house.ask(b"get\tabsent\n").starts_with(b"error unknown "));
        assert!(
            house
                .ask(b"get\tdisk device=device-000001\trate\n")
                .starts_with(b"error unknown ")
        );
        assert!(house.ask(b"bogus\n").starts_with(b"error usage "));
        let oversized = house.ask(&vec![b'x'; REQUEST_MAX + 1]);
        assert!(oversized.starts_with(b"error usage the request is longer"));
        assert!(house.ask(b"status\n").starts_with(b"ok\nmoonward "));
    }

    #[test]
    fn a_text_that_the_store_would_cut_is_refused() {
        let house = House::with(StoreLimits {
            text_bytes: 5,
            ..StoreLimits::default()
        });
        let put = |value: &str| {
            let put = Put {
                series: "x".into(),
                unit: String::new(),
                seconds: 60,
                is_number: false,
                value: value.into(),
            };
            house.ask(&Request::Put(put).encode())
        };
        assert_eq!(put("12345"), b"ok\n\0");
        let refused = String::from_utf8(put("123456")).unwrap();
        assert!(
            refused.starts_with(
                "error failed a text of 6 bytes is longer than the store keeps, which is 5"
            ),
            "{refused}"
        );
        assert_eq!(house.ask(b"get\tx\n"), b"ok\n12345\n\0");
    }

    #[test]
    fn a_client_that_stalls_delays_nobody() {
        let house = House::open();
        put(&house.store, 20_000);
        // Asks for some megabytes and reads none of them; asks nothing at all.
        let mut stalled = Client::connect(&house.path).unwrap();
        stalled.write_all(b"metrics\t*\tjson\n").unwrap();
        let silent: Vec<Client> = (0..8)
            .map(|_| Client::connect(&house.path).unwrap())
            .collect();
        assert_eq!(house.ask(b"ping\n"), b"ok\npong\n\0");
        let mut list = Vec::new();
        stalled.read_to_end(&mut list).unwrap();
        assert_eq!(list.pop(), Some(END));
        let list: Vec<serde_json::Value> = serde_json::from_slice(&list[OK.len()..]).unwrap();
        assert_eq!(list.len(), 20_000);
        drop(silent);
    }

    #[test]
    fn more_clients_than_allowed_are_turned_away() {
        let house = House::open();
        let crowd: Vec<Client> = (0..CONNECTIONS_MAX)
            .map(|_| Client::connect(&house.path).unwrap())
            .collect();
        let mut reply = Vec::new();
        // Refused before it asks: nothing is written here, so nothing can be reset unread.
        Client::connect(&house.path)
            .unwrap()
            .read_to_end(&mut reply)
            .unwrap();
        assert!(reply.starts_with(b"error busy "), "{reply:?}");
        drop(crowd);
    }

    #[test]
    fn commands_are_passed_on_and_their_result_comes_back() {
        let mut house = House::open();
        assert_eq!(house.ask(b"stop\n"), b"ok\n\0");
        assert!(matches!(house.commands.try_recv(), Ok(AppCommand::Stop(0))));
        let mut client = Client::connect(&house.path).unwrap();
        client.write_all(b"reload\n").unwrap();
        let Some(AppCommand::Reload(reply)) = house.commands.blocking_recv() else {
            panic!("not a reload");
        };
        let mistakes = "line 3: no such key\nline 4: no such key";
        reply.send(Reloaded::Bad(mistakes.into())).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(
            answer,
            "error configuration the new configuration has mistakes, the old one holds:\n\
             line 3: no such key\nline 4: no such key\n\0"
        );
    }
}
