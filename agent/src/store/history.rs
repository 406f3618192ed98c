//! A short past of the series that somebody asks for.
//!
//! Nothing is kept of a series until its past is asked for; from then on its values are kept at put
//! time, until nobody has asked for [`UNASKED`]. An entry of the store knows whether it is one of
//! them, so a put of any other series costs one look at a byte that is at hand anyway.
//!
//! The lock here is taken inside a shard's lock or without one, never around one.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;

use super::memory::{Store, write};
use crate::model::{Histogram, Moment, Series, Value};

/// The most values of one series: an hour at one in ten seconds.
pub const POINTS_MAX: usize = 360;

/// The most series with a past. With [`POINTS_MAX`] it takes at most 5.8 MB.
pub const SERIES_MAX: usize = 1000;

/// The most histograms of one series; each may take 12 KB, most take one.
pub const HISTOGRAMS_MAX: usize = 36;

/// The most series of histograms with a past.
pub const HISTOGRAM_SERIES_MAX: usize = 32;

/// After this long without a question, the past of a series is dropped.
pub const UNASKED: Duration = Duration::from_hours(1);

/// Why there is no past of a series and will be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HistoryError {
    /// Others have taken all the room.
    #[error(
        "{max} series have a history already; one that nobody asks for is dropped after an hour",
        max = SERIES_MAX
    )]
    Full,
    /// The same for histograms.
    #[error(
        "{max} series of histograms have a history already; one that nobody asks for is dropped after an hour",
        max = HISTOGRAM_SERIES_MAX
    )]
    HistogramsFull,
}

/// A number that a series had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When it was put.
    pub at: Moment,
    /// The number; of a histogram how many values it held.
    pub value: f64,
}

/// The past of all series that have one.
#[derive(Debug, Default)]
pub(super) struct Histories {
    /// How many there are, to be looked at without the lock.
    count: AtomicUsize,
    rings: Mutex<HashMap<Series, Ring>>,
}

/// The past of one series, oldest first.
#[derive(Debug)]
struct Ring {
    asked: Moment,
    /// Whether histograms are kept too.
    whole: bool,
    points: VecDeque<Point>,
    histograms: VecDeque<(Moment, Arc<Histogram>)>,
}

impl Ring {
    fn new(asked: Moment, whole: bool) -> Self {
        Self {
            asked,
            whole,
            points: VecDeque::new(),
            histograms: VecDeque::new(),
        }
    }

    fn add(&mut self, at: Moment, value: &Value) {
        // A value may come again: with a copy of the store, or when histograms are asked for later.
        if self.points.back().is_none_or(|last| last.at < at)
            && let Some(value) = value.as_f64()
        {
            if self.points.len() >= POINTS_MAX {
                self.points.pop_front();
            }
            self.points.push_back(Point { at, value });
        }
        if let Value::Histogram(histogram) = value
            && self.whole
            && self.histograms.back().is_none_or(|(last, _)| *last < at)
        {
            if self.histograms.len() >= HISTOGRAMS_MAX {
                self.histograms.pop_front();
            }
            self.histograms.push_back((at, Arc::clone(histogram)));
        }
    }
}

impl Histories {
    fn lock(&self) -> MutexGuard<'_, HashMap<Series, Ring>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a series that is new in the store has a past to be continued.
    pub(super) fn wants(&self, series: &str) -> bool {
        self.count.load(Ordering::Relaxed) > 0 && self.lock().contains_key(series)
    }

    /// Keeps a value; false when the past of the series has been dropped.
    pub(super) fn record(&self, series: &str, at: Moment, value: &Value) -> bool {
        match self.lock().get_mut(series) {
            Some(ring) => {
                ring.add(at, value);
                true
            }
            None => false,
        }
    }

    /// Drops what nobody has asked for.
    pub(super) fn tidy(&self, now: Moment) {
        if self.count.load(Ordering::Relaxed) > 0 {
            self.drop_unasked(&mut self.lock(), now);
        }
    }

