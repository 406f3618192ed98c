//! Counts and times block requests at their completion: one hook, no correlation.
//!
//! Hook: `block_rq_complete` (tp_btf), which the kernel fires in `blk_update_request` and
//! `blk_complete_request`. Both stamps are in the request itself, so nothing is kept between
//! events.
//!
//! How the counts compare with /proc/diskstats (block/blk-mq.c, block/blk-flush.c):
//! - bytes: both add what each completion carries, partial ones too, so they agree;
//! - operations: the kernel counts a request once, when it ends as a whole, but not while it is a
//!   step of a flush sequence (`RQF_FLUSH_SEQ`). A write with a flush before or after it fires
//!   twice: once as the sequence's data step, with the flag set, and once at the very end,
//!   without it and with no bytes left. The second one is counted, as there. An empty flush
//!   request (fsync with nothing to write) ends as a write of no bytes and is a write there too.
//! - flushes: only what really went to the device, the sequence's own request; so do they;
//! - merged bios are in their request, as there; driver and SCSI commands are counted here as
//!   "other" and not at all there (before `iostats_passthrough`);
//! - with /sys/block/*/queue/iostats at 0 the kernel stops counting, this program does not;
//! - device-mapper and md are built of bios: they show up through the disks below them, unless
//!   they are request-based.
//!
//! Full table and missing stamps are counted in `SKIPPED`, by reason.
#![no_std]
#![no_main]

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::bpf_ktime_get_ns,
    macros::{btf_tracepoint, map},
    maps::{Array, HashMap, PerCpuArray},
    programs::BtfTracePointContext,
};
use moonward_ebpf::{
    block::{
        Directory, ERROR_CLASSES, Entry, OPERATION_DISCARD, OPERATION_FLUSH, OPERATION_OTHER,
        OPERATION_READ, OPERATION_WRITE, PROBES, Record, SKIPPED_CLOCK, SKIPPED_NO_DEVICE,
        SKIPPED_NO_ISSUE_TIME, SKIPPED_NO_START_TIME, SKIPPED_PARTIAL, SKIPPED_TABLE_FULL, SLOTS,
        Skipped, first_slot, key_of,
    },
    kernel::{Setting, load, opaque},
};

/// 1: the disk hangs on the request's queue; 0: on the request itself (before 5.17).
#[unsafe(no_mangle)]
static DISK_VIA_QUEUE: Setting = Setting::new(1);
/// `request.q`, or `request.rq_disk`.
#[unsafe(no_mangle)]
static REQUEST_QUEUE: Setting = Setting::new(0);
/// `request_queue.disk`.
#[unsafe(no_mangle)]
static QUEUE_DISK: Setting = Setting::new(0);
/// `gendisk.major`.
#[unsafe(no_mangle)]
static DISK_MAJOR: Setting = Setting::new(0);
/// `gendisk.first_minor`.
#[unsafe(no_mangle)]
static DISK_MINOR: Setting = Setting::new(0);
/// `request.cmd_flags`; its low 8 bits are the operation (`REQ_OP_MASK`).
#[unsafe(no_mangle)]
static REQUEST_COMMAND: Setting = Setting::new(0);
/// `request.rq_flags`.
#[unsafe(no_mangle)]
static REQUEST_FLAGS: Setting = Setting::new(0);
/// The bit `RQF_FLUSH_SEQ`.
#[unsafe(no_mangle)]
static FLUSH_SEQUENCE: Setting = Setting::new(0);
/// `request.__data_len`.
#[unsafe(no_mangle)]
static REQUEST_LENGTH: Setting = Setting::new(0);
/// `request.start_time_ns`.
#[unsafe(no_mangle)]
static REQUEST_START: Setting = Setting::new(0);
/// `request.io_start_time_ns`.
#[unsafe(no_mangle)]
static REQUEST_ISSUE: Setting = Setting::new(0);
/// 1: the kernel keeps `io_start_time_ns`.
#[unsafe(no_mangle)]
static HAS_ISSUE: Setting = Setting::new(0);
/// 1: the second argument is a `blk_status_t`; 0: a negative errno (before 5.16).
#[unsafe(no_mangle)]
static STATUS_IS_BLK: Setting = Setting::new(1);

