//! Tests of the whole text with a store made by hand; recorded machines are in
//! `agent/tests/prometheus.rs`.

use super::*;
use crate::model::histogram::Bucket;
use crate::model::{Batch, Clock, Histogram};
use crate::store::StoreLimits;

fn store() -> Store {
    Store::new(Clock::manual().0, StoreLimits::default())
}

fn render(store: &Store, format: Format) -> (String, Vec<(&'static str, u64)>) {
    let left_out = Arc::new(LeftOut::default());
    let mut exposition = Exposition::new(Arc::clone(&left_out));
    let mut out = b"what was there before".to_vec();
    exposition.render(store, format, &mut out);
    let left_out = left_out.list().into_iter().filter(|(_, count)| *count > 0);
    (String::from_utf8(out).unwrap(), left_out.collect())
}

fn example() -> Store {
    let store = store();
    let mut batch = Batch::new();
    let vda = [("device", "vda"), ("direction", "read")];
    batch.counter("system.disk.io", &vda, Unit::BYTES, 4096_u64);
    batch.counter(
        "system.disk.io",
        &[("device", "sda\"\\\n")],
        Unit::BYTES,
        1_u64,
    );
    batch.gauge("system.disk.utilization", &vda[..1], Unit::ONE, 0.25);
    batch.gauge(
        "system.linux.vmstat",
        &[("field", "nr_free_pages")],
        Unit::NONE,
        7_u64,
    );
    batch.counter(
        "system.linux.vmstat",
        &[("field", "pgfault")],
        Unit::NONE,
        8_u64,
    );
    batch.text("systemd.system.state", &[], "running");
    store.put("native", &batch, None);
    batch.clear();
    batch.gauge(
        "system_disk_utilization",
        &[("mountpoint", "/")],
        Unit::PERCENT,
        25.0,
    );
    batch.counter("mine", &[], Unit::NONE, 1_u64);
    batch.gauge("system.disk.await[/srv]", &[], Unit::NONE, 0.5);
    store.put("plugin:disk", &batch, None);
    store.describe("mine", "A \"described\" one\nof C:\\.");
    store
}

#[test]
fn the_classic_text_is_this() {
    let (text, left_out) = render(&example(), Format::Text);
    assert_eq!(left_out, []);
    assert_eq!(
        text,
        "# HELP mine A \"described\" one\\nof C:\\\\.
# TYPE mine counter
mine 1
# HELP system_disk_await Put without a description by plugin:disk.
# TYPE system_disk_await gauge
system_disk_await{key=\"/srv\"} 0.5
# HELP system_disk_io_bytes_total Bytes read, written and discarded, by device.
# TYPE system_disk_io_bytes_total counter
system_disk_io_bytes_total{device=\"sda\\\"\\\\\\n\"} 1
system_disk_io_bytes_total{device=\"vda\",direction=\"read\"} 4096
# HELP system_disk_utilization Put without a description by plugin:disk.
# TYPE system_disk_utilization gauge
system_disk_utilization{mountpoint=\"/\"} 25
# HELP system_disk_utilization_ratio Share of the time since the last round in which the device \
had operations under way.
# TYPE system_disk_utilization_ratio gauge
system_disk_utilization_ratio{device=\"vda\"} 0.25
# HELP system_linux_vmstat A line of /proc/vmstat, under the kernel's name.
# TYPE system_linux_vmstat gauge
system_linux_vmstat{field=\"nr_free_pages\"} 7
# HELP system_linux_vmstat_total A line of /proc/vmstat, under the kernel's name.
# TYPE system_linux_vmstat_total counter
system_linux_vmstat_total{field=\"pgfault\"} 8
"
    );
}

#[test]
fn openmetrics_differs_in_its_headings_alone() {
    let store = example();
    let (classic, _) = render(&store, Format::Text);
    let (text, _) = render(&store, Format::OpenMetrics);
    let samples = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(samples(&classic), samples(&text));
    for heading in [
        "# HELP mine A \\\"described\\\" one\\nof C:\\\\.\n# TYPE mine unknown\n",
        "# TYPE system_disk_io_bytes counter\n# UNIT system_disk_io_bytes bytes\n",
        "# TYPE system_disk_utilization gauge\nsystem_disk",
        "# TYPE system_disk_utilization_ratio gauge\n# UNIT system_disk_utilization_ratio ratio\n",
        "# TYPE system_linux_vmstat gauge\n",
        "# TYPE system_linux_vmstat_total unknown\n",
    ] {
        assert!(text.contains(heading), "{heading} is not in\n{text}");
    }
    assert!(text.ends_with("\n# EOF\n"));
}

#[test]
fn what_is_left_out_is_counted() {
    let store = store();
    let mut batch = Batch::new();
    batch.gauge("a", &[], Unit::NONE, 1.0);
    batch.counter("b", &[], Unit::NONE, -1.0);
    batch.counter("c", &[], Unit::NONE, f64::NAN);
    batch.push("d", &[], Kind::Histogram, Unit::NONE, 1.0);
    batch.gauge("%", &[], Unit::NONE, 1.0);
    batch.gauge("e.f", &[], Unit::NONE, 1.0);
    batch.gauge("e-f", &[], Unit::NONE, 1.0);
    batch.gauge("nan", &[], Unit::NONE, f64::NAN);
    store.put("native", &batch, None);
    batch.clear();
    batch.push(
        "a",
        &[("x", "y")],
        Kind::Histogram,
        Unit::NONE,
        Histogram::default(),
    );
    store.put("plugin:a", &batch, None);
    let (text, left_out) = render(&store, Format::Text);
    let expected = [("conflict", 1), ("duplicate", 1), ("value", 3), ("name", 1)];
    assert_eq!(left_out, expected, "{text}");
    assert!(text.contains("\nnan NaN\n"), "{text}");
    assert_eq!(text.matches("\ne_f 1\n").count(), 1, "{text}");
}

#[test]
fn a_text_has_an_end() {
    let store = store();
    let mut batch = Batch::new();
    for number in 0..1000 {
        batch.gauge("a", &[("number", &number.to_string())], Unit::NONE, 1.0);
    }
    store.put("native", &batch, None);
    let left_out = Arc::new(LeftOut::default());
    let mut exposition = Exposition::new(Arc::clone(&left_out));
    exposition.text_max = 2000;
    let mut out = Vec::new();
    let rendered = exposition.render(&store, Format::OpenMetrics, &mut out);
    assert!(out.len() < 2200 && out.ends_with(b"# EOF\n"));
    let (reason, count) = left_out.list()[4];
    assert_eq!((reason, count + rendered.samples), ("size", 1000));
}

#[test]
fn a_second_text_of_the_same_is_the_same() {
    let store = example();
    let mut exposition = Exposition::new(Arc::default());
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let one = exposition.render(&store, Format::OpenMetrics, &mut first);
    let other = exposition.render(&store, Format::OpenMetrics, &mut second);
    assert_eq!((one, first), (other, second));
    assert_eq!((one.samples, one.families), (8, 7));
    // What has gone is not shown, and neither is its heading.
    store.remove_source("plugin:disk");
    let rendered = exposition.render(&store, Format::OpenMetrics, &mut Vec::new());
    assert_eq!((rendered.samples, rendered.families), (5, 4));
}

#[test]
fn a_histogram_is_one_family() {
    let store = store();
    let mut batch = Batch::new();
    let histogram = Histogram {
        count: 3,
        sum: 0.75,
        buckets: vec![Bucket {
            lower: 0.2,
            upper: 0.3,
            count: 3,
        }],
    };
    for device in ["sdb", "sda"] {
        let tags = [("device", device)];
        let histogram = histogram.clone();
        batch.push(
            "system.disk.latency",
            &tags,
            Kind::Histogram,
            Unit::SECONDS,
            histogram,
        );
    }
    store.put("block", &batch, None);
    let (text, _) = render(&store, Format::OpenMetrics);
    assert_eq!(
        text.matches("# TYPE system_disk_latency_seconds histogram")
            .count(),
        1
    );
    let sums: Vec<&str> = text.lines().filter(|line| line.contains("_sum")).collect();
    assert_eq!(
        sums,
        [
            "system_disk_latency_seconds_sum{device=\"sda\"} 0.75",
            "system_disk_latency_seconds_sum{device=\"sdb\"} 0.75",
        ]
    );
    assert!(text.contains("_bucket{device=\"sda\",le=\"0.268435456\"} 0\n"));
    assert!(text.contains("_bucket{device=\"sda\",le=\"0.536870912\"} 3\n"));
}
