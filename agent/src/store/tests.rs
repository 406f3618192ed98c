//! Tests of limits, expiry, rates and scans.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::clock::ManualClock;
use crate::model::{Batch, Clock, Glob, Histogram, Kind, Rate, Series, Unit, Value};

fn store(limits: StoreLimits) -> (Store, std::sync::Arc<ManualClock>) {
    let (clock, hand) = Clock::manual();
    hand.advance(Duration::from_hours(1));
    (Store::new(clock, limits), hand)
}

fn small(series: usize, series_per_source: usize) -> StoreLimits {
    StoreLimits {
        series,
        series_per_source,
        ..StoreLimits::default()
    }
}

fn gauges(names: &[&str]) -> Batch {
    let mut batch = Batch::new();
    for name in names {
        batch.gauge(name, &[], Unit::ONE, 1.0);
    }
    batch
}

fn names(readings: &[Reading]) -> Vec<&str> {
    readings
        .iter()
        .map(|reading| reading.series.as_str())
        .collect()
}

#[test]
fn zalua_29_default_and_own_and_zero_ttl() {
    let (store, hand) = store(StoreLimits::default());
    let mut batch = gauges(&["by default"]);
    batch.push_for(
        Some(Duration::from_secs(7)),
        "own",
        &[],
        Kind::Gauge,
        Unit::ONE,
        1.0,
    );
    batch.push_for(
        Some(Duration::ZERO),
        "zero",
        &[],
        Kind::Gauge,
        Unit::ONE,
        1.0,
    );
    store.put("test", &batch, None);
    assert!(store.get("zero").is_none());
    assert_eq!(store.scan(&Glob::new("*")).len(), 2);
    hand.advance(Duration::from_nanos(6_999_999_999));
    assert!(store.get("own").is_some());
    hand.advance(Duration::from_nanos(1));
    assert!(
        store.get("own").is_none(),
        "expired when now >= created + ttl"
    );
    hand.advance(Duration::from_nanos(292_999_999_999));
    assert!(store.get("by default").is_some());
    hand.advance(Duration::from_nanos(1));
    assert!(store.get("by default").is_none());
    assert!(store.scan(&Glob::new("*")).is_empty());
}

#[test]
fn a_zero_ttl_hides_what_was_there() {
    let (store, _hand) = store(StoreLimits::default());
    store.put("test", &gauges(&["a"]), None);
    assert!(store.get("a").is_some());
    store.put("test", &gauges(&["a"]), Some(Duration::ZERO));
    assert!(store.get("a").is_none());
}

#[test]
fn the_cap_refuses_new_series_and_keeps_live_ones() {
    let (store, _hand) = store(small(3, 100));
    store.put("one", &gauges(&["a", "b"]), None);
    store.put("two", &gauges(&["c", "d", "e"]), None);
    store.put("one", &gauges(&["a", "b", "f"]), None);
    assert_eq!(names(&store.scan(&Glob::new("*"))), ["a", "b", "c"]);
    let status = store.status();
    assert_eq!((status.series, status.refused, status.samples), (3, 3, 8));
    assert_eq!(status.worst_source, Some(("two".into(), 2)));
}

#[test]
fn one_source_cannot_take_the_room_of_all() {
    let (store, _hand) = store(small(100, 2));
    store.put("greedy", &gauges(&["a", "b", "c", "d"]), None);
    store.put("modest", &gauges(&["e"]), None);
    assert_eq!(names(&store.scan(&Glob::new("*"))), ["a", "b", "e"]);
    assert_eq!(store.status().worst_source, Some(("greedy".into(), 2)));
    assert_eq!(store.remove_source("greedy"), 2);
    assert_eq!(store.remove_source("unheard of"), 0);
    store.put("greedy", &gauges(&["c", "d"]), None);
    assert_eq!(names(&store.scan(&Glob::new("*"))), ["c", "d", "e"]);
    assert_eq!(store.status().series, 3);
}