/// How many records there are; the loader sets it by the machine's disks and CPUs, here and as
/// the size of `RECORDS`.
#[unsafe(no_mangle)]
static TABLE_SIZE: Setting = Setting::new(64);

#[map]
static RECORDS: PerCpuArray<Record> = PerCpuArray::with_max_entries(64, 0);
/// Which record is whose.
#[map]
static DIRECTORY: Array<Directory> = Array::with_max_entries(1, 0);
/// Decides between CPUs that want the same free place at once: record to key.
#[map]
static CLAIMS: HashMap<u32, u64> = HashMap::with_max_entries(SLOTS as u32, 0);
#[map]
static SKIPPED: PerCpuArray<Skipped> = PerCpuArray::with_max_entries(1, 0);

#[btf_tracepoint(function = "block_rq_complete")]
pub fn block_rq_complete(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the loader has checked that the tracepoint's arguments are (struct request *,
    // status, unsigned int), and filled in every offset from the kernel's BTF.
    unsafe { complete(&ctx) };
    0
}

#[inline(always)]
unsafe fn complete(ctx: &BtfTracePointContext) {
    let request: *const u8 = ctx.arg(0);
    let status = ctx.arg::<u64>(1) as i32;
    let done = ctx.arg::<u64>(2) as u32;

    // SAFETY: typed pointers and verified offsets, see above.
    let (command, flags, length, start, issue) = unsafe {
        (
            load::<u32>(request, REQUEST_COMMAND.load()) & 0xff,
            load::<u32>(request, REQUEST_FLAGS.load()),
            load::<u32>(request, REQUEST_LENGTH.load()),
            load::<u64>(request, REQUEST_START.load()),
            if HAS_ISSUE.load() == 1 {
                load::<u64>(request, REQUEST_ISSUE.load())
            } else {
                0
            },
        )
    };
    // SAFETY: as above; each pointer of the chain is checked before it is followed.
    let Some(device) = (unsafe { device_of(request) }) else {
        return skip(SKIPPED_NO_DEVICE);
    };
    let operation = operation_of(command);
    let Some(record) = record_of(key_of(device, operation)) else {
        return skip(SKIPPED_TABLE_FULL);
    };
    // SAFETY: the record is this CPU's own, and the kernel lets no program interrupt itself.
    let record = unsafe { &mut *record };

    record.bytes += u64::from(done);
    if status != 0 {
        let class = opaque(error_class(status));
        if let Some(errors) = record.errors.get_mut(class) {
            *errors += 1;
        }
    }
    if done < length {
        return skip(SKIPPED_PARTIAL);
    }

    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    let in_sequence = u64::from(flags) & FLUSH_SEQUENCE.load() != 0;
    if !in_sequence || operation == OPERATION_FLUSH {
        record.requests += 1;
        if start == 0 {
            skip(SKIPPED_NO_START_TIME);
        } else if start > now {
            skip(SKIPPED_CLOCK);
        } else {
            record.record_total(now - start);
        }
    }
    // The end of a flush sequence carries no bytes: its data step has been timed already, or
    // there was none.
    if operation == OPERATION_WRITE && done == 0 && !in_sequence {
        return;
    }
    if issue == 0 {
        skip(SKIPPED_NO_ISSUE_TIME);
    } else if issue > now {
        skip(SKIPPED_CLOCK);
    } else {
        record.record_device(now - issue);
    }
}

#[inline(always)]
unsafe fn device_of(request: *const u8) -> Option<u32> {
    // SAFETY: promised by the caller.
    unsafe {
        let mut disk: *const u8 = load(request, REQUEST_QUEUE.load());
        if DISK_VIA_QUEUE.load() == 1 {
            if disk.is_null() {
                return None;
            }
            disk = load(disk, QUEUE_DISK.load());
        }
        if disk.is_null() {
            return None;
        }
        let major: u32 = load(disk, DISK_MAJOR.load());
        let minor: u32 = load(disk, DISK_MINOR.load());
        Some(major << 20 | (minor & 0xf_ffff))
    }
}

