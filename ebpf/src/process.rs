//! What the process programs count: the IO that the kernel accounts to threads.

/// How many counters [`Io`] has.
pub const COUNTERS: usize = 7;

/// `struct task_io_accounting` (include/linux/task_io_accounting.h), summed over threads.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Io {
    /// Bytes asked of `read(2)` and its like, from the page cache too (`rchar`).
    pub read_called_bytes: u64,
    /// Bytes given to `write(2)` and its like (`wchar`).
    pub write_called_bytes: u64,
    /// Calls of `read(2)` and its like (`syscr`).
    pub read_calls: u64,
    /// Calls of `write(2)` and its like (`syscw`).
    pub write_calls: u64,
    /// Bytes fetched from the storage layer (`read_bytes`).
    pub read_storage_bytes: u64,
    /// Bytes that will go to the storage layer, counted when pages are dirtied (`write_bytes`).
    pub write_storage_bytes: u64,
    /// Dirtied bytes that were truncated before they were written (`cancelled_write_bytes`).
    pub cancelled_bytes: u64,
}

impl Io {
    /// The counters in order.
    pub const fn to_array(self) -> [u64; COUNTERS] {
        [
            self.read_called_bytes,
            self.write_called_bytes,
            self.read_calls,
            self.write_calls,
            self.read_storage_bytes,
            self.write_storage_bytes,
            self.cancelled_bytes,
        ]
    }

    /// The reverse of [`Io::to_array`].
    pub const fn from_array(counters: [u64; COUNTERS]) -> Self {
        let [
            read_called_bytes,
            write_called_bytes,
            read_calls,
            write_calls,
            read_storage_bytes,
            write_storage_bytes,
            cancelled_bytes,
        ] = counters;
        Self {
            read_called_bytes,
            write_called_bytes,
            read_calls,
            write_calls,
            read_storage_bytes,
            write_storage_bytes,
            cancelled_bytes,
        }
    }

    /// The sum, counter by counter.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let mut sum = self.to_array();
        for (mine, theirs) in sum.iter_mut().zip(other.to_array()) {
            *mine = mine.wrapping_add(theirs);
        }
        Self::from_array(sum)
    }
}

/// What threads that have exited had done, on one CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Exited {
    /// Threads counted.
    pub threads: u64,
    /// Their IO.
    pub io: Io,
}

/// One walk over all threads that are alive; also the record that the iterator writes at its end.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Walk {
    /// The kernel's number for the walk.
    pub session: u64,
    /// Not 0 when another walk came in between: the sums are then worthless.
    pub disturbed: u64,
    /// Threads counted.
    pub threads: u64,
    /// Their IO.
    pub io: Io,
}
