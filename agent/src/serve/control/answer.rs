//! What the control door answers to each request.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::geteuid;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::time::timeout;

use super::codec::{END, ErrorKind, Form, Head, OK, Put, Request};
use super::lookup::find;
use super::plugins;
use super::readings::{Times, write_json, write_line, write_value};
use super::server::{AppCommand, Context, Reloaded};
use super::status::Status;
use crate::model::{Glob, Kind, Series, Unit, Value};
use crate::serve::zalua;
use crate::store::{COPY_MAX, Reading};
use crate::telemetry::{Part, Room, Verdict};

/// The most lists that are written at one time: each holds a copy of what it lists.
const LISTS_MAX: usize = 4;

/// How long a list waits for its turn.
const LIST_TIME: Duration = Duration::from_secs(5);

/// What values that a person puts are put as.
const SOURCE: &str = "control";

/// The longest time, in seconds, that a value holds which a person puts: a year.
const HOLDS_MAX: u64 = 366 * 24 * 3600;

/// How many readings are written before the other tasks get their turn.
const CHUNK: usize = 256;

/// The door's side that answers.
pub(super) struct Door {
    pub(super) context: Context,
    pub(super) part: Arc<Part>,
    lists: Semaphore,
}

impl Door {
    /// A door that shows on the board as `control`.
    pub(super) fn new(context: Context) -> Self {
        Self {
            part: context.board.part(Room::Door, "control", Verdict::Active),
            context,
            lists: Semaphore::new(LISTS_MAX),
        }
    }

    /// Answers one request.
    pub(super) async fn answer(&self, stream: &mut UnixStream, line: &[u8]) -> io::Result<()> {
        let request = match Request::decode(line) {
            Ok(request) => request,
            Err(error) => return self.fail(stream, ErrorKind::Usage, error.to_string()).await,
        };
        if request.changes_state() && !may_change(stream) {
            let message = "only root and the service's own user may do this".to_owned();
            return self.fail(stream, ErrorKind::Denied, message).await;
        }
        match request {
            Request::Ping => body(stream, b"pong\n").await,
            Request::Get(key, form) => match self.value(&key, form) {
                Ok(value) => body(stream, &value).await,
                Err(message) => self.fail(stream, ErrorKind::Unknown, message).await,
            },
            Request::Metrics(pattern, form) => self.list(stream, &pattern, form).await,
            Request::Plugins(form) => {
                let parts = self.context.board.statuses();
                let text = match form {
                    Form::Json => plugins::json(&parts),
                    Form::Table => plugins::table(&parts, false),
                    Form::Colour => plugins::table(&parts, true),
                    Form::Text | Form::Rate => plugins::lines(&parts),
                };
                body(stream, text.as_bytes()).await
            }
            Request::Status(form) => {
                let status = self.status();
                let text = match form {
                    Form::Json => status.json(),
                    form => status.table(form == Form::Colour),
                };
                body(stream, text.as_bytes()).await
            }
            Request::Copy => self.copy(stream).await,
            Request::Zalua(question) => self.zalua(stream, &question).await,
            Request::Put(put) => match self.put(&put) {
                Ok(()) => body(stream, b"").await,
                Err(message) => self.fail(stream, ErrorKind::Failed, message).await,
            },
            Request::Stop => self.stop(stream, 0).await,
            Request::Reload => self.reload(stream).await,
        }
    }

    fn value(&self, key: &str, form: Form) -> Result<Vec<u8>, String> {
        let store = &self.context.store;
        let reading = find(store, key)
            .ok_or_else(|| format!("no value is known for {key:?}; see `moonward metrics`"))?;
        let mut out = Vec::with_capacity(64);
        match form {
            Form::Json => {
                write_json(&mut out, &reading, Times::now(store.clock()));
                out.push(b'\n');
            }
            Form::Rate => {
                let rate = reading.rate.per_second().ok_or_else(|| {
                    format!("no rate is known for {key:?}: it is no counter, or was seen only once")
                })?;
                write_value(&mut out, &rate.into());
            }
            Form::Text | Form::Colour | Form::Table => write_value(&mut out, &reading.value),
        }
        Ok(out)
    }

