//! Events that may come in floods: each is counted always and logged at most once in ten seconds.
//!
//! ```
//! # use moonward::{model::clock::Clock, telemetry::events::Events};
//! # let events = Events::new(Clock::System);
//! if let Some(suppressed) = events.admit("zabbix.denied", "192.0.2.7") {
//!     tracing::warn!(peer = "192.0.2.7", suppressed, "a peer that is not allowed asked");
//! }
//! ```

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::clock::{Clock, Moment};

/// How long an event stays quiet after it was logged.
const QUIET: Duration = Duration::from_secs(10);

/// How many subjects are told apart; subjects come from outside. Beyond it they share one gate per
/// event.
const GATE_LIMIT: usize = 1024;

/// The counters of all events, and the gates in front of the log.
#[derive(Debug, Default)]
pub struct Events {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: BTreeMap<&'static str, u64>,
    gates: BTreeMap<(&'static str, String), Gate>,
}

#[derive(Debug)]
struct Gate {
    opens: Moment,
    suppressed: u64,
}

impl Events {
    /// No event so far.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    /// Counts the event `name`. `Some` means that it is to be logged, with the number of times that
    /// it was not logged since it last was, for the same `subject` (a peer, a device; empty if there
    /// is none).
    pub fn admit(&self, name: &'static str, subject: &str) -> Option<u64> {
        let now = self.clock.now();
        let mut state = self.lock();
        *state.counts.entry(name).or_default() += 1;
        let mut key = (name, subject.to_owned());
        if !state.gates.contains_key(&key) && state.gates.len() >= GATE_LIMIT {
            state
                .gates
                .retain(|_, gate| gate.opens > now || gate.suppressed > 0);
            if state.gates.len() >= GATE_LIMIT {
                key.1.clear();
            }
        }
        if let Some(gate) = state.gates.get_mut(&key) {
            if gate.opens > now {
                gate.suppressed += 1;
                return None;
            }
            gate.opens = now + QUIET;
            return Some(std::mem::take(&mut gate.suppressed));
        }
        let gate = Gate {
            opens: now + QUIET,
            suppressed: 0,
        };
        state.gates.insert(key, gate);
        Some(0)
    }

    /// Every event that ever happened and how often, by name.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let state = self.lock();
        state
            .counts
            .iter()
            .map(|(name, count)| (*name, *count))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_logged_once_in_ten_seconds_and_counted_wholly() {
        let (clock, hand) = Clock::manual();
        let events = Events::new(clock);
        assert_eq!(events.admit("denied", "a"), Some(0));
        for _ in 0..7 {
            assert_eq!(events.admit("denied", "a"), None);
        }
        assert_eq!(events.admit("denied", "b"), Some(0), "another subject");
        hand.advance(QUIET);
        assert_eq!(events.admit("denied", "a"), Some(7));
        assert_eq!(events.admit("denied", "a"), None);
        assert_eq!(events.counts(), [("denied", 11)]);
    }

    #[test]
    fn subjects_without_end_share_a_gate() {
        let (clock, hand) = Clock::manual();
        let events = Events::new(clock);
        let logged = (0..10_000)
            .filter(|number| events.admit("denied", &number.to_string()).is_some())
            .count();
        assert_eq!(logged, GATE_LIMIT + 1);
        assert!(events.lock().gates.len() <= GATE_LIMIT + 1);
        assert_eq!(events.counts(), [("denied", 10_000)]);
        hand.advance(QUIET);
        assert_eq!(
            events.admit("denied", "new"),
            Some(0),
            "old gates make room"
        );
        assert!(events.lock().gates.len() < 5);
    }
}
