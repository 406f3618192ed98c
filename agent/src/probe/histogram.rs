//! The programs' histograms, in nanoseconds, as those of the model, in seconds.

use moonward_ebpf::histogram::{Histogram as Kernel, lower_bound, upper_bound};

use crate::model::Histogram;
use crate::model::histogram::Bucket;

/// Count and sum stay exact (the sum to the precision of a float); empty buckets are left out.
pub(super) fn in_seconds(kernel: &Kernel) -> Histogram {
    let seconds = |nanoseconds: u64| nanoseconds as f64 / 1e9;
    Histogram {
        count: kernel.count,
        sum: seconds(kernel.sum),
        buckets: kernel
            .buckets
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(bucket, count)| Bucket {
                lower: seconds(lower_bound(bucket)),
                upper: upper_bound(bucket).map_or(f64::INFINITY, seconds),
                count: *count,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_comes_out_in_seconds() {
        let mut kernel = Kernel::EMPTY;
        for nanoseconds in [500, 1_000_000, 1_000_000, 100_000_000_000] {
            kernel.record(nanoseconds);
        }
        let histogram = in_seconds(&kernel);
        assert_eq!(histogram.count, 4);
        assert!((histogram.sum - 100.002_000_5).abs() < 1e-9);
        assert_eq!(histogram.buckets.len(), 3);
        assert_eq!(histogram.buckets[1].count, 2);
        assert!(histogram.buckets[1].lower <= 1e-3 && 1e-3 < histogram.buckets[1].upper);
        assert!(histogram.buckets[2].upper.is_infinite());
        let median = histogram.quantile(0.5).unwrap();
        assert!((median - 1e-3).abs() <= 1e-3 * 0.0625, "{median}");
    }
}
