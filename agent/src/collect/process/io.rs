//! What all processes together have read and written, the dead included.
//!
//! | series | kind and unit |
//! |---|---|
//! | `system.process.io{direction=read\|write,layer=syscall}` | counter, By: through read(2), write(2) and their like |
//! | `system.process.io{direction=read\|write,layer=block}` | counter, By: fetched from, or on the way to, a block device |
//! | `system.process.io.operations{direction=read\|write}` | counter, `{operation}`: the calls |
//! | `system.process.io.corrections` | counter, `{correction}`: rounds whose sum was lower than the one before |
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

use crate::model::{Batch, Unit};

const OPERATIONS: Unit = Unit::new("{operation}");
const CORRECTIONS: Unit = Unit::new("{correction}");

/// Sums over all processes since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Io {
    /// Bytes read by system calls (`rchar`).
    pub read_bytes: u64,
    /// Bytes written by system calls (`wchar`).
    pub write_bytes: u64,
    /// System calls that read (`syscr`).
    pub reads: u64,
    /// System calls that wrote (`syscw`).
    pub writes: u64,
    /// Bytes fetched from block devices (`read_bytes`).
    pub block_read_bytes: u64,
    /// Bytes caused to be written to block devices (`write_bytes`).
    pub block_write_bytes: u64,
}

impl Io {
    /// Reads a `/proc/PID/io`; a field that is missing is 0, a text without any is `None`.
    ///
    /// By hand because `procfs-core` makes a map of owned names for every process.
    pub fn read(text: &[u8]) -> Option<Self> {
        let mut io = Self::default();
        let mut found = false;
        for line in std::str::from_utf8(text).ok()?.lines() {
            let Some((name, number)) = line.split_once(": ") else {
                continue;
            };
            let field = match name {
                "rchar" => &mut io.read_bytes,
                "wchar" => &mut io.write_bytes,
                "syscr" => &mut io.reads,
                "syscw" => &mut io.writes,
                "read_bytes" => &mut io.block_read_bytes,
                "write_bytes" => &mut io.block_write_bytes,
                _ => continue,
            };
            if let Ok(number) = number.trim().parse() {
                *field = number;
                found = true;
            }
        }
        found.then_some(io)
    }

    /// Adds another process.
    pub fn add(&mut self, other: &Self) {
        for (sum, part) in self.fields_mut().into_iter().zip(other.fields()) {
            *sum = sum.saturating_add(part);
        }
    }

    fn fields(&self) -> [u64; 6] {
        [
            self.read_bytes,
            self.write_bytes,
            self.reads,
            self.writes,
            self.block_read_bytes,
            self.block_write_bytes,
        ]
    }

    fn fields_mut(&mut self) -> [&mut u64; 6] {
        [
            &mut self.read_bytes,
            &mut self.write_bytes,
            &mut self.reads,
            &mut self.writes,
            &mut self.block_read_bytes,
            &mut self.block_write_bytes,
        ]
    }

    /// Adds the series of the sums, wherever the sums come from.
    pub fn emit(&self, batch: &mut Batch) {
        for (direction, layer, bytes) in [
            ("read", "syscall", self.read_bytes),
            ("write", "syscall", self.write_bytes),
            ("read", "block", self.block_read_bytes),
            ("write", "block", self.block_write_bytes),
        ] {
            let tags = [("direction", direction), ("layer", layer)];
            batch.counter("system.process.io", &tags, Unit::BYTES, bytes);
        }
        for (direction, calls) in [("read", self.reads), ("write", self.writes)] {
            let tags = [("direction", direction)];
            batch.counter("system.process.io.operations", &tags, OPERATIONS, calls);
        }
    }
}

/// Keeps sums from going down.
#[derive(Clone, Copy, Debug, Default)]
pub struct Monotone {
    fields: [Field; 6],
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
        let mut shown = sums;
        let mut corrected = false;
        for (value, field) in shown.fields_mut().into_iter().zip(&mut self.fields) {
            corrected |= field.next(value);
        }
        self.corrections += u64::from(corrected);
        shown
    }

    /// Adds how many rounds were corrected.
    pub fn emit(&self, batch: &mut Batch) {
        batch.counter(
            "system.process.io.corrections",
            &[],
            CORRECTIONS,
            self.corrections,
        );
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

    fn sums(read_bytes: u64) -> Io {
        Io {
            read_bytes,
            ..Io::default()
        }
    }

    #[test]
    fn a_file_is_read_whatever_else_it_holds() {
        let text = b"rchar: 10\nwchar: 20\nsyscr: 1\nsyscw: 2\nnew_field: 9\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 3\n";
        assert_eq!(
            Io::read(text),
            Some(Io {
                read_bytes: 10,
                write_bytes: 20,
                reads: 1,
                writes: 2,
                block_read_bytes: 4096,
                block_write_bytes: 8192,
            })
        );
        assert_eq!(Io::read(b"rchar: 5\nwchar: x"), Some(sums(5)));
        assert_eq!(Io::read(b""), None);
    }

    #[test]
    fn a_process_missed_in_reading_comes_back_uncounted() {
        let mut monotone = Monotone::default();
        let mut shown = Vec::new();
        for sum in [100, 60, 110] {
            shown.push(monotone.next(sums(sum)).read_bytes);
        }
        assert_eq!(shown, [100, 100, 110]);
        assert_eq!(monotone.corrections, 1);
    }

    #[test]
    fn a_process_that_vanished_does_not_stop_the_counter() {
        let mut monotone = Monotone::default();
        let mut shown = Vec::new();
        for sum in [1000, 400, 400, 400, 410, 420, 430] {
            shown.push(monotone.next(sums(sum)).read_bytes);
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
                let shown = monotone.next(sums(sum)).read_bytes;
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
            let _ = Io::read(text.as_bytes());
        }
    }
}
