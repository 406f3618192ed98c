//! What a sample carries: kind, unit and value.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;

/// How the values of a series relate to each other in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A level that may rise and fall.
    Gauge,
    /// A sum that only grows until it is reset.
    Counter,
    /// A distribution; its counts only grow until it is reset.
    Histogram,
    /// Words.
    Text,
}

impl Kind {
    /// The kind's name in lists and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
            Self::Text => "text",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A unit in UCUM notation as OpenTelemetry uses it: `By`, `s`, `1`, `{request}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unit(&'static str);

impl Unit {
    /// No unit is known.
    pub const NONE: Self = Self("");
    /// A ratio or a dimensionless number.
    pub const ONE: Self = Self("1");
    /// Bytes.
    pub const BYTES: Self = Self("By");
    /// Seconds.
    pub const SECONDS: Self = Self("s");
    /// Percent, 0 to 100.
    pub const PERCENT: Self = Self("%");
    /// Degrees Celsius.
    pub const CELSIUS: Self = Self("Cel");

    /// How many different units may be made at run time; a plugin that invents more gets
    /// [`Unit::NONE`]. Real units are a few dozen.
    const INTERNED_MAX: usize = 256;

    /// A unit that is known when the program is built, such as `{packet}`.
    pub const fn new(text: &'static str) -> Self {
        Self(text)
    }

    /// A unit that comes from a plugin or a file. At most 256 different ones are kept, of at most
    /// 63 bytes each; what is beyond is [`Unit::NONE`].
    pub fn intern(text: &str) -> Self {
        static KNOWN: OnceLock<Mutex<BTreeSet<&'static str>>> = OnceLock::new();
        if text.is_empty() || text.len() > 63 {
            return Self::NONE;
        }
        let Ok(mut known) = KNOWN.get_or_init(Mutex::default).lock() else {
            return Self::NONE;
        };
        if let Some(same) = known.get(text) {
            return Self(same);
        }
        if known.len() >= Self::INTERNED_MAX {
            return Self::NONE;
        }
        let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
        known.insert(kept);
        Self(kept)
    }

    /// The unit's text, empty when there is none.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

/// A value of a series at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number with a fraction.
    Float(f64),
    /// A whole number, exact over the whole range.
    Unsigned(u64),
    /// Words, at most 64 KiB (the store cuts what is longer).
    Text(Arc<str>),
    /// A distribution.
    Histogram(Arc<Histogram>),
}

impl Value {
    /// The value as a number: a histogram is its count, words are none.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            Self::Unsigned(number) => Some(*number as f64),
            Self::Histogram(histogram) => Some(histogram.count as f64),
            Self::Text(_) => None,
        }
    }
}

impl fmt::Display for Value {
    /// The value as one line: whole numbers without a fraction, a histogram as its count, sum and
    /// quantiles.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(number) => write!(formatter, "{number}"),
            Self::Unsigned(number) => write!(formatter, "{number}"),
            Self::Text(text) => formatter.write_str(text),
            Self::Histogram(histogram) => write!(formatter, "{histogram}"),
        }
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Unsigned(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Unsigned(u64::from(number))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Histogram> for Value {
    fn from(histogram: Histogram) -> Self {
        Self::Histogram(Arc::new(histogram))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_as_one_plain_word() {
        assert_eq!(Value::from(3.0).to_string(), "3");
        assert_eq!(Value::from(0.25).to_string(), "0.25");
        assert_eq!(Value::from(u64::MAX).to_string(), "18446744073709551615");
        assert_eq!(Value::from("ok").to_string(), "ok");
    }

    #[test]
    fn interned_units_are_one() {
        let first = Unit::intern("{widget}");
        assert_eq!(first, Unit::intern("{widget}"));
        assert_eq!(first.as_str(), "{widget}");
        assert_eq!(Unit::intern(&"x".repeat(64)), Unit::NONE);
    }
}