    fn drop_unasked(&self, rings: &mut HashMap<Series, Ring>, now: Moment) {
        rings.retain(|_, ring| now.since(ring.asked) < UNASKED);
        if rings.is_empty() {
            rings.shrink_to_fit();
        }
        self.count.store(rings.len(), Ordering::Relaxed);
    }

    /// Notes a question; `look` sees the past. Says whether it, or that of histograms, only begins.
    fn ask<T>(
        &self,
        series: &Series,
        whole: bool,
        now: Moment,
        look: impl FnOnce(&Ring) -> T,
    ) -> Result<(T, bool), HistoryError> {
        let mut rings = self.lock();
        let mut is_new = false;
        if !rings.contains_key(series.as_str()) {
            if rings.len() >= SERIES_MAX {
                self.drop_unasked(&mut rings, now);
            }
            if rings.len() >= SERIES_MAX {
                return Err(HistoryError::Full);
            }
            is_new = true;
        }
        let known = rings.get(series.as_str()).is_some_and(|ring| ring.whole);
        if whole && !known {
            is_new = true;
            let kept = rings.values().filter(|ring| ring.whole).count();
            if kept >= HISTOGRAM_SERIES_MAX {
                self.drop_unasked(&mut rings, now);
                let kept = rings.values().filter(|ring| ring.whole).count();
                if kept >= HISTOGRAM_SERIES_MAX {
                    return Err(HistoryError::HistogramsFull);
                }
            }
        }
        let ring = rings
            .entry(series.clone())
            .or_insert_with(|| Ring::new(now, whole));
        ring.asked = now;
        ring.whole |= whole;
        let answer = look(ring);
        self.count.store(rings.len(), Ordering::Relaxed);
        Ok((answer, is_new))
    }
}

impl Store {
    /// The values that a series has had since its past was first asked for, oldest first, at most
    /// [`POINTS_MAX`] of them and none older than `within`. The first question begins the keeping,
    /// and is answered with the value of now alone. Texts have no past.
    ///
    /// # Errors
    /// When [`SERIES_MAX`] others have one already.
    pub fn history(
        &self,
        series: &Series,
        within: Option<Duration>,
    ) -> Result<Vec<Point>, HistoryError> {
        let now = self.clock.now();
        let points = |ring: &Ring| -> Vec<Point> {
            let young = |point: &&Point| within.is_none_or(|within| now.since(point.at) <= within);
            ring.points.iter().filter(young).copied().collect()
        };
        self.ask(series, false, now, points)
    }

    /// The histogram that a series had at least `age` ago, the youngest such; else the oldest that
    /// was kept, and how old it is. The first question begins the keeping. None while only the one of
    /// now is known.
    ///
    /// # Errors
    /// When there is no room for another series.
    pub fn histogram_before(
        &self,
        series: &Series,
        age: Duration,
    ) -> Result<Option<(Arc<Histogram>, Moment)>, HistoryError> {
        let now = self.clock.now();
        let before = |ring: &Ring| {
            let kept = ring.histograms.len().saturating_sub(1);
            let past = || ring.histograms.iter().take(kept);
            let old = past().rev().find(|(at, _)| now.since(*at) >= age);
            old.or_else(|| past().next())
                .map(|(at, histogram)| (Arc::clone(histogram), *at))
        };
        self.ask(series, true, now, before)
    }

    fn ask<T>(
        &self,
        series: &Series,
        whole: bool,
        now: Moment,
        look: impl Fn(&Ring) -> T,
    ) -> Result<T, HistoryError> {
        let histories = &self.inner.histories;
        let (answer, is_new) = histories.ask(series, whole, now, &look)?;
        if !is_new {
            return Ok(answer);
        }
        // From here on a put of the series finds the mark; the value of now is the first point.
        let hash = self.hash(series.as_str());
        if let Some(lock) = self.shard(hash) {
            let mut shard = write(lock);
            if let Some(entry) = shard.get_mut(hash, series.as_str()) {
                entry.watched = true;
                if entry.expires > now {
                    histories.record(series.as_str(), entry.at, &entry.value);
                }
            }
        }
        histories
            .ask(series, whole, now, look)
            .map(|(answer, _)| answer)
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
