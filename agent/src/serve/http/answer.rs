//! From a request to its answer. Does no I/O; one text for Prometheus is written at a time, and who
//! asks while another is still reading it gets the same bytes.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};

use super::access::Access;
use super::counters::Counters;
use crate::serve::prometheus::accept::takes_gzip;
use crate::serve::prometheus::{Exposition, Format, LeftOut};
use crate::serve::under_way::{Shared, UnderWay};
use crate::store::Store;
use crate::telemetry::StatusBoard;
use crate::telemetry::events::Events;

/// A whole answer.
pub type Reply = Response<Full<Bytes>>;

/// The page at `/`.
const INDEX: &str = concat!(
    "Moonward ",
    env!("CARGO_PKG_VERSION"),
    "\n\n\
     /metrics  every value, for Prometheus: text format or OpenMetrics\n\
     /health   ok, or the parts that have failed\n"
);

/// What the doors answer from.
#[derive(Debug)]
pub struct Answers {
    store: Store,
    board: StatusBoard,
    exposition: Mutex<Exposition>,
    /// The last text's buffer.
    buffer: Mutex<Vec<u8>>,
    under_way: Arc<UnderWay>,
    texts: Texts,
    events: Events,
    counters: Arc<Counters>,
    left_out: Arc<LeftOut>,
}

/// The text in each of its forms.
#[derive(Debug)]
struct Texts {
    text: Shared,
    text_packed: Shared,
    open_metrics: Shared,
    open_metrics_packed: Shared,
}

impl Texts {
    fn new(under_way: &Arc<UnderWay>) -> Self {
        Self {
            text: Shared::new(under_way),
            text_packed: Shared::new(under_way),
            open_metrics: Shared::new(under_way),
            open_metrics_packed: Shared::new(under_way),
        }
    }

    fn of(&self, format: Format, gzip: bool) -> &Shared {
        match (format, gzip) {
            (Format::Text, false) => &self.text,
            (Format::Text, true) => &self.text_packed,
            (Format::OpenMetrics, false) => &self.open_metrics,
            (Format::OpenMetrics, true) => &self.open_metrics_packed,
        }
    }
}

/// What of a request matters.
#[derive(Debug)]
pub struct Question<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path without what is behind a question mark.
    pub path: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
}

impl Question<'_> {
    fn values(&self, name: &HeaderName) -> impl Iterator<Item = &str> {
        let values = self.headers.get_all(name).into_iter();
        values.filter_map(|value| value.to_str().ok())
    }
}

impl Answers {
    /// Answers from a store and a board.
    pub fn new(store: Store, board: StatusBoard) -> Self {
        let left_out = Arc::new(LeftOut::default());
        let under_way = UnderWay::new(UNDER_WAY_MAX);
        Self {
            events: Events::new(store.clock().clone()),
            texts: Texts::new(&under_way),
            under_way,
            store,
            board,
            exposition: Mutex::new(Exposition::new(Arc::clone(&left_out))),
            buffer: Mutex::default(),
            counters: Arc::default(),
            left_out,
        }
    }

    /// What was counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The samples that texts for Prometheus left out, by reason.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// The store that is answered from.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Answers one request.
    pub fn answer(&self, question: &Question<'_>, access: &Access) -> Reply {
        let authorization = question.headers.get(header::AUTHORIZATION);
        // First of all: who has no token does not learn either what there is.
        if !access.admits(authorization.map(HeaderValue::as_bytes)) {
            self.counters.unauthorized.add_one();
            let mut reply = plain(StatusCode::UNAUTHORIZED, "a token is needed\n");
            let bearer = HeaderValue::from_static("Bearer realm=\"moonward\"");
            reply.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
            return reply;
        }
        if !matches!(question.path, "/" | "/metrics" | "/health") {
            self.counters.not_found.add_one();
            return plain(StatusCode::NOT_FOUND, "there is /, /metrics and /health\n");
        }
        if !matches!(*question.method, Method::GET | Method::HEAD) {
            self.counters.method_not_allowed.add_one();
            let mut reply = plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
            let allowed = HeaderValue::from_static("GET, HEAD");
            reply.headers_mut().insert(header::ALLOW, allowed);
            return reply;
        }
        if question.path == "/health" {
            return self.health();
        }
        if question.path == "/metrics" {
            return self.metrics(question);
        }
        self.counters.answered.add_one();
        plain(StatusCode::OK, INDEX)
    }

