//! The HTTP door: `/metrics` for Prometheus, `/health` for whoever watches the watcher.
//!
//! - [`access`]: who may come in: the token, TLS, and why not beyond loopback without both.
//! - [`answer`]: from a request to its answer.
//! - [`server`]: the thread, its doors and their connections.
//! - `connection`, `timely`: one connection, and how long it may take.
//! - `places`, `refusal`: how many there may be, and what becomes of one more.
//! - [`counters`]: what the doors have done and refused.
//!
//! The doors have a thread and a runtime of their own: the text of a hundred thousand series is
//! written in one go, and the control socket must not wait for it.
//! Tests: `agent/tests/http_door/`, `agent/tests/agent/http.rs`.

pub mod access;
pub mod answer;
mod connection;
pub mod counters;
mod places;
mod refusal;
pub mod server;
mod timely;

pub use access::{Access, AccessError, AccessFiles};
pub use server::{Door, Http, OpenError};
