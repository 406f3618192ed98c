//! How many TCP sockets are in which state.
//!
//! Asked of the kernel over netlink (`NETLINK_SOCK_DIAG`, sock_diag(7)), which needs no privileges
//! and writes 72 bytes for a socket where `/proc/net/tcp` writes 150 characters of text; that file is
//! read where netlink is closed, and in a recorded tree. No series are made of it: the walk takes
//! time with the number of sockets, so it is made only when somebody asks.
//!
//! The layouts are those of `linux/netlink.h`, `linux/sock_diag.h` and `linux/inet_diag.h`.

use std::io;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, sendto,
    socket_with, sockopt,
};

use super::{ReadError, Root};

/// The states by their number, under the kernel's names (`net/tcp_states.h`). A socket in
/// `TCP_NEW_SYN_RECV`, number 12, is one in `syn_recv`.
pub const STATES: [&str; 11] = [
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
];

const SYN_RECEIVED: u8 = 3;
const NEW_SYN_RECEIVED: u8 = 12;

/// How many sockets are in which state, in the order of [`STATES`], and how many in a state that is
/// not among them or could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By state.
    pub states: [u64; STATES.len()],
    /// What is in another state or could not be read.
    pub lost: u64,
}

impl Counts {
    fn add(&mut self, state: u8) {
        let state = if state == NEW_SYN_RECEIVED {
            SYN_RECEIVED
        } else {
            state
        };
        let slot = usize::from(state)
            .checked_sub(1)
            .and_then(|index| self.states.get_mut(index));
        match slot {
            Some(count) => *count += 1,
            None => self.lost += 1,
        }
    }
}

/// Counts the sockets of IPv4 and IPv6.
///
/// # Errors
/// When `/proc/net/tcp`, which is the last that is tried, cannot be read.
pub fn count(root: &Root) -> Result<Counts, ReadError> {
    if root.is_machine()
        && let Ok(counts) = ask_kernel()
    {
        return Ok(counts);
    }
    let mut counts = Counts::default();
    read_table(&root.read("/proc/net/tcp")?, &mut counts);
    // A machine without IPv6 has no such file.
    if let Ok(text) = root.read("/proc/net/tcp6") {
        read_table(&text, &mut counts);
    }
    Ok(counts)
}

/// Reads `0: 0100007F:0016 00000000:0000 0A …`, below one line of headings.
pub fn read_table(text: &str, counts: &mut Counts) {
    for line in text.lines().skip(1) {
        let state = line.split_ascii_whitespace().nth(3);
        match state.and_then(|word| u8::from_str_radix(word, 16).ok()) {
            Some(state) => counts.add(state),
            None => counts.lost += 1,
        }
    }
}

