//! The HTTP door over loopback: what it answers, what it refuses, and that no peer keeps another
//! waiting.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test, what fails is a failure"
)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moonward::model::{Batch, Clock, Unit};
use moonward::serve::http::{Access, AccessFiles, Door, Http, OpenError};
use moonward::store::{Store, StoreLimits};
use moonward::telemetry::{Room, StatusBoard, Verdict};
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::{X509, X509NameBuilder};

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

/// Asks and reads nothing but the beginning of the answer.
fn ask_slowly(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut start = [0; 15];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(start, *b"HTTP/1.1 200 OK");
    stream
}

/// Held by tests that take or measure much memory: they share a process.
static MEMORY: Mutex<()> = Mutex::new(());

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn many_slow_readers_hold_one_text() {
    const TEXT: usize = 8 << 20;
    let _alone = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let (clock, _hand) = Clock::manual();
    let house = House::with_clock(clock);
    house.grow(TEXT);
    let door = house.open();
    let whole = ask(door.address(), "GET /metrics", "");
    assert!(whole.body.len() >= TEXT);
    let before = resident_bytes();
    let slow: Vec<TcpStream> = (0..40).map(|_| ask_slowly(door.address())).collect();
    let more = resident_bytes().saturating_sub(before);
    // Forty of them would be 320 MiB.
    assert!(more < 12 * TEXT, "{more} bytes for {} readers", slow.len());
    assert_eq!(ask(door.address(), "GET /metrics", "").body, whole.body);
}

#[test]
fn where_too_much_is_unread_the_next_is_turned_away_until_it_is_read() {
    let _alone = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let (clock, hand) = Clock::manual();
    let house = House::with_clock(clock);
    house.grow(12 << 20);
    let door = house.open();
    // Two seconds later the values are others, and so is the text.
    let later = || hand.advance(Duration::from_secs(2));
    let first = ask_slowly(door.address());
    later();
    let second = ask_slowly(door.address());
    later();
    let turned_away = ask(door.address(), "GET /metrics", "");
    assert_eq!(turned_away.status, 503);
    assert!(
        turned_away.head.contains("retry-after: 5"),
        "{}",
        turned_away.head
    );
    assert_eq!(counted(&house.http, "crowded"), 1);
    assert_eq!(ask(door.address(), "GET /health", "").status, 200);
    // Packed it is small, but what it will be is known only when it is there.
    let packed = ask(door.address(), "GET /metrics", "Accept-Encoding: gzip\r\n");
    assert_eq!(packed.status, 200);
    drop(first);
    wait_until("there is room", || {
        ask(door.address(), "GET /metrics", "").status == 200
    });
    drop(second);
}

#[test]
fn a_long_text_is_not_copied_for_each_reader_over_tls_either() {
    let _alone = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let (clock, _hand) = Clock::manual();
    let (house, guard) = (House::with_clock(clock), Guard::new());
    house.grow(8 << 20);
    let door = house
        .http
        .open(loopback(), guard.access(false, true))
        .unwrap();
    let whole = ask_over_tls(door.address(), "").body;
    assert!(whole.len() >= 8 << 20);
    let before = resident_bytes();
    let mut slow = Vec::new();
    for _ in 0..30 {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
        builder.set_verify(SslVerifyMode::NONE);
        let stream = connect(door.address());
        let mut stream = builder.build().connect("moonward.test", stream).unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(request).unwrap();
        stream.read_exact(&mut [0; 15]).unwrap();
        slow.push(stream);
    }
    let more = resident_bytes().saturating_sub(before);
    assert!(more < 96 << 20, "{more} bytes for {} readers", slow.len());
    assert_eq!(ask_over_tls(door.address(), "").body, whole);
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

/// Files of a token, and of a certificate that vouches for itself.
struct Guard {
    directory: tempfile::TempDir,
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

impl Guard {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let rsa = openssl::rsa::Rsa::generate(2048).unwrap();
        let key = PKey::from_rsa(rsa).unwrap();
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", "moonward.test").unwrap();
        let name = name.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(&name).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder
            .set_not_before(&Asn1Time::days_from_now(0).unwrap())
            .unwrap();
        builder
            .set_not_after(&Asn1Time::days_from_now(1).unwrap())
            .unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        let certificate = builder.build().to_pem().unwrap();
        let key = key.private_key_to_pem_pkcs8().unwrap();
        let token = directory.path().join("token");
        std::fs::write(&token, TOKEN).unwrap();
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(directory.path().join("certificate"), certificate).unwrap();
        std::fs::write(directory.path().join("key"), key).unwrap();
        Self { directory }
    }

    fn access(&self, token: bool, tls: bool) -> Access {
        let path = |name| self.directory.path().join(name);
        let (token_path, certificate, key) = (path("token"), path("certificate"), path("key"));
        Access::read(AccessFiles {
            token: token.then_some(token_path.as_path()),
            certificate: tls.then_some(certificate.as_path()),
            key: tls.then_some(key.as_path()),
        })
        .unwrap()
    }
}

fn ask_over_tls(address: SocketAddr, headers: &str) -> Reply {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    let connector = builder.build();
    let mut stream = connector
        .connect("moonward.test", connect(address))
        .unwrap();
    let text = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(text.as_bytes()).unwrap();
    Reply::read(stream)
}

#[test]
fn a_token_is_asked_for_before_anything_is_told() {
    let (house, guard) = (House::new(), Guard::new());
    let door = house
        .http
        .open(loopback(), guard.access(true, false))
        .unwrap();
    for request in ["GET /metrics", "GET /health", "GET /nowhere", "POST /"] {
        let reply = ask(door.address(), request, "");
        assert_eq!(reply.status, 401, "{request}");
        assert!(
            reply.head.contains("www-authenticate: bearer"),
            "{}",
            reply.head
        );
    }
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask(door.address(), "GET /metrics", &right).status, 200);
    assert_eq!(counted(&house.http, "unauthorized"), 4);
    // A new token holds from the next connection on.
    door.set_access(Access::default()).unwrap();
    assert_eq!(ask(door.address(), "GET /metrics", "").status, 200);
}

