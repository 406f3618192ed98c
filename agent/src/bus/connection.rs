//! Connections to a bus: opened and used with time limits, opened again with growing pauses.

use std::time::Duration;

use thiserror::Error;
use zbus::connection::Builder;

use crate::telemetry::log::chain;

/// How long a method call may take. Listing the units of a big machine takes milliseconds; while
/// systemd reloads itself it answers nobody for some seconds.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long opening a connection may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a bus could not be used.
#[derive(Debug, Error)]
pub enum BusError {
    /// Nobody listens there, or whoever does refused.
    #[error("no connection to {bus}; is D-Bus installed and running?")]
    Connect {
        /// Which bus.
        bus: Bus,
        /// What went wrong.
        #[source]
        source: zbus::Error,
    },
    /// The bus took the connection and then said nothing.
    #[error("{bus} has not answered for {} s", limit.as_secs())]
    Silent {
        /// Which bus.
        bus: Bus,
        /// How long it was waited for.
        limit: Duration,
    },
    /// A call failed.
    #[error("{call} failed")]
    Call {
        /// What was called.
        call: &'static str,
        /// What went wrong.
        #[source]
        source: zbus::Error,
    },
}

impl BusError {
    /// The message with the causes behind it, for a line of status.
    pub fn chain(&self) -> String {
        chain(self).to_string()
    }
}

/// Which bus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bus {
    /// The system's, where systemd is.
    #[default]
    System,
    /// One at an address such as `unix:path=/run/user/1000/bus`.
    Address(String),
}

impl std::fmt::Display for Bus {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System => formatter.write_str("the system bus"),
            Self::Address(address) => write!(formatter, "the bus at {address}"),
        }
    }
}

impl Bus {
    /// Opens a connection whose calls end after [`CALL_TIMEOUT`].
    pub async fn connect(&self) -> Result<zbus::Connection, BusError> {
        self.connect_within(CONNECT_TIMEOUT).await
    }

    async fn connect_within(&self, limit: Duration) -> Result<zbus::Connection, BusError> {
        let builder = match self {
            Self::System => Builder::system(),
            Self::Address(address) => Builder::address(address.as_str()),
        };
        let building = builder.method_timeout(CALL_TIMEOUT).build();
        match tokio::time::timeout(limit, building).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(source)) => Err(BusError::Connect {
                bus: self.clone(),
                source,
            }),
            Err(_) => Err(BusError::Silent {
                bus: self.clone(),
                limit,
            }),
        }
    }
}

/// The pauses between attempts: each twice the one before, up to a bound.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl BackOff {
    /// Pauses from `first` to `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            next: first,
        }
    }

    /// The pause to make now.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = self.next.saturating_mul(2).min(self.most);
        pause
    }

    /// An attempt went well: the next pause is the first again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

impl Default for BackOff {
    /// From one second to one minute.
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_mins(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew() {
        let mut back_off = BackOff::new(Duration::from_secs(1), Duration::from_secs(5));
        let pauses: Vec<u64> = (0..5).map(|_| back_off.pause().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 5, 5]);
        back_off.reset();
        assert_eq!(back_off.pause().as_secs(), 1);
    }

    #[tokio::test]
    async fn a_bus_that_is_not_there_says_where_it_is_not() {
        let bus = Bus::Address("unix:path=/nonexistent/bus".into());
        let error = bus.connect().await.unwrap_err();
        let text = error.chain();
        assert!(
            text.starts_with("no connection to the bus at unix:path=/nonexistent/bus"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_bus_that_says_nothing_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bus");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let bus = Bus::Address(format!("unix:path={}", path.display()));
        let error = bus
            .connect_within(Duration::from_millis(50))
            .await
            .unwrap_err();
        assert!(matches!(error, BusError::Silent { .. }), "{error}");
        drop(listener);
    }
}
