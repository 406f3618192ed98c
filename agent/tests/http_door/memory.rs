//! What readers that take their time cost: one text for all, and an end to it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use moonward::model::Clock;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

use crate::guards::{Guard, ask_over_tls};
use crate::{House, ask, connect, counted, loopback, wait_until};

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