    /// Has the service end with this exit status.
    async fn stop(&self, stream: &mut UnixStream, status: u8) -> io::Result<()> {
        match self.context.commands.try_send(AppCommand::Stop(status)) {
            Ok(()) => body(stream, b"").await,
            Err(_) => self.fail(stream, ErrorKind::Busy, stopping()).await,
        }
    }

    /// A place among those that read lists; nothing when none came free in time.
    async fn list_permit(&self) -> Option<SemaphorePermit<'_>> {
        let permit = timeout(LIST_TIME, self.lists.acquire()).await;
        permit.ok()?.ok()
    }

    async fn crowded(&self, stream: &mut UnixStream) -> io::Result<()> {
        let message = "too many lists are being read; try again".to_owned();
        self.fail(stream, ErrorKind::Busy, message).await
    }

    async fn list(&self, stream: &mut UnixStream, pattern: &str, form: Form) -> io::Result<()> {
        let Some(_permit) = self.list_permit().await else {
            return self.crowded(stream).await;
        };
        let store = &self.context.store;
        let readings = store.scan(&Glob::new(pattern));
        let times = Times::now(store.clock());
        let mut out = Vec::with_capacity(32 * 1024);
        out.extend_from_slice(OK);
        let json = form == Form::Json;
        if json {
            out.push(b'[');
        }
        let mut first = true;
        for chunk in readings.chunks(CHUNK) {
            for reading in chunk {
                write_element(&mut out, reading, json.then_some(times), &mut first);
            }
            stream.write_all(&out).await?;
            out.clear();
            tokio::task::yield_now().await;
        }
        if json {
            out.extend_from_slice(b"]\n");
        }
        out.push(END);
        stream.write_all(&out).await
    }

    async fn copy(&self, stream: &mut UnixStream) -> io::Result<()> {
        let Some(_permit) = self.list_permit().await else {
            return self.crowded(stream).await;
        };
        if let Some(bytes) = self.context.store.copy() {
            return body(stream, &bytes).await;
        }
        let mebibytes = COPY_MAX / 1_048_576;
        let message = format!("the store is more than a copy of {mebibytes} MiB can hold");
        self.fail(stream, ErrorKind::Failed, message).await
    }

    /// What ZaLua's socket would reply, in the form of this one.
    async fn zalua(&self, stream: &mut UnixStream, question: &str) -> io::Result<()> {
        let question = zalua::codec::Request::decode(question.as_bytes());
        if question == zalua::codec::Request::Kill && may_change(stream) {
            return self.stop(stream, zalua::listener::KILLED).await;
        }
        // One value is not kept waiting by those who read lists.
        let is_list = matches!(
            question,
            zalua::codec::Request::Metrics | zalua::codec::Request::Plugins
        );
        let _permit = if is_list {
            let Some(permit) = self.list_permit().await else {
                return self.crowded(stream).await;
            };
            Some(permit)
        } else {
            None
        };
        let (store, board) = (&self.context.store, &self.context.board);
        let reply = match zalua::answer(store, board, &question) {
            reply if reply.is_empty() => zalua::codec::EMPTY.to_owned(),
            reply => reply,
        };
        body(stream, reply.as_bytes()).await
    }

    fn put(&self, put: &Put) -> Result<(), String> {
        let series = Series::parse(&put.series).map_err(|error| error.to_string())?;
        let (kind, value) = match put.value.parse::<f64>() {
            Ok(number) if put.is_number => (Kind::Gauge, Value::Float(number)),
            _ => (Kind::Text, put.value.as_str().into()),
        };
        let holds = Duration::from_secs(put.seconds.min(HOLDS_MAX));
        let store = &self.context.store;
        if let Value::Text(text) = &value {
            store.limits().check_text(text.len())?;
        }
        let unit = Unit::intern(&put.unit);
        if store.put_one(SOURCE, &series, kind, unit, value, Some(holds)) {
            return Ok(());
        }
        Err("the store is full; see `moonward status`".to_owned())
    }

    fn status(&self) -> Status {
        let now = self.context.store.clock().now();
        Status {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            uptime_seconds: now.since(self.context.started).as_secs_f64(),
            parts: self.context.board.statuses(),
            store: self.context.store.status(),
        }
    }

    async fn reload(&self, stream: &mut UnixStream) -> io::Result<()> {
        let (reply, result) = oneshot::channel();
        if self
            .context
            .commands
            .try_send(AppCommand::Reload(reply))
            .is_err()
        {
            return self.fail(stream, ErrorKind::Busy, stopping()).await;
        }
        match result.await {
            Ok(Reloaded::Taken(needs_restart)) => {
                let lines = needs_restart
                    .iter()
                    .map(|key| format!("{key} takes effect after a restart\n"));
                body(stream, lines.collect::<String>().as_bytes()).await
            }
            Ok(Reloaded::Bad(mistakes)) => {
                let message = "the new configuration has mistakes, the old one holds:".to_owned();
                self.fail(stream, ErrorKind::Configuration, message).await?;
                let end = [b'\n', END];
                stream
                    .write_all(&[mistakes.as_bytes(), &end].concat())
                    .await
            }
            Err(_) => self.fail(stream, ErrorKind::Failed, stopping()).await,
        }
    }

    async fn fail(
        &self,
        stream: &mut UnixStream,
        kind: ErrorKind,
        message: String,
    ) -> io::Result<()> {
        // To ask for a value that is not there is no fault.
        if kind != ErrorKind::Unknown {
            self.part.erred(1);
        }
        stream.write_all(&Head::Error(kind, message).encode()).await
    }
}

