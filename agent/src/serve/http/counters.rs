//! What the doors count. Nothing that they refuse or give up is lost silently.

use crate::serve::zabbix::counters::Counter;

/// Counters of all HTTP doors together.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests answered with what they asked for.
    pub answered: Counter,
    /// Requests for `/health` answered with what does not work.
    pub unhealthy: Counter,
    /// Requests for a path that there is not.
    pub not_found: Counter,
    /// Requests with a method other than GET and HEAD.
    pub method_not_allowed: Counter,
    /// Requests without the token.
    pub unauthorized: Counter,
    /// Requests turned away because answers that others had not read took too much memory.
    pub crowded: Counter,
    /// Connections refused because there were too many.
    pub refused: Counter,
    /// Connections that ended before the TLS handshake did, or whose handshake failed.
    pub handshake_failed: Counter,
    /// Connections closed because of bytes that are no request, of a deadline, or by the peer in
    /// the middle of an answer.
    pub broken: Counter,
    /// Connections that the kernel could not hand over, mostly for want of file descriptors.
    pub accept_errors: Counter,
    /// Samples in all texts for Prometheus.
    pub samples: Counter,
    /// Microseconds in which texts for Prometheus were written.
    pub render_microseconds: Counter,
}

impl Counters {
    /// Every counter of requests and connections with its name.
    pub fn list(&self) -> [(&'static str, u64); 10] {
        [
            ("answered", self.answered.get()),
            ("unhealthy", self.unhealthy.get()),
            ("not_found", self.not_found.get()),
            ("method_not_allowed", self.method_not_allowed.get()),
            ("unauthorized", self.unauthorized.get()),
            ("crowded", self.crowded.get()),
            ("refused", self.refused.get()),
            ("handshake_failed", self.handshake_failed.get()),
            ("broken", self.broken.get()),
            ("accept_errors", self.accept_errors.get()),
        ]
    }
}
