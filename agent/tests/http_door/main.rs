//! The HTTP door over loopback: what it answers, what it refuses, and that no peer keeps another
//! waiting.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test, what fails is a failure"
)]

mod guards;
mod memory;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use moonward::model::{Batch, Clock, Unit};
use moonward::serve::http::{Access, Door, Http};
use moonward::store::{Store, StoreLimits};
use moonward::telemetry::{Room, StatusBoard, Verdict};

struct House {
    http: Http,
    board: StatusBoard,
}

impl House {
    fn new() -> Self {
        Self::with_clock(Clock::System)
    }

    fn with_clock(clock: Clock) -> Self {
        let store = Store::new(clock, StoreLimits::default());
        let mut batch = Batch::new();
        batch.gauge("system.memory.limit", &[], Unit::BYTES, 42_u64);
        store.put("memory", &batch, None);
        let board = StatusBoard::new();
        let http = Http::new(store, board.clone());
        Self { http, board }
    }

    /// Has the text for Prometheus be so many bytes or a little more.
    fn grow(&self, bytes: usize) {
        let mut batch = Batch::new();
        let long = "x".repeat(1000);
        for number in 0..bytes / 1000 {
            let number = number.to_string();
            batch.gauge("x", &[("number", &number), ("x", &long)], Unit::ONE, 1.0);
        }
        self.http.answers().store().put("test", &batch, None);
    }

    fn open(&self) -> Door {
        self.http.open(loopback(), Access::default()).unwrap()
    }
}

fn loopback() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    stream
}

/// An answer: status, headers in small letters, body.
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn read(mut stream: impl std::io::Read) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(&bytes)));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        Self {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_lowercase(),
            body: bytes[end + 4..].to_vec(),
        }
    }
}

fn ask(address: SocketAddr, request: &str, headers: &str) -> Reply {
    let mut stream = connect(address);
    let text = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(text.as_bytes()).unwrap();
    Reply::read(stream)
}

fn counted(http: &Http, name: &str) -> u64 {
    let list = http.answers().counters().list();
    list.iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn paths_and_methods_are_answered_as_http_wants_it() {
    let house = House::new();
    let door = house.open();
    let at = door.address();
    let metrics = ask(at, "GET /metrics", "");
    assert_eq!(metrics.status, 200);
    assert!(
        metrics
            .head
            .contains("content-type: text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(metrics.text().contains("\nsystem_memory_limit_bytes 42\n"));
    let query = ask(at, "GET /metrics?a=b", "");
    assert_eq!(query.text(), metrics.text());
    let head = ask(at, "HEAD /metrics", "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    let length = format!("content-length: {}", metrics.body.len());
    assert!(head.head.contains(&length), "{}", head.head);
    assert!(ask(at, "GET /", "").text().contains("/metrics"));
    assert_eq!(ask(at, "GET /favicon.ico", "").status, 404);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let reply = ask(at, &format!("{method} /metrics"), "");
        assert_eq!(reply.status, 405, "{method}");
        assert!(reply.head.contains("allow: get, head"), "{}", reply.head);
    }
    assert_eq!(ask(at, "POST /nowhere", "").status, 404);
    assert_eq!(counted(&house.http, "answered"), 4);
    assert_eq!(counted(&house.http, "not_found"), 2);
    assert_eq!(counted(&house.http, "method_not_allowed"), 5);
}

#[test]
fn the_client_chooses_format_and_compression() {
    let house = House::new();
    let door = house.open();
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let plain = ask(door.address(), "GET /metrics", accept);
    let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(plain.head.contains(kind), "{}", plain.head);
    assert!(plain.text().ends_with("# EOF\n"));
    let headers = format!("{accept}Accept-Encoding: gzip\r\n");
    let packed = ask(door.address(), "GET /metrics", &headers);
    assert!(
        packed.head.contains("content-encoding: gzip"),
        "{}",
        packed.head
    );
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed.body[..])
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, plain.text());
}

#[test]
fn health_tells_what_has_failed() {
    let house = House::new();
    let door = house.open();
    let healthy = ask(door.address(), "GET /health", "");
    assert_eq!((healthy.status, healthy.text()), (200, "ok\n"));
    house
        .board
        .part(Room::Probe, "tcp", Verdict::Unsupported("no BTF".into()));
    let part = house.board.part(
        Room::Door,
        "zabbix",
        Verdict::Failed("the port is taken".into()),
    );
    let ill = ask(door.address(), "GET /health", "");
    assert_eq!(
        (ill.status, ill.text()),
        (503, "door zabbix: the port is taken\n")
    );
    part.set(Verdict::Active);
    assert_eq!(ask(door.address(), "GET /health", "").status, 200);
}

#[test]
fn one_connection_carries_many_requests() {
    let house = House::new();
    let door = house.open();
    let mut stream = connect(door.address());
    let request = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    for _ in 0..3 {
        stream.write_all(request).unwrap();
        let mut reply = [0; 4096];
        let mut length = 0;
        while !reply[..length].ends_with(b"\r\n\r\nok\n") {
            let more = stream.read(&mut reply[length..]).unwrap();
            assert!(more > 0);
            length += more;
        }
    }
    let mut idle = connect(door.address());
    idle.write_all(request).unwrap();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).unwrap();
    assert_eq!(
        counted(&house.http, "broken"),
        0,
        "to be idle for too long is no fault"
    );
    let mut stream = connect(door.address());
    stream.write_all(request).unwrap();
    assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
    drop(door);
    assert_eq!(
        stream.read(&mut [0; 16]).unwrap(),
        0,
        "an idle connection outlives its door"
    );
}

