//! The task that asks systemd for its units at every interval.
//!
//! Without a bus it says *unsupported* with the reason and goes on trying; with one that fails it
//! says *failed*. It must never hold anybody up: calls have time limits, and nothing waits for it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use zbus::proxy::CacheProperties;

use super::listing::Selection;
use crate::bus::{BackOff, Bus, BusError, ManagerProxy};
use crate::collect::Timetable;
use crate::model::Batch;
use crate::store::Store;
use crate::telemetry::{Part, Verdict};

/// The name of the source in the store.
const SOURCE: &str = "unit";

/// Watches the units of systemd.
#[derive(Clone, Debug)]
pub struct UnitWatch {
    /// Where systemd is.
    pub bus: Bus,
    /// Which units are shown.
    pub selection: Selection,
    /// How often systemd is asked; values hold as those of every collector.
    pub interval: Duration,
    /// The pauses between attempts to reach the bus.
    pub back_off: BackOff,
}

impl Default for UnitWatch {
    /// The system bus, every ten seconds.
    fn default() -> Self {
        Self {
            bus: Bus::System,
            selection: Selection::default(),
            interval: Duration::from_secs(10),
            back_off: BackOff::default(),
        }
    }
}

impl UnitWatch {
    /// Puts the states of units into `store` until `stop` is done, and says on `part` how that
    /// goes. Needs a tokio runtime with time and IO.
    pub async fn run(self, store: Store, part: Arc<Part>, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = stop => {}
            () = self.watch(&store, &part) => {}
        }
    }

    async fn watch(mut self, store: &Store, part: &Part) {
        loop {
            let verdict = match self.session(store, part).await {
                error @ (BusError::Connect { .. } | BusError::Silent { .. }) => {
                    Verdict::Unsupported(error.chain())
                }
                error @ BusError::Call { .. } => Verdict::Failed(error.chain()),
            };
            part.erred(1);
            part.set(verdict);
            tokio::time::sleep(self.back_off.pause()).await;
        }
    }

    /// One connection, until it fails.
    async fn session(&mut self, store: &Store, part: &Part) -> BusError {
        let connection = match self.bus.connect().await {
            Ok(connection) => connection,
            Err(error) => return error,
        };
        let manager = ManagerProxy::builder(&connection)
            .cache_properties(CacheProperties::No)
            .build()
            .await;
        let manager = match manager {
            Ok(manager) => manager,
            Err(source) => {
                return BusError::Call {
                    call: "the proxy for systemd",
                    source,
                };
            }
        };
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Batch::new();
        loop {
            ticks.tick().await;
            let begin = store.clock().now();
            batch.clear();
            if let Err(error) = self.ask(&manager, &mut batch).await {
                return error;
            }
            store.put(SOURCE, &batch, Some(Timetable::ttl(self.interval)));
            part.ran(store.clock().now().since(begin), batch.len() as u64);
            part.set(Verdict::Active);
            self.back_off.reset();
        }
    }

    async fn ask(&self, manager: &ManagerProxy<'_>, batch: &mut Batch) -> Result<(), BusError> {
        let failed = |call| move |source| BusError::Call { call, source };
        let units = manager
            .list_units()
            .await
            .map_err(failed("systemd's ListUnits"))?;
        self.selection.add(batch, &units);
        let state = manager
            .system_state()
            .await
            .map_err(failed("systemd's SystemState"))?;
        batch.text("systemd.system.state", &[], &state);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::bus::fake::FakeBus;
    use crate::model::Clock;
    use crate::store::StoreLimits;
    use crate::telemetry::{Room, StatusBoard};

    struct Running {
        store: Store,
        part: Arc<Part>,
        stop: oneshot::Sender<()>,
        task: tokio::task::JoinHandle<()>,
    }

    fn run(bus: Bus) -> Running {
        let store = Store::new(Clock::System, StoreLimits::default());
        let part = StatusBoard::new().part(Room::Collector, "unit", Verdict::Starting);
        let (stop, stopped) = oneshot::channel();
        let watch = UnitWatch {
            bus,
            interval: Duration::from_millis(20),
            back_off: BackOff::new(Duration::from_millis(5), Duration::from_millis(20)),
            ..UnitWatch::default()
        };
        let stopped = async {
            drop(stopped.await);
        };
        let task = tokio::spawn(watch.run(store.clone(), Arc::clone(&part), stopped));
        Running {
            store,
            part,
            stop,
            task,
        }
    }

    /// Waits until something is so; a test that waits for ever has failed.
    async fn until(what: &str, mut so: impl FnMut() -> bool) {
        let waiting = async {
            while !so() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting)
            .await
            .unwrap_or_else(|_| panic!("it never came to pass that {what}"));
    }

    fn value(store: &Store, series: &str) -> Option<String> {
        Some(store.get(series)?.value.to_string())
    }

    const STATE: &str = "systemd.unit.state{unit=\"web.service\"}";

    #[tokio::test]
    async fn states_follow_systemd_through_failure_and_a_bus_that_restarts() {
        let fake = FakeBus::start(&[
            ("web.service", "loaded", "active"),
            ("data.mount", "loaded", "active"),
        ]);
        let running = run(fake.bus.clone());
        let store = &running.store;
        until("the unit is active", || {
            value(store, STATE).as_deref() == Some("active")
        })
        .await;
        assert_eq!(
            value(store, "systemd.units{state=\"active\"}").as_deref(),
            Some("2")
        );
        assert_eq!(
            value(store, "systemd.system.state").as_deref(),
            Some("running")
        );
        assert_eq!(
            value(store, "systemd.unit.state{unit=\"data.mount\"}"),
            None
        );
        assert_eq!(running.part.verdict(), Verdict::Active);

        fake.units
            .lock()
            .unwrap()
            .insert("web.service".into(), ("loaded", "failed"));
        until("the unit has failed", || {
            value(store, STATE).as_deref() == Some("failed")
        })
        .await;
        until("the system is degraded", || {
            value(store, "systemd.system.state").as_deref() == Some("degraded")
        })
        .await;

        let rest = fake.gone().await;
        until("nobody is reached", || {
            running.part.verdict().as_str() == "unsupported"
        })
        .await;
        let fake = FakeBus::back(rest);
        fake.units
            .lock()
            .unwrap()
            .insert("web.service".into(), ("loaded", "active"));
        until("the unit is active again", || {
            value(store, STATE).as_deref() == Some("active")
        })
        .await;
        assert_eq!(running.part.verdict(), Verdict::Active);

        running.stop.send(()).unwrap();
        running.task.await.unwrap();
    }

    #[tokio::test]
    async fn without_a_bus_it_is_unsupported_and_can_be_stopped() {
        let running = run(Bus::Address("unix:path=/nonexistent/bus".into()));
        until("it has tried twice", || running.part.status().errors >= 2).await;
        let verdict = running.part.verdict();
        assert_eq!(verdict.as_str(), "unsupported");
        assert!(
            verdict.reason().unwrap().contains("is D-Bus installed"),
            "{verdict}"
        );
        running.stop.send(()).unwrap();
        running.task.await.unwrap();
    }

    #[tokio::test]
    async fn a_bus_without_systemd_fails_with_its_reason() {
        let fake = FakeBus::start(&[]);
        let connection = fake.bus.connect().await.unwrap();
        let proxy = crate::bus::JobProxy::builder(&connection)
            .path("/org/freedesktop/systemd1/job/1")
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .unwrap();
        let error = BusError::Call {
            call: "the job's State",
            source: proxy.state().await.unwrap_err(),
        };
        assert!(
            error.chain().starts_with("the job's State failed: "),
            "{}",
            error.chain()
        );
    }
}
