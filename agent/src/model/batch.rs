//! The samples of one round of one source, on their way to the store.
//!
//! A batch keeps all its series in one growing text, so that a round that repeats itself allocates
//! nothing once it has seen the longest round.

use std::ops::Range;
use std::time::Duration;

use super::series::{SeriesRef, write_series};
use super::value::{Kind, Unit, Value};

/// Samples that were taken together.
#[derive(Debug, Default)]
pub struct Batch {
    text: String,
    samples: Vec<Entry>,
    refused: u64,
}

#[derive(Debug)]
struct Entry {
    series: Range<usize>,
    kind: Kind,
    unit: Unit,
    value: Value,
    ttl: Option<Duration>,
}

/// One sample of a batch.
#[derive(Clone, Copy, Debug)]
pub struct SampleRef<'a> {
    /// What was measured.
    pub series: SeriesRef<'a>,
    /// How values of the series relate in time.
    pub kind: Kind,
    /// The unit of the value.
    pub unit: Unit,
    /// What was seen.
    pub value: &'a Value,
    /// How long the value holds; `None` means as long as the source's values hold by default.
    pub ttl: Option<Duration>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sample. A name or tag that makes no series is counted in [`Batch::refused`] and
    /// otherwise left out: one odd device name must not cost a round.
    pub fn push(
        &mut self,
        name: &str,
        tags: &[(&str, &str)],
        kind: Kind,
        unit: Unit,
        value: impl Into<Value>,
    ) {
        self.push_for(None, name, tags, kind, unit, value);
    }

    /// Adds a sample with a time to live of its own.
    pub fn push_for(
        &mut self,
        ttl: Option<Duration>,
        name: &str,
        tags: &[(&str, &str)],
        kind: Kind,
        unit: Unit,
        value: impl Into<Value>,
    ) {
        let start = self.text.len();
        if write_series(&mut self.text, name, tags).is_err() {
            self.refused += 1;
            return;
        }
        let series = start..self.text.len();
        self.samples.push(Entry {
            series,
            kind,
            unit,
            value: value.into(),
            ttl,
        });
    }

    /// Adds a gauge.
    pub fn gauge(
        &mut self,
        name: &str,
        tags: &[(&str, &str)],
        unit: Unit,
        value: impl Into<Value>,
    ) {
        self.push(name, tags, Kind::Gauge, unit, value);
    }

    /// Adds a counter.
    pub fn counter(
        &mut self,
        name: &str,
        tags: &[(&str, &str)],
        unit: Unit,
        value: impl Into<Value>,
    ) {
        self.push(name, tags, Kind::Counter, unit, value);
    }

    /// Adds words.
    pub fn text(&mut self, name: &str, tags: &[(&str, &str)], value: &str) {
        self.push(name, tags, Kind::Text, Unit::NONE, value);
    }

    /// The samples in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = SampleRef<'_>> {
        self.samples.iter().filter_map(|entry| {
            Some(SampleRef {
                series: SeriesRef::written(self.text.get(entry.series.clone())?),
                kind: entry.kind,
                unit: entry.unit,
                value: &entry.value,
                ttl: entry.ttl,
            })
        })
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// How many samples were left out because their name or tags make no series.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Makes the batch empty and keeps its memory for the next round.
    pub fn clear(&mut self) {
        self.text.clear();
        self.samples.clear();
        self.refused = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_back_in_order() {
        let mut batch = Batch::new();
        batch.gauge("a", &[], Unit::ONE, 1.5);
        batch.counter("b", &[("device", "vda")], Unit::BYTES, 7_u64);
        batch.text("c", &[], "words");
        let seen: Vec<String> = batch
            .iter()
            .map(|sample| format!("{} {}", sample.series.as_str(), sample.value))
            .collect();
        assert_eq!(seen, ["a 1.5", "b{device=\"vda\"} 7", "c words"]);
        batch.clear();
        assert!(batch.is_empty());
    }

    #[test]
    fn what_makes_no_series_is_counted_not_kept() {
        let mut batch = Batch::new();
        batch.gauge("", &[], Unit::ONE, 1.0);
        batch.gauge("a", &[("bad name", "x")], Unit::ONE, 1.0);
        batch.gauge("b", &[], Unit::ONE, 1.0);
        assert_eq!((batch.len(), batch.refused()), (1, 2));
        assert_eq!(
            batch.iter().next().map(|sample| sample.series.as_str()),
            Some("b")
        );
    }
}
