//! The store itself.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::entry::{Reading, StoreLimits, StoreStatus};
use crate::model::{Batch, Clock, Glob, Kind, Moment, Rate, RateState, Series, Unit, Value};

/// The latest value of every series. Clones share one store.
#[derive(Clone, Debug)]
pub struct Store {
    clock: Clock,
    limits: StoreLimits,
    inner: Arc<RwLock<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Series, Entry>,
    status: StoreStatus,
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    unit: Unit,
    value: Value,
    at: Moment,
    expires: Moment,
    rate: Option<RateState>,
}

impl Store {
    /// An empty store.
    pub fn new(clock: Clock, limits: StoreLimits) -> Self {
        Self {
            clock,
            limits,
            inner: Arc::default(),
        }
    }

    /// The clock that the store measures time with.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Puts a round of one source. `ttl` holds for samples that have none of their own.
    pub fn put(&self, source: &str, batch: &Batch, ttl: Option<Duration>) {
        let _ = source;
        let now = self.clock.now();
        let ttl = ttl.unwrap_or(self.limits.ttl);
        let mut inner = self.write();
        for sample in batch.iter() {
            inner.status.samples += 1;
            let expires = now + sample.ttl.unwrap_or(ttl);
            let number = (sample.kind == Kind::Counter)
                .then(|| sample.value.as_f64())
                .flatten();
            if let Some(entry) = inner.entries.get_mut(sample.series.as_str()) {
                entry.value = sample.value.clone();
                entry.kind = sample.kind;
                entry.unit = sample.unit;
                entry.at = now;
                entry.expires = expires;
                match (&mut entry.rate, number) {
                    (Some(state), Some(number)) => state.next(number, now),
                    (rate, number) => *rate = number.map(|number| RateState::first(number, now)),
                }
            } else {
                let entry = Entry {
                    kind: sample.kind,
                    unit: sample.unit,
                    value: sample.value.clone(),
                    at: now,
                    expires,
                    rate: number.map(|number| RateState::first(number, now)),
                };
                inner.entries.insert(sample.series.to_series(), entry);
            }
        }
    }

    /// The value of one series, unless it has expired. `series` is the text form.
    pub fn get(&self, series: &str) -> Option<Reading> {
        let now = self.clock.now();
        let inner = self.read();
        let (series, entry) = inner.entries.get_key_value(series)?;
        (entry.expires > now).then(|| entry.reading(series))
    }

    /// Every valid value whose series fits the pattern, sorted by series.
    pub fn scan(&self, pattern: &Glob) -> Vec<Reading> {
        let now = self.clock.now();
        let inner = self.read();
        let mut readings: Vec<Reading> = inner
            .entries
            .iter()
            .filter(|(series, entry)| entry.expires > now && pattern.matches(series.as_str()))
            .map(|(series, entry)| entry.reading(series))
            .collect();
        readings.sort_by(|one, two| one.series.cmp(&two.series));
        readings
    }

    /// What the store says about itself.
    pub fn status(&self) -> StoreStatus {
        let inner = self.read();
        let mut status = inner.status.clone();
        status.series = inner.entries.len();
        status.series_max = self.limits.series;
        status
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn reading(&self, series: &Series) -> Reading {
        Reading {
            series: series.clone(),
            kind: self.kind,
            unit: self.unit,
            value: self.value.clone(),
            at: self.at,
            expires: self.expires,
            rate: self.rate.as_ref().map_or(Rate::Unknown, RateState::rate),
        }
    }
}
