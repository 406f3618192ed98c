//! The registry without Lua.

use std::time::Duration;

use super::registry::{Change, SERIES_OF_ONE_MAX};
use super::{Kind, Options, Registry, TTL};
use crate::model::Clock;
use crate::store::{Store, StoreLimits};

fn options(name: &str, labels: &[&str]) -> Options {
    Options {
        name: name.to_owned(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        ..Options::default()
    }
}

fn label(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

#[test]
fn series_are_renewed_while_their_script_runs_and_gone_after_it() {
    let (clock, hand) = Clock::manual();
    let store = Store::new(clock, StoreLimits::default());
    let registry = Registry::new(store.clone());
    let value = |series: &str| store.get(series).and_then(|reading| reading.value.as_f64());
    let (one, two) = (registry.begin(), registry.begin());
    let gauge = registry
        .register(Kind::GaugeLabels, options("g", &["a"]))
        .unwrap();
    let counter = registry.register(Kind::Counter, options("c", &[])).unwrap();
    let change = |run, collector, labels: &[_], change| {
        registry
            .change((run, "plugin:x"), collector, labels, change)
            .unwrap();
    };
    change(one, gauge, &label("a", "1"), Change::Set(1.0));
    change(one, gauge, &label("a", "2"), Change::Set(2.0));
    change(one, counter, &[], Change::Add(5.0));
    for _ in 0..10 {
        hand.advance(Duration::from_mins(1));
        registry.renew();
    }
    assert_eq!(value(r#"g{a="1"}"#), Some(1.0));
    assert_eq!(value("c"), Some(5.0));
    change(two, gauge, &label("a", "2"), Change::Add(0.5));
    registry.end(one);
    assert_eq!(value(r#"g{a="1"}"#), None);
    assert_eq!(
        value(r#"g{a="2"}"#),
        Some(2.5),
        "another script has set it since"
    );
    assert_eq!(value("c"), None);
    // A run that was given up and still sets something is not renewed for ever.
    change(one, counter, &[], Change::Add(1.0));
    assert_eq!(value("c"), Some(6.0), "the counter goes on");
    hand.advance(TTL);
    registry.renew();
    assert_eq!(value("c"), None);
}

#[test]
fn a_time_to_live_of_its_own_is_not_renewed() {
    let (clock, hand) = Clock::manual();
    let store = Store::new(clock, StoreLimits::default());
    let registry = Registry::new(store.clone());
    let run = registry.begin();
    let options = Options {
        ttl: Some(Duration::from_secs(90)),
        ..options("g", &["a"])
    };
    let gauge = registry.register(Kind::GaugeLabels, options).unwrap();
    registry
        .change((run, "x"), gauge, &label("a", "1"), Change::Set(1.0))
        .unwrap();
    hand.advance(Duration::from_secs(89));
    registry.renew();
    assert!(store.get(r#"g{a="1"}"#).is_some());
    hand.advance(Duration::from_secs(1));
    registry.renew();
    assert!(store.get(r#"g{a="1"}"#).is_none());
}

#[test]
fn what_is_wrong_is_told_in_prometheus_words() {
    let store = Store::new(Clock::System, StoreLimits::default());
    let registry = Registry::new(store);
    let register =
        |kind, name: &str, labels: &[&str]| registry.register(kind, options(name, labels));
    let fails = |kind, name: &str, labels: &[&str], text: &str| {
        let error = register(kind, name, labels).unwrap_err();
        assert!(error.ends_with(text), "{error}");
    };
    fails(
        Kind::Gauge,
        "1a",
        &[],
        "is invalid: \"1a\" is not a valid metric name",
    );
    fails(
        Kind::Gauge,
        "",
        &[],
        "is invalid: \"\" is not a valid metric name",
    );
    fails(
        Kind::GaugeLabels,
        "a",
        &["x-y"],
        "\"x-y\" is not a valid label name",
    );
    fails(
        Kind::GaugeLabels,
        "a",
        &["__x"],
        "\"__x\" is not a valid label name",
    );
    fails(Kind::GaugeLabels, "a", &["x", "x"], "duplicate label names");
    let first = register(Kind::GaugeLabels, "a", &["x", "y"]).unwrap();
    assert_eq!(
        register(Kind::GaugeLabels, "a", &["y", "x"]).unwrap(),
        first
    );
    fails(Kind::GaugeLabels, "a", &["x"], "can't change labels online");
    fails(
        Kind::CounterLabels,
        "a",
        &["x", "y"],
        "registration attempted",
    );
    fails(
        Kind::Counter,
        "a",
        &[],
        "name as Desc{fqName: \"a\", help: \"\", constLabels: {}, variableLabels: []} \
         has different label names or a different help string",
    );
}

#[test]
fn one_script_cannot_take_the_room_of_all_others() {
    let store = Store::new(Clock::System, StoreLimits::default());
    let registry = Registry::new(store);
    let (one, two) = (registry.begin(), registry.begin());
    let gauge = registry
        .register(Kind::GaugeLabels, options("g", &["a"]))
        .unwrap();
    let set = |run, value: usize| {
        let labels = label("a", &value.to_string());
        registry.change((run, "plugin:x"), gauge, &labels, Change::Set(1.0))
    };
    for value in 0..SERIES_OF_ONE_MAX {
        set(one, value).unwrap();
    }
    let error = set(one, SERIES_OF_ONE_MAX).unwrap_err();
    assert!(error.contains("10000 series already"), "{error}");
    set(one, 0).unwrap();
    // What another one takes over is no longer on the first one's account.
    set(two, 0).unwrap();
    set(one, SERIES_OF_ONE_MAX).unwrap();
    assert!(set(one, SERIES_OF_ONE_MAX + 1).is_err());
    registry.end(one);
    for value in 1..SERIES_OF_ONE_MAX {
        set(two, value).unwrap();
    }
}

#[test]
fn a_counter_keeps_its_rate_when_it_is_renewed_and_is_forgotten_after_a_day() {
    let (clock, hand) = Clock::manual();
    let store = Store::new(clock, StoreLimits::default());
    let registry = Registry::new(store.clone());
    let run = registry.begin();
    let counter = registry.register(Kind::Counter, options("c", &[])).unwrap();
    let add = |run, by| registry.change((run, "plugin:x"), counter, &[], Change::Add(by));
    add(run, 10.0).unwrap();
    hand.advance(Duration::from_secs(10));
    add(run, 10.0).unwrap();
    let rate = store.rate("c");
    hand.advance(Duration::from_secs(1));
    registry.renew();
    assert_eq!(store.rate("c"), rate, "nothing was put");
    assert!(add(run, f64::INFINITY).is_err());
    registry.end(run);
    hand.advance(Duration::from_hours(24));
    registry.renew();
    let (_, value, _) = add(registry.begin(), 1.0).unwrap();
    assert!((value - 1.0).abs() < f64::EPSILON, "{value}");
}
