//! The accept loop of the doors on unix sockets.
//!
//! Every connection is a task of its own and their number is bounded, so that a client that stalls
//! or a script that forgets its clients costs nobody else anything.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::telemetry::Part;

/// The most connections of a door at one time; more would use up the service's file descriptors.
pub(super) const CONNECTIONS_MAX: usize = 64;

/// How long to wait when accepting fails: most likely there is no file descriptor left, and that
/// does not pass at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Has `answer` answer each connection until `shutdown` is ready; connections that are open then
/// are given up. One more than [`CONNECTIONS_MAX`] is counted as an error and given to `refuse`,
/// which must not wait.
pub(super) async fn accept<F>(
    listener: std::os::unix::net::UnixListener,
    part: &Part,
    shutdown: impl Future<Output = ()>,
    refuse: impl Fn(&UnixStream),
    answer: impl Fn(UnixStream) -> F,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        // Only now: connections end while nobody comes.
        while let Some(ended) = connections.try_join_next() {
            if ended.is_err() {
                // It panicked, which its client saw as a closed connection.
                part.erred(1);
            }
        }
        match accepted {
            Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                connections.spawn(answer(stream));
            }
            Ok((stream, _)) => {
                part.erred(1);
                refuse(&stream);
            }
            Err(_) => {
                part.erred(1);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::telemetry::{Room, StatusBoard, Verdict};

    /// Writes `x` to whoever sends something or leaves.
    async fn answer(mut stream: UnixStream) {
        stream.read_u8().await.ok();
        stream.write_all(b"x").await.ok();
    }

    #[tokio::test]
    async fn who_comes_after_a_crowd_has_left_is_served() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("door.sock");
        let listener = StdListener::bind(&path).unwrap();
        let part = StatusBoard::new().part(Room::Door, "test", Verdict::Active);
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let counted = Arc::clone(&part);
        let door = tokio::spawn(async move {
            let shutdown = async { ended.await.unwrap_or_default() };
            accept(listener, &counted, shutdown, |_| {}, answer).await
        });
        let ask = async |mut stream: UnixStream| {
            let mut reply = Vec::new();
            stream.write_all(b"?").await.ok();
            stream.read_to_end(&mut reply).await.ok();
            reply
        };
        let mut crowd = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            crowd.push(UnixStream::connect(&path).await.unwrap());
        }
        let refused = UnixStream::connect(&path).await.unwrap();
        assert_eq!(ask(refused).await, b"");
        assert_eq!(part.status().errors, 1);
        // Every one of them is over when the last reply is there.
        for stream in crowd {
            assert_eq!(ask(stream).await, b"x");
        }
        let next = UnixStream::connect(&path).await.unwrap();
        assert_eq!(ask(next).await, b"x");
        drop(end);
        door.await.unwrap().unwrap();
        assert!(StdStream::connect(&path).is_err());
    }
}
