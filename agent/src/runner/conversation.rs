//! One connection: requests in, replies out, and the moment at which the client leaves.

use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, timeout, timeout_at};

use super::codec::{self, HEADER, REQUEST_MAX};

/// How long a request may take to arrive once it has begun, and a reply to be read.
const FRAME_TIME: Duration = Duration::from_secs(10);

/// Why a connection is over before its time.
#[derive(Debug, Error)]
pub(super) enum ConversationError {
    /// The length of a frame is over the bound, or not a length at all.
    #[error("a request is longer than {REQUEST_MAX} bytes")]
    TooLong,
    /// The connection ended within a frame.
    #[error("the client left within a request")]
    Cut,
    /// Something did not come or go in time.
    #[error("the client is too slow")]
    Slow,
    /// The socket failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
}

/// One connection.
#[derive(Debug)]
pub(super) struct Conversation {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    /// What was read and is not used yet: at most one frame and a bit.
    buffer: Vec<u8>,
    /// When the frame in the buffer began.
    since: Option<Instant>,
    /// A request that came before the last one was answered.
    ahead: Option<Vec<u8>>,
}

impl Conversation {
    pub(super) fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader,
            writer,
            buffer: Vec::new(),
            since: None,
            ahead: None,
        }
    }

    /// The next request's content; `None` when the client has left. Nothing is lost when this is
    /// given up.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, ConversationError> {
        match self.ahead.take() {
            Some(content) => Ok(Some(content)),
            None => self.read().await,
        }
    }

    /// Waits until the client has left; half a close counts, and so does nonsense. Nothing is lost
    /// when this is given up: a request that comes meanwhile is the next one.
    pub(super) async fn gone(&mut self) {
        if self.ahead.is_none()
            && let Ok(Some(content)) = self.read().await
        {
            self.ahead = Some(content);
        } else if self.ahead.is_none() {
            return;
        }
        // A client that has sent yet another request is not listened to before that one's turn.
        std::future::pending::<()>().await;
    }

    async fn read(&mut self) -> Result<Option<Vec<u8>>, ConversationError> {
        loop {
            if let Some(content) = self.take()? {
                return Ok(Some(content));
            }
            // Room for the rest of the frame at once, and never for more than one frame.
            let room = self.missing().max(512);
            self.buffer.reserve(room);
            let read = self.reader.read_buf(&mut self.buffer);
            let read = match self.since {
                None => read.await?,
                Some(since) => timeout_at(since + FRAME_TIME, read)
                    .await
                    .map_err(|_| ConversationError::Slow)??,
            };
            if read == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(ConversationError::Cut)
                };
            }
            self.since.get_or_insert_with(Instant::now);
        }
    }

    /// The first frame of the buffer, when it is whole.
    fn take(&mut self) -> Result<Option<Vec<u8>>, ConversationError> {
        let Some((header, rest)) = self.buffer.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = codec::length(*header, REQUEST_MAX).ok_or(ConversationError::TooLong)?;
        let Some(content) = rest.get(..length).map(<[u8]>::to_vec) else {
            return Ok(None);
        };
        self.buffer.drain(..HEADER + length);
        self.since = (!self.buffer.is_empty()).then(Instant::now);
        Ok(Some(content))
    }

    /// How many bytes the frame at the start of the buffer still lacks, as far as is known.
    fn missing(&self) -> usize {
        self.buffer
            .first_chunk()
            .and_then(|header| codec::length(*header, REQUEST_MAX))
            .map_or(0, |length| {
                (HEADER + length).saturating_sub(self.buffer.len())
            })
    }

    /// Sends a reply's content.
    pub(super) async fn reply(&mut self, content: &[u8]) -> Result<(), ConversationError> {
        let writing = async {
            self.writer.write_all(&codec::header(content.len())).await?;
            self.writer.write_all(content).await
        };
        timeout(FRAME_TIME, writing)
            .await
            .map_err(|_| ConversationError::Slow)?
            .map_err(ConversationError::Io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::Request;

    fn frame(request: &Request) -> Vec<u8> {
        let content = request.encode().unwrap();
        [&codec::header(content.len())[..], &content].concat()
    }

    #[tokio::test]
    async fn frames_come_whole_however_they_are_cut() {
        let (mut client, server) = UnixStream::pair().unwrap();
        let mut conversation = Conversation::new(server);
        let first = Request::shell("one");
        let second = Request::shell("two").with_stdin(vec![7; 60_000]);
        let both = [frame(&first), frame(&second)].concat();
        let writer = tokio::spawn(async move {
            for piece in both.chunks(1_001) {
                client.write_all(piece).await.unwrap();
            }
        });
        for expected in [first, second] {
            let content = conversation.next().await.unwrap().unwrap();
            assert_eq!(Request::decode(&content), Ok(expected));
        }
        assert!(conversation.next().await.unwrap().is_none());
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_frame_is_told_apart() {
        let (mut client, server) = UnixStream::pair().unwrap();
        client.write_all(&[255; 4]).await.unwrap();
        let error = Conversation::new(server).next().await.unwrap_err();
        assert!(matches!(error, ConversationError::TooLong), "{error}");

        let (mut client, server) = UnixStream::pair().unwrap();
        client.write_all(&[0, 0, 0, 9, 1]).await.unwrap();
        drop(client);
        let error = Conversation::new(server).next().await.unwrap_err();
        assert!(matches!(error, ConversationError::Cut), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_request_is_not_waited_for_for_ever() {
        let (mut client, server) = UnixStream::pair().unwrap();
        client.write_all(&[0, 0, 0, 9, 1]).await.unwrap();
        let error = Conversation::new(server).next().await.unwrap_err();
        assert!(matches!(error, ConversationError::Slow), "{error}");
    }

    #[tokio::test]
    async fn an_early_request_is_kept_and_a_leaving_client_is_noticed() {
        let (mut client, server) = UnixStream::pair().unwrap();
        let mut conversation = Conversation::new(server);
        let request = Request::shell("early");
        client.write_all(&frame(&request)).await.unwrap();
        let waited = timeout(Duration::from_millis(20), conversation.gone()).await;
        assert!(waited.is_err(), "the client is there");
        let content = conversation.next().await.unwrap().unwrap();
        assert_eq!(Request::decode(&content), Ok(request));
        drop(client);
        conversation.gone().await;
        assert!(conversation.next().await.unwrap().is_none());
    }
}
