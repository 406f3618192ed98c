//! Tells the log about refused peers, at most once per ten seconds and reason.
//!
//! A scanner or a misconfigured proxy must not fill the journal; the counters have every case.

use std::net::IpAddr;
use std::time::Duration;

use crate::model::Moment;

/// The pause between two lines about the same reason.
const PAUSE: Duration = Duration::from_secs(10);

/// Why a connection was closed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The peer is not in the allow-list.
    Denied,
    /// The peer sent something that is not a request.
    Malformed,
    /// The process has no file descriptor left.
    NoDescriptor,
}

impl Refused {
    const fn text(self) -> &'static str {
        match self {
            Self::Denied => {
                "Zabbix connection refused: the peer is not in the allow-list \
                 (zabbix.server in moonward.toml)"
            }
            Self::Malformed => "Zabbix connection closed: not a Zabbix request",
            Self::NoDescriptor => {
                "Zabbix connection closed: no file descriptor left (raise LimitNOFILE=)"
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct RefusalLog {
    reasons: [Quiet; 3],
}

#[derive(Debug, Default)]
struct Quiet {
    last: Option<Moment>,
    unsaid: u64,
}

impl RefusalLog {
    pub(super) fn refused(&mut self, why: Refused, peer: Option<IpAddr>, now: Moment) {
        self.refused_lazily(why, now, || peer);
    }

    /// Asks for the peer only if a line is written.
    pub(super) fn refused_lazily(
        &mut self,
        why: Refused,
        now: Moment,
        peer: impl FnOnce() -> Option<IpAddr>,
    ) {
        if let Some(unsaid) = self.turn(why, now) {
            let peer = peer().map(tracing::field::display);
            tracing::warn!(peer, not_logged_before = unsaid, "{}", why.text());
        }
    }

    /// Whether it is time for a line, and how many cases it stands for besides its own.
    fn turn(&mut self, why: Refused, now: Moment) -> Option<u64> {
        let quiet = self.reasons.get_mut(why as usize)?;
        if quiet.last.is_some_and(|last| now.since(last) < PAUSE) {
            quiet.unsaid += 1;
            return None;
        }
        quiet.last = Some(now);
        Some(std::mem::take(&mut quiet.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_pause_and_reason() {
        let mut log = RefusalLog::default();
        let at = |seconds| Moment::default() + Duration::from_secs(seconds);
        assert_eq!(log.turn(Refused::Denied, at(100)), Some(0));
        assert_eq!(log.turn(Refused::Denied, at(101)), None);
        assert_eq!(log.turn(Refused::Malformed, at(101)), Some(0));
        assert_eq!(log.turn(Refused::Denied, at(109)), None);
        assert_eq!(log.turn(Refused::Denied, at(110)), Some(2));
    }
}
