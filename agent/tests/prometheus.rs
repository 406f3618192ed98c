//! Recorded machines as Prometheus reads them, compared with what a person last looked at, and the
//! rules of both formats over stores that chance has filled.
//!
//! `MOONWARD_BLESS=1 cargo test -p moonward --test prometheus` writes the texts anew; read the
//! difference before committing it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "in a test, what cannot be read is a failure"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use moonward::collect::filesystem::Ignored;
use moonward::collect::{Root, Round, registry};
use moonward::model::histogram::Bucket;
use moonward::model::{Batch, Clock, Histogram, Kind, Moment, Unit, Value};
use moonward::serve::prometheus::name::{is_label, is_name};
use moonward::serve::prometheus::{Exposition, Format, LeftOut, help};
use moonward::store::{Store, StoreLimits};
use proptest::prelude::*;

const MACHINES: [&str; 3] = ["md-and-dm", "minimal", "two-nodes"];

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(path)
}

/// What every collector makes of a recorded machine.
fn machine(name: &str) -> Store {
    let store = Store::new(Clock::manual().0, StoreLimits::default());
    let root = Root::recorded(data(&format!("machines/{name}")));
    let mut batch = Batch::new();
    for mut collector in registry::all(Ignored::default(), true) {
        batch.clear();
        let mut round = Round::new(&root, &mut batch, Moment(1_000_000_000));
        collector.collect(&mut round);
        store.put(collector.name(), &batch, None);
    }
    batch.clear();
    // What the probes would see, and plugins put.
    let bucket = |lower: f64, upper: f64, count| Bucket {
        lower,
        upper,
        count,
    };
    let latency = Histogram {
        count: 12,
        sum: 0.011,
        buckets: vec![
            bucket(0.000_524_288, 0.000_589_824, 9),
            bucket(0.001_048_576, 0.001_179_648, 3),
        ],
    };
    let tags = [("device", "sda"), ("direction", "read")];
    batch.push(
        "system.disk.latency",
        &tags,
        Kind::Histogram,
        Unit::SECONDS,
        latency,
    );
    store.put("block", &batch, None);
    batch.clear();
    batch.gauge(
        "system_disk_utilization",
        &[("mountpoint", "/")],
        Unit::NONE,
        12.5,
    );
    batch.gauge("system.disk.await[/srv/my disk]", &[], Unit::NONE, 0.5);
    batch.counter("jobs", &[("queue", "a\"b\\c")], Unit::NONE, 3_u64);
    store.put("plugin:disk", &batch, None);
    store.describe("system_disk_utilization", "disk utilization, \"percent\"");
    store
}

fn render(store: &Store, format: Format) -> (String, Arc<LeftOut>) {
    let left_out = Arc::new(LeftOut::default());
    let mut out = Vec::new();
    Exposition::new(Arc::clone(&left_out)).render(store, format, &mut out);
    (String::from_utf8(out).unwrap(), left_out)
}

#[test]
fn recorded_machines_are_shown_as_before() {
    let bless = std::env::var_os("MOONWARD_BLESS").is_some();
    for (name, format, file) in [
        ("minimal", Format::Text, "minimal.txt"),
        ("minimal", Format::OpenMetrics, "minimal.openmetrics"),
        ("md-and-dm", Format::OpenMetrics, "md-and-dm.openmetrics"),
    ] {
        let (text, _) = render(&machine(name), format);
        let path = data("prometheus").join(file);
        if bless {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
            continue;
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = expected.lines().zip(text.lines()).find(|(a, b)| a != b);
        assert_eq!(differs, None, "{file}");
        assert_eq!(expected.len(), text.len(), "{file}");
    }
}

#[test]
fn nothing_of_a_recorded_machine_is_left_out_and_all_of_it_has_a_meaning() {
    for name in MACHINES {
        let store = machine(name);
        let (text, left_out) = render(&store, Format::OpenMetrics);
        assert!(
            left_out.list().iter().all(|(_, count)| *count == 0),
            "{left_out:?}"
        );
        let mut numbers = 0;
        store.visit(&moonward::model::Glob::new("*"), |reading| {
            let is_native = !reading.source.starts_with("plugin:");
            if matches!(reading.value, Value::Text(_)) {
                return;
            }
            numbers += 1;
            let raw = reading.series.name();
            assert!(
                !is_native || help::native(raw).is_some(),
                "{raw} has no meaning"
            );
        });
        let shown = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.contains("_bucket{"))
            .filter(|line| !line.contains("_sum{"))
            .count();
        assert_eq!(shown, numbers, "{name}");
        judge(&text, Format::OpenMetrics);
        judge(&render(&store, Format::Text).0, Format::Text);
    }
}

/// A line with a value, taken apart.
struct Sample<'a> {
    name: &'a str,
    labels: &'a str,
    value: &'a str,
}

fn sample(line: &str) -> Sample<'_> {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    Sample {
        name,
        labels: labels.strip_suffix('}').unwrap(),
        value,
    }
}