/// `SOCK_DIAG_BY_FAMILY`
const BY_FAMILY: u16 = 20;
/// `NLMSG_ERROR`
const ERROR: u16 = 2;
/// `NLMSG_DONE`
const DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`
const REQUEST_DUMP: u16 = 0x301;
/// `AF_INET` and `AF_INET6`
const INET: u8 = 2;
const INET6: u8 = 10;
/// `IPPROTO_TCP`
const TCP: u8 = 6;
/// A netlink header, and a request of `struct inet_diag_req_v2` (56 bytes) behind it.
const HEADER_BYTES: usize = 16;
const REQUEST_BYTES: u32 = 72;
/// Where the state is in `struct inet_diag_msg`, behind the family.
const STATE_OFFSET: usize = HEADER_BYTES + 1;
/// The kernel fills at most 32 KiB at a time.
const BUFFER_BYTES: usize = 32 * 1024;
/// The longest wait for the next part of an answer, which the kernel makes on the spot.
const WAIT: std::time::Duration = std::time::Duration::from_secs(2);

fn ask_kernel() -> io::Result<Counts> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(WAIT))?;
    let mut counts = Counts::default();
    let mut buffer = vec![0_u8; BUFFER_BYTES];
    for family in [INET, INET6] {
        let request = request(family);
        sendto(
            &socket,
            &request,
            SendFlags::empty(),
            &SocketAddrNetlink::new(0, 0),
        )?;
        loop {
            let (length, _) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
            let answer = buffer.get(..length).unwrap_or_default();
            if answer.is_empty() || read_answer(answer, &mut counts)? {
                break;
            }
        }
    }
    Ok(counts)
}

/// Asks for all sockets of a family in whatever state.
fn request(family: u8) -> [u8; REQUEST_BYTES as usize] {
    let mut request = [0; REQUEST_BYTES as usize];
    let fields: [(usize, &[u8]); 6] = [
        (0, &REQUEST_BYTES.to_ne_bytes()),
        (4, &BY_FAMILY.to_ne_bytes()),
        (6, &REQUEST_DUMP.to_ne_bytes()),
        (HEADER_BYTES, &[family]),
        (HEADER_BYTES + 1, &[TCP]),
        (HEADER_BYTES + 4, &u32::MAX.to_ne_bytes()),
    ];
    for (at, bytes) in fields {
        if let Some(place) = request.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
    request
}

/// Counts the sockets in one part of an answer of the kernel's; true when it is the last.
///
/// # Errors
/// What the kernel says instead of an answer, or `InvalidData` when a message is longer than the
/// answer or shorter than its header.
pub fn read_answer(mut answer: &[u8], counts: &mut Counts) -> io::Result<bool> {
    while let Some((length, kind)) = header(answer) {
        let Some(message) = answer.get(..length).filter(|_| length >= HEADER_BYTES) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        match kind {
            DONE => return Ok(true),
            ERROR => {
                let code = message.get(HEADER_BYTES..HEADER_BYTES + 4);
                let code = code.and_then(|bytes| bytes.try_into().ok());
                let code = code.map_or(0, i32::from_ne_bytes);
                return Err(io::Error::from_raw_os_error(code.saturating_neg()));
            }
            BY_FAMILY => match message.get(STATE_OFFSET) {
                Some(state) => counts.add(*state),
                None => counts.lost += 1,
            },
            _ => {}
        }
        // Messages begin at every fourth byte.
        let next = length.next_multiple_of(4);
        answer = answer.get(next..).unwrap_or_default();
    }
    Ok(false)
}

/// Length and type of the message that begins here.
fn header(bytes: &[u8]) -> Option<(usize, u16)> {
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    Some((usize::try_from(length).ok()?, kind))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use proptest::prelude::*;

    use super::*;

    fn of(counts: &Counts, name: &str) -> u64 {
        let index = STATES.iter().position(|state| *state == name).unwrap();
        counts.states[index]
    }

    #[test]
    fn the_kernel_counts_the_connections_of_this_test() {
        let before = ask_kernel().unwrap();
        let listeners = ["127.0.0.1:0", "[::1]:0"].map(|address| TcpListener::bind(address).ok());
        let mut held = Vec::new();
        let listeners: Vec<TcpListener> = listeners.into_iter().flatten().collect();
        for listener in &listeners {
            for _ in 0..40 {
                let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                held.push((client, listener.accept().unwrap()));
            }
        }
        let after = ask_kernel().unwrap();
        let expected = 80 * listeners.len() as u64;
        // Other tests may close connections of theirs meanwhile.
        assert!(of(&after, "established") + 40 >= of(&before, "established") + expected);
        assert!(of(&after, "established") >= expected);
        assert!(of(&after, "listen") >= listeners.len() as u64);
        assert_eq!(after.lost, 0);
        // The other source counts the same connections.
        let mut table = Counts::default();
        for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
            if let Ok(text) = Root::machine().read(path) {
                read_table(&text, &mut table);
            }
        }
        assert!(of(&table, "established") >= expected);
    }

    #[test]
    fn a_table_is_counted_line_by_line() {
        let mut counts = Counts::default();
        read_table(
            "  sl  local_address rem_address   st tx_queue\n\
             \x20  0: 00000000:0016 00000000:0000 0A 0:0\n\
             \x20  1: 0764A8C0:1538 1464A8C0:C350 01 0:0\n\
             \x20  2: 0764A8C0:1538 1464A8C0:C351 0C 0:0\n\
             rubbish\n\
             \x20  3: 0764A8C0:1538 1464A8C0:C352 7F 0:0\n",
            &mut counts,
        );
        assert_eq!(of(&counts, "listen"), 1);
        assert_eq!(of(&counts, "established"), 1);
        assert_eq!(of(&counts, "syn_recv"), 1);
        assert_eq!(counts.lost, 2);
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut message = vec![0; HEADER_BYTES];
        let length = u32::try_from(HEADER_BYTES + body.len()).unwrap();
        message[..4].copy_from_slice(&length.to_ne_bytes());
        message[4..6].copy_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(body);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    #[test]
    fn an_answer_ends_with_done_or_an_error() {
        let mut counts = Counts::default();
        let mut answer = message(BY_FAMILY, &[2, 1, 0, 0]);
        answer.extend(message(BY_FAMILY, &[2, 6]));
        assert!(!read_answer(&answer, &mut counts).unwrap());
        answer.extend(message(DONE, &[0; 4]));
        answer.extend(message(BY_FAMILY, &[2, 1]));
        let mut counts = Counts::default();
        assert!(read_answer(&answer, &mut counts).unwrap());
        assert_eq!(
            (of(&counts, "established"), of(&counts, "time_wait")),
            (1, 1)
        );
        let refused = message(ERROR, &(-13_i32).to_ne_bytes());
        let error = read_answer(&refused, &mut counts).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(13));
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            length in 0_u32..300,
        ) {
            let mut counts = Counts::default();
            drop(read_answer(&bytes, &mut counts));
            let mut bytes = bytes;
            if let Some(start) = bytes.get_mut(..4) {
                start.copy_from_slice(&length.to_ne_bytes());
            }
            drop(read_answer(&bytes, &mut counts));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
            read_table(&text, &mut Counts::default());
        }
    }
}
