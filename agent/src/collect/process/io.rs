//! What all processes together have read and written, the dead included.
//!
//! | series | kind and unit |
//! |---|---|
//! | `system.process.io{direction=read\|write,layer=syscall}` | counter, By: through read(2), write(2) and their like |
//! | `system.process.io{direction=read\|write,layer=storage}` | counter, By: fetched from, or on the way to, storage |
//! | `system.process.io.operations{direction=read\|write}` | counter, `{operation}`: the system calls |
//! | `system.process.io.cancelled` | counter, By: on the way to storage, and deleted before they got there |
//! | `system.process.io.corrections{reason=held}` | counter, `{correction}`: rounds whose sum was lower than the one before |
//!
//! The process probe counts the same and gives the same series, through [`emit`]; where it runs,
//! nothing is read here. Whoever looks at a series need not know which of the two it came from.
//!
//! When a process is waited for, the kernel adds its numbers to its parent's (`wait_task_zombie`
//! in kernel/exit.c), and `/proc/PID/io` of the parent includes them; those of a thread go to its
//! process. So the sum over the living, zombies among them, loses nothing, except
//! - the children of a parent that ignores SIGCHLD, kernel threads among them: they vanish without
//!   being waited for;
//! - for one round, a process that ends while the files are being read. Processes are read by
//!   rising number, parents mostly before their children, so that such a one is missed rather than
//!   counted twice.
//!
//! [`Monotone`] keeps the counter from going down in both cases.

use moonward_ebpf::process::{COUNTERS, Io};

use crate::model::{Batch, Unit};

const OPERATIONS: Unit = Unit::new("{operation}");
const CORRECTIONS: Unit = Unit::new("{correction}");

/// Reads a `/proc/PID/io`; a field that is missing is 0, a text without any is `None`.
///
/// By hand because `procfs-core` makes a map of owned names for every process.
pub fn read(text: &[u8]) -> Option<Io> {
    let mut io = Io::default();
    let mut found = false;
    for line in std::str::from_utf8(text).ok()?.lines() {
        let Some((name, number)) = line.split_once(": ") else {
            continue;
        };
        let field = match name {
            "rchar" => &mut io.read_called_bytes,
            "wchar" => &mut io.write_called_bytes,
            "syscr" => &mut io.read_calls,
            "syscw" => &mut io.write_calls,
            "read_bytes" => &mut io.read_storage_bytes,
            "write_bytes" => &mut io.write_storage_bytes,
            "cancelled_write_bytes" => &mut io.cancelled_bytes,
            _ => continue,
        };
        if let Ok(number) = number.trim().parse() {
            *field = number;
            found = true;
        }
    }
    found.then_some(io)
}

/// Adds the series of the sums, wherever the sums come from. Without `calls`, as on kernels that
/// do not count them, the series of the system calls are left out.
pub fn emit(io: &Io, calls: bool, batch: &mut Batch) {
    let mut bytes = |direction, layer, bytes| {
        let tags = [("direction", direction), ("layer", layer)];
        batch.counter("system.process.io", &tags, Unit::BYTES, bytes);
    };
    bytes("read", "storage", io.read_storage_bytes);
    bytes("write", "storage", io.write_storage_bytes);
    if calls {
        bytes("read", "syscall", io.read_called_bytes);
        bytes("write", "syscall", io.write_called_bytes);
        for (direction, calls) in [("read", io.read_calls), ("write", io.write_calls)] {
            let tags = [("direction", direction)];
            batch.counter("system.process.io.operations", &tags, OPERATIONS, calls);
        }
    }
    let name = "system.process.io.cancelled";
    batch.counter(name, &[], Unit::BYTES, io.cancelled_bytes);
}

/// Adds how many sums were corrected, and why.
pub fn emit_corrections(reason: &str, corrections: u64, batch: &mut Batch) {
    let name = "system.process.io.corrections";
    batch.counter(name, &[("reason", reason)], CORRECTIONS, corrections);
}