#[test]
fn tls_is_spoken_where_there_is_a_certificate() {
    let (house, guard) = (House::new(), Guard::new());
    let door = house
        .http
        .open(loopback(), guard.access(true, true))
        .unwrap();
    assert_eq!(ask_over_tls(door.address(), "").status, 401);
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    let reply = ask_over_tls(door.address(), &right);
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("system_memory_limit_bytes 42"));
    // In plain it says nothing.
    let mut stream = connect(door.address());
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).ok();
    assert!(!reply.starts_with(b"HTTP"), "{reply:?}");
    // It is counted when the connection is closed, which the peer may see first.
    wait_until("it is counted", || {
        counted(&house.http, "handshake_failed") == 1
    });
}

#[test]
fn beyond_loopback_it_takes_both() {
    let (house, guard) = (House::new(), Guard::new());
    let anywhere = || TcpListener::bind("0.0.0.0:0").unwrap();
    for (token, tls, missing) in [
        (
            false,
            false,
            "set http.token_file, http.certificate and http.key,",
        ),
        (true, false, "set http.certificate and http.key,"),
        (false, true, "set http.token_file,"),
    ] {
        let error = house
            .http
            .open(anywhere(), guard.access(token, tls))
            .unwrap_err();
        assert!(error.to_string().contains(missing), "{error}");
    }
    let door = house
        .http
        .open(anywhere(), guard.access(true, true))
        .unwrap();
    assert!(matches!(
        door.set_access(Access::default()),
        Err(OpenError::Unguarded { .. })
    ));
    let here = SocketAddr::from(([127, 0, 0, 1], door.address().port()));
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask_over_tls(here, &right).status, 200);
}

#[test]
fn a_further_door_is_one_per_address_and_closes_with_its_last_holder() {
    let house = House::new();
    let address = loopback().local_addr().unwrap();
    let first = house.http.listen(address, Access::default()).unwrap();
    let second = house.http.listen(address, Access::default()).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(ask(address, "GET /metrics", "").status, 200);
    drop(first);
    assert_eq!(ask(address, "GET /metrics", "").status, 200);
    drop(second);
    // The thread closes the socket in its own time, and opening it again waits for that.
    let again = house.http.listen(address, Access::default()).unwrap();
    assert_eq!(ask(again.address(), "GET /health", "").status, 200);
    let beyond = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(
        house.http.listen(beyond, Access::default()),
        Err(OpenError::Unguarded { .. })
    ));
    let taken = loopback();
    let error = house
        .http
        .listen(taken.local_addr().unwrap(), Access::default())
        .unwrap_err();
    assert!(matches!(error, OpenError::Bind(..)), "{error}");
}

#[test]
fn a_further_door_beyond_loopback_is_guarded_and_takes_new_guards() {
    let (house, guard) = (House::new(), Guard::new());
    let beyond = SocketAddr::from(([0, 0, 0, 0], 0));
    let error = house.http.listen(beyond, guard.access(true, false));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("set http.certificate and http.key,"),
        "{error}"
    );
    let door = house.http.listen(beyond, guard.access(true, true)).unwrap();
    let here = SocketAddr::from(([127, 0, 0, 1], door.address().port()));
    assert_eq!(ask_over_tls(here, "").status, 401);
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask_over_tls(here, &right).status, 200);
    assert!(Arc::ptr_eq(&house.http.listened()[0], &door));
    let renewed = "fedcba9876543210fedcba9876543210";
    std::fs::write(guard.directory.path().join("token"), renewed).unwrap();
    door.set_access(guard.access(true, true)).unwrap();
    assert_eq!(ask_over_tls(here, &right).status, 401);
    let right = format!("Authorization: Bearer {renewed}\r\n");
    assert_eq!(ask_over_tls(here, &right).status, 200);
    drop(door);
    assert!(house.http.listened().is_empty());
}

#[test]
fn doors_without_end_are_refused() {
    let house = House::new();
    let mut doors = Vec::new();
    for last in 1..=16 {
        let address = SocketAddr::from(([127, 0, 0, last], 0));
        doors.push(house.http.listen(address, Access::default()).unwrap());
    }
    let address = SocketAddr::from(([127, 0, 0, 17], 0));
    assert!(matches!(
        house.http.listen(address, Access::default()),
        Err(OpenError::TooMany(_))
    ));
    doors.pop();
    assert!(house.http.listen(address, Access::default()).is_ok());
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