/// `enum req_op` (include/linux/blk_types.h); the numbers named here have not moved since 4.10.
#[inline(always)]
fn operation_of(command: u32) -> u32 {
    match command {
        0 => OPERATION_READ,
        // 7 is REQ_OP_ZONE_APPEND, which /proc/diskstats counts as a write.
        1 | 7 => OPERATION_WRITE,
        2 => OPERATION_FLUSH,
        // 5 is REQ_OP_SECURE_ERASE, counted as a discard by the kernel too.
        3 | 5 => OPERATION_DISCARD,
        _ => OPERATION_OTHER,
    }
}

/// The record of a key: the one it has, or the first free one on its way.
///
/// Nothing, if the way is full. Two new keys that want one place at the same moment are the other
/// case: the slower one finds its place with its next request.
#[inline(always)]
fn record_of(key: u64) -> Option<*mut Record> {
    let size = TABLE_SIZE.load();
    let directory = DIRECTORY.get_ptr_mut(0)?;
    let mut slot = first_slot(key, size);
    // The bound must be small enough for the compiler to unroll: the verifier takes a hundred
    // times as long to follow a loop.
    for _ in 0..PROBES {
        let place = opaque(slot as usize);
        if place >= SLOTS {
            return None;
        }
        // SAFETY: the value lives as long as the program, and `place` lies within it. Entries are
        // written once and never change, so plain loads see 0 or what they hold for good.
        let (entry, found) = unsafe {
            let entry = (&raw mut (*directory).entries).cast::<Entry>().add(place);
            (entry, core::ptr::read_volatile(&raw const (*entry).key))
        };
        if found == key || found == 0 {
            // SAFETY: as above.
            let mut record = unsafe { core::ptr::read_volatile(&raw const (*entry).record) };
            if found == 0 || record == 0 {
                // SAFETY: `entry` is the place of this number in the directory.
                record = unsafe { claim(place as u32, key, entry) }?;
            }
            return RECORDS.get_ptr_mut(record as u32 - 1);
        }
        slot += 1;
        if slot >= size {
            slot = 0;
        }
    }
    None
}

/// Takes a free place, unless another key was faster; returns its entry's record.
///
/// # Safety
///
/// `entry` is entry `place` of the directory.
#[inline(never)]
unsafe fn claim(place: u32, key: u64, entry: *mut Entry) -> Option<u64> {
    // An error means that somebody else was first: who, says the look-up.
    let _ = CLAIMS.insert(place, key, u64::from(BPF_NOEXIST));
    // SAFETY: entries of the map are never removed.
    let owner = unsafe { CLAIMS.get(place) };
    if owner.copied() != Some(key) {
        return None;
    }
    // SAFETY: the place belongs to this key; whoever else writes it writes the same.
    unsafe {
        core::ptr::write_volatile(&raw mut (*entry).record, u64::from(place) + 1);
        core::ptr::write_volatile(&raw mut (*entry).key, key);
        Some(core::ptr::read_volatile(&raw const (*entry).record))
    }
}

#[inline(always)]
fn skip(reason: usize) {
    if let Some(skipped) = SKIPPED.get_ptr_mut(0) {
        // SAFETY: this CPU's own value.
        if let Some(count) = unsafe { &mut *skipped }.by_reason.get_mut(reason) {
            *count += 1;
        }
    }
}

/// The class of an error, below [`ERROR_CLASSES`]. The pairs are those of the kernel's own table
/// (`blk_errors` in block/blk-core.c).
#[inline(never)]
fn error_class(status: i32) -> usize {
    if STATUS_IS_BLK.load() == 1 {
        let status = status as usize & 0xff;
        return if status < ERROR_CLASSES { status } else { 0 };
    }
    let errno = -status;
    if errno == 95 {
        1
    } else if errno == 110 {
        2
    } else if errno == 28 {
        3
    } else if errno == 67 {
        4
    } else if errno == 121 {
        5
    } else if errno == 52 {
        6
    } else if errno == 61 {
        7
    } else if errno == 84 {
        8
    } else if errno == 12 {
        9
    } else if errno == 5 {
        10
    } else if errno == 11 {
        12
    } else {
        0
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
