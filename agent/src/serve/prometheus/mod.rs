//! The store as Prometheus reads it: the text format 0.0.4 and OpenMetrics 1.0.
//!
//! - [`accept`]: which of the two, and whether compressed, by the headers of the request.
//! - [`name`]: names, units and labels, by OpenTelemetry's rules for Prometheus.
//! - [`family`]: which series make one family, and which family must give way to another.
//! - [`line`]: one sample as text. [`histogram`]: which buckets are shown.
//! - [`help`]: what each native name means.
//! - [`exposition`]: the whole text out of the store.
//!
//! Pure but for what it reads from the store. Tests: `agent/tests/prometheus.rs`.
//!
//! # Names
//!
//! `system.disk.io` in bytes is the counter `system_disk_io_bytes_total`: runs of other characters
//! become one underscore, the unit is spelt out and appended unless it is there, `{request}` and
//! the like are no unit, counters end in `_total`, gauges of unit `1` in `_ratio`. Beyond
//! OpenTelemetry's rules: a gauge that ends in `info` (the constant 1 beside labels) is no ratio,
//! and a gauge does not end in `_total`, which Prometheus keeps for counters.
//!
//! `system.process.count` stays `system_process_count`, as everywhere with OpenTelemetry, although
//! `promtool check metrics` would keep `_count` for histograms; it is all that it finds in native
//! names.
//!
//! A name that a plugin gave and that Prometheus can take as it is stays as it is, whatever its
//! kind and unit: `system_disk_utilization`. Every other name of a plugin follows the rules above.
//! `system.disk.utilization[/]` is `system_disk_utilization{key="/"}`.
//!
//! OpenMetrics wants every counter to end in `_total`, and no two families to share a name up to
//! such a suffix. A counter that cannot keep to that (one of a plugin without `_total`, or
//! `system_linux_vmstat_total` beside the gauge `system_linux_vmstat`) is of type *unknown* there:
//! the name is the same in both formats, and only the type is lost.
//!
//! # What is left out
//!
//! Words are not numbers, and are not shown. A family of which there are two types shows the first:
//! native before plugins, then by kind. What a plugin made for Prometheus goes before a key of the
//! same name: `system_disk_await{mountpoint="/"}` before `system.disk.await[/]`. That, equal samples, counters without a sound value, names
//! of which nothing is left, and what is beyond the size of a reply is counted by [`LeftOut`].

pub mod accept;
pub mod exposition;
mod family;
pub mod help;
mod histogram;
mod left_out;
mod line;
pub mod name;

pub use accept::Format;
pub use exposition::{Exposition, Rendered};
pub use left_out::LeftOut;
