//! Counts TCP connections, failures, retransmits and resets; times connects. Nothing per packet.
//!
//! Hooks (tp_btf) and what they compare with in /proc/net/snmp:
//! - `inet_sock_set_state`: CLOSE to SYN_SENT is an `ActiveOpens`, but for connects that end
//!   before a SYN was sent (counted apart); LISTEN to SYN_RECV on the new socket is a
//!   `PassiveOpens` (`tcp_create_openreq_child`); SYN_SENT to CLOSE with an error on the socket
//!   is an `AttemptFails` (`tcp_done`), without one the owner gave up, which the kernel does not
//!   count. `AttemptFails` also holds half-open requests that a peer resets: they never have a
//!   socket and are not seen here.
//! - `tcp_retransmit_skb` adds the segments of the buffer, `tcp_retransmit_synack` one:
//!   together `RetransSegs`. Before 6.16 the first fires only for what was really handed down.
//! - `tcp_send_reset`: before 6.10 not for segments that belong to no socket, so fewer than
//!   `OutRsts` there.
//! - `tcp_receive_reset`: RSTs that a socket accepted.
//!
//! All counters are one value per CPU. The start of a connect is kept in an LRU map by socket;
//! a stamp that was displaced is counted when it is missed.
#![no_std]
#![no_main]

use aya_ebpf::{
    helpers::{bpf_ktime_get_ns, bpf_skc_to_tcp_sock},
    macros::{btf_tracepoint, map},
    maps::{LruHashMap, PerCpuArray},
    programs::BtfTracePointContext,
};
use moonward_ebpf::{
    kernel::{Setting, load, opaque},
    tcp::{
        CLOSE, ESTABLISHED, FAILURE_ABORTED, FAILURE_NOT_SENT, FAILURE_OTHER, FAILURE_REFUSED,
        FAILURE_TIMED_OUT, FAILURE_UNREACHABLE, FAMILY_IPV4, FAMILY_IPV6, Family, Record,
        SKIPPED_NO_SEGMENTS, SKIPPED_NO_START, SKIPPED_TABLE_FULL, STATES, SYN_SENT,
    },
};

/// `sock_common.skc_family` within `sock`.
#[unsafe(no_mangle)]
static SOCK_FAMILY: Setting = Setting::new(0);
/// `sock.sk_protocol`.
#[unsafe(no_mangle)]
static SOCK_PROTOCOL: Setting = Setting::new(0);
/// `sock.sk_err`.
#[unsafe(no_mangle)]
static SOCK_ERROR: Setting = Setting::new(0);
/// `tcp_sock.segs_out`.
#[unsafe(no_mangle)]
static TCP_SEGMENTS_OUT: Setting = Setting::new(0);
/// 1: `tcp_sock.segs_out` is known.
#[unsafe(no_mangle)]
static HAS_SEGMENTS_OUT: Setting = Setting::new(0);
/// `sk_buff.cb` plus `tcp_skb_cb.tcp_gso_segs`.
#[unsafe(no_mangle)]
static BUFFER_SEGMENTS: Setting = Setting::new(0);
/// 1: `BUFFER_SEGMENTS` is known.
#[unsafe(no_mangle)]
static HAS_BUFFER_SEGMENTS: Setting = Setting::new(0);

#[map]
static COUNTERS: PerCpuArray<Record> = PerCpuArray::with_max_entries(1, 0);
/// Socket address to the time of its SYN. 4,096 connects in flight take 300 KiB; more displace
/// the oldest, which is then counted as `SKIPPED_NO_START`.
#[map]
static STARTED: LruHashMap<u64, u64> = LruHashMap::with_max_entries(4096, 0);

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const IPPROTO_TCP: u16 = 6;

#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the loader has checked that the arguments are (struct sock *, int, int).
    unsafe { change_state(&ctx) };
    0
}

#[inline(always)]
unsafe fn change_state(ctx: &BtfTracePointContext) {
    let socket: *const u8 = ctx.arg(0);
    let from = ctx.arg::<u64>(1) as usize & (STATES - 1);
    let to = ctx.arg::<u64>(2) as usize & (STATES - 1);
    // SAFETY: typed pointer, verified offsets.
    unsafe {
        // The tracepoint also fires for SCTP and MPTCP's own sockets.
        if load::<u16>(socket, SOCK_PROTOCOL.load()) != IPPROTO_TCP {
            return;
        }
        let Some(record) = counters() else { return };
        let Some(family) = family_of(record, socket) else {
            return;
        };
        let cell = opaque(from * STATES + to);
        if cell < STATES * STATES {
            let cells = (&raw mut family.transitions).cast::<u64>();
            *cells.add(cell) += 1;
        }
        if to == SYN_SENT {
            if STARTED
                .insert(socket as u64, bpf_ktime_get_ns(), 0)
                .is_err()
            {
                record.skipped[SKIPPED_TABLE_FULL] += 1;
            }
            return;
        }
        if from != SYN_SENT {
            return;
        }
        let key = socket as u64;
        if to == ESTABLISHED {
            match STARTED.get_ptr(key) {
                Some(start) => {
                    let taken = bpf_ktime_get_ns().wrapping_sub(*start);
                    family.connect.record(taken);
                }
                None => record.skipped[SKIPPED_NO_START] += 1,
            }
        } else if to == CLOSE {
            let kind = opaque(failure_of(socket));
            if let Some(count) = family.failures.get_mut(kind) {
                *count += 1;
            }
        }
        // Not there if it was displaced: nothing to remove then.
        let _ = STARTED.remove(key);
    }
}

