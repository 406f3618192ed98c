//! The few `bpf(2)` commands that the probes need on descriptors they hold.
//!
//! aya loads objects and programs; it keeps the descriptors of links to itself and reads per-CPU
//! values one allocation per CPU. Probes that live on in the service manager's descriptor store
//! need both differently: every descriptor is an `OwnedFd`, and a whole per-CPU value is one read
//! into a buffer that is kept. Reading through a held descriptor needs no capability from Linux
//! 5.19 on (before, CAP_BPF where `unprivileged_bpf_disabled` is set).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use moonward_ebpf::{block, process, tcp};

const MAP_LOOKUP_ELEM: libc::c_long = 1;
const MAP_UPDATE_ELEM: libc::c_long = 2;
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const RAW_TRACEPOINT_OPEN: libc::c_long = 17;
const LINK_CREATE: libc::c_long = 28;
const ENABLE_STATS: libc::c_long = 32;
const ITER_CREATE: libc::c_long = 33;
/// `BPF_TRACE_ITER` of `enum bpf_attach_type`.
const TRACE_ITER: u32 = 28;
/// `BPF_MAP_TYPE_HASH`.
const HASH: u32 = 1;
/// `BPF_MAP_TYPE_ARRAY`.
const ARRAY: u32 = 2;
/// `BPF_MAP_TYPE_PERCPU_HASH`.
const PERCPU_HASH: u32 = 5;
/// `BPF_MAP_TYPE_PERCPU_ARRAY`.
const PERCPU_ARRAY: u32 = 6;
/// `BPF_MAP_TYPE_LRU_HASH`.
const LRU_HASH: u32 = 9;

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
unsafe fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<libc::c_long> {
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

fn raw(descriptor: BorrowedFd<'_>) -> u32 {
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
unsafe trait Info: Default {}
// SAFETY: integers alone, no pointer.
unsafe impl Info for MapInfo {}
// SAFETY: integers alone; the pointers are null and their lengths 0.
unsafe impl Info for ProgramInfo {}
// SAFETY: integers alone; the union behind holds no pointer for tracing and raw tracepoint links
// that the kernel follows when its length is 0.
unsafe impl Info for LinkInfo {}

fn info<T: Info>(descriptor: BorrowedFd<'_>) -> io::Result<T> {
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

#[repr(C)]
struct Element {
    map: u32,
    padding: u32,
    key: u64,
    value_or_next: u64,
    flags: u64,
}

/// A map that is held by its descriptor, whose keys are `K` and values `V` (one for each possible
/// CPU, or one).
#[derive(Debug)]
pub(super) struct Map<K, V> {
    descriptor: OwnedFd,
    /// One value for each CPU, overwritten by every read.
    buffer: Vec<V>,
    key: std::marker::PhantomData<K>,
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

/// How many CPUs the kernel keeps per-CPU values for.
pub(super) fn possible_cpus() -> io::Result<usize> {
    aya::util::nr_cpus().map_err(|(_, error)| error)
}

/// Why a descriptor is not the map that is expected.
#[derive(Debug, thiserror::Error)]
pub(super) enum MapError {
    /// The kernel refused to describe it.
    #[error("the descriptor is no map")]
    NoMap(#[source] io::Error),
    /// A kind of map whose values this reader cannot size.
    #[error("the map is of the unknown kind {0}")]
    Kind(u32),
    /// The size of a per-CPU value cannot be told.
    #[error("/sys/devices/system/cpu/possible cannot be read")]
    Cpus(#[source] io::Error),
    /// Another map, perhaps of another version.
    #[error(
        "the map has keys of {key_size} and values of {value_size} bytes, \
         not {wanted_key} and {wanted_value}"
    )]
    Layout {
        key_size: u32,
        value_size: u32,
        wanted_key: usize,
        wanted_value: usize,
    },
}

impl<K: Record, V: Record> Map<K, V> {
    /// Takes a descriptor, after a look at what the map is.
    pub(super) fn new(descriptor: OwnedFd) -> Result<Self, MapError> {
        let info: MapInfo = info(descriptor.as_fd()).map_err(MapError::NoMap)?;
        if info.key_size as usize != size_of::<K>()
            || info.value_size as usize != size_of::<V>()
            || !size_of::<V>().is_multiple_of(8)
        {
            return Err(MapError::Layout {
                key_size: info.key_size,
                value_size: info.value_size,
                wanted_key: size_of::<K>(),
                wanted_value: size_of::<V>(),
            });
        }
        let values = match info.kind {
            HASH | ARRAY | LRU_HASH => 1,
            PERCPU_HASH | PERCPU_ARRAY => possible_cpus().map_err(MapError::Cpus)?,
            kind => return Err(MapError::Kind(kind)),
        };
        Ok(Self {
            descriptor,
            buffer: vec![zeroed(); values],
            key: std::marker::PhantomData,
        })
    }

    /// Reads the value of every CPU in one call; `None` if there is no such key.
    pub(super) fn read(&mut self, key: &K) -> io::Result<Option<&[V]>> {
        let mut element = self.element(key, self.buffer.as_ptr() as u64);
        element.value_or_next = self.buffer.as_mut_ptr() as u64;
        // SAFETY: the key has the map's size; the buffer has room for the value of every possible
        // CPU, each a multiple of 8 bytes long, which is what the kernel writes.
        match unsafe { bpf(MAP_LOOKUP_ELEM, &mut element) } {
            Ok(_) => Ok(Some(&self.buffer)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the value of a key; only for maps with one value for all CPUs.
    pub(super) fn write(&mut self, key: &K, value: &V) -> io::Result<()> {
        if self.buffer.len() != 1 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut element = self.element(key, std::ptr::from_ref(value) as u64);
        // SAFETY: key and value have the map's sizes; the kernel reads one value, as the map is
        // not per CPU or there is but one.
        unsafe { bpf(MAP_UPDATE_ELEM, &mut element) }.map(drop)
    }

    fn element(&self, key: &K, value: u64) -> Element {
        Element {
            map: raw(self.descriptor.as_fd()),
            padding: 0,
            key: std::ptr::from_ref(key) as u64,
            value_or_next: value,
            flags: 0,
        }
    }
}

impl<K, V> AsFd for Map<K, V> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
