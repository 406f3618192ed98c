//! Names of the series that the scenarios compare with the kernel's own figures.

/// Requests that completed, by the block probe; tags `device` and `direction`.
pub(crate) const DISK_OPERATIONS: &str = "system.disk.requests";

/// Bytes that completed, by the block probe; tags `device` and `direction`.
pub(crate) const DISK_BYTES: &str = "system.disk.request.io";

/// Connections opened from here, by the TCP probe.
pub(crate) const TCP_OPENS: &str = "system.tcp.opens";

/// Connections accepted here, by the TCP probe.
pub(crate) const TCP_ACCEPTS: &str = "system.tcp.accepts";