/// Checks a text against the rules that both formats have.
fn judge(text: &str, format: Format) {
    let mut families: BTreeMap<&str, &str> = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut current = ("", "");
    let mut last = "";
    for line in text.lines() {
        assert_ne!(last, "# EOF", "something follows the end");
        last = line;
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, _) = rest.split_once(' ').unwrap();
            assert!(helped.insert(name), "{line}");
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(is_name(name), "{line}");
            assert_eq!(families.insert(name, kind), None, "{line}");
            assert!(helped.contains(name), "{line}");
            current = (name, kind);
            continue;
        }
        if let Some(rest) = line.strip_prefix("# UNIT ") {
            let (name, unit) = rest.split_once(' ').unwrap();
            assert_eq!((name, format), (current.0, Format::OpenMetrics), "{line}");
            assert!(name.ends_with(&format!("_{unit}")), "{line}");
            continue;
        }
        if line == "# EOF" {
            continue;
        }
        let Sample {
            name,
            labels,
            value,
        } = sample(line);
        let suffix = name
            .strip_prefix(current.0)
            .unwrap_or_else(|| panic!("{line}"));
        let suffixes: &[&str] = match (current.1, format) {
            ("counter", Format::OpenMetrics) => &["_total"],
            ("histogram", _) => &["_bucket", "_sum", "_count"],
            ("counter" | "gauge" | "unknown", _) => &[""],
            other => panic!("{other:?}: {line}"),
        };
        assert!(suffixes.contains(&suffix), "{line}");
        assert!(seen.insert((name, labels)), "twice: {line}");
        let number: f64 = value.parse().unwrap();
        if current.1 == "counter" {
            assert!(number >= 0.0, "{line}");
        }
        for label in label_names(labels) {
            assert!(is_label(label.as_bytes()), "{line}");
        }
    }
    if format == Format::OpenMetrics {
        assert_eq!(last, "# EOF");
        // Names must not clash with those that a suffix makes of another family's.
        let mut taken = BTreeSet::new();
        for (name, kind) in &families {
            let suffixes: &[&str] = match *kind {
                "counter" => &["", "_total", "_created"],
                "histogram" => &["", "_bucket", "_count", "_sum", "_created"],
                _ => &[""],
            };
            for suffix in suffixes {
                assert!(
                    taken.insert(format!("{name}{suffix}")),
                    "{name}{suffix} clashes"
                );
            }
        }
    }
}

/// The names of the labels, which must be sound up to the last quote.
fn label_names(labels: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = labels;
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap();
        names.push(name);
        let mut end = 0;
        while value.as_bytes()[end] != b'"' {
            end += if value.as_bytes()[end] == b'\\' { 2 } else { 1 };
        }
        rest = &value[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    let unique: BTreeSet<&&str> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "{labels}");
    names
}

/// Names that are likely to get into each other's way.
fn likely_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab][._](total|count|bucket|sum|created|info|bytes|ratio)",
        "[ab]([._]b)?",
        "[ab][.]b(\\[[/x\"\\\\]{0,3}\\])",
        "\\PC{1,8}",
    ]
}

fn likely_value() -> impl Strategy<Value = (Kind, Value)> {
    prop_oneof![
        any::<f64>().prop_map(|number| (Kind::Gauge, Value::Float(number))),
        any::<u64>().prop_map(|number| (Kind::Counter, Value::Unsigned(number))),
        any::<f64>().prop_map(|number| (Kind::Counter, Value::Float(number))),
        (any::<u32>(), 0.0..1e9_f64).prop_map(|(count, sum)| {
            let histogram = Histogram {
                count: count.into(),
                sum,
                buckets: vec![Bucket {
                    lower: 0.0,
                    upper: sum,
                    count: 7,
                }],
            };
            (Kind::Histogram, Value::from(histogram))
        }),
        Just((Kind::Text, Value::from("words"))),
    ]
}

proptest! {
    #[test]
    fn every_store_gives_a_sound_text(
        series in proptest::collection::vec(
            (
                likely_name(),
                proptest::collection::btree_map("(le|key|a[.-]b|__x|[0a])", "\\PC{0,4}|[\"\\\\\n]{1,3}", 0..3),
                likely_value(),
                prop_oneof![Just("By"), Just("1"), Just(""), Just("s"), Just("{x}/s")],
                any::<bool>(),
            ),
            0..24,
        ),
    ) {
        let store = Store::new(Clock::manual().0, StoreLimits::default());
        for (name, tags, (kind, value), unit, from_plugin) in &series {
            let tags: Vec<(&str, &str)> = tags.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            let mut batch = Batch::new();
            batch.push(name, &tags, *kind, Unit::new(unit), value.clone());
            store.put(if *from_plugin { "plugin:x" } else { "cpu" }, &batch, None);
        }
        let (classic, left_out) = render(&store, Format::Text);
        judge(&classic, Format::Text);
        let (openmetrics, _) = render(&store, Format::OpenMetrics);
        judge(&openmetrics, Format::OpenMetrics);
        // What is shown and what is left out is all there is.
        let mut numbers = 0;
        store.visit(&moonward::model::Glob::new("*"), |reading| {
            numbers += u64::from(!matches!(reading.value, Value::Text(_)));
        });
        let is_part = |name: &str| name.ends_with("_bucket") || name.ends_with("_sum");
        let mut histograms = BTreeSet::new();
        let mut shown = 0_u64;
        for line in classic.lines() {
            if let Some(name) = line.strip_prefix("# TYPE ").and_then(|rest| rest.strip_suffix(" histogram")) {
                histograms.insert(name);
            }
            if line.starts_with('#') {
                continue;
            }
            let name = sample(line).name;
            let of_histogram = histograms.iter().any(|histogram| {
                name.strip_prefix(histogram).is_some_and(|rest| ["_bucket", "_sum"].contains(&rest))
            });
            shown += u64::from(!(of_histogram && is_part(name)));
        }
        let left_out: u64 = left_out.list().iter().map(|(_, count)| count).sum();
        prop_assert_eq!(shown + left_out, numbers, "{}", classic);
    }
}
