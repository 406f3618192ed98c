//! The few `bpf(2)` commands that the probes need on descriptors they hold.
//!
//! aya loads objects and programs; it keeps the descriptors of links to itself and reads per-CPU
//! values one allocation per CPU. Probes that live on in the service manager's descriptor store
//! need both differently: every descriptor is an `OwnedFd`, and a whole per-CPU value is one read
//! into a buffer that is kept. Reading through a held descriptor needs no capability from Linux
//! 5.19 on (before, CAP_BPF where `unprivileged_bpf_disabled` is set).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use moonward_ebpf::{block, process, tcp};

const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const RAW_TRACEPOINT_OPEN: libc::c_long = 17;
const LINK_CREATE: libc::c_long = 28;
const ENABLE_STATS: libc::c_long = 32;
const ITER_CREATE: libc::c_long = 33;
/// `BPF_TRACE_ITER` of `enum bpf_attach_type`.
const TRACE_ITER: u32 = 28;

/// A record that maps hold.
///
/// # Safety
///
/// The type is `repr(C)` and made of `u64` alone (or arrays of it, or `u32` in pairs): every bit
/// pattern is a value and there is no padding.
pub(super) unsafe trait Record: Copy {}

// SAFETY: u64 and arrays of it alone.
unsafe impl Record for block::Record {}
// SAFETY: u64 and arrays of it alone.
unsafe impl Record for block::Skipped {}
// SAFETY: an array of u64.
unsafe impl Record for block::Directory {}
// SAFETY: u64 and arrays of it alone.
unsafe impl Record for tcp::Record {}
// SAFETY: u64 alone.
unsafe impl Record for process::Exited {}
// SAFETY: u64 alone.
unsafe impl Record for process::Walk {}
// SAFETY: u64 alone.
unsafe impl Record for process::Io {}
// SAFETY: the number itself.
unsafe impl Record for u32 {}

/// A record whose bytes are all zero.
pub(super) fn zeroed<T: Record>() -> T {
    // SAFETY: for a `Record` every bit pattern is a value.
    unsafe { std::mem::zeroed() }
}

/// The record that `bytes` start with.
pub(super) fn from_bytes<T: Record>(bytes: &[u8]) -> Option<T> {
    let bytes = bytes.get(..size_of::<T>())?;
    // SAFETY: as many bytes as the record has, in any alignment, and every pattern is a value.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// Calls `bpf(2)`.
///
/// # Safety
///
/// `attributes` is the part of `union bpf_attr` for `command`, and what it points to is as long
/// as the command reads or writes.
pub(super) unsafe fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: promised by the caller; the kernel reads no more than the given size.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Calls a command whose result is a new descriptor.
///
/// # Safety
///
/// As for [`bpf`], and the command returns a descriptor.
unsafe fn bpf_descriptor<T>(command: libc::c_long, attributes: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: promised by the caller.
    let result = unsafe { bpf(command, attributes) }?;
    let descriptor = i32::try_from(result).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made it for us alone; BPF descriptors are close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

pub(super) fn raw(descriptor: BorrowedFd<'_>) -> u32 {
    descriptor.as_raw_fd().cast_unsigned()
}

/// What the kernel says about a map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MapInfo {
    pub(super) kind: u32,
    pub(super) id: u32,
    pub(super) key_size: u32,
    pub(super) value_size: u32,
    max_entries: u32,
    flags: u32,
    name: [u8; 16],
}

/// What the kernel says about a program. The layout is that of `struct bpf_prog_info` up to
/// `recursion_misses` (include/uapi/linux/bpf.h).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ProgramInfo {
    kind: u32,
    pub(super) id: u32,
    tag: [u8; 8],
    jited_length: u32,
    translated_length: u32,
    jited: u64,
    translated: u64,
    load_time: u64,
    created_by: u32,
    map_count: u32,
    maps: u64,
    name: [u8; 16],
    ifindex: u32,
    bits: u32,
    netns_device: u64,
    netns_inode: u64,
    ksym_count: u32,
    function_length_count: u32,
    ksyms: u64,
    function_lengths: u64,
    btf: u32,
    function_record_size: u32,
    functions: u64,
    function_count: u32,
    line_count: u32,
    lines: u64,
    jited_lines: u64,
    jited_line_count: u32,
    line_record_size: u32,
    jited_line_record_size: u32,
    tag_count: u32,
    tags: u64,
    /// Nanoseconds spent in the program while statistics were on.
    pub(super) run_time: u64,
    /// Runs while statistics were on.
    pub(super) run_count: u64,
    /// Runs refused because the program was already running on that CPU: lost events.
    pub(super) recursion_misses: u64,
}

