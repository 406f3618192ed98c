use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::clock::ManualClock;
use crate::model::histogram::Bucket;
use crate::model::{Clock, Glob, Kind, Unit};
use crate::store::StoreLimits;

fn store() -> (Store, Arc<ManualClock>) {
    let (clock, hand) = Clock::manual();
    hand.advance(Duration::from_hours(1));
    (Store::new(clock, StoreLimits::default()), hand)
}

fn series(name: &str) -> Series {
    Series::parse(name).unwrap()
}

fn put(store: &Store, name: &str, value: impl Into<Value>) {
    let ttl = Some(Duration::from_mins(1));
    store.put_one("test", &series(name), Kind::Gauge, Unit::ONE, value, ttl);
}

fn values(store: &Store, name: &str) -> Vec<f64> {
    let points = store.history(&series(name), None).unwrap();
    points.iter().map(|point| point.value).collect()
}

#[test]
fn a_past_begins_with_the_first_question() {
    let (store, hand) = store();
    put(&store, "a", 1.0);
    hand.advance(Duration::from_secs(10));
    put(&store, "a", 2.0);
    assert_eq!(values(&store, "a"), [2.0]);
    for number in 3..6 {
        hand.advance(Duration::from_secs(10));
        put(&store, "a", f64::from(number));
        put(&store, "b", 9.0);
    }
    assert_eq!(values(&store, "a"), [2.0, 3.0, 4.0, 5.0]);
    assert_eq!(values(&store, "b"), [9.0]);
    let young = store.history(&series("a"), Some(Duration::from_secs(10)));
    assert_eq!(young.unwrap().len(), 2);
}

#[test]
fn a_series_that_comes_later_or_comes_back_is_kept_too() {
    let (store, hand) = store();
    assert_eq!(values(&store, "late"), [0.0; 0]);
    put(&store, "late", 1.0);
    hand.advance(Duration::from_mins(2));
    store.visit(&Glob::new("*"), |_| panic!("it has expired"));
    while store.expire() > 0 {}
    put(&store, "late", 2.0);
    hand.advance(Duration::from_secs(1));
    put(&store, "late", "words");
    assert_eq!(values(&store, "late"), [1.0, 2.0]);
}

#[test]
fn what_nobody_asks_for_is_dropped() {
    let (store, hand) = store();
    put(&store, "a", 1.0);
    put(&store, "b", 1.0);
    values(&store, "a");
    values(&store, "b");
    hand.advance(Duration::from_mins(50));
    values(&store, "b");
    hand.advance(Duration::from_mins(20));
    put(&store, "a", 2.0);
    put(&store, "b", 2.0);
    store.expire();
    put(&store, "a", 3.0);
    assert_eq!(store.inner.histories.count.load(Ordering::Relaxed), 1);
    assert_eq!(values(&store, "b"), [1.0, 2.0]);
    assert_eq!(values(&store, "a"), [3.0], "begun anew");
}

#[test]
fn points_and_series_are_bounded() {
    let (store, hand) = store();
    values(&store, "a");
    for number in 0..POINTS_MAX + 5 {
        hand.advance(Duration::from_secs(1));
        put(&store, "a", number as f64);
    }
    let kept = values(&store, "a");
    assert_eq!((kept.len(), kept[0]), (POINTS_MAX, 5.0));
    for number in 1..SERIES_MAX {
        values(&store, &format!("s{number}"));
    }
    let refused = store.history(&series("one.more"), None);
    assert_eq!(refused, Err(HistoryError::Full));
    hand.advance(UNASKED);
    assert!(store.history(&series("one.more"), None).is_ok());
    assert_eq!(store.inner.histories.count.load(Ordering::Relaxed), 1);
}

fn histogram(count: u64) -> Value {
    Value::from(Histogram {
        count,
        sum: count as f64,
        buckets: vec![Bucket {
            lower: 1.0,
            upper: 2.0,
            count,
        }],
    })
}

#[test]
fn the_histogram_of_some_time_ago_is_found() {
    let (store, hand) = store();
    let of = |age: u64| {
        let found = store.histogram_before(&series("h"), Duration::from_secs(age));
        found.unwrap().map(|(histogram, at)| {
            let age = store.clock().now().since(at).as_secs();
            (histogram.count, age)
        })
    };
    put(&store, "h", histogram(1));
    assert_eq!(of(60), None);
    for count in 2..=10 {
        hand.advance(Duration::from_secs(10));
        put(&store, "h", histogram(count));
    }
    assert_eq!(of(30), Some((7, 30)));
    assert_eq!(of(35), Some((6, 40)));
    assert_eq!(of(3600), Some((1, 90)), "the oldest there is");
    assert_eq!(values(&store, "h").len(), 10);
    for number in 1..HISTOGRAM_SERIES_MAX {
        let series = series(&format!("h{number}"));
        store.histogram_before(&series, UNASKED).unwrap();
    }
    let refused = store.histogram_before(&series("one.more"), UNASKED);
    assert_eq!(refused.unwrap_err(), HistoryError::HistogramsFull);
    assert!(store.history(&series("one.more"), None).is_ok());
}

#[test]
fn a_value_that_is_removed_leaves_its_past() {
    let (store, hand) = store();
    put(&store, "a", 1.0);
    values(&store, "a");
    store.remove("a");
    hand.advance(Duration::from_secs(1));
    put(&store, "a", 2.0);
    assert_eq!(values(&store, "a"), [1.0, 2.0]);
}

proptest! {
    #[test]
    fn the_past_is_what_was_put(numbers in proptest::collection::vec(-1e9_f64..1e9, 0..60)) {
        let (store, hand) = store();
        values(&store, "a");
        for number in &numbers {
            hand.advance(Duration::from_secs(1));
            put(&store, "a", *number);
        }
        prop_assert_eq!(values(&store, "a"), numbers);
    }
}