#[inline(always)]
unsafe fn failure_of(socket: *const u8) -> usize {
    // SAFETY: typed pointer, verified offsets; the helper's result is checked.
    unsafe {
        let error: i32 = load(socket, SOCK_ERROR.load());
        if error == 111 {
            FAILURE_REFUSED
        } else if error == 110 {
            FAILURE_TIMED_OUT
        } else if error == 113 || error == 101 || error == 112 || error == 100 {
            FAILURE_UNREACHABLE
        } else if error != 0 {
            FAILURE_OTHER
        } else if HAS_SEGMENTS_OUT.load() == 1 {
            let tcp: *const u8 = bpf_skc_to_tcp_sock(socket.cast_mut().cast()).cast();
            if !tcp.is_null() && load::<u32>(tcp, TCP_SEGMENTS_OUT.load()) == 0 {
                FAILURE_NOT_SENT
            } else {
                FAILURE_ABORTED
            }
        } else {
            FAILURE_ABORTED
        }
    }
}

#[btf_tracepoint(function = "tcp_retransmit_skb")]
pub fn tcp_retransmit_skb(ctx: BtfTracePointContext) -> i32 {
    let socket: *const u8 = ctx.arg(0);
    let buffer: *const u8 = ctx.arg(1);
    // SAFETY: the loader has checked that the arguments are (struct sock *, struct sk_buff *).
    unsafe {
        let Some(record) = counters() else { return 0 };
        if socket.is_null() || buffer.is_null() {
            return 0;
        }
        let segments = if HAS_BUFFER_SEGMENTS.load() == 1 {
            // The control block is a char array for the verifier: byte by byte.
            let at = BUFFER_SEGMENTS.load();
            u64::from(load::<u8>(buffer, at)) | u64::from(load::<u8>(buffer, at + 1)) << 8
        } else {
            0
        };
        if segments == 0 {
            record.skipped[SKIPPED_NO_SEGMENTS] += 1;
        }
        if let Some(family) = family_of(record, socket) {
            family.retransmitted_segments += if segments == 0 { 1 } else { segments };
        }
    }
    0
}

#[btf_tracepoint(function = "tcp_retransmit_synack")]
pub fn tcp_retransmit_synack(ctx: BtfTracePointContext) -> i32 {
    let socket: *const u8 = ctx.arg(0);
    // SAFETY: the loader has checked that the first argument is a struct sock *.
    unsafe {
        if socket.is_null() {
            return 0;
        }
        if let Some(family) = counters().and_then(|record| family_of(record, socket)) {
            family.retransmitted_synacks += 1;
        }
    }
    0
}

#[btf_tracepoint(function = "tcp_send_reset")]
pub fn tcp_send_reset(ctx: BtfTracePointContext) -> i32 {
    let socket: *const u8 = ctx.arg(0);
    // SAFETY: the loader has checked that the first argument is a struct sock *; it may be null
    // and is checked.
    unsafe {
        let Some(record) = counters() else { return 0 };
        if socket.is_null() {
            record.resets_sent_unknown += 1;
        } else if let Some(family) = family_of(record, socket) {
            family.resets_sent += 1;
        } else {
            record.resets_sent_unknown += 1;
        }
    }
    0
}

#[btf_tracepoint(function = "tcp_receive_reset")]
pub fn tcp_receive_reset(ctx: BtfTracePointContext) -> i32 {
    let socket: *const u8 = ctx.arg(0);
    // SAFETY: the loader has checked that the first argument is a struct sock *.
    unsafe {
        if socket.is_null() {
            return 0;
        }
        if let Some(family) = counters().and_then(|record| family_of(record, socket)) {
            family.resets_received += 1;
        }
    }
    0
}

#[inline(always)]
unsafe fn counters<'a>() -> Option<&'a mut Record> {
    // SAFETY: this CPU's own value. Programs that share it touch different fields, and the kernel
    // lets no program interrupt itself.
    COUNTERS
        .get_ptr_mut(0)
        .map(|record| unsafe { &mut *record })
}

#[inline(always)]
unsafe fn family_of<'a>(record: *mut Record, socket: *const u8) -> Option<&'a mut Family> {
    // SAFETY: `record` is a live map value, `socket` is typed.
    unsafe {
        let family = load::<u16>(socket, SOCK_FAMILY.load());
        let families = (&raw mut (*record).families).cast::<Family>();
        if family == AF_INET {
            Some(&mut *families.add(FAMILY_IPV4))
        } else if family == AF_INET6 {
            Some(&mut *families.add(FAMILY_IPV6))
        } else {
            None
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
