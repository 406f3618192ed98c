//! A bus with one service on it, systemd as tests need it: no daemon and no package behind it.
//!
//! It listens on a socket in a directory of its own and answers each connection itself, the bus's
//! own `Hello` included.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::task::JoinHandle;
use zbus::OwnedObjectPath;
use zbus::connection::Builder;

use super::connection::Bus;
use super::systemd::ListedUnit;

/// The units there are, by name: load state and active state.
pub(crate) type Units = Arc<Mutex<HashMap<String, (&'static str, &'static str)>>>;

/// A running fake; its connections end with it.
pub(crate) struct FakeBus {
    pub(crate) bus: Bus,
    pub(crate) units: Units,
    connections: Arc<Mutex<Vec<zbus::Connection>>>,
    accepting: JoinHandle<()>,
    directory: tempfile::TempDir,
}

struct BusItself;

#[expect(
    clippy::unused_self,
    reason = "the macro wants methods of the object that is served"
)]
#[zbus::interface(name = "org.freedesktop.DBus")]
impl BusItself {
    fn hello(&self) -> &'static str {
        ":1.7"
    }

    fn add_match(&self, rule: &str) {
        assert!(!rule.is_empty());
    }

    fn remove_match(&self, rule: &str) {
        assert!(!rule.is_empty());
    }
}

struct FakeManager {
    units: Units,
}

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl FakeManager {
    fn list_units(&self) -> Vec<ListedUnit> {
        let path = || OwnedObjectPath::try_from("/").unwrap();
        let units = self.units.lock().unwrap();
        units
            .iter()
            .map(|(name, (load, active))| {
                let words = [name.as_str(), "A unit", *load, *active, "running", ""];
                let [name, description, load, active, sub, following] = words.map(str::to_owned);
                (
                    name,
                    description,
                    load,
                    active,
                    sub,
                    following,
                    path(),
                    0,
                    String::new(),
                    path(),
                )
            })
            .collect()
    }

    #[zbus(property)]
    fn system_state(&self) -> String {
        let units = self.units.lock().unwrap();
        let failed = units.values().any(|(_, active)| *active == "failed");
        if failed { "degraded" } else { "running" }.into()
    }
}

impl FakeBus {
    pub(crate) fn start(units: &[(&str, &'static str, &'static str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let units: Units = Arc::new(Mutex::new(
            units
                .iter()
                .map(|(name, load, active)| ((*name).to_owned(), (*load, *active)))
                .collect(),
        ));
        Self::listen(directory, units)
    }

    fn listen(directory: tempfile::TempDir, units: Units) -> Self {
        let path = directory.path().join("bus");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let accepting = {
            let (connections, units) = (Arc::clone(&connections), Arc::clone(&units));
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let manager = FakeManager {
                        units: Arc::clone(&units),
                    };
                    let connection = Builder::unix_stream(stream.into_std().unwrap())
                        .server(zbus::Guid::generate())
                        .p2p()
                        .serve_at("/org/freedesktop/DBus", BusItself)
                        .serve_at("/org/freedesktop/systemd1", manager)
                        .build()
                        .await;
                    if let Ok(connection) = connection {
                        connections.lock().unwrap().push(connection);
                    }
                }
            })
        };
        Self {
            bus: Bus::Address(format!("unix:path={}", path.display())),
            units,
            connections,
            accepting,
            directory,
        }
    }

    /// Ends every connection and listens no more; gives what [`FakeBus::back`] needs.
    pub(crate) async fn gone(self) -> (tempfile::TempDir, Units) {
        self.accepting.abort();
        let connections = std::mem::take(&mut *self.connections.lock().unwrap());
        for connection in connections {
            connection.close().await.unwrap();
        }
        std::fs::remove_file(self.directory.path().join("bus")).unwrap();
        (self.directory, self.units)
    }

    /// The same bus again, at the same address.
    pub(crate) fn back((directory, units): (tempfile::TempDir, Units)) -> Self {
        Self::listen(directory, units)
    }
}
