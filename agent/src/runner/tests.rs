//! Real commands, through a server in the test's own process.

mod bounds;
mod commands;
mod peers;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::child::Patience;
use super::codec::{self, REPLY_MAX};
use super::{Door, Outcome, Policy, Request, Server};

/// How long a test waits for what should happen at once.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server and its end.
struct House {
    server: Arc<Server>,
    end: Option<oneshot::Sender<()>>,
    served: JoinHandle<std::io::Result<()>>,
}

impl House {
    fn serve(server: Server, door: Door) -> Self {
        let server = Arc::new(server);
        let (end, ended) = oneshot::channel::<()>();
        let serving = Arc::clone(&server);
        let served = tokio::spawn(async move {
            let shutdown = async { ended.await.unwrap_or_default() };
            serving.serve(door, shutdown).await
        });
        Self {
            server,
            end: Some(end),
            served,
        }
    }

    /// One connection, over which everything may be asked.
    fn open() -> (Self, Connection) {
        Self::with(Server::new(Policy::everything(), "/home/of/nobody"))
    }

    fn with(server: Server) -> (Self, Connection) {
        let (client, door) = std::os::unix::net::UnixStream::pair().unwrap();
        let door = Door::connected(OwnedFd::from(door)).unwrap();
        let house = Self::serve(server.for_own_user(), door);
        (house, Connection::new(client))
    }

    /// Waits until the server has ended, told or by itself.
    async fn ended(self) {
        tokio::time::timeout(PATIENCE, self.served)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

/// A client's end, used by hand.
struct Connection(UnixStream);

impl Connection {
    fn new(stream: std::os::unix::net::UnixStream) -> Self {
        stream.set_nonblocking(true).unwrap();
        Self(UnixStream::from_std(stream).unwrap())
    }

    async fn send(&mut self, content: &[u8]) {
        let frame = [&codec::header(content.len())[..], content].concat();
        self.0.write_all(&frame).await.unwrap();
    }

    async fn reply(&mut self) -> Outcome {
        let mut header = [0; 4];
        self.0.read_exact(&mut header).await.unwrap();
        let mut content = vec![0; codec::length(header, REPLY_MAX).unwrap()];
        self.0.read_exact(&mut content).await.unwrap();
        Outcome::decode(&content).unwrap()
    }

    async fn ask(&mut self, request: Request) -> Outcome {
        self.send(&request.encode().unwrap()).await;
        self.reply().await
    }

    /// The standard output of a shell command that must succeed.
    async fn say(&mut self, text: &str) -> String {
        let outcome = self.ask(Request::shell(text)).await;
        assert_eq!(outcome.error(), None, "{outcome:?}");
        String::from_utf8(outcome.stdout.bytes).unwrap()
    }
}

/// Whether a process is there and no zombie; whose zombies are reaped when is not ours to say.
fn lives(pid: &str) -> bool {
    let Ok(stat) = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")) else {
        return false;
    };
    let state = stat.rsplit(") ").next().unwrap().chars().next();
    !matches!(state, Some('Z' | 'X'))
}

/// Waits until the condition holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("waited too long until {what}"));
}

/// Waits until a file holds a line, and gives that.
async fn line_of(path: &Path) -> String {
    let mut line = String::new();
    until("the command wrote its number", || {
        line = std::fs::read_to_string(path).unwrap_or_default();
        line.ends_with('\n')
    })
    .await;
    line.trim().to_owned()
}
