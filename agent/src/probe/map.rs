//! Maps by their descriptors: the values of all CPUs in one read, into a buffer that is kept.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::sys::{MapInfo, Record, bpf, info, raw, zeroed};

const MAP_LOOKUP_ELEM: libc::c_long = 1;
const MAP_UPDATE_ELEM: libc::c_long = 2;
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
