//! Why a sample is not in the text, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// A reason to leave a sample out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Its family is there with another type.
    Conflict,
    /// The same name and labels are there already.
    Duplicate,
    /// A counter that is negative or not a number, or a kind without a value of that kind.
    Value,
    /// Nothing is left of its name.
    Name,
    /// The reply is as long as a reply may be.
    Size,
}

/// How many samples were left out of all texts together, by reason.
#[derive(Debug, Default)]
pub struct LeftOut([AtomicU64; 5]);

impl LeftOut {
    const NAMES: [&'static str; 5] = ["conflict", "duplicate", "value", "name", "size"];

    pub(super) fn add(&self, reason: Reason, samples: u64) {
        if let Some(counter) = self.0.get(reason as usize) {
            counter.fetch_add(samples, Ordering::Relaxed);
        }
    }

    /// Every reason with its number.
    pub fn list(&self) -> [(&'static str, u64); 5] {
        let mut list = Self::NAMES.map(|name| (name, 0));
        for ((_, number), counter) in list.iter_mut().zip(&self.0) {
            *number = counter.load(Ordering::Relaxed);
        }
        list
    }
}
