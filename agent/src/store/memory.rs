//! The store itself.

use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::DefaultHashBuilder;

use super::catalogue::Catalogue;
use super::entry::{Reading, ReadingRef, StoreLimits};
use super::history::Histories;
use super::names::{Known, Names};
use super::shard::{Entry, Shard};
use crate::model::{Clock, Glob, Moment, Rate, Series};

/// How many parts there are. At the largest configured size a part has some ten thousand series,
/// which a sweep looks through in well under a millisecond.
pub const SHARDS: usize = 128;

/// How many series one page of a scan holds the lock for.
const PAGE: usize = 512;

/// How many series one call of [`Store::expire`] looks at, at least one part.
const SWEEP: usize = 16_384;

/// Where a walk over the whole store stands.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    shard: usize,
    after: Option<Series>,
}

/// The latest value of every series. Clones share one store.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) clock: Clock,
    pub(super) limits: StoreLimits,
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) hasher: DefaultHashBuilder,
    pub(super) shards: Box<[RwLock<Shard>]>,
    /// Taken inside a shard's lock or without one, never around one.
    pub(super) names: RwLock<Names>,
    /// Never taken inside another lock.
    pub(super) catalogue: RwLock<Catalogue>,
    pub(super) series: AtomicUsize,
    pub(super) samples: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) cut: AtomicU64,
    pub(super) expired: AtomicU64,
    pub(super) resets: AtomicU64,
    pub(super) histories: Histories,
    /// The part that the next sweep starts with.
    next_sweep: AtomicUsize,
    /// When the last sweep for want of room was, in nanoseconds of the clock.
    pub(super) last_rescue: AtomicU64,
}

impl Store {
    /// An empty store.
    pub fn new(clock: Clock, limits: StoreLimits) -> Self {
        Self {
            clock,
            limits,
            inner: Arc::new(Inner {
                hasher: DefaultHashBuilder::default(),
                shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
                names: RwLock::default(),
                catalogue: RwLock::default(),
                series: AtomicUsize::new(0),
                samples: AtomicU64::new(0),
                refused: AtomicU64::new(0),
                cut: AtomicU64::new(0),
                expired: AtomicU64::new(0),
                resets: AtomicU64::new(0),
                histories: Histories::default(),
                next_sweep: AtomicUsize::new(0),
                last_rescue: AtomicU64::new(0),
            }),
        }
    }

    /// The clock that the store measures time with.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How much the store keeps.
    pub fn limits(&self) -> &StoreLimits {
        &self.limits
    }

    /// The value of one series, unless it has expired. `series` is the text form.
    pub fn get(&self, series: &str) -> Option<Reading> {
        let mut found = None;
        self.with(series, |reading| found = Some(reading.to_reading()));
        found
    }

    /// The change per second of one counter; `None` when there is no such series.
    pub fn rate(&self, series: &str) -> Option<Rate> {
        self.with(series, |reading| {
            reading.rate.map_or(Rate::Unknown, |rate| rate.rate())
        })
    }

