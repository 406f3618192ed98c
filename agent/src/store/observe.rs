//! What the store says about itself, as a status and as series.

use std::sync::atomic::Ordering;

use super::entry::StoreStatus;
use super::memory::{Store, read};
use crate::model::{Batch, Unit};

const SERIES: Unit = Unit::new("{series}");
const SAMPLES: Unit = Unit::new("{sample}");
const DESCRIPTIONS: Unit = Unit::new("{description}");

impl Store {
    /// What the store says about itself.
    pub fn status(&self) -> StoreStatus {
        let inner = &self.inner;
        let worst_source = read(&inner.names)
            .now()
            .sources
            .iter()
            .map(|source| (source.refused.load(Ordering::Relaxed), &source.name))
            .filter(|(refused, _)| *refused > 0)
            .max_by_key(|(refused, _)| *refused)
            .map(|(refused, name)| (name.to_string(), refused));
        StoreStatus {
            series: inner.series.load(Ordering::Relaxed),
            series_max: self.limits.series,
            samples: inner.samples.load(Ordering::Relaxed),
            refused: inner.refused.load(Ordering::Relaxed),
            cut: inner.cut.load(Ordering::Relaxed),
            expired: inner.expired.load(Ordering::Relaxed),
            resets: inner.resets.load(Ordering::Relaxed),
            worst_source,
        }
    }

    /// Adds the store's own series to a batch:
    ///
    /// - `moonward.store.series`, `moonward.store.series.limit`: how many series there are and may
    ///   be;
    /// - `moonward.store.source.series{source}`, `moonward.store.refused{source}`: series, and
    ///   samples that a limit refused, by source;
    /// - `moonward.store.samples`, `moonward.store.cut`, `moonward.store.expired`,
    ///   `moonward.store.resets`: samples taken in, texts cut, series expired, counters that went
    ///   down;
    /// - `moonward.store.descriptions`, `moonward.store.descriptions.refused`: names that have a
    ///   description, and descriptions that were refused.
    pub fn observe(&self, batch: &mut Batch) {
        let status = self.status();
        batch.gauge("moonward.store.series", &[], SERIES, status.series as u64);
        batch.gauge(
            "moonward.store.series.limit",
            &[],
            SERIES,
            status.series_max as u64,
        );
        batch.counter("moonward.store.samples", &[], SAMPLES, status.samples);
        batch.counter("moonward.store.cut", &[], SAMPLES, status.cut);
        batch.counter("moonward.store.expired", &[], SERIES, status.expired);
        batch.counter(
            "moonward.store.resets",
            &[],
            Unit::new("{reset}"),
            status.resets,
        );
        let (described, refused) = read(&self.inner.catalogue).figures();
        let name = "moonward.store.descriptions";
        batch.gauge(name, &[], DESCRIPTIONS, described);
        let name = "moonward.store.descriptions.refused";
        batch.counter(name, &[], DESCRIPTIONS, refused);
        for source in read(&self.inner.names).now().sources.iter() {
            let tags = [("source", &*source.name)];
            let series = source.series.load(Ordering::Relaxed) as u64;
            let refused = source.refused.load(Ordering::Relaxed);
            batch.gauge("moonward.store.source.series", &tags, SERIES, series);
            batch.counter("moonward.store.refused", &tags, SAMPLES, refused);
        }
    }
}
