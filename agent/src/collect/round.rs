//! One round of one collector: where it reads, what it adds, what it could not read.

use std::io::ErrorKind;

use super::root::{ReadError, Root};
use crate::model::{Batch, Moment};

/// A reader of one subject of the kernel's files.
pub trait Collector: Send {
    /// The collector's name in the configuration and in `moonward status`.
    fn name(&self) -> &'static str;

    /// Adds the samples of now to `round.batch`. What is missing goes to [`Round::lost`]; the
    /// collector itself has no way to fail.
    fn collect(&mut self, round: &mut Round<'_>);
}

/// What a collector works with in one round.
#[derive(Debug)]
pub struct Round<'a> {
    /// The kernel's files.
    pub root: &'a Root,
    /// The samples so far.
    pub batch: &'a mut Batch,
    /// When the round began.
    pub now: Moment,
    losses: Vec<String>,
    lost: u64,
    absent: u64,
}

impl<'a> Round<'a> {
    /// The most losses of one round that are kept in words; all are counted.
    const LOSSES_MAX: usize = 4;

    /// Begins a round.
    pub fn new(root: &'a Root, batch: &'a mut Batch, now: Moment) -> Self {
        Self {
            root,
            batch,
            now,
            losses: Vec::new(),
            lost: 0,
            absent: 0,
        }
    }

    /// Reads a file; a failure is noted as a loss.
    pub fn read(&mut self, path: &str) -> Option<String> {
        match self.root.read(path) {
            Ok(text) => Some(text),
            Err(error) => {
                self.lost_file(&error);
                None
            }
        }
    }

    /// Notes that a file could not be read; one that does not exist, or that the kernel says it
    /// does not support (`/proc/pressure` with `psi=0`), is absent.
    pub fn lost_file(&mut self, error: &ReadError) {
        let what = format!("{error}: {}", error.source);
        match error.source.kind() {
            ErrorKind::NotFound | ErrorKind::Unsupported => self.absent(what),
            _ => self.lost(what),
        }
    }

    /// Notes that this kernel or machine does not have what the collector reads. It counts as a
    /// loss; a collector that has only such losses and no sample is unsupported, not broken.
    pub fn absent(&mut self, what: impl Into<String>) {
        self.absent += 1;
        self.lost(what);
    }

    /// How many of the losses are because the kernel or machine does not have the thing.
    pub fn absences(&self) -> u64 {
        self.absent
    }

    /// Notes that a value or a line could not be read, and why.
    pub fn lost(&mut self, what: impl Into<String>) {
        self.lost += 1;
        if self.losses.len() < Self::LOSSES_MAX {
            self.losses.push(what.into());
        }
    }

    /// How many losses there were, and the first few in words.
    pub fn losses(&self) -> (u64, &[String]) {
        (self.lost, &self.losses)
    }
}
