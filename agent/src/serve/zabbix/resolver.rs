//! Looks up the names of an allow-list once a minute, away from the door's thread.
//!
//! Zabbix looks a name up for each connection and waits for the answer; here a dead name server
//! delays nobody, and the last known addresses stay in force.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::access::AllowList;

/// As long as an address that has changed may be unknown.
const PERIOD: Duration = Duration::from_mins(1);

/// A thread that resolves until this is dropped. It is not waited for: the system's resolver may
/// take half a minute to give up.
#[derive(Debug)]
pub(super) struct Resolver {
    _alive: Sender<()>,
}

impl Resolver {
    /// Starts the thread; not for a list without names.
    pub(super) fn start(allowed: &AllowList) -> Option<Self> {
        if !allowed.has_names() {
            return None;
        }
        let (alive, ended) = channel::<()>();
        let allowed = allowed.clone();
        let run = move || {
            let mut failing = Vec::new();
            loop {
                let failed = allowed.resolve();
                let names: Vec<String> = failed.iter().map(|(name, _)| name.clone()).collect();
                // A name that stays unknown is told once, not every minute.
                for (name, error) in &failed {
                    if !failing.contains(name) {
                        tracing::warn!(name, %error, "a name in zabbix.server cannot be looked up");
                    }
                }
                failing = names;
                if ended.recv_timeout(PERIOD) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        match thread::Builder::new()
            .name("zabbix-names".into())
            .spawn(run)
        {
            Ok(_) => Some(Self { _alive: alive }),
            Err(error) => {
                tracing::error!(%error, "no thread to look up the names in zabbix.server");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_resolved_without_being_asked_for() {
        let allowed = AllowList::parse("localhost").unwrap();
        let resolver = Resolver::start(&allowed);
        assert!(resolver.is_some());
        while !allowed.allows("127.0.0.1".parse().unwrap()) {
            thread::yield_now();
        }
        assert!(Resolver::start(&AllowList::parse("127.0.0.1").unwrap()).is_none());
    }
}
