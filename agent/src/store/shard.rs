//! One part of the store behind one lock: the entries, the way to them by hash, and their order.

use std::collections::BTreeMap;
use std::ops::Bound;

use hashbrown::HashTable;

use super::names::{SourceId, UnitId};
use crate::model::{Kind, Moment, Rate, RateState, Series, Value};

/// A series and its latest value. Kept at 80 bytes: there may be a million of them.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) series: Series,
    pub(super) value: Value,
    pub(super) at: Moment,
    pub(super) expires: Moment,
    /// The change per second of a counter, NaN while it is unknown. The rest of its state are the
    /// value and its moment above.
    pub(super) speed: f64,
    /// How often the counter went down.
    pub(super) resets: u32,
    pub(super) unit: UnitId,
    pub(super) source: SourceId,
    pub(super) kind: Kind,
    /// Whether somebody asks for the past of the series.
    pub(super) watched: bool,
}

const _: () = assert!(size_of::<Option<Entry>>() == 80);

impl Entry {
    /// The state of the rate, if this is a counter with a number.
    pub(super) fn rate(&self) -> Option<RateState> {
        let number = counted(self.kind, &self.value)?;
        let speed = if self.speed.is_nan() {
            Rate::Unknown
        } else {
            Rate::PerSecond(self.speed)
        };
        Some(RateState::restored(number, self.at, speed, self.resets))
    }

    /// Takes over the speed and resets of a state.
    pub(super) fn set_rate(&mut self, rate: Option<RateState>) {
        let speed = rate.and_then(|rate| rate.rate().per_second());
        self.speed = speed.unwrap_or(f64::NAN);
        self.resets = rate.map_or(0, |rate| rate.resets());
    }
}

/// What the rate of a counter is made of.
pub(super) fn counted(kind: Kind, value: &Value) -> Option<f64> {
    (kind == Kind::Counter)
        .then(|| value.as_f64())
        .flatten()
        .filter(|number| number.is_finite())
}

#[derive(Debug)]
pub(super) struct Shard {
    slots: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_hash: HashTable<u32>,
    in_order: BTreeMap<Series, u32>,
    /// No entry expires before this; a sweep before it would find nothing.
    earliest: Moment,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_hash: HashTable::new(),
            in_order: BTreeMap::new(),
            earliest: Moment(u64::MAX),
        }
    }
}

impl Shard {
    pub(super) fn get(&self, hash: u64, series: &str) -> Option<&Entry> {
        let slot = self
            .by_hash
            .find(hash, |slot| is_at(&self.slots, *slot, series))?;
        self.slots.get(*slot as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, hash: u64, series: &str) -> Option<&mut Entry> {
        let slots = &self.slots;
        let slot = *self
            .by_hash
            .find(hash, |slot| is_at(slots, *slot, series))?;
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// Makes sure that a sweep does not come too late for a new end of validity.
    pub(super) fn expect(&mut self, expires: Moment) {
        self.earliest = self.earliest.min(expires);
    }

    /// Adds an entry whose series is not here. Returns it when the shard has no number left.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        entry: Entry,
        hash_of: impl Fn(&str) -> u64,
    ) -> Result<(), Entry> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => match u32::try_from(self.slots.len()) {
                Ok(slot) => {
                    self.slots.push(None);
                    slot
                }
                Err(_) => return Err(entry),
            },
        };
        self.expect(entry.expires);
        self.in_order.insert(entry.series.clone(), slot);
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(entry);
        }
        let slots = &self.slots;
        self.by_hash.insert_unique(hash, slot, |slot| {
            slots
                .get(*slot as usize)
                .and_then(Option::as_ref)
                .map_or(0, |entry| hash_of(entry.series.as_str()))
        });
        Ok(())
    }

    /// Takes one entry out. The earliest end of validity may then be too early, which costs a
    /// sweep and nothing else.
    pub(super) fn take(&mut self, hash: u64, series: &str) -> Option<Entry> {
        let slots = &self.slots;
        let slot = self
            .by_hash
            .find_entry(hash, |slot| is_at(slots, *slot, series))
            .ok()?
            .remove()
            .0;
        self.in_order.remove(series);
        let entry = self.slots.get_mut(slot as usize)?.take();
        self.free.push(slot);
        if self.by_hash.is_empty() {
            *self = Self::default();
        }
        entry
    }

    /// Whether a sweep may find something.
    pub(super) fn is_due(&self, now: Moment) -> bool {
        self.earliest <= now
    }

    /// How many slots a sweep looks at.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Takes out every entry that has expired.
    pub(super) fn sweep(
        &mut self,
        now: Moment,
        hash_of: impl Fn(&str) -> u64,
        removed: impl FnMut(&Entry),
    ) -> usize {
        self.remove(|entry| entry.expires <= now, hash_of, removed)
    }

    /// Takes out every entry that is chosen.
    pub(super) fn remove(
        &mut self,
        chosen: impl Fn(&Entry) -> bool,
        hash_of: impl Fn(&str) -> u64,
        mut removed: impl FnMut(&Entry),
    ) -> usize {
        let mut count = 0;
        let mut earliest = Moment(u64::MAX);
        for (slot, place) in (0_u32..).zip(&mut self.slots) {
            let Some(entry) = place.as_ref() else {
                continue;
            };
            if !chosen(entry) {
                earliest = earliest.min(entry.expires);
                continue;
            }
            let hash = hash_of(entry.series.as_str());
            if let Ok(found) = self.by_hash.find_entry(hash, |other| *other == slot) {
                found.remove();
            }
            self.in_order.remove(entry.series.as_str());
            removed(entry);
            *place = None;
            self.free.push(slot);
            count += 1;
        }
        self.earliest = earliest;
        if self.by_hash.is_empty() {
            // A burst that is over gives its memory back.
            *self = Self::default();
        }
        count
    }

    /// Goes through at most `most` entries whose series start with `prefix`, in order, from behind
    /// `after`. Returns the series to go on behind, if the page was full.
    pub(super) fn page(
        &self,
        prefix: &str,
        after: Option<&Series>,
        most: usize,
        mut each: impl FnMut(&Entry),
    ) -> Option<Series> {
        let from = match after {
            Some(series) => Bound::Excluded(series.as_str()),
            None => Bound::Included(prefix),
        };
        let mut seen = 0;
        for (series, slot) in self
            .in_order
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(series, _)| series.as_str().starts_with(prefix))
        {
            if let Some(Some(entry)) = self.slots.get(*slot as usize) {
                each(entry);
            }
            seen += 1;
            if seen == most {
                return Some(series.clone());
            }
        }
        None
    }
}

fn is_at(slots: &[Option<Entry>], slot: u32, series: &str) -> bool {
    slots
        .get(slot as usize)
        .and_then(Option::as_ref)
        .is_some_and(|entry| entry.series.as_str() == series)
}
