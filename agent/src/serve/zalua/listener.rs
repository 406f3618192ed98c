//! The ZaLua door: one read, one reply, close.
//!
//! It is open to every user of the machine, as that program's was; what ends the service is
//! answered only for root and the service's own user.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::accept::accept;
use super::super::control::AppCommand;
use super::super::control::may_change;
use super::super::under_way::{Crowded, Shared, Text, UnderWay};
use super::answer::answer;
use super::codec::{EMPTY, REQUEST_MAX, Request, SERVER_ID};
use crate::model::Clock;
use crate::store::Store;
use crate::telemetry::events::Events;
use crate::telemetry::{Part, Room, StatusBoard, Verdict};

/// The exit status of a service that a client has killed.
pub const KILLED: u8 = 100;

/// How long a client may take to send its request. ZaLua gave it 100 ms, which fails on a busy
/// machine.
const REQUEST_TIME: Duration = Duration::from_secs(1);

/// How long a client may take to read its reply.
const REPLY_TIME: Duration = Duration::from_secs(10);

/// The most bytes of lists under way: that of a hundred thousand series has some ten million.
const UNDER_WAY_MAX: usize = 16 << 20;

/// What the door answers from.
#[derive(Clone, Debug)]
pub struct Context {
    /// The latest values.
    pub store: Store,
    /// The status of every part.
    pub board: StatusBoard,
    /// Where a kill goes.
    pub commands: mpsc::Sender<AppCommand>,
    /// What tells this service from another; see [`identity`].
    pub identity: Arc<str>,
}

/// The door.
#[derive(Debug)]
pub struct Door {
    context: Context,
    part: Arc<Part>,
    under_way: Arc<UnderWay>,
    metrics: Shared,
    plugins: Shared,
    events: Events,
}

/// `server-id-` and the time in nanoseconds; taken once, when the service starts.
pub fn identity(clock: &Clock) -> Arc<str> {
    format!("{SERVER_ID}{}", clock.wall().0).into()
}

impl Door {
    /// A door that shows on the board as `zalua`.
    pub fn new(context: Context) -> Arc<Self> {
        let part = context.board.part(Room::Door, "zalua", Verdict::Active);
        let under_way = UnderWay::new(UNDER_WAY_MAX);
        Arc::new(Self {
            part,
            metrics: Shared::new(&under_way),
            plugins: Shared::new(&under_way),
            under_way,
            events: Events::new(context.store.clock().clone()),
            context,
        })
    }

    /// Answers on `listener`, whose socket should be open to all users (mode 0666), until `shutdown`
    /// is ready. Connections that are open then are given up.
    pub async fn serve(
        self: Arc<Self>,
        listener: std::os::unix::net::UnixListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let part = Arc::clone(&self.part);
        // One more than allowed is closed at once: the protocol has no word for it.
        let refuse = |_: &UnixStream| {};
        accept(listener, &part, shutdown, refuse, |stream| {
            let door = Arc::clone(&self);
            async move { door.connection(stream).await }
        })
        .await
    }

    async fn connection(&self, mut stream: UnixStream) {
        let request = match timeout(REQUEST_TIME, read_once(&stream)).await {
            Ok(Ok(request)) if request.is_empty() => return,
            Ok(Ok(request)) => request,
            Ok(Err(_)) | Err(_) => return self.part.erred(1),
        };
        let clock = self.context.store.clock();
        let begun = clock.now();
        let request = Request::decode(&request);
        if request == Request::Kill && may_change(&stream) {
            if self
                .context
                .commands
                .try_send(AppCommand::Stop(KILLED))
                .is_err()
            {
                self.part.erred(1);
            }
            return;
        }
        let Ok(reply) = self.reply(&request) else {
            return self.crowded();
        };
        let reply = match reply.as_ref() {
            [] => EMPTY.as_bytes(),
            reply => reply,
        };
        let written = timeout(REPLY_TIME, stream.write_all(reply)).await;
        if !matches!(written, Ok(Ok(()))) {
            self.part.erred(1);
        }
        self.part.ran(clock.now().since(begun), 1);
    }

    fn reply(&self, request: &Request<'_>) -> Result<Reply, Crowded> {
        let (store, board) = (&self.context.store, &self.context.board);
        let answer = || answer(store, board, request);
        // Lists are long, and all who ask for one at the same time read the same.
        let list = |list: &Shared| {
            let text = list.text(store.clock(), || answer().into_bytes())?;
            Ok(Reply::List(text))
        };
        match request {
            Request::Metrics => list(&self.metrics),
            Request::Plugins => list(&self.plugins),
            Request::ServerId => Ok(Reply::Short(self.context.identity.to_string())),
            _ => Ok(Reply::Short(answer())),
        }
    }

    /// The connection is closed without a reply: the protocol has no word for it, and clients take
    /// that for a reply that was lost.
    fn crowded(&self) {
        self.part.erred(1);
        if let Some(suppressed) = self.events.admit("zalua.crowded", "") {
            tracing::warn!(
                bytes = self.under_way.bytes(),
                suppressed,
                "a client of ZaLua's socket was turned away: the lists that others have not read \
                 yet take too much memory"
            );
        }
    }
}

/// What goes to a client.
enum Reply {
    Short(String),
    List(Text),
}

impl AsRef<[u8]> for Reply {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Short(text) => text.as_bytes(),
            Self::List(text) => text.as_ref(),
        }
    }
}

/// What one read returns, without waiting for more: nothing tells a long request from a finished
/// one.
async fn read_once(stream: &UnixStream) -> io::Result<Vec<u8>> {
    // Grows with what arrives; a client that sends nothing costs nothing.
    let mut request = Vec::new();
    loop {
        stream.readable().await?;
        while request.len() < REQUEST_MAX {
            request.reserve(1024);
            match stream.try_read_buf(&mut request) {
                Ok(0) => return Ok(request),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if !request.is_empty() {
            request.truncate(REQUEST_MAX);
            return Ok(request);
        }
    }
}