/// Keeps sums from going down.
#[derive(Clone, Copy, Debug, Default)]
pub struct Monotone {
    fields: [Field; COUNTERS],
    corrections: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Field {
    /// The last value given out.
    high: u64,
    /// What the lost processes had, to be added to every sum.
    lost: u64,
    /// For how many rounds the sum has been too low.
    low_rounds: u8,
}

impl Monotone {
    /// For how many rounds a lower sum may be a process that was missed in reading and comes back
    /// with its parent's numbers. After that it is taken for lost, and the counter goes on from
    /// where it stands.
    const HOLD_ROUNDS: u8 = 3;

    /// Takes the sums of a round and gives those to be shown.
    pub fn next(&mut self, sums: Io) -> Io {
        let mut shown = sums.to_array();
        let mut corrected = false;
        for (value, field) in shown.iter_mut().zip(&mut self.fields) {
            corrected |= field.next(value);
        }
        self.corrections += u64::from(corrected);
        Io::from_array(shown)
    }

    /// How many rounds were corrected.
    pub fn corrections(&self) -> u64 {
        self.corrections
    }
}

impl Field {
    fn next(&mut self, value: &mut u64) -> bool {
        let sum = value.saturating_add(self.lost);
        let low = sum < self.high;
        if low {
            self.low_rounds += 1;
            if self.low_rounds > Monotone::HOLD_ROUNDS {
                self.lost = self.lost.saturating_add(self.high - sum);
                self.low_rounds = 0;
            }
        } else {
            self.high = sum;
            self.low_rounds = 0;
        }
        *value = self.high;
        low
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sums(read_called_bytes: u64) -> Io {
        Io {
            read_called_bytes,
            ..Io::default()
        }
    }

    #[test]
    fn a_file_is_read_whatever_else_it_holds() {
        let text = b"rchar: 10\nwchar: 20\nsyscr: 1\nsyscw: 2\nnew_field: 9\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 3\n";
        assert_eq!(
            read(text),
            Some(Io {
                read_called_bytes: 10,
                write_called_bytes: 20,
                read_calls: 1,
                write_calls: 2,
                read_storage_bytes: 4096,
                write_storage_bytes: 8192,
                cancelled_bytes: 3,
            })
        );
        assert_eq!(read(b"rchar: 5\nwchar: x"), Some(sums(5)));
        assert_eq!(read(b""), None);
    }

    #[test]
    fn a_process_missed_in_reading_comes_back_uncounted() {
        let mut monotone = Monotone::default();
        let mut shown = Vec::new();
        for sum in [100, 60, 110] {
            shown.push(monotone.next(sums(sum)).read_called_bytes);
        }
        assert_eq!(shown, [100, 100, 110]);
        assert_eq!(monotone.corrections, 1);
    }

    #[test]
    fn a_process_that_vanished_does_not_stop_the_counter() {
        let mut monotone = Monotone::default();
        let mut shown = Vec::new();
        for sum in [1000, 400, 400, 400, 410, 420, 430] {
            shown.push(monotone.next(sums(sum)).read_called_bytes);
        }
        assert_eq!(shown, [1000, 1000, 1000, 1000, 1000, 1010, 1020]);
        assert_eq!(monotone.corrections, 4);
    }

    proptest! {
        #[test]
        fn the_counter_never_falls_and_never_outruns_the_growth(
            rounds in proptest::collection::vec(0_u64..1 << 40, 1..60),
        ) {
            let mut monotone = Monotone::default();
            let (mut last, mut before, mut growth) = (0, 0, 0);
            for sum in rounds {
                let shown = monotone.next(sums(sum)).read_called_bytes;
                growth += sum.saturating_sub(before);
                before = sum;
                prop_assert!(shown >= last);
                prop_assert!(shown >= sum);
                prop_assert!(shown <= growth);
                last = shown;
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(text in "[a-z_:0-9 \\n]{0,120}") {
            let _ = read(text.as_bytes());
        }
    }
}
