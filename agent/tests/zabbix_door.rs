//! The Zabbix door as a whole, over real sockets: good clients among bad ones.
//!
//! Nothing here sleeps: a test waits for a state (a reply, the end of a connection, a counter), and
//! deadlines come from a clock that the test moves.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use moonward::model::Clock;
use moonward::model::clock::ManualClock;
use moonward::serve::zabbix::access::AllowList;
use moonward::serve::zabbix::answer::{Answer, NotSupported, Refusal};
use moonward::serve::zabbix::door::Door;
use moonward::serve::zabbix::header::{self, HEADER_LEN};
use moonward::serve::zabbix::item_key::ItemKey;

/// Answers `agent.ping`; `slow` waits until the gate opens, on a worker.
#[derive(Default)]
struct Gated {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gated {
    fn open_gate(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl Answer for Gated {
    fn answer(&self, key: &ItemKey<'_>, out: &mut String) -> Result<(), Refusal> {
        match key.name {
            "agent.ping" => out.push('1'),
            "large" => out.push_str(&"x".repeat(8 << 20)),
            "slow" => return Err(Refusal::Slow),
            _ => return Err(NotSupported::UNKNOWN_KEY.into()),
        }
        Ok(())
    }

    fn answer_slowly(&self, _: &ItemKey<'_>, out: &mut String) -> Result<(), NotSupported> {
        let gate = self.open.lock().unwrap();
        drop(self.opened.wait_while(gate, |open| !*open).unwrap());
        out.push_str("late");
        Ok(())
    }
}

struct House {
    door: Door,
    gate: Arc<Gated>,
    hand: Arc<ManualClock>,
}

fn open() -> House {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let gate = Arc::new(Gated::default());
    let (clock, hand) = Clock::manual();
    let allowed = AllowList::parse("127.0.0.1").unwrap();
    let answer: Arc<dyn Answer> = Arc::<Gated>::clone(&gate);
    let door = Door::open(listener, allowed, answer, clock).unwrap();
    House { door, gate, hand }
}

impl House {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.door.address()).unwrap();
        // Far beyond anything that a working door needs; a broken one fails instead of hanging.
        stream
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        stream
    }

    fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        stream
    }

    fn ask(&self, key: &str) -> String {
        reply(self.send(&frame(key)))
    }

    fn counted(&self, name: &str) -> u64 {
        let list = self.door.counters().list();
        list.iter().find(|(counter, _)| *counter == name).unwrap().1
    }

    /// Waits until a counter has a value; every turn of the door is a chance for it.
    fn wait_for(&self, name: &str, value: u64) {
        for _ in 0..1_000_000 {
            if self.counted(name) >= value {
                return;
            }
            self.door.nudge();
            thread::yield_now();
        }
        panic!("{name} is {}, not {value}", self.counted(name));
    }

    /// Lets the deadline of everything that is under way pass.
    fn pass_deadline(&self) {
        self.hand.advance(Duration::from_secs(4));
        self.door.nudge();
    }
}

fn frame(key: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    header::encode(key.as_bytes(), &mut frame);
    frame
}

/// The body of the reply, which must be a whole frame up to the end of the connection.
fn reply(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(
        bytes.get(..5),
        Some(&b"ZBXD\x01"[..]),
        "after {} bytes",
        bytes.len()
    );
    let length = u32::from_le_bytes(bytes[5..9].try_into().unwrap());
    assert_eq!(bytes.len() - HEADER_LEN, length as usize);
    String::from_utf8(bytes.split_off(HEADER_LEN)).unwrap()
}

/// Whether the door closes the connection without a byte; a reset is a close as well.
fn is_closed_silently(mut stream: TcpStream) -> bool {
    matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_))
}

/// A connection from an address that is not in the allow-list.
fn connect_from(source: Ipv4Addr, to: SocketAddr) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddrV4::new(source, 0)).unwrap();
    connect(&socket, &to).unwrap();
    let stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    stream
}