fn stopping() -> String {
    "the service is busy with an earlier command or is ending".to_owned()
}

/// One line of a list; as JSON when `times` is given.
fn write_element(out: &mut Vec<u8>, reading: &Reading, times: Option<Times>, first: &mut bool) {
    let Some(times) = times else {
        return write_line(out, reading);
    };
    if !std::mem::take(first) {
        out.extend_from_slice(b",\n");
    }
    write_json(out, reading, times);
}

/// Whether the peer is root or the service's own user (`SO_PEERCRED`, unix(7)).
pub(crate) fn may_change(stream: &UnixStream) -> bool {
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == geteuid().as_raw())
}

async fn body(stream: &mut UnixStream, body: &[u8]) -> io::Result<()> {
    let mut reply = Vec::with_capacity(OK.len() + body.len() + 1);
    reply.extend_from_slice(OK);
    reply.extend_from_slice(body);
    reply.push(END);
    stream.write_all(&reply).await
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::sync::mpsc;

    use super::*;
    use crate::model::Clock;
    use crate::store::{Store, StoreLimits};
    use crate::telemetry::StatusBoard;

    async fn ask(door: &Door, question: &str) -> String {
        let (mut client, mut server) = UnixStream::pair().unwrap();
        let request = Request::Zalua(question.to_owned()).encode();
        let line = request.strip_suffix(b"\n").unwrap_or(&request);
        door.answer(&mut server, line).await.unwrap();
        drop(server);
        let mut reply = String::new();
        client.read_to_string(&mut reply).await.unwrap();
        reply
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_lists_holds_up_lists_alone() {
        let store = Store::new(Clock::default(), StoreLimits::default());
        let (commands, _received) = mpsc::channel(1);
        let door = Door::new(Context {
            started: store.clock().now(),
            store,
            board: StatusBoard::new(),
            commands,
        });
        assert_eq!(LISTS_MAX, 4);
        let slow_readers = door.lists.acquire_many(4).await.unwrap();
        assert!(ask(&door, "ping").await.contains("pong"));
        assert!(
            ask(&door, "get-metric-value absent")
                .await
                .contains("unknown-metric")
        );
        for list in ["list-of-metrics", "list-of-plugins"] {
            let reply = ask(&door, list).await;
            assert!(reply.contains("too many lists"), "{reply}");
        }
        drop(slow_readers);
        let reply = ask(&door, "list-of-plugins").await;
        assert!(reply.contains(zalua::codec::EMPTY), "{reply}");
    }
}
