//! A log-linear histogram of durations: 8 sub-buckets to an octave from 1.024 µs to 68.7 s.
//!
//! Bucket 0 takes everything below [`LOWEST`], the last one everything from [`HIGHEST`] on, so a
//! value is never dropped. Count and sum are exact. In between, a bucket is an eighth of its
//! octave wide, so its middle is at most 1/16 = 6.25 % away from any value in it.

/// Sub-buckets to an octave, as a power of two.
const SUB_BITS: u32 = 3;
/// The first octave starts at 2^10 ns = 1.024 µs.
const FIRST_OCTAVE: u32 = 10;
/// The last octave ends at 2^36 ns = 68.7 s.
const END_OCTAVE: u32 = 36;

/// The smallest duration with a bucket of its own, in nanoseconds.
pub const LOWEST: u64 = 1 << FIRST_OCTAVE;
/// The first duration that only the last bucket holds, in nanoseconds.
pub const HIGHEST: u64 = 1 << END_OCTAVE;
/// How many buckets there are: 26 octaves of 8, one below, one above.
pub const BUCKETS: usize = (((END_OCTAVE - FIRST_OCTAVE) << SUB_BITS) + 2) as usize;

/// A histogram as the programs keep it: one per CPU, read with one system call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Histogram {
    /// How many durations were recorded.
    pub count: u64,
    /// Their exact sum in nanoseconds.
    pub sum: u64,
    /// How many lie in each bucket; see [`lower_bound`] and [`upper_bound`].
    pub buckets: [u64; BUCKETS],
}

impl Histogram {
    /// A histogram that holds nothing.
    pub const EMPTY: Self = Self {
        count: 0,
        sum: 0,
        buckets: [0; BUCKETS],
    };

    /// Records one duration in nanoseconds.
    #[inline(always)]
    pub fn record(&mut self, ns: u64) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(ns);
        count_in(&mut self.buckets, ns);
    }

    /// Adds another histogram, for example that of the next CPU.
    pub fn add(&mut self, other: &Self) {
        self.count = self.count.wrapping_add(other.count);
        self.sum = self.sum.wrapping_add(other.sum);
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine = mine.wrapping_add(*theirs);
        }
    }
}

/// Counts `ns` in its bucket.
#[inline(always)]
pub fn count_in(buckets: &mut [u64; BUCKETS], ns: u64) {
    let index = bucket_of(ns);
    // The compiler can prove the index in range and would drop the check below; the kernel's
    // verifier cannot and needs it. Hence the value is hidden from the compiler's reasoning.
    #[cfg(target_arch = "bpf")]
    // SAFETY: a volatile read of a live local.
    let index = unsafe { core::ptr::read_volatile(&index) };
    if let Some(bucket) = buckets.get_mut(index) {
        *bucket = bucket.wrapping_add(1);
    }
}

/// The bucket that holds `ns`; always below [`BUCKETS`].
#[inline(always)]
pub const fn bucket_of(ns: u64) -> usize {
    if ns < LOWEST {
        return 0;
    }
    if ns >= HIGHEST {
        return BUCKETS - 1;
    }
    let octave = 63 - ns.leading_zeros();
    let sub = (ns >> (octave - SUB_BITS)) & ((1 << SUB_BITS) - 1);
    1 + (((octave - FIRST_OCTAVE) << SUB_BITS) as usize) + sub as usize
}

/// The smallest duration in the bucket, in nanoseconds; that of the last bucket for anything
/// beyond it.
pub const fn lower_bound(bucket: usize) -> u64 {
    if bucket == 0 {
        return 0;
    }
    if bucket >= BUCKETS - 1 {
        return HIGHEST;
    }
    let place = (bucket - 1) as u64;
    let octave = FIRST_OCTAVE as u64 + (place >> SUB_BITS);
    let sub = place & ((1 << SUB_BITS) - 1);
    (1 << octave) + (sub << (octave - SUB_BITS as u64))
}

/// The first duration above the bucket, in nanoseconds; `None` for the last, which has no end.
pub const fn upper_bound(bucket: usize) -> Option<u64> {
    if bucket >= BUCKETS - 1 {
        None
    } else {
        Some(lower_bound(bucket + 1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ends_are_where_they_should_be() {
        assert_eq!(BUCKETS, 210);
        assert_eq!(bucket_of(0), 0);
        assert_eq!(bucket_of(LOWEST - 1), 0);
        assert_eq!(bucket_of(LOWEST), 1);
        assert_eq!(bucket_of(HIGHEST - 1), BUCKETS - 2);
        assert_eq!(bucket_of(HIGHEST), BUCKETS - 1);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert_eq!((LOWEST, HIGHEST), (1_024, 68_719_476_736));
    }

    #[test]
    fn buckets_meet_without_gap() {
        for bucket in 0..BUCKETS - 1 {
            let upper = upper_bound(bucket).unwrap();
            assert_eq!(upper, lower_bound(bucket + 1));
            assert_eq!(bucket_of(lower_bound(bucket)), bucket);
            assert_eq!(bucket_of(upper - 1), bucket);
            assert_eq!(bucket_of(upper), bucket + 1);
        }
        assert_eq!(upper_bound(BUCKETS - 1), None);
    }

    #[test]
    fn folds_exactly_to_powers_of_two() {
        for octave in FIRST_OCTAVE..=END_OCTAVE {
            let edge = 1_u64 << octave;
            assert_eq!(lower_bound(bucket_of(edge)), edge);
        }
    }

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket(ns: u64) {
            let bucket = bucket_of(ns);
            prop_assert!(bucket < BUCKETS);
            prop_assert!(lower_bound(bucket) <= ns);
            if let Some(upper) = upper_bound(bucket) {
                prop_assert!(ns < upper);
            }
        }

        #[test]
        fn the_middle_is_at_most_a_sixteenth_off(ns in LOWEST..HIGHEST) {
            let bucket = bucket_of(ns);
            let middle = (lower_bound(bucket) + upper_bound(bucket).unwrap()) / 2;
            let error = middle.abs_diff(ns) as f64 / ns as f64;
            prop_assert!(error <= 0.0625, "{ns} in {bucket}: {error}");
        }

        #[test]
        fn an_estimated_quantile_is_as_close_as_its_bucket(
            mut values in prop::collection::vec(LOWEST..HIGHEST, 1..200),
            quantile in 0.0..1.0_f64,
        ) {
            let mut histogram = Histogram::EMPTY;
            for value in &values {
                histogram.record(*value);
            }
            values.sort_unstable();
            let rank = ((quantile * values.len() as f64).ceil() as usize).max(1);
            let exact = values[rank - 1];
            let mut seen = 0;
            let bucket = histogram
                .buckets
                .iter()
                .position(|count| {
                    seen += count;
                    seen >= rank as u64
                })
                .unwrap();
            let middle = (lower_bound(bucket) + upper_bound(bucket).unwrap()) / 2;
            prop_assert!(middle.abs_diff(exact) as f64 <= exact as f64 * 0.0625);
            prop_assert_eq!(histogram.count, values.len() as u64);
            prop_assert_eq!(histogram.sum, values.iter().sum::<u64>());
        }
    }
}