    /// Shows the value of one series, unless it has expired, without a copy. `look` must not call
    /// the store.
    pub fn with<T>(&self, series: &str, look: impl FnOnce(&ReadingRef<'_>) -> T) -> Option<T> {
        let now = self.clock.now();
        let hash = self.hash(series);
        let shard = read(self.shard(hash)?);
        let entry = shard.get(hash, series)?;
        (entry.expires > now).then(|| look(&entry.reading(read(&self.inner.names).now())))
    }

    /// Every valid value whose series fits the pattern, sorted by series.
    pub fn scan(&self, pattern: &Glob) -> Vec<Reading> {
        let now = self.clock.now();
        let mut parts = Vec::with_capacity(SHARDS);
        let mut part = Vec::new();
        let mut cursor = Cursor::default();
        let mut at = cursor.shard;
        while self.page(&mut cursor, pattern.prefix(), now, |reading| {
            if pattern.matches(reading.series.as_str()) {
                part.push(reading.to_reading());
            }
        }) {
            if cursor.shard != at {
                at = cursor.shard;
                parts.push(std::mem::take(&mut part));
            }
        }
        merge(parts)
    }

    /// Shows every valid value whose series fits the pattern, without copies, sorted within each
    /// part of the store only. The look-up uses the text before the first wildcard. Series that
    /// come or go meanwhile may be seen or not; every other one is seen once. `look` must not
    /// call the store.
    pub fn visit(&self, pattern: &Glob, mut look: impl FnMut(&ReadingRef<'_>)) {
        let now = self.clock.now();
        let mut cursor = Cursor::default();
        while self.page(&mut cursor, pattern.prefix(), now, |reading| {
            if pattern.matches(reading.series.as_str()) {
                look(reading);
            }
        }) {}
    }

    /// Shows one page of the valid values whose series start with `prefix`; false when there is
    /// nothing left. The lock of the part is held for the page only.
    pub(super) fn page(
        &self,
        cursor: &mut Cursor,
        prefix: &str,
        now: Moment,
        mut look: impl FnMut(&ReadingRef<'_>),
    ) -> bool {
        let Some(shard) = self.inner.shards.get(cursor.shard) else {
            return false;
        };
        let shard = read(shard);
        let names = read(&self.inner.names);
        cursor.after = shard.page(prefix, cursor.after.as_ref(), PAGE, |entry| {
            if entry.expires > now {
                look(&entry.reading(names.now()));
            }
        });
        if cursor.after.is_none() {
            cursor.shard += 1;
        }
        true
    }

    /// Takes out series that have expired, a bounded number of parts at a time; to be called about
    /// once a second. Expired values are invisible with or without it; this gives their room back.
    /// Returns how many were taken out.
    pub fn expire(&self) -> usize {
        let now = self.clock.now();
        self.inner.histories.tidy(now);
        let (mut removed, mut looked) = (0, 0);
        for _ in 0..SHARDS {
            let next = self.inner.next_sweep.fetch_add(1, Ordering::Relaxed) % SHARDS;
            let Some(shard) = self.inner.shards.get(next) else {
                continue;
            };
            // Most parts have nothing that is due, and a look at that is cheap.
            if !read(shard).is_due(now) {
                continue;
            }
            let mut shard = write(shard);
            looked += shard.slots();
            removed += self.sweep(&mut shard, now);
            if looked >= SWEEP {
                break;
            }
        }
        removed
    }

    /// Takes one series out; `series` is the text form. Returns whether it had a valid value.
    pub fn remove(&self, series: &str) -> bool {
        let now = self.clock.now();
        let hash = self.hash(series);
        let Some(lock) = self.shard(hash) else {
            return false;
        };
        let mut shard = write(lock);
        let Some(entry) = shard.take(hash, series) else {
            return false;
        };
        read(&self.inner.names).now().release(entry.source);
        self.inner.series.fetch_sub(1, Ordering::Relaxed);
        let valid = entry.expires > now;
        if !valid {
            self.inner.expired.fetch_add(1, Ordering::Relaxed);
        }
        valid
    }

    /// Takes out every series of a source, as when a plugin is unloaded. Returns how many.
    pub fn remove_source(&self, source: &str) -> usize {
        let Some((id, _)) = read(&self.inner.names).source(source) else {
            return 0;
        };
        let mut removed = 0;
        for shard in &self.inner.shards {
            let mut shard = write(shard);
            let names = read(&self.inner.names);
            removed += shard.remove(
                |entry| entry.source == id,
                |series| self.hash(series),
                |entry| names.now().release(entry.source),
            );
        }
        self.inner.series.fetch_sub(removed, Ordering::Relaxed);
        removed
    }

    pub(super) fn sweep(&self, shard: &mut Shard, now: Moment) -> usize {
        let names = read(&self.inner.names);
        let removed = shard.sweep(
            now,
            |series| self.hash(series),
            |entry| names.now().release(entry.source),
        );
        self.inner.series.fetch_sub(removed, Ordering::Relaxed);
        self.inner
            .expired
            .fetch_add(removed as u64, Ordering::Relaxed);
        removed
    }

    pub(super) fn hash(&self, series: &str) -> u64 {
        self.inner.hasher.hash_one(series)
    }

    /// The table inside uses the top and the bottom bits of the hash; the part is chosen by others.
    pub(super) fn shard(&self, hash: u64) -> Option<&RwLock<Shard>> {
        self.inner.shards.get((hash >> 40) as usize % SHARDS)
    }
}

impl Entry {
    fn reading<'a>(&'a self, known: &'a Known) -> ReadingRef<'a> {
        ReadingRef {
            series: &self.series,
            source: known.source_name(self.source),
            kind: self.kind,
            unit: known.unit(self.unit),
            value: &self.value,
            at: self.at,
            expires: self.expires,
            rate: self.rate(),
        }
    }
}

/// One sorted list of many. The heads that are compared stay in the cache, which a sort of a
/// million readings in place would not allow.
fn merge(parts: Vec<Vec<Reading>>) -> Vec<Reading> {
    let mut merged = Vec::with_capacity(parts.iter().map(Vec::len).sum());
    let mut heads: BinaryHeap<Head> = parts
        .into_iter()
        .filter_map(|part| {
            let mut rest = part.into_iter();
            rest.next().map(|first| Head { first, rest })
        })
        .collect();
    while let Some(mut head) = heads.peek_mut() {
        if let Some(next) = head.rest.next() {
            merged.push(std::mem::replace(&mut head.first, next));
        } else {
            merged.push(PeekMut::pop(head).first);
        }
    }
    merged
}

/// What is left of one part; the heap has the smallest series on top.
struct Head {
    first: Reading,
    rest: std::vec::IntoIter<Reading>,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.first.series.cmp(&self.first.series)
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.first.series == other.first.series
    }
}

impl Eq for Head {}

pub(super) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
