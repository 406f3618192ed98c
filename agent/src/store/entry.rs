//! What the store hands out: readings, limits and its own status.

use std::time::Duration;

use serde::Serialize;

use crate::model::{Kind, Moment, Rate, RateState, Series, Unit, Value};

/// One value as it stands in the store.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What was measured.
    pub series: Series,
    /// How values of the series relate in time.
    pub kind: Kind,
    /// The unit of the value.
    pub unit: Unit,
    /// The latest value.
    pub value: Value,
    /// When it was put.
    pub at: Moment,
    /// When it stops being valid.
    pub expires: Moment,
    /// Change per second, for counters.
    pub rate: Rate,
}

/// One value as it stands in the store, while the store shows it.
#[derive(Clone, Copy, Debug)]
pub struct ReadingRef<'a> {
    /// What was measured.
    pub series: &'a Series,
    /// Who put it first.
    pub source: &'a str,
    /// How values of the series relate in time.
    pub kind: Kind,
    /// The unit of the value.
    pub unit: Unit,
    /// The latest value.
    pub value: &'a Value,
    /// When it was put.
    pub at: Moment,
    /// When it stops being valid.
    pub expires: Moment,
    /// The speed and resets of a counter.
    pub rate: Option<RateState>,
}

impl ReadingRef<'_> {
    /// The same, kept.
    pub fn to_reading(&self) -> Reading {
        Reading {
            series: self.series.clone(),
            kind: self.kind,
            unit: self.unit,
            value: self.value.clone(),
            at: self.at,
            expires: self.expires,
            rate: self.rate.map_or(Rate::Unknown, |rate| rate.rate()),
        }
    }
}

/// How much the store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// The most series at one time; what would be one more is refused and counted.
    pub series: usize,
    /// The most series of one source.
    pub series_per_source: usize,
    /// The longest text value in bytes; a longer one is cut and counted.
    pub text_bytes: usize,
    /// How long a value holds when neither sample nor source says otherwise.
    pub ttl: Duration,
}

impl StoreLimits {
    /// Refuses a text of so many bytes, which the store would cut, for those who can tell whoever
    /// puts it.
    ///
    /// # Errors
    /// What is wrong, with the limit and its key in the configuration.
    pub fn check_text(&self, bytes: usize) -> Result<(), String> {
        if bytes <= self.text_bytes {
            return Ok(());
        }
        Err(format!(
            "a text of {bytes} bytes is longer than the store keeps, which is {} bytes: text_max in \
             the section [store] of the configuration",
            self.text_bytes
        ))
    }
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            series: 100_000,
            series_per_source: 20_000,
            text_bytes: 64 * 1024,
            ttl: Duration::from_mins(5),
        }
    }
}

/// What the store says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreStatus {
    /// How many series it holds.
    pub series: usize,
    /// How many it may hold.
    pub series_max: usize,
    /// How many samples it took since start.
    pub samples: u64,
    /// How many samples it refused because a limit was reached.
    pub refused: u64,
    /// How many text values it cut.
    pub cut: u64,
    /// How many series expired.
    pub expired: u64,
    /// How often a counter went down.
    pub resets: u64,
    /// The source with the most refused samples, with their number.
    pub worst_source: Option<(String, u64)>,
}
