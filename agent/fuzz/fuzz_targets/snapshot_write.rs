//! Snapshots: whatever the store took is written and comes back as it was.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::{arbitrary, fuzz_target};
use moonward::model::histogram::Bucket;
use moonward::model::{Batch, Clock, Glob, Histogram, Kind, Unit, Value};
use moonward::store::{BootId, Snapshot, Store, StoreLimits};
use moonward_fuzz::scratch;

static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| scratch("snapshot-write"));

#[derive(Debug, arbitrary::Arbitrary)]
struct Sample<'a> {
    name: &'a str,
    tags: Vec<(&'a str, &'a str)>,
    kind: u8,
    unit: &'a str,
    value: Number<'a>,
    ttl: Option<u32>,
}

#[derive(Debug, arbitrary::Arbitrary)]
enum Number<'a> {
    Float(f64),
    Whole(u64),
    Text(&'a str),
    Histogram(u64, f64, Vec<(f64, f64, u64)>),
}

impl Number<'_> {
    fn value(&self) -> Value {
        match self {
            Self::Float(number) => Value::Float(*number),
            Self::Whole(number) => Value::Unsigned(*number),
            Self::Text(text) => Value::Text((*text).into()),
            Self::Histogram(count, sum, buckets) => Value::from(Histogram {
                count: *count,
                sum: *sum,
                buckets: buckets
                    .iter()
                    .map(|&(lower, upper, count)| Bucket {
                        lower,
                        upper,
                        count,
                    })
                    .collect(),
            }),
        }
    }
}

fn shown(store: &Store) -> Vec<String> {
    store
        .scan(&Glob::new("*"))
        .iter()
        .map(|reading| format!("{reading:?}"))
        .collect()
}

fuzz_target!(|rounds: Vec<(&str, Vec<Sample<'_>>)>| {
    let (clock, hand) = Clock::manual();
    hand.advance(Duration::from_secs(1000));
    let limits = StoreLimits {
        text_bytes: 64,
        ..StoreLimits::default()
    };
    let store = Store::new(clock.clone(), limits);
    for (source, samples) in &rounds {
        let mut batch = Batch::new();
        for sample in samples {
            let kinds = [Kind::Gauge, Kind::Counter, Kind::Histogram, Kind::Text];
            batch.push_for(
                sample
                    .ttl
                    .map(|seconds| Duration::from_secs(seconds.into())),
                sample.name,
                &sample.tags,
                kinds[usize::from(sample.kind) % kinds.len()],
                Unit::intern(sample.unit),
                sample.value.value(),
            );
        }
        store.put(source, &batch, None);
        hand.advance(Duration::from_secs(1));
    }
    let boot = BootId::parse("01234567-89ab-cdef-0123-456789abcdef").expect("a boot id");
    let snapshot = Snapshot::new(&*DIRECTORY, boot);
    let before = shown(&store);
    let written = snapshot.write(&store).expect("written");
    assert_eq!((written.series, written.left_out), (before.len() as u64, 0));
    let again = Store::new(clock, limits);
    let loaded = snapshot.load(&again).expect("read");
    assert_eq!(shown(&again), before, "{loaded}");
});