#[test]
fn stalled_peers_hold_their_places_alone_and_one_too_many_is_told_so() {
    let house = House::new();
    let door = house.open();
    let mut stalled: Vec<TcpStream> = (0..63)
        .map(|_| {
            let mut stream = connect(door.address());
            stream.write_all(b"GET /metr").unwrap();
            stream
        })
        .collect();
    assert_eq!(ask(door.address(), "GET /health", "").status, 200);
    stalled.push(connect(door.address()));
    stalled.push(connect(door.address()));
    // Whichever of the last two came first: the other has no place.
    assert_eq!(Reply::read(&stalled[64]).status, 503);
    assert_eq!(counted(&house.http, "refused"), 1);
    // Each gets its place back at its deadline.
    for mut stream in stalled {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).ok();
    }
    assert_eq!(ask(door.address(), "GET /health", "").status, 200);
    assert!(counted(&house.http, "broken") >= 63);
}

#[test]
fn one_too_many_that_has_asked_already_reads_why() {
    let house = House::new();
    let door = house.open();
    let stalled: Vec<TcpStream> = (0..64).map(|_| connect(door.address())).collect();
    for _ in 0..50 {
        // The request is there before the answer: closing with it unread would reset both.
        assert_eq!(ask(door.address(), "GET /health", "").status, 503);
    }
    assert_eq!(counted(&house.http, "refused"), 50);
    // Those who say nothing and stay are given up, and hold nobody's place.
    let silent = connect(door.address());
    let mut rest = Vec::new();
    (&silent).read_to_end(&mut rest).unwrap();
    assert!(rest.starts_with(b"HTTP/1.1 503"));
    drop(stalled);
    wait_until("a place is free", || {
        ask(door.address(), "GET /health", "").status == 200
    });
}

/// Waits until the condition holds, at most 10 s.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("waited too long until {what}");
}

#[test]
fn what_is_no_request_is_refused_and_counted() {
    let house = House::new();
    let door = house.open();
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    for (request, status) in [
        ("nonsense\r\n\r\n", 400),
        (long.as_str(), 431),
        (many.as_str(), 431),
    ] {
        let mut stream = connect(door.address());
        // The door may have closed it before all of it is written.
        stream.write_all(request.as_bytes()).ok();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).ok();
        let text = String::from_utf8_lossy(&reply);
        assert!(
            reply.is_empty() || text.starts_with(&format!("HTTP/1.1 {status}")),
            "{text}"
        );
    }
    assert_eq!(ask(door.address(), "GET /health", "").status, 200);
    assert_eq!(counted(&house.http, "broken"), 3);
}

#[test]
fn the_end_does_not_wait_for_a_peer_that_stalls() {
    let house = House::new();
    let door = house.open();
    let mut stream = connect(door.address());
    stream.write_all(b"GET /metr").unwrap();
    drop(door);
    drop(house);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).ok();
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
}
