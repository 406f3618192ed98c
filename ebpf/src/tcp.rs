//! What the TCP programs count: state changes, failures, retransmits, resets, connect latency.

use crate::histogram::Histogram;

/// IPv4, and its place in every pair by family.
pub const FAMILY_IPV4: usize = 0;
/// IPv6 (IPv4-mapped peers of an IPv6 socket too).
pub const FAMILY_IPV6: usize = 1;

/// States, from include/net/tcp_states.h (user-space API, fixed). 16 so that a mask bounds them.
pub const STATES: usize = 16;
/// `TCP_ESTABLISHED`.
pub const ESTABLISHED: usize = 1;
/// `TCP_SYN_SENT`.
pub const SYN_SENT: usize = 2;
/// `TCP_SYN_RECV`.
pub const SYN_RECV: usize = 3;
/// `TCP_CLOSE`.
pub const CLOSE: usize = 7;
/// `TCP_LISTEN`.
pub const LISTEN: usize = 10;

/// The socket was closed by its owner while it connected; no error of the network.
pub const FAILURE_ABORTED: usize = 0;
/// Closed before a SYN was sent: no local port or address, no route.
pub const FAILURE_NOT_SENT: usize = 1;
/// `ECONNREFUSED`.
pub const FAILURE_REFUSED: usize = 2;
/// `ETIMEDOUT`.
pub const FAILURE_TIMED_OUT: usize = 3;
/// `EHOSTUNREACH`, `ENETUNREACH` and the like.
pub const FAILURE_UNREACHABLE: usize = 4;
/// Any other error.
pub const FAILURE_OTHER: usize = 5;
/// How many kinds of failure there are.
pub const FAILURES: usize = 6;

/// Connects without a latency: no start stamp was found (its entry was displaced, or the program
/// was attached after the SYN).
pub const SKIPPED_NO_START: usize = 0;
/// Start stamps that could not be kept.
pub const SKIPPED_TABLE_FULL: usize = 1;
/// Retransmitted frames whose segment count could not be read; counted as one segment each.
pub const SKIPPED_NO_SEGMENTS: usize = 2;
/// How many reasons there are.
pub const SKIPPED_REASONS: usize = 3;

/// What is counted for one address family on one CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// State changes, from (row) and to (column).
    pub transitions: [[u64; STATES]; STATES],
    /// Connects that came to nothing, by the `FAILURE_` constants.
    pub failures: [u64; FAILURES],
    /// Segments sent again, the unit of `RetransSegs`.
    pub retransmitted_segments: u64,
    /// SYN-ACKs sent again; `RetransSegs` holds them too.
    pub retransmitted_synacks: u64,
    /// RSTs sent.
    pub resets_sent: u64,
    /// RSTs received by a socket.
    pub resets_received: u64,
    /// SYN sent to connection established.
    pub connect: Histogram,
}

/// Everything the TCP programs count on one CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// IPv4, then IPv6.
    pub families: [Family; 2],
    /// RSTs sent that belong to no socket, so to no known family.
    pub resets_sent_unknown: u64,
    /// Skipped samples by the `SKIPPED_` constants.
    pub skipped: [u64; SKIPPED_REASONS],
}

impl Family {
    /// Counters that hold nothing.
    pub const EMPTY: Self = Self {
        transitions: [[0; STATES]; STATES],
        failures: [0; FAILURES],
        retransmitted_segments: 0,
        retransmitted_synacks: 0,
        resets_sent: 0,
        resets_received: 0,
        connect: Histogram::EMPTY,
    };
}

impl Record {
    /// Counters that hold nothing.
    pub const EMPTY: Self = Self {
        families: [Family::EMPTY; 2],
        resets_sent_unknown: 0,
        skipped: [0; SKIPPED_REASONS],
    };
}