#[test]
fn room_of_expired_series_is_found_when_it_is_needed() {
    let (store, hand) = store(small(2, 2));
    store.put("test", &gauges(&["a", "b"]), Some(Duration::from_secs(5)));
    hand.advance(Duration::from_secs(5));
    store.put("test", &gauges(&["c", "d"]), None);
    assert_eq!(names(&store.scan(&Glob::new("*"))), ["c", "d"]);
    let status = store.status();
    assert_eq!((status.series, status.expired, status.refused), (2, 2, 0));
}

#[test]
fn expiry_takes_out_what_is_over_and_nothing_else() {
    let (store, hand) = store(StoreLimits::default());
    let mut batch = Batch::new();
    for index in 0..1000_u64 {
        let ttl = Duration::from_secs(1 + index % 10);
        batch.push_for(
            Some(ttl),
            &format!("s{index}"),
            &[],
            Kind::Gauge,
            Unit::ONE,
            1.0,
        );
    }
    store.put("test", &batch, None);
    assert_eq!(store.expire(), 0);
    for second in 1..=10 {
        hand.advance(Duration::from_secs(1));
        assert_eq!(store.expire(), 100, "second {second}");
        assert_eq!(store.expire(), 0);
        let left = 1000 - second * 100;
        assert_eq!(store.status().series, left);
        assert_eq!(store.scan(&Glob::new("*")).len(), left);
    }
    // Places are used again.
    store.put("test", &batch, None);
    assert_eq!(store.scan(&Glob::new("s*")).len(), 1000);
}

#[test]
fn a_shortened_ttl_counts_from_then_on() {
    let (store, hand) = store(StoreLimits::default());
    store.put("test", &gauges(&["a"]), Some(Duration::from_hours(1)));
    assert_eq!(store.expire(), 0);
    store.put("test", &gauges(&["a"]), Some(Duration::from_secs(1)));
    hand.advance(Duration::from_secs(1));
    assert!(store.get("a").is_none());
    assert_eq!(store.expire(), 1);
}

#[test]
fn texts_are_cut_between_characters_and_histograms_bounded() {
    let (store, _hand) = store(StoreLimits {
        text_bytes: 5,
        ..StoreLimits::default()
    });
    let mut batch = Batch::new();
    batch.text("short", &[], "fünf");
    batch.text("long", &[], "grünes");
    batch.text("edge", &[], "abcdé");
    let bucket = model_bucket();
    let histogram = |count: usize| Histogram {
        count: 1,
        sum: 1.0,
        buckets: vec![bucket; count],
    };
    batch.push("small", &[], Kind::Histogram, Unit::SECONDS, histogram(512));
    batch.push("huge", &[], Kind::Histogram, Unit::SECONDS, histogram(513));
    store.put("test", &batch, None);
    assert_eq!(store.get("short").unwrap().value, Value::from("fünf"));
    assert_eq!(store.get("long").unwrap().value, Value::from("grün"));
    assert_eq!(store.get("edge").unwrap().value, Value::from("abcd"));
    assert!(store.get("small").is_some());
    assert!(store.get("huge").is_none());
    let status = store.status();
    assert_eq!((status.cut, status.refused), (2, 1));
}

fn model_bucket() -> crate::model::histogram::Bucket {
    crate::model::histogram::Bucket {
        lower: 1.0,
        upper: 2.0,
        count: 1,
    }
}

#[test]
fn counters_have_rates_and_resets_are_counted() {
    let (store, hand) = store(StoreLimits::default());
    let put = |value: u64| {
        let mut batch = Batch::new();
        batch.counter("packets", &[], Unit::new("{packet}"), value);
        store.put("test", &batch, None);
    };
    put(100);
    assert_eq!(store.rate("packets"), Some(Rate::Unknown));
    hand.advance(Duration::from_secs(10));
    put(200);
    assert_eq!(store.rate("packets"), Some(Rate::PerSecond(10.0)));
    assert_eq!(store.get("packets").unwrap().rate, Rate::PerSecond(10.0));
    hand.advance(Duration::from_secs(10));
    put(5);
    assert_eq!(store.rate("packets"), Some(Rate::Unknown));
    assert_eq!(store.status().resets, 1);
    hand.advance(Duration::from_secs(10));
    put(25);
    assert_eq!(store.rate("packets"), Some(Rate::PerSecond(2.0)));
    assert_eq!(store.rate("absent"), None);
    // What is no counter any more has no rate.
    store.put("test", &gauges(&["packets"]), None);
    assert_eq!(store.rate("packets"), Some(Rate::Unknown));
    let reading = store.get("packets").unwrap();
    assert_eq!((reading.kind, reading.unit), (Kind::Gauge, Unit::ONE));
}

