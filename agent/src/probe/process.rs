//! The user-space half of the process programs: exited plus alive, never falling.
//!
//! What exited is read before the walk, so a thread that ends in between is missing from one
//! reading and not counted twice. Then the total would fall: the last value is held instead, and
//! that is counted. The held values live in a map of the object, so they outlive the agent too.
//!
//! The series are those of [`crate::collect::process::io`], and besides
//! `system.process.threads.exited` (`{thread}`, counter) and
//! `system.process.io.corrections{reason=walk_disturbed}`: walks that another one disturbed.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use moonward_ebpf::process::{Exited, Io, Walk};

use super::map::{Map, MapError};
use super::sys;
use crate::collect::process::io::{emit, emit_corrections};
use crate::model::{Batch, Unit};

const THREADS: Unit = Unit::new("{thread}");
/// A walk that another one disturbed is repeated at most so often.
const TRIES: usize = 3;

/// Reads the IO of all processes.
#[derive(Debug)]
pub(super) struct Reader {
    exited: Map<u32, Exited>,
    held: Map<u32, Io>,
    link: OwnedFd,
    calls: bool,
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
        emit(&total, self.calls, batch);
        emit_corrections("held", self.corrections, batch);
        emit_corrections("walk_disturbed", self.disturbed, batch);
        batch.counter(
            "system.process.threads.exited",
            &[],
            THREADS,
            exited.threads,
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
        emit(&Io::default(), false, &mut batch);
        assert_eq!(batch.len(), 3);
        emit(&Io::default(), true, &mut batch);
        assert_eq!(batch.len(), 10);
    }
}
