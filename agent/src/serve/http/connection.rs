//! One connection: the handshake where there is TLS, then requests until it ends.
//!
//! Every step has a deadline, so that a peer that stalls holds one of the places for half a minute
//! at most.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use openssl::ssl::{Ssl, SslAcceptor};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_openssl::SslStream;

use super::access::Access;
use super::answer::{Answers, Question};
use super::timely::Timely;

/// How long a peer may take for a handshake, and for the header of each request; also how long a
/// connection may be idle.
const READ_TIME: Duration = Duration::from_secs(5);

/// How long a connection may last; an answer has less (see [`Timely`]).
const LIFE_TIME: Duration = Duration::from_secs(25);

/// How long an answer that is under way may still take when the connection is to end.
const GRACE: Duration = Duration::from_secs(5);

/// The longest header of a request in bytes; those of Prometheus have less than one KiB.
const HEADER_MAX: usize = 16 << 10;

/// The most lines of a header.
const HEADERS_MAX: usize = 64;

/// Serves one connection until it ends, its time is over, or `closing` is ready.
pub(super) async fn serve(
    stream: TcpStream,
    answers: Arc<Answers>,
    access: Arc<Access>,
    closing: impl Future<Output = ()>,
) {
    // Answers are small or written in one go; to wait for more would only delay them.
    stream.set_nodelay(true).ok();
    let Some(tls) = access.tls() else {
        return speak(stream, answers, access, closing).await;
    };
    match timeout(READ_TIME, shake_hands(tls, stream)).await {
        Ok(Some(stream)) => speak(stream, answers, access, closing).await,
        Ok(None) | Err(_) => answers.counters().handshake_failed.add_one(),
    }
}

async fn shake_hands(tls: &SslAcceptor, stream: TcpStream) -> Option<SslStream<TcpStream>> {
    let ssl = Ssl::new(tls.context()).ok()?;
    let mut stream = SslStream::new(ssl, stream).ok()?;
    Pin::new(&mut stream).accept().await.ok()?;
    Some(stream)
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    answers: Arc<Answers>,
    access: Arc<Access>,
    closing: impl Future<Output = ()>,
) {
    let was_asked = AtomicBool::new(false);
    let service = service_fn(|request| {
        was_asked.store(true, Ordering::Relaxed);
        let reply = answers.answer(&question(&request), &access);
        async move { Ok::<_, std::convert::Infallible>(reply) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(READ_TIME)
            .max_buf_size(HEADER_MAX)
            .max_headers(HEADERS_MAX)
            // Over TLS too: what is written in one piece is copied for each connection.
            .writev(true)
            .serve_connection(TokioIo::new(Timely::new(stream)), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = tokio::time::sleep(LIFE_TIME) => None,
        () = closing => None,
    };
    let ended = if ended.is_some() {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        timeout(GRACE, connection).await.ok()
    };
    let is_fault = match ended {
        Some(Ok(())) => false,
        // Prometheus keeps its connections; one that waits for the next question has done nothing
        // wrong.
        Some(Err(error)) => !(error.is_timeout() && was_asked.load(Ordering::Relaxed)),
        None => true,
    };
    if is_fault {
        answers.counters().broken.add_one();
    }
}

fn question(request: &hyper::Request<hyper::body::Incoming>) -> Question<'_> {
    Question {
        method: request.method(),
        path: request.uri().path(),
        headers: request.headers(),
    }
}