/// What the kernel says about a link.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LinkInfo {
    kind: u32,
    pub(super) id: u32,
    pub(super) program: u32,
    rest: [u32; 5],
}

/// Structures that the kernel fills for `BPF_OBJ_GET_INFO_BY_FD`.
///
/// # Safety
///
/// The type is `repr(C)`, made of integers alone, and zeroed it asks the kernel to follow no
/// pointer.
pub(super) unsafe trait Info: Default {}
// SAFETY: integers alone, no pointer.
unsafe impl Info for MapInfo {}
// SAFETY: integers alone; the pointers are null and their lengths 0.
unsafe impl Info for ProgramInfo {}
// SAFETY: integers alone; the union behind holds no pointer for tracing and raw tracepoint links
// that the kernel follows when its length is 0.
unsafe impl Info for LinkInfo {}

pub(super) fn info<T: Info>(descriptor: BorrowedFd<'_>) -> io::Result<T> {
    #[repr(C)]
    struct Attributes {
        descriptor: u32,
        length: u32,
        info: u64,
    }
    let mut info = T::default();
    let mut attributes = Attributes {
        descriptor: raw(descriptor),
        length: u32::try_from(size_of::<T>()).map_err(io::Error::other)?,
        info: std::ptr::from_mut(&mut info) as u64,
    };
    // SAFETY: `info` is as long as said and outlives the call.
    unsafe { bpf(OBJ_GET_INFO_BY_FD, &mut attributes) }?;
    Ok(info)
}

/// What the kernel says about the program behind `descriptor`.
pub(super) fn program_info(descriptor: BorrowedFd<'_>) -> io::Result<ProgramInfo> {
    info(descriptor)
}

/// What the kernel says about the link behind `descriptor`.
pub(super) fn link_info(descriptor: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    info(descriptor)
}

/// Attaches a `tp_btf` program to the tracepoint it was loaded for. It stays attached as long as
/// any copy of the descriptor is open.
pub(super) fn attach_tracepoint(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        name: u64,
        program: u32,
        padding: u32,
    }
    let mut attributes = Attributes {
        name: 0,
        program: raw(program),
        padding: 0,
    };
    // SAFETY: the attributes of the command; no name, so nothing is pointed to.
    unsafe { bpf_descriptor(RAW_TRACEPOINT_OPEN, &mut attributes) }
}

/// Makes the link from which an iterator program is started.
pub(super) fn attach_iterator(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        program: u32,
        target: u32,
        attach_type: u32,
        flags: u32,
        info: u64,
        info_length: u32,
        padding: u32,
    }
    let mut attributes = Attributes {
        program: raw(program),
        target: 0,
        attach_type: TRACE_ITER,
        flags: 0,
        info: 0,
        info_length: 0,
        padding: 0,
    };
    // SAFETY: the attributes of the command; no iterator info, so nothing is pointed to.
    unsafe { bpf_descriptor(LINK_CREATE, &mut attributes) }
}

/// Starts one walk of an iterator; reading the descriptor runs the program.
pub(super) fn start_iterator(link: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        link: u32,
        flags: u32,
    }
    let mut attributes = Attributes {
        link: raw(link),
        flags: 0,
    };
    // SAFETY: the attributes of the command; nothing is pointed to.
    unsafe { bpf_descriptor(ITER_CREATE, &mut attributes) }
}

/// Lets the kernel measure every BPF program for as long as the descriptor is open. Needs
/// CAP_SYS_ADMIN; costs each run two readings of the clock.
pub(super) fn enable_statistics() -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Attributes {
        kind: u32,
    }
    // BPF_STATS_RUN_TIME.
    let mut attributes = Attributes { kind: 0 };
    // SAFETY: the attributes of the command; nothing is pointed to.
    unsafe { bpf_descriptor(ENABLE_STATS, &mut attributes) }
}

/// Gives the memory that is free at the end of the heap back to the kernel. Reading the kernel's
/// types takes 20 MB for a moment, which the C library would keep for the life of the process
/// because something small was allocated behind it.
#[cfg(target_env = "gnu")]
pub(super) fn trim_heap() {
    // SAFETY: malloc_trim(3) takes no pointer and may be called at any time from any thread.
    // Whether it could give anything back is of no consequence.
    let _gave_back = unsafe { libc::malloc_trim(0) };
}

/// Other C libraries give free memory back by themselves.
#[cfg(not(target_env = "gnu"))]
pub(super) fn trim_heap() {}
