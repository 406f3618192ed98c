//! Names of the series that the scenarios compare with the kernel's own figures.

/// Requests that completed, by the block probe; tags `device` and `operation`.
pub(crate) const DISK_REQUESTS: &str = "system.disk.request.count";

/// Bytes that completed, likewise.
pub(crate) const DISK_BYTES: &str = "system.disk.request.io";

/// Time from a request's start to its completion, a histogram, likewise.
pub(crate) const DISK_LATENCY: &str = "system.disk.latency";

/// Connections by the TCP probe; tag `type` is [`CONNECT`] or [`ACCEPT`].
pub(crate) const TCP_OPENED: &str = "system.tcp.connections.opened";

/// Opened from here: the kernel's `ActiveOpens`.
pub(crate) const CONNECT: (&str, &str) = ("type", "connect");

/// Accepted here: the kernel's `PassiveOpens`.
pub(crate) const ACCEPT: (&str, &str) = ("type", "accept");
