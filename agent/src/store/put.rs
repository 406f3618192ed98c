//! The way into the store: limits, rates, and what is refused.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::memory::{Store, read, write};
use super::names::{Known, Source, SourceId, UnitId};
use super::shard::{Entry, Shard, counted};
use crate::model::{Batch, Kind, Moment, RateState, Series, Unit, Value};

/// The most buckets of a histogram: 8 to an octave over all 64 octaves. A longer one is refused.
pub(super) const BUCKETS_MAX: usize = 512;

/// A value on its way in; what the caller owns of it need not be copied.
pub(super) struct Incoming<'a> {
    pub(super) series: &'a str,
    /// The identity to keep if it is new.
    pub(super) to_series: &'a dyn Fn() -> Series,
    pub(super) kind: Kind,
    pub(super) unit: Unit,
    pub(super) value: Value,
    pub(super) at: Moment,
    pub(super) expires: Moment,
    /// The state of a counter that was written down earlier.
    pub(super) rate: Option<RateState>,
}

/// What a round of one source needs, looked up once.
pub(super) struct Round {
    source: Arc<Source>,
    id: SourceId,
    known: Known,
}

impl Store {
    /// Puts a round of one source. `ttl` holds for samples that have none of their own. What a
    /// limit refuses is counted for the source; see [`Store::status`].
    pub fn put(&self, source: &str, batch: &Batch, ttl: Option<Duration>) {
        let now = self.clock.now();
        let ttl = ttl.unwrap_or(self.limits.ttl);
        let mut round = self.round(source);
        for sample in batch.iter() {
            self.put_in(
                &mut round,
                Incoming {
                    series: sample.series.as_str(),
                    to_series: &|| sample.series.to_series(),
                    kind: sample.kind,
                    unit: sample.unit,
                    value: sample.value.clone(),
                    at: now,
                    expires: now + sample.ttl.unwrap_or(ttl),
                    rate: None,
                },
            );
        }
    }

    /// Puts one value; returns whether it was taken.
    pub fn put_one(
        &self,
        source: &str,
        series: &Series,
        kind: Kind,
        unit: Unit,
        value: impl Into<Value>,
        ttl: Option<Duration>,
    ) -> bool {
        let now = self.clock.now();
        let mut round = self.round(source);
        self.put_in(
            &mut round,
            Incoming {
                series: series.as_str(),
                to_series: &|| series.clone(),
                kind,
                unit,
                value: value.into(),
                at: now,
                expires: now + ttl.unwrap_or(self.limits.ttl),
                rate: None,
            },
        )
    }

    /// Puts a value that was put earlier, `age` ago, and holds for `left` from now; returns whether
    /// it was taken. A counter begins anew: its first rate comes with the next value.
    pub fn put_back(
        &self,
        source: &str,
        series: &Series,
        (kind, unit, value): (Kind, Unit, Value),
        age: Duration,
        left: Duration,
    ) -> bool {
        let now = self.clock.now();
        let mut round = self.round(source);
        self.put_in(
            &mut round,
            Incoming {
                series: series.as_str(),
                to_series: &|| series.clone(),
                kind,
                unit,
                value,
                at: now - age,
                expires: now + left,
                rate: None,
            },
        )
    }

    /// Prepares a round of one source.
    pub(super) fn round(&self, source: &str) -> Round {
        let (found, known) = {
            let names = read(&self.inner.names);
            (names.source(source), names.now().clone())
        };
        let (id, source) = found.unwrap_or_else(|| write(&self.inner.names).add_source(source));
        Round { source, id, known }
    }

    /// Puts one value; returns whether it was taken.
    pub(super) fn put_in(&self, round: &mut Round, mut incoming: Incoming<'_>) -> bool {
        self.inner.samples.fetch_add(1, Ordering::Relaxed);
        if !self.fits(&mut incoming.value) {
            return self.refuse(&round.source);
        }
        let hash = self.hash(incoming.series);
        let Some(lock) = self.shard(hash) else {
            return false;
        };
        let mut shard = write(lock);
        if shard.get(hash, incoming.series).is_none() {
            if incoming.expires <= incoming.at {
                // Never visible, so it need not take room.
                return true;
            }
            if !self.reserve(&round.source) {
                drop(shard);
                if !(self.rescue(incoming.at) && self.reserve(&round.source)) {
                    return self.refuse(&round.source);
                }
                shard = write(lock);
            }
            // While the lock was off somebody else may have put the same series.
            if shard.get(hash, incoming.series).is_none() {
                return self.insert(&mut shard, hash, round, incoming);
            }
            self.unreserve(&round.source);
        }
        shard.expect(incoming.expires);
        if let Some(entry) = shard.get_mut(hash, incoming.series) {
            self.update(entry, round, incoming);
        }
        true
    }

