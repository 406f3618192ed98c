//! Takes the series of a snapshot back into the store: which of them, and with what age.

use std::collections::HashMap;
use std::time::Duration;

use super::codec::{BOOT_ID, Head, Saved};
use super::memory::Store;
use super::put::{Incoming, Round};
use crate::model::{Kind, Moment, Series};

/// A snapshot on its way back into the store.
pub(super) struct Restore<'s> {
    store: &'s Store,
    boot: [u8; BOOT_ID],
    now: Moment,
    wall: u64,
    rounds: HashMap<String, Round>,
    pub(super) restored: u64,
    pub(super) expired: u64,
    pub(super) restarted: u64,
    pub(super) refused: u64,
}

impl<'s> Restore<'s> {
    pub(super) fn new(store: &'s Store, boot: [u8; BOOT_ID]) -> Self {
        Self {
            store,
            boot,
            now: store.clock().now(),
            wall: store.clock().wall().0,
            rounds: HashMap::new(),
            restored: 0,
            expired: 0,
            restarted: 0,
            refused: 0,
        }
    }

    pub(super) fn take(&mut self, head: &Head, mut saved: Saved<'_>) {
        if head.boot == self.boot {
            // Put in the future of its own boot: no clock of this machine can have said so.
            if saved.at > self.now {
                self.refused += 1;
                return;
            }
        } else if matches!(saved.kind, Kind::Counter | Kind::Histogram) {
            self.restarted += 1;
            return;
        } else if !self.translate(head, &mut saved) {
            self.expired += 1;
            return;
        }
        if saved.expires <= self.now {
            self.expired += 1;
            return;
        }
        // What the store took for a name once it must take again, or it is another one.
        let series = match Series::parse(saved.series) {
            Ok(series) if series.as_str() == saved.series => series,
            _ => {
                self.refused += 1;
                return;
            }
        };
        if self.store.with(saved.series, |_| ()).is_some() {
            return;
        }
        if !self.rounds.contains_key(saved.source) {
            let round = self.store.round(saved.source);
            self.rounds.insert(saved.source.to_owned(), round);
        }
        let Some(round) = self.rounds.get_mut(saved.source) else {
            return;
        };
        let taken = self.store.put_in(
            round,
            Incoming {
                series: series.as_str(),
                to_series: &|| series.clone(),
                kind: saved.kind,
                unit: saved.unit,
                value: saved.value,
                at: saved.at,
                expires: saved.expires,
                rate: saved.rate,
            },
        );
        if taken {
            self.restored += 1;
        } else {
            self.refused += 1;
        }
    }

    /// Moves the times of an earlier boot to this one by way of the wall clock; false when the
    /// wall clock is behind the time at which the value was put.
    fn translate(&self, head: &Head, saved: &mut Saved<'_>) -> bool {
        let put = head
            .wall
            .0
            .saturating_sub(head.at.0.saturating_sub(saved.at.0));
        let Some(age) = self.wall.checked_sub(put) else {
            return false;
        };
        let holds = saved.expires.since(saved.at);
        let age = Duration::from_nanos(age);
        saved.at = self.now - age;
        saved.expires = self.now + holds.saturating_sub(age);
        true
    }
}