#[test]
fn one_value_can_be_put_alone() {
    let (store, _hand) = store(small(1, 1));
    let series = Series::new("a", &[("b", "c")]).unwrap();
    assert!(store.put_one("test", &series, Kind::Text, Unit::NONE, "x", None));
    assert_eq!(store.get("a{b=\"c\"}").unwrap().value, Value::from("x"));
    let other = Series::new("other", &[]).unwrap();
    assert!(!store.put_one("test", &other, Kind::Text, Unit::NONE, "x", None));
    let shown = store.with("a{b=\"c\"}", |reading| reading.source.to_owned());
    assert_eq!(shown.as_deref(), Some("test"));
}

#[test]
fn one_series_can_be_taken_out_and_its_room_used_again() {
    let (store, hand) = store(small(100, 2));
    store.put("plugin:a", &gauges(&["a", "b"]), None);
    store.put("plugin:b", &gauges(&["c"]), None);
    assert!(store.remove("a"));
    assert!(!store.remove("a"), "it is gone");
    assert!(!store.remove("never there"));
    assert!(store.get("a").is_none());
    assert_eq!(names(&store.scan(&Glob::new("*"))), ["b", "c"]);
    assert_eq!(store.status().series, 2);
    // The room is that of its own source.
    store.put("plugin:a", &gauges(&["d"]), None);
    store.put("plugin:a", &gauges(&["e"]), None);
    assert_eq!(names(&store.scan(&Glob::new("*"))), ["b", "c", "d"]);
    assert_eq!(store.status().refused, 1);
    hand.advance(Duration::from_mins(5));
    assert!(!store.remove("b"), "it had expired");
    assert_eq!((store.status().series, store.status().expired), (2, 1));
    assert_eq!(store.expire(), 2, "nothing is counted twice");
    assert_eq!(store.status().series, 0);
}

#[test]
fn a_value_can_be_put_back_with_its_age() {
    let (store, hand) = store(StoreLimits::default());
    let series = Series::new("a", &[("b", "c")]).unwrap();
    let value = (Kind::Gauge, Unit::ONE, Value::from(1.5));
    let (age, left) = (Duration::from_secs(100), Duration::from_secs(200));
    assert!(store.put_back("zalua", &series, value, age, left));
    let reading = store.get("a{b=\"c\"}").unwrap();
    assert_eq!(store.clock().now().since(reading.at), age);
    assert_eq!(reading.expires.since(store.clock().now()), left);
    hand.advance(left);
    assert!(store.get("a{b=\"c\"}").is_none());
}

#[test]
fn scans_find_by_prefix_and_by_wildcards() {
    let (store, _hand) = store(StoreLimits::default());
    let mut batch = Batch::new();
    for device in 0..700 {
        let device = format!("d{device}");
        for name in ["disk.io", "disk.time", "net.io"] {
            batch.gauge(name, &[("device", &device)], Unit::ONE, 1.0);
        }
    }
    store.put("test", &batch, None);
    for (pattern, count) in [
        ("*", 2100),
        ("disk.*", 1400),
        ("*.io{*", 1400),
        ("disk.io{device=\"d7\"}", 1),
        ("disk.io{device=\"d7*", 11),
        ("*{device=\"d69?\"}", 30),
        ("nothing*", 0),
        ("", 0),
    ] {
        let readings = store.scan(&Glob::new(pattern));
        assert_eq!(readings.len(), count, "{pattern}");
        assert!(readings.is_sorted_by(|one, two| one.series < two.series));
    }
}

