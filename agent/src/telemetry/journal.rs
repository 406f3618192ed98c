//! The way to journald: `tracing-journald`, run by the writer's thread alone.
//!
//! Its layer writes to journald's socket within the caller and blocks there when journald is stuck,
//! so no other thread ever meets it: the writer hands it each event again, built from the record.
//! Entries are found with `journalctl -t moonward`; an event's own fields are `MOONWARD_NAME=`,
//! where journald's usual `F_` would not say whose they are.

use std::io;
use std::os::unix::net::UnixDatagram;

use tracing::Event;
use tracing::field::Value;
use tracing_journald::{Layer, Priority, PriorityMappings};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Layered, SubscriberExt as _};

use super::log::Sink;
use super::record::{Record, is_message};

/// Where journald takes the native protocol (systemd.journal-fields(7)).
const SOCKET: &str = "/run/systemd/journal/socket";

/// Writes records to journald.
pub(super) struct Journal {
    subscriber: Layered<Layer, Registry>,
}

impl Journal {
    /// # Errors
    /// When nobody listens on journald's socket.
    pub(super) fn new() -> io::Result<Self> {
        let layer = Layer::new()?
            .with_syslog_identifier("moonward".to_owned())
            .with_field_prefix(Some("MOONWARD".to_owned()))
            // The default shows INFO as NOTICE, in bold.
            .with_priority_mappings(PriorityMappings {
                info: Priority::Informational,
                debug: Priority::Debug,
                ..PriorityMappings::new()
            });
        Ok(Self {
            subscriber: tracing_subscriber::registry().with(layer),
        })
    }
}

impl Sink for Journal {
    fn write(&mut self, record: &Record) -> io::Result<()> {
        // The layer keeps its errors to itself, so whether anybody listens is asked beforehand.
        UnixDatagram::unbound()?.connect(SOCKET)?;
        emit(&self.subscriber, record);
        Ok(())
    }
}

/// Gives the record to `subscriber` as the event that it was.
fn emit(subscriber: &impl tracing::Subscriber, record: &Record) {
    let fields = record.metadata.fields();
    // journalctl shows the message alone, and a message without its fields says too little.
    let summary = record.summary();
    let values: Vec<Option<&dyn Value>> = fields
        .iter()
        .map(|field| {
            let text = record.text(&field)?;
            let shown = if is_message(&field) { &summary } else { text };
            Some(shown as &dyn Value)
        })
        .collect();
    subscriber.event(&Event::new(record.metadata, &fields.value_set_all(&values)));
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing_subscriber::layer::Context;

    use super::*;
    use crate::model::clock::Wall;

    /// Shows what a layer behind the writer gets to see, and makes records on the way.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<String>>>);

    impl Visit for Seen {
        fn record_str(&mut self, field: &Field, value: &str) {
            self.0.lock().unwrap().push(format!("{field}={value}"));
        }
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            self.0.lock().unwrap().push(format!("{field}~{value:?}"));
        }
    }

    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Seen {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            event.record(&mut self.clone());
        }
    }

    #[derive(Clone, Default)]
    struct Records(Arc<Mutex<Vec<Record>>>);

    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Records {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(Record::new(event, Wall(0)));
        }
    }

    #[test]
    fn an_event_comes_out_as_it_went_in() {
        let records = Records::default();
        tracing::subscriber::with_default(
            tracing_subscriber::registry().with(records.clone()),
            || {
                tracing::warn!(device = "sda", errors = 3, share = ?Some(0.5), "reads failed: {}", 3);
                tracing::info!(target: "moonward::test", only = true);
            },
        );
        let seen = Seen::default();
        let subscriber = tracing_subscriber::registry().with(seen.clone());
        for record in records.0.lock().unwrap().iter() {
            emit(&subscriber, record);
        }
        assert_eq!(
            *seen.0.lock().unwrap(),
            [
                "message=reads failed: 3 device=sda errors=3 share=Some(0.5)",
                "device=sda",
                "errors=3",
                "share=Some(0.5)",
                "only=true"
            ]
        );
        assert_eq!(records.0.lock().unwrap()[0].level(), tracing::Level::WARN);
    }
}
