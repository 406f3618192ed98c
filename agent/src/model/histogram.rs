//! A distribution with log-linear buckets: 8 to an octave, so an estimate is at most 6.25 % off.
//!
//! The bucket layout belongs to the programs in the kernel that fill most of them; a histogram
//! here keeps only the buckets that hold something.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A distribution with exact count and sum. Bounds and sum are in the unit of its series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many values were recorded.
    pub count: u64,
    /// The exact sum of the values.
    pub sum: f64,
    /// The buckets that hold something, by rising bound.
    pub buckets: Vec<Bucket>,
}

/// How many values lie in `lower..upper`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// The smallest value of the bucket.
    pub lower: f64,
    /// The first value above the bucket; infinite for the last bucket of a layout.
    pub upper: f64,
    /// How many values lie in it.
    pub count: u64,
}

impl Histogram {
    /// The mean, unless nothing was recorded.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// What was recorded since `earlier`, a histogram of the same series; `None` when there is less
    /// now in any bucket, because the series began anew in between.
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        let count = self.count.checked_sub(earlier.count)?;
        let mut buckets = Vec::with_capacity(self.buckets.len());
        let mut before = earlier.buckets.iter().peekable();
        for bucket in &self.buckets {
            let mut grown = bucket.count;
            if let Some(old) = before.peek() {
                if old.lower < bucket.lower {
                    return None;
                }
                if old.lower <= bucket.lower {
                    grown = grown.checked_sub(old.count)?;
                    before.next();
                }
            }
            if grown > 0 {
                buckets.push(Bucket {
                    count: grown,
                    ..*bucket
                });
            }
        }
        before.next().is_none().then_some(Self {
            count,
            sum: if count == 0 {
                0.0
            } else {
                self.sum - earlier.sum
            },
            buckets,
        })
    }

    /// The value below which the fraction `quantile` (0 to 1) of all values lies, taken from the
    /// middle of its bucket; `None` when nothing was recorded.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let total: u64 = self.buckets.iter().map(|bucket| bucket.count).sum();
        let rank = (quantile.clamp(0.0, 1.0) * total as f64).ceil().max(1.0);
        let mut seen = 0_u64;
        for bucket in &self.buckets {
            seen += bucket.count;
            if seen as f64 >= rank {
                let upper = if bucket.upper.is_finite() {
                    bucket.upper
                } else {
                    bucket.lower
                };
                return Some(f64::midpoint(bucket.lower, upper));
            }
        }
        None
    }
}

impl fmt::Display for Histogram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "count={} sum={}", self.count, self.sum)?;
        for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
            if let Some(value) = self.quantile(quantile) {
                write!(formatter, " {name}={value}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Histogram {
        Histogram {
            count: 10,
            sum: 40.0,
            buckets: vec![
                Bucket {
                    lower: 1.0,
                    upper: 2.0,
                    count: 5,
                },
                Bucket {
                    lower: 4.0,
                    upper: 6.0,
                    count: 4,
                },
                Bucket {
                    lower: 8.0,
                    upper: f64::INFINITY,
                    count: 1,
                },
            ],
        }
    }

    #[test]
    fn quantiles_come_from_the_right_bucket() {
        let histogram = three();
        assert_eq!(histogram.quantile(0.0), Some(1.5));
        assert_eq!(histogram.quantile(0.5), Some(1.5));
        assert_eq!(histogram.quantile(0.51), Some(5.0));
        assert_eq!(histogram.quantile(1.0), Some(8.0));
        assert_eq!(histogram.mean(), Some(4.0));
    }

    #[test]
    fn the_difference_is_what_was_recorded_in_between() {
        let earlier = three();
        let mut later = three();
        later.count += 4;
        later.sum += 30.0;
        later.buckets[1].count += 3;
        later.buckets.insert(
            2,
            Bucket {
                lower: 6.0,
                upper: 8.0,
                count: 1,
            },
        );
        let between = later.since(&earlier).unwrap();
        assert_eq!((between.count, between.sum), (4, 30.0));
        assert_eq!(between.buckets.len(), 2);
        assert_eq!(between.quantile(1.0), Some(7.0));
        assert_eq!(later.since(&Histogram::default()), Some(later.clone()));
        assert_eq!(earlier.since(&earlier).unwrap().buckets, []);
        // It began anew.
        assert_eq!(earlier.since(&later), None);
        let mut other = three();
        other.count = 20;
        other.buckets.remove(0);
        assert_eq!(other.since(&earlier), None);
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert_eq!(Histogram::default().mean(), None);
        assert_eq!(Histogram::default().to_string(), "count=0 sum=0");
    }
}
