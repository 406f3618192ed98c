//! What the store costs at 10 thousand and at a million series: `cargo bench --bench store`.
//!
//! Prints one table: nanoseconds for one put, get and scan, bytes for one series, the longest that
//! a put waits while somebody else scans everything, and the snapshot. Memory is the growth of the
//! resident set (`/proc/self/statm`), so it holds what the allocator holds.
#![expect(clippy::print_stdout, reason = "the table is the purpose")]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should stop"
)]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use moonward::model::{Batch, Clock, Glob, Unit};
use moonward::store::{BootId, Snapshot, Store, StoreLimits};

/// Series of one batch, as a large collector has them.
const BATCH: usize = 500;

fn main() {
    println!("{:<44} {:>14} {:>14}", "", "10k series", "1M series");
    let small = measure(10_000);
    let large = measure(1_000_000);
    for ((what, small), (_, large)) in small.iter().zip(&large) {
        println!("{what:<44} {small:>14} {large:>14}");
    }
}

fn measure(series: usize) -> Vec<(&'static str, String)> {
    let mut table = Vec::new();
    let limits = StoreLimits {
        series: series * 2,
        series_per_source: series * 2,
        ttl: Duration::from_hours(1),
        ..StoreLimits::default()
    };
    let clock = Clock::System;
    let gauges = batches(series, false);
    let counters = batches(series, true);

    let before = resident();
    let store = Store::new(clock.clone(), limits);
    let took = time(&clock, || put(&store, &gauges));
    table.push(("put, new gauge", per(took, series)));
    let bytes = resident().saturating_sub(before) / series;
    table.push(("memory of a gauge, bytes", bytes.to_string()));
    let took = best(&clock, || put(&store, &gauges));
    table.push(("put, known gauge", per(took, series)));

    // While the first is there, so that none of its memory is used again.
    let before = resident();
    let other = Store::new(clock.clone(), limits);
    put(&other, &counters);
    let bytes = resident().saturating_sub(before) / series;
    table.push(("memory of a counter, bytes", bytes.to_string()));
    let took = best(&clock, || put(&other, &counters));
    table.push(("put, known counter", per(took, series)));
    drop((other, counters));

    let names: Vec<String> = gauges
        .iter()
        .flat_map(|batch| batch.iter().map(|sample| sample.series.as_str().to_owned()))
        .collect();
    // A stride that is coprime to the number of series visits all of them out of order.
    let order: Vec<&str> = (0..series)
        .filter_map(|index| names.get(index * 7919 % series).map(String::as_str))
        .collect();
    let took = best(&clock, || {
        for name in &order {
            black_box(store.get(name));
        }
    });
    table.push(("get, any order", per(took, series)));
    let took = best(&clock, || {
        for _ in 0..series {
            black_box(store.get("system.disk.io{device=\"absent\"}"));
        }
    });
    table.push(("get, absent", per(took, series)));

    let few = Glob::new("bench.metric7.io{device=\"d12\",*");
    let found = store.scan(&few).len();
    let took = best(&clock, || {
        for _ in 0..100 {
            black_box(store.scan(&few));
        }
    });
    table.push((
        "scan of few by prefix, whole",
        format!("{} ({found})", per(took, 100)),
    ));
    let all = Glob::new("*");
    let took = best(&clock, || {
        black_box(store.scan(&all));
    });
    table.push(("scan of all, sorted copies, each", per(took, series)));
    let took = best(&clock, || {
        store.visit(&all, |reading| {
            black_box(reading);
        });
    });
    table.push(("visit of all, each", per(took, series)));
    let none = Glob::new("*no such*");
    let took = best(&clock, || {
        black_box(store.scan(&none));
    });
    table.push(("scan of none by wildcard, each", per(took, series)));
    table.push((
        "longest put of 500 during scans of all",
        longest(&clock, &store, &gauges),
    ));
    let took = best(&clock, || {
        for _ in 0..1000 {
            black_box(store.expire());
        }
    });
    table.push(("expire with nothing due, whole", per(took, 1000)));

    let directory = tempfile::tempdir().unwrap();
    let snapshot = Snapshot::new(directory.path(), BootId::current().unwrap());
    let mut bytes = 0;
    let took = time(&clock, || bytes = snapshot.write(&store).unwrap().bytes);
    table.push(("snapshot written, ms", milliseconds(took)));
    table.push((
        "snapshot, bytes per series",
        (bytes / series as u64).to_string(),
    ));
    let again = Store::new(clock.clone(), limits);
    let took = time(&clock, || {
        black_box(snapshot.load(&again).unwrap());
    });
    assert_eq!(again.status().series, series);
    table.push(("snapshot read, ms", milliseconds(took)));

    table
}

/// `series` series in batches: 20 metrics of many devices, in the style of the real ones.
fn batches(series: usize, counters: bool) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut batch = Batch::new();
    for index in 0..series {
        let name = format!("bench.metric{}.io", index % 20);
        let device = format!("d{}", index / 40);
        let direction = if index / 20 % 2 == 0 { "read" } else { "write" };
        let tags = [("device", &*device), ("direction", direction)];
        if counters {
            batch.counter(&name, &tags, Unit::BYTES, index as u64);
        } else {
            batch.gauge(&name, &tags, Unit::BYTES, index as u64);
        }
        if batch.len() == BATCH {
            batches.push(std::mem::take(&mut batch));
        }
    }
    batches.push(batch);
    batches
}

fn put(store: &Store, batches: &[Batch]) {
    for batch in batches {
        store.put("bench", batch, None);
    }
}

/// The longest time that one batch took while another thread scanned without a pause.
fn longest(clock: &Clock, store: &Store, batches: &[Batch]) -> String {
    let stop = AtomicBool::new(false);
    let mut longest = Duration::ZERO;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                black_box(store.scan(&Glob::new("*")));
            }
        });
        let start = clock.now();
        for batch in batches.iter().cycle() {
            longest = longest.max(time(clock, || store.put("bench", batch, None)));
            if clock.now().since(start) > Duration::from_secs(2) {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    format!("{} ms", milliseconds(longest))
}

fn time(clock: &Clock, work: impl FnOnce()) -> Duration {
    let start = clock.now();
    work();
    clock.now().since(start)
}

/// The shortest of five: what the machine's other work adds is not the store's.
fn best(clock: &Clock, mut work: impl FnMut()) -> Duration {
    (0..5).map(|_| time(clock, &mut work)).min().unwrap()
}

fn per(took: Duration, count: usize) -> String {
    format!("{:.0} ns", took.as_nanos() as f64 / count as f64)
}

fn milliseconds(took: Duration) -> String {
    format!("{:.1}", took.as_secs_f64() * 1e3)
}

/// The resident set in bytes (proc(5)).
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size()
}