    /// 200 when nothing has failed, else 503 with what has.
    fn health(&self) -> Reply {
        let mut failed = Vec::new();
        for part in self.board.statuses() {
            if part.verdict == "failed" {
                let reason = part.reason.unwrap_or_default();
                let room = part.room.as_str();
                failed.push(format!("{room} {}: {reason}\n", part.name));
            }
        }
        if failed.is_empty() {
            self.counters.answered.add_one();
            return plain(StatusCode::OK, "ok\n");
        }
        self.counters.unhealthy.add_one();
        let mut reply = plain(StatusCode::SERVICE_UNAVAILABLE, "");
        *reply.body_mut() = Full::from(failed.concat());
        reply
    }

    fn metrics(&self, question: &Question<'_>) -> Reply {
        let format = Format::accepted(question.values(&header::ACCEPT));
        let gzip = takes_gzip(question.values(&header::ACCEPT_ENCODING));
        let make = || self.write(format, gzip);
        let Ok(text) = self.texts.of(format, gzip).text(self.store.clock(), make) else {
            return self.crowded();
        };
        self.counters.answered.add_one();
        let mut reply = Response::new(Full::new(Bytes::from_owner(text)));
        let headers = reply.headers_mut();
        let kind = HeaderValue::from_static(format.content_type());
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(
            header::VARY,
            HeaderValue::from_static("accept, accept-encoding"),
        );
        if gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        reply
    }

    /// Writes the text for Prometheus as it is sent.
    fn write(&self, format: Format, gzip: bool) -> Vec<u8> {
        let clock = self.store.clock();
        let begun = clock.now();
        let mut text = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let rendered = {
            let mut exposition = self
                .exposition
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            exposition.render(&self.store, format, &mut text)
        };
        let is_long = text.capacity() > BUFFER_KEPT;
        let body = match (gzip, is_long) {
            (true, _) => compressed(&text),
            // A second one like it would be too much to have.
            (false, true) => std::mem::take(&mut *text),
            (false, false) => text.clone(),
        };
        if is_long {
            *text = Vec::new();
        }
        drop(text);
        let took = clock.now().since(begun).as_micros();
        self.counters.samples.add(rendered.samples);
        let took = u64::try_from(took).unwrap_or(u64::MAX);
        self.counters.render_microseconds.add(took);
        body
    }

    /// 503, while others read too much.
    fn crowded(&self) -> Reply {
        self.counters.crowded.add_one();
        if let Some(suppressed) = self.events.admit("http.crowded", "") {
            tracing::warn!(
                bytes = self.under_way.bytes(),
                suppressed,
                "a request for /metrics was turned away: the answers that others have not read yet \
                 take too much memory"
            );
        }
        let mut reply = plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many answers are being read; try again\n",
        );
        let later = HeaderValue::from_static("5");
        reply.headers_mut().insert(header::RETRY_AFTER, later);
        reply
    }
}

/// How much memory is kept for the next text.
const BUFFER_KEPT: usize = 4 << 20;

/// The most bytes of texts under way: a quarter of a million samples, or some twenty clients at the
/// same time on a host with ten thousand.
const UNDER_WAY_MAX: usize = 32 << 20;

fn compressed(text: &[u8]) -> Vec<u8> {
    // The fastest level: lines like these become a tenth even so.
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    // Writing to memory does not fail.
    encoder.write_all(text).ok();
    encoder.finish().unwrap_or_default()
}

fn plain(status: StatusCode, text: &'static str) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *reply.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    reply.headers_mut().insert(header::CONTENT_TYPE, kind);
    reply
}