#[test]
fn the_store_says_how_it_is() {
    let (store, _hand) = store(small(2, 100));
    store.put("one", &gauges(&["a", "b", "c"]), None);
    let mut batch = Batch::new();
    store.observe(&mut batch);
    let lines: Vec<String> = batch
        .iter()
        .map(|sample| format!("{} {}", sample.series.as_str(), sample.value))
        .collect();
    for line in [
        "moonward.store.series 2",
        "moonward.store.series.limit 2",
        "moonward.store.samples 3",
        "moonward.store.refused{source=\"one\"} 1",
        "moonward.store.source.series{source=\"one\"} 2",
    ] {
        assert!(lines.iter().any(|found| found == line), "{lines:#?}");
    }
}

#[test]
fn endless_sources_share_one_limit() {
    let (store, _hand) = store(small(100_000, 10));
    for index in 0..5000 {
        store.put(
            &format!("source {index}"),
            &gauges(&[&format!("s{index}")]),
            None,
        );
    }
    let status = store.status();
    assert_eq!(status.series, 4096 + 10);
    assert_eq!(status.worst_source.unwrap().0, "(other sources)");
}

#[test]
fn many_threads_keep_the_books_straight() {
    let (store, hand) = store(small(500, 200));
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (store, hand) = (store.clone(), std::sync::Arc::clone(&hand));
            scope.spawn(move || {
                let source = format!("source {}", thread % 3);
                for round in 0..200_u64 {
                    let mut batch = Batch::new();
                    for index in 0..20 {
                        let name = format!("s{}", (round * 7 + index * 13 + thread) % 900);
                        batch.counter(&name, &[], Unit::ONE, round);
                    }
                    store.put(&source, &batch, Some(Duration::from_secs(round % 4)));
                    if round % 16 == 0 {
                        hand.advance(Duration::from_secs(1));
                        store.expire();
                        store.scan(&Glob::new("s1*"));
                        store.remove_source("source 2");
                        store.remove(&format!("s{}", round % 900));
                    }
                }
            });
        }
    });
    hand.advance(Duration::from_secs(10));
    while store.expire() > 0 {}
    assert_eq!(store.status().series, 0);
    let mut batch = Batch::new();
    store.observe(&mut batch);
    for sample in batch.iter() {
        if sample.series.name() == "moonward.store.source.series" {
            assert_eq!(
                sample.value,
                &Value::Unsigned(0),
                "{}",
                sample.series.as_str()
            );
        }
    }
}

proptest! {
    /// The store against the plainest map.
    #[test]
    fn it_does_what_a_plain_map_does(
        steps in proptest::collection::vec((0_u8..5, "[ab]{1,3}", 0_u64..5), 1..80)
    ) {
        let (store, hand) = store(StoreLimits::default());
        let mut plain = std::collections::BTreeMap::new();
        for (what, name, number) in steps {
            match what {
                0 | 1 => {
                    let mut batch = Batch::new();
                    batch.gauge(&name, &[], Unit::ONE, number);
                    store.put("test", &batch, Some(Duration::from_secs(number)));
                    let expires = store.clock().now() + Duration::from_secs(number);
                    plain.insert(name, (number, expires));
                }
                2 => hand.advance(Duration::from_secs(1)),
                3 => {
                    let there = plain
                        .remove(&name)
                        .is_some_and(|(_, expires)| expires > store.clock().now());
                    prop_assert_eq!(store.remove(&name), there);
                }
                _ => {
                    store.expire();
                }
            }
            let now = store.clock().now();
            for pattern in ["*", "a*", "ab", "?b*"] {
                let glob = Glob::new(pattern);
                let found: Vec<(String, Value)> = store
                    .scan(&glob)
                    .into_iter()
                    .map(|reading| (reading.series.to_string(), reading.value))
                    .collect();
                let expected: Vec<(String, Value)> = plain
                    .iter()
                    .filter(|(name, (_, expires))| *expires > now && glob.matches(name))
                    .map(|(name, (number, _))| (name.clone(), Value::Unsigned(*number)))
                    .collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
