//! The user-space half of the process programs: exited plus alive, never falling.
//!
//! What exited is read before the walk, so a thread that ends in between is missing from one
//! reading and not counted twice. Then the total would fall: the last value is held instead, and
//! that is counted. The held values live in a map of the object, so they outlive the agent too.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use moonward_ebpf::process::{Exited, Io, Walk};

use super::sys::{self, Map, MapError};
use crate::model::{Batch, Unit};

const OPERATIONS: Unit = Unit::new("{operation}");
const THREADS: Unit = Unit::new("{thread}");
const READINGS: Unit = Unit::new("{reading}");
/// A walk that another one disturbed is repeated at most so often.
const TRIES: usize = 3;

/// Reads the IO of all processes.
#[derive(Debug)]
pub(super) struct Reader {
    exited: Map<u32, Exited>,
    held: Map<u32, Io>,
    link: OwnedFd,
    calls: bool,
    /// The agent runs in a pid namespace of its own and sees only its threads.
    corrections: u64,
    disturbed: u64,
}

impl Reader {
    pub(super) fn new(
        exited: OwnedFd,
        held: OwnedFd,
        link: OwnedFd,
        calls: bool,
    ) -> Result<Self, MapError> {
        Ok(Self {
            exited: Map::new(exited)?,
            held: Map::new(held)?,
            link,
            calls,
            corrections: 0,
            disturbed: 0,
        })
    }

    /// Adds the samples of now.
    pub(super) fn read(&mut self, batch: &mut Batch) -> io::Result<()> {
        let mut exited = Exited::default();
        if let Some(values) = self.exited.read(&0)? {
            for value in values {
                exited.threads = exited.threads.wrapping_add(value.threads);
                exited.io = exited.io.plus(value.io);
            }
        }
        let alive = self.walk()?;
        let before = self
            .held
            .read(&0)?
            .and_then(|values| values.first().copied())
            .unwrap_or_default();
        let (total, held) = hold(before, exited.io.plus(alive.io));
        self.corrections += u64::from(held);
        self.held.write(&0, &total)?;
        push(batch, total, self.calls);
        batch.counter(
            "system.process.threads.exited",
            &[],
            THREADS,
            exited.threads,
        );
        batch.counter(
            "system.process.io.corrections",
            &[("reason", "held")],
            READINGS,
            self.corrections,
        );
        batch.counter(
            "system.process.io.corrections",
            &[("reason", "walk_disturbed")],
            READINGS,
            self.disturbed,
        );
        Ok(())
    }

    fn walk(&mut self) -> io::Result<Walk> {
        for _ in 0..TRIES {
            let walk = walk_once(&self.link)?;
            if walk.disturbed == 0 {
                return Ok(walk);
            }
            self.disturbed += 1;
        }
        Err(io::Error::other(
            "every walk over the threads was disturbed by another",
        ))
    }
}

fn walk_once(link: &OwnedFd) -> io::Result<Walk> {
    let mut iterator = File::from(sys::start_iterator(link.as_fd())?);
    let mut bytes = [0_u8; size_of::<Walk>()];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match iterator.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            // A million threads without output: the kernel wants to be asked again.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error),
        }
    }
    if filled < bytes.len() {
        return Err(io::Error::other("the walk over the threads ended early"));
    }
    sys::from_bytes(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The larger of both, counter by counter, and whether any was held.
fn hold(before: Io, now: Io) -> (Io, bool) {
    let mut held = false;
    let mut total = now.to_array();
    for (now, before) in total.iter_mut().zip(before.to_array()) {
        if *now < before {
            *now = before;
            held = true;
        }
    }
    (Io::from_array(total), held)
}

fn push(batch: &mut Batch, io: Io, calls: bool) {
    const READ: (&str, &str) = ("direction", "read");
    const WRITE: (&str, &str) = ("direction", "write");
    const STORAGE: (&str, &str) = ("layer", "storage");
    const CALL: (&str, &str) = ("layer", "call");
    let mut bytes =
        |tags: &[(&str, &str)], count| batch.counter("system.process.io", tags, Unit::BYTES, count);
    bytes(&[READ, STORAGE], io.read_storage_bytes);
    bytes(&[WRITE, STORAGE], io.write_storage_bytes);
    if calls {
        bytes(&[READ, CALL], io.read_called_bytes);
        bytes(&[WRITE, CALL], io.write_called_bytes);
        for (direction, count) in [(READ, io.read_calls), (WRITE, io.write_calls)] {
            batch.counter(
                "system.process.operations",
                &[direction, CALL],
                OPERATIONS,
                count,
            );
        }
    }
    batch.counter(
        "system.process.io.cancelled",
        &[],
        Unit::BYTES,
        io.cancelled_bytes,
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn totals_never_fall(readings in prop::collection::vec(any::<[u32; 7]>(), 1..30)) {
            let mut last = Io::default();
            for reading in readings {
                let now = Io::from_array(reading.map(u64::from));
                let (total, held) = hold(last, now);
                for (after, before) in total.to_array().into_iter().zip(last.to_array()) {
                    prop_assert!(after >= before);
                }
                prop_assert_eq!(held, total != now);
                last = total;
            }
        }
    }

    #[test]
    fn calls_are_left_out_where_the_kernel_has_none() {
        let mut batch = Batch::new();
        push(&mut batch, Io::default(), false);
        assert_eq!(batch.len(), 3);
        push(&mut batch, Io::default(), true);
        assert_eq!(batch.len(), 10);
    }
}
