//! The whole agent: the real program with a real configuration, asked through its doors, told by
//! signals, and heard through the notification socket that systemd would have given it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test runs the program that it tests and fails by panicking"
)]

mod attacks;
mod doors;
mod http;
mod place;
mod plugins;
mod reload;
mod runner;
mod shortage;
mod start;
