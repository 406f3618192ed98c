//! A histogram of the store as Prometheus wants it: cumulative, with the same bounds every time.
//!
//! The store has 8 buckets to an octave and keeps those that hold something. Shown is one bound to
//! an octave, whether there is anything below it or not: a set of bounds that changed from one
//! scrape to the next would spoil every rate over it, and all 210 of them would make a scrape of a
//! host with ten disks ten thousand lines longer. For durations the bounds are the powers of two of
//! nanoseconds from 4.096 µs to 68.7 s, which are bounds of the kernel's own buckets, so the counts
//! are exact; for other units they are the powers of four from 1 to 4^20. What a bucket holds that
//! reaches over a bound is counted at the next one.
//!
//! The store's bounds exclude the upper end, those of Prometheus include it; a value that lies on
//! a bound to the nanosecond is counted one bucket too high.

use std::sync::OnceLock;

use super::line::{float, whole};
use crate::model::Histogram;

/// A bound as number and as text.
type Bound = (f64, Vec<u8>);

fn bounds(is_duration: bool) -> &'static [Bound] {
    static DURATIONS: OnceLock<Vec<Bound>> = OnceLock::new();
    static OTHERS: OnceLock<Vec<Bound>> = OnceLock::new();
    let with_text = |bound: f64| {
        let mut text = Vec::new();
        float(&mut text, bound);
        (bound, text)
    };
    if is_duration {
        DURATIONS.get_or_init(|| {
            // The same division as where nanoseconds become seconds, so equal to the last bit.
            let seconds = |power: u32| (1_u64 << power) as f64 / 1e9;
            (12..=36).map(seconds).map(with_text).collect()
        })
    } else {
        OTHERS.get_or_init(|| {
            let power = |power: u32| (1_u64 << (2 * power)) as f64;
            (0..=20).map(power).map(with_text).collect()
        })
    }
}

/// Writes every line of one histogram; gives where the labels stand first, and how many lines
/// there are.
pub(super) fn lines(
    out: &mut Vec<u8>,
    name: &str,
    labels: &[u8],
    is_duration: bool,
    histogram: &Histogram,
) -> (std::ops::Range<usize>, u32) {
    let bounds = bounds(is_duration);
    let mut buckets = histogram.buckets.iter().peekable();
    let mut below = 0_u64;
    let mut first = None;
    for (bound, text) in bounds {
        while let Some(bucket) = buckets.next_if(|bucket| bucket.upper <= *bound) {
            below = below.saturating_add(bucket.count);
        }
        // Count and buckets are not read in one instant.
        let at = bucket(out, name, labels, text, below.min(histogram.count));
        first.get_or_insert(at);
    }
    bucket(out, name, labels, b"+Inf", histogram.count);
    begin(out, name, b"_sum", labels);
    float(out, histogram.sum);
    out.push(b'\n');
    begin(out, name, b"_count", labels);
    whole(out, histogram.count);
    out.push(b'\n');
    let lines = u32::try_from(bounds.len()).unwrap_or(0) + 3;
    (first.unwrap_or_default(), lines)
}

fn bucket(
    out: &mut Vec<u8>,
    name: &str,
    labels: &[u8],
    bound: &[u8],
    count: u64,
) -> std::ops::Range<usize> {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"_bucket{");
    let start = out.len();
    out.extend_from_slice(labels);
    let end = out.len();
    if start != end {
        out.push(b',');
    }
    out.extend_from_slice(b"le=\"");
    out.extend_from_slice(bound);
    out.extend_from_slice(b"\"} ");
    whole(out, count);
    out.push(b'\n');
    start..end
}

fn begin(out: &mut Vec<u8>, name: &str, suffix: &[u8], labels: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(suffix);
    if !labels.is_empty() {
        out.push(b'{');
        out.extend_from_slice(labels);
        out.push(b'}');
    }
    out.push(b' ');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::histogram::Bucket;

    fn bucket(lower: f64, upper: f64, count: u64) -> Bucket {
        Bucket {
            lower,
            upper,
            count,
        }
    }

    fn text(is_duration: bool, histogram: &Histogram) -> Vec<String> {
        let mut out = Vec::new();
        let (labels, lines_written) = lines(&mut out, "h", b"a=\"b\"", is_duration, histogram);
        assert_eq!(&out[labels], b"a=\"b\"");
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), lines_written as usize);
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn buckets_add_up_to_the_count() {
        let nanoseconds = |power: u32| (1_u64 << power) as f64 / 1e9;
        let lines = text(
            true,
            &Histogram {
                count: 10,
                sum: 0.5,
                buckets: vec![
                    bucket(0.0, nanoseconds(10), 1),
                    bucket(nanoseconds(20) * 7.0 / 8.0, nanoseconds(20), 5),
                    bucket(nanoseconds(20), nanoseconds(20) * 9.0 / 8.0, 3),
                    bucket(nanoseconds(36), f64::INFINITY, 1),
                ],
            },
        );
        assert_eq!(lines.len(), 28);
        assert_eq!(lines[0], "h_bucket{a=\"b\",le=\"4.096e-6\"} 1");
        assert_eq!(lines[8], "h_bucket{a=\"b\",le=\"0.001048576\"} 6");
        assert_eq!(lines[9], "h_bucket{a=\"b\",le=\"0.002097152\"} 9");
        assert_eq!(lines[24], "h_bucket{a=\"b\",le=\"68.719476736\"} 9");
        assert_eq!(lines[25], "h_bucket{a=\"b\",le=\"+Inf\"} 10");
        assert_eq!(lines[26], "h_sum{a=\"b\"} 0.5");
        assert_eq!(lines[27], "h_count{a=\"b\"} 10");
    }

    #[test]
    fn a_count_that_is_behind_its_buckets_bounds_them() {
        let lines = text(
            false,
            &Histogram {
                count: 2,
                sum: 9.0,
                buckets: vec![bucket(1.0, 2.0, 3)],
            },
        );
        assert_eq!(lines[0], "h_bucket{a=\"b\",le=\"1\"} 0");
        assert_eq!(lines[1], "h_bucket{a=\"b\",le=\"4\"} 2");
        assert_eq!(lines[20], "h_bucket{a=\"b\",le=\"1099511627776\"} 2");
    }
}