    fn insert(
        &self,
        shard: &mut Shard,
        hash: u64,
        round: &mut Round,
        incoming: Incoming<'_>,
    ) -> bool {
        let mut entry = Entry {
            series: (incoming.to_series)(),
            unit: self.unit(round, incoming.unit),
            source: round.id,
            kind: incoming.kind,
            value: incoming.value,
            at: incoming.at,
            expires: incoming.expires,
            speed: f64::NAN,
            resets: 0,
            watched: self.inner.histories.wants(incoming.series),
        };
        entry.set_rate(incoming.rate);
        self.remember(&mut entry);
        let inserted = shard
            .insert(hash, entry, |series| self.hash(series))
            .is_ok();
        if !inserted {
            self.unreserve(&round.source);
            self.refuse(&round.source);
        }
        inserted
    }

    fn update(&self, entry: &mut Entry, round: &mut Round, incoming: Incoming<'_>) {
        let number = counted(incoming.kind, &incoming.value);
        let rate = entry.rate().zip(number).map(|(mut state, number)| {
            let resets = state.resets();
            state.next(number, incoming.at);
            if state.resets() != resets {
                self.inner.resets.fetch_add(1, Ordering::Relaxed);
            }
            state
        });
        entry.set_rate(rate);
        if round.known.unit(entry.unit) != incoming.unit {
            entry.unit = self.unit(round, incoming.unit);
        }
        entry.kind = incoming.kind;
        entry.value = incoming.value;
        entry.at = incoming.at;
        entry.expires = incoming.expires;
        self.remember(entry);
    }

    /// Keeps the value of a series whose past somebody asks for.
    fn remember(&self, entry: &mut Entry) {
        if entry.watched {
            let histories = &self.inner.histories;
            entry.watched = histories.record(entry.series.as_str(), entry.at, &entry.value);
        }
    }

    /// Cuts a text that is too long; false for what cannot be cut.
    fn fits(&self, value: &mut Value) -> bool {
        match value {
            Value::Text(text) if text.len() > self.limits.text_bytes => {
                let end = text.floor_char_boundary(self.limits.text_bytes);
                *text = text.get(..end).unwrap_or_default().into();
                self.inner.cut.fetch_add(1, Ordering::Relaxed);
                true
            }
            Value::Histogram(histogram) => histogram.buckets.len() <= BUCKETS_MAX,
            _ => true,
        }
    }

    fn reserve(&self, source: &Source) -> bool {
        if source.series.fetch_add(1, Ordering::Relaxed) >= self.limits.series_per_source {
            source.series.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        if self.inner.series.fetch_add(1, Ordering::Relaxed) >= self.limits.series {
            self.unreserve(source);
            return false;
        }
        true
    }

    fn unreserve(&self, source: &Source) {
        source.series.fetch_sub(1, Ordering::Relaxed);
        self.inner.series.fetch_sub(1, Ordering::Relaxed);
    }

    fn refuse(&self, source: &Source) -> bool {
        source.refused.fetch_add(1, Ordering::Relaxed);
        self.inner.refused.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// Looks for room that expired series still take, at most once a second. Returns whether any
    /// was found.
    fn rescue(&self, now: Moment) -> bool {
        let last = self.inner.last_rescue.load(Ordering::Relaxed);
        if last != 0 && now.since(Moment(last)) < Duration::from_secs(1) {
            return false;
        }
        // Of several that find no room at once, one looks.
        let mine = self.inner.last_rescue.compare_exchange(
            last,
            now.0.max(1),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        if mine.is_err() {
            return false;
        }
        let mut removed = 0;
        for shard in &self.inner.shards {
            if read(shard).is_due(now) {
                removed += self.sweep(&mut write(shard), now);
            }
        }
        removed > 0
    }

    fn unit(&self, round: &mut Round, unit: Unit) -> UnitId {
        round.known.unit_id(unit).unwrap_or_else(|| {
            let mut names = write(&self.inner.names);
            let id = names.add_unit(unit);
            round.known = names.now().clone();
            id
        })
    }
}