const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[test]
fn a_request_may_come_whole_or_byte_by_byte_or_as_json() {
    let house = open();
    assert_eq!(house.ask("agent.ping"), "1");
    assert_eq!(
        house.ask("nosuch"),
        "ZBX_NOTSUPPORTED\0Unsupported item key."
    );
    assert_eq!(
        house.ask(r#"{"request":"passive checks","data":[{"key":"agent.ping","timeout":3}]}"#),
        r#"{"version":"7.0.0","variant":1,"data":[{"value":"1"}]}"#
    );
    let mut stream = house.connect();
    stream.set_nodelay(true).unwrap();
    for byte in frame("agent.ping") {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(reply(stream), "1");
}

#[test]
fn bad_peers_cost_themselves_and_nobody_else() {
    let house = open();
    // They stay for the whole test: stalled before the first byte, in the header, in the body.
    let stalled: Vec<TcpStream> = (0..150)
        .map(|n| house.send(&frame("agent.ping")[..(n % 3) * 9]))
        .collect();
    let slow: Vec<TcpStream> = (0..8).map(|_| house.send(&frame("slow"))).collect();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(house.ask("agent.ping"), "1");
                }
            });
        }
        scope.spawn(|| {
            for garbage in [
                &b"GET / HTTP/1.1\r\n\r\n"[..],
                b"ZBXD\x01\xff\xff\xff\xff",
                b"ZBXD\x04",
            ] {
                for _ in 0..30 {
                    assert!(is_closed_silently(house.send(garbage)));
                }
            }
        });
        scope.spawn(|| {
            for _ in 0..100 {
                assert!(is_closed_silently(connect_from(
                    STRANGER,
                    house.door.address()
                )));
            }
        });
    });
    // All of that went by while none of these had an answer, and without a tick of the clock.
    assert_eq!(house.counted("answered"), 800);
    assert_eq!(house.counted("malformed"), 90);
    assert_eq!(house.counted("denied"), 100);
    assert_eq!(
        (house.counted("unfinished"), house.counted("panics")),
        (0, 0)
    );

    house.gate.open_gate();
    for stream in slow {
        assert_eq!(reply(stream), "late");
    }
    house.pass_deadline();
    for stream in stalled {
        assert!(is_closed_silently(stream));
    }
    house.wait_for("unfinished", 150);
}

#[test]
fn a_check_that_hangs_is_told_at_the_deadline() {
    let house = open();
    let stuck: Vec<TcpStream> = (0..4).map(|_| house.send(&frame("slow"))).collect();
    // Served after them, so they are parked by now.
    assert_eq!(house.ask("agent.ping"), "1");
    house.pass_deadline();
    for stream in stuck {
        assert_eq!(
            reply(stream),
            "ZBX_NOTSUPPORTED\0Timeout while waiting for a slow check."
        );
    }
    // All workers hang, and fast checks do not care.
    assert_eq!(house.ask("agent.ping"), "1");
    house.gate.open_gate();
    assert_eq!(house.ask("slow"), "late");
}

#[test]
fn a_large_value_reaches_a_slow_reader_whole() {
    let house = open();
    let stream = house.send(&frame("large"));
    assert_eq!(house.ask("agent.ping"), "1");
    assert_eq!(reply(stream).len(), 8 << 20);
}

#[test]
fn the_allow_list_can_be_replaced() {
    let house = open();
    assert!(is_closed_silently(connect_from(
        STRANGER,
        house.door.address()
    )));
    house
        .door
        .set_allowed(AllowList::parse("127.0.0.0/8").unwrap());
    let mut stream = connect_from(STRANGER, house.door.address());
    stream.write_all(&frame("agent.ping")).unwrap();
    assert_eq!(reply(stream), "1");
    house.door.set_allowed(AllowList::default());
    assert!(is_closed_silently(house.connect()));
    assert!(!house.door.allowed().allows(IpAddr::V4(Ipv4Addr::LOCALHOST)));
}

#[test]
fn a_closed_door_lets_go_of_its_port() {
    let house = open();
    let address = house.door.address();
    let waiting = house.connect();
    drop(house);
    assert!(is_closed_silently(waiting));
    assert!(TcpStream::connect(address).is_err());
}
