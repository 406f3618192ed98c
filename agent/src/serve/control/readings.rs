//! Readings as text and as JSON.

use std::io::Write;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::model::{Clock, Histogram, Value};
use crate::store::Reading;

/// One line: series, value and unit with tabs between; control characters and backslashes in the
/// value are escaped, so that a line is a value whatever the value holds.
pub fn write_line(out: &mut Vec<u8>, reading: &Reading) {
    out.extend_from_slice(reading.series.as_str().as_bytes());
    out.push(b'\t');
    if let Value::Text(text) = &reading.value {
        for byte in text.bytes() {
            match byte {
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\t' => out.extend_from_slice(b"\\t"),
                b'\r' => out.extend_from_slice(b"\\r"),
                control if control.is_ascii_control() => out.push(b'?'),
                plain => out.push(plain),
            }
        }
    } else {
        display(out, &reading.value);
    }
    out.push(b'\t');
    out.extend_from_slice(reading.unit.as_str().as_bytes());
    out.push(b'\n');
}

/// The value alone and a line feed.
pub fn write_value(out: &mut Vec<u8>, value: &Value) {
    display(out, value);
    out.push(b'\n');
}

fn display(out: &mut Vec<u8>, value: &Value) {
    // Writing to a vector cannot fail.
    write!(out, "{value}").ok();
}

/// One reading as a JSON object, without a line feed.
pub fn write_json(out: &mut Vec<u8>, reading: &Reading, times: Times) {
    let element = Element {
        name: reading.series.name(),
        tags: Tags(reading),
        kind: reading.kind.as_str(),
        unit: reading.unit.as_str(),
        value: Plain(&reading.value),
        rate: reading.rate.per_second(),
        time: times.wall_seconds(reading),
        ttl: times.remaining_seconds(reading),
    };
    let start = out.len();
    if serde_json::to_writer(&mut *out, &element).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// Both clocks at the time of an answer, so that all its elements share one notion of now.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    boot: u64,
    wall: u64,
}

impl Times {
    /// Reads the clocks.
    pub fn now(clock: &Clock) -> Self {
        Self {
            boot: clock.now().0,
            wall: clock.wall().0,
        }
    }

    /// Seconds since 1970 at which the reading was put, to the millisecond.
    pub fn wall_seconds(self, reading: &Reading) -> f64 {
        let age = self.boot.saturating_sub(reading.at.0);
        milliseconds(self.wall.saturating_sub(age))
    }

    /// Seconds for which the reading still holds, to the millisecond.
    fn remaining_seconds(self, reading: &Reading) -> f64 {
        milliseconds(reading.expires.0.saturating_sub(self.boot))
    }
}

fn milliseconds(nanoseconds: u64) -> f64 {
    (nanoseconds / 1_000_000) as f64 / 1e3
}

#[derive(Serialize)]
struct Element<'a> {
    name: &'a str,
    tags: Tags<'a>,
    kind: &'static str,
    unit: &'static str,
    value: Plain<'a>,
    rate: Option<f64>,
    time: f64,
    ttl: f64,
}

struct Tags<'a>(&'a Reading);

impl Serialize for Tags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tags = self.0.series.tags();
        let mut map = serializer.serialize_map(Some(tags.len()))?;
        for (name, value) in &tags {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// A value as the JSON value that is nearest: what JSON has no number for (infinite, not a number)
/// becomes `null`.
struct Plain<'a>(&'a Value);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Float(number) => serializer.serialize_f64(*number),
            Value::Unsigned(number) => serializer.serialize_u64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Histogram(histogram) => Distribution::from(&**histogram).serialize(serializer),
        }
    }
}

/// A histogram with the figures that people ask for first.
#[derive(Serialize, Deserialize)]
struct Distribution {
    count: u64,
    sum: f64,
    mean: Option<f64>,
    p50: Option<f64>,
    p90: Option<f64>,
    p99: Option<f64>,
    buckets: Vec<Bucket>,
}

#[derive(Serialize, Deserialize)]
struct Bucket {
    lower: f64,
    /// `null` stands for infinite.
    upper: Option<f64>,
    count: u64,
}

impl From<&Histogram> for Distribution {
    fn from(histogram: &Histogram) -> Self {
        Self {
            count: histogram.count,
            sum: histogram.sum,
            mean: histogram.mean(),
            p50: histogram.quantile(0.5),
            p90: histogram.quantile(0.9),
            p99: histogram.quantile(0.99),
            buckets: histogram
                .buckets
                .iter()
                .map(|bucket| Bucket {
                    lower: bucket.lower,
                    upper: bucket.upper.is_finite().then_some(bucket.upper),
                    count: bucket.count,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::model::histogram::Bucket as ModelBucket;
    use crate::model::{Batch, Kind, Unit};
    use crate::store::{Store, StoreLimits};

    fn reading(fill: impl FnOnce(&mut Batch)) -> (Reading, Times) {
        let (clock, hand) = Clock::manual();
        hand.advance(std::time::Duration::from_secs(1000));
        let store = Store::new(clock.clone(), StoreLimits::default());
        let mut batch = Batch::new();
        fill(&mut batch);
        store.put("test", &batch, None);
        hand.advance(std::time::Duration::from_millis(2500));
        let reading = store.scan(&crate::model::Glob::new("*")).remove(0);
        (reading, Times::now(&clock))
    }

    fn as_json(fill: impl FnOnce(&mut Batch)) -> Json {
        let (reading, times) = reading(fill);
        let mut out = Vec::new();
        write_json(&mut out, &reading, times);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_line_stays_a_line() {
        let (reading, _) = reading(|batch| batch.text("a", &[], "x\ty\\\nz\0"));
        let mut out = Vec::new();
        write_line(&mut out, &reading);
        assert_eq!(out, b"a\tx\\ty\\\\\\nz?\t\n");
    }

    #[test]
    fn json_has_every_field() {
        let element = as_json(|batch| batch.counter("a", &[("b", "\"c\"")], Unit::BYTES, u64::MAX));
        assert_eq!(
            element,
            json!({"name": "a", "tags": {"b": "\"c\""}, "kind": "counter", "unit": "By",
                "value": u64::MAX, "rate": null, "time": 1000.0, "ttl": 297.5})
        );
    }

    #[test]
    fn what_json_has_no_number_for_is_null() {
        assert_eq!(
            as_json(|batch| batch.gauge("a", &[], Unit::ONE, f64::NAN))["value"],
            Json::Null
        );
    }

    #[test]
    fn a_histogram_is_shown_whole() {
        let histogram = Histogram {
            count: 2,
            sum: 3.0,
            buckets: vec![
                ModelBucket {
                    lower: 1.0,
                    upper: 2.0,
                    count: 1,
                },
                ModelBucket {
                    lower: 2.0,
                    upper: f64::INFINITY,
                    count: 1,
                },
            ],
        };
        let value = as_json(|batch| {
            batch.push("a", &[], Kind::Histogram, Unit::SECONDS, histogram);
        })["value"]
            .clone();
        assert_eq!(value["mean"], 1.5);
        assert_eq!(value["p99"], 2.0);
        assert_eq!(
            value["buckets"][1],
            json!({"lower": 2.0, "upper": null, "count": 1})
        );
    }
}
