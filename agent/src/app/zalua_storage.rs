//! ZaLua's storage file with its page on the board.

use std::sync::Arc;
use std::time::Duration;

use crate::config::ZaluaConfig;
use crate::serve::zalua::storage::{Storage, StorageError};
use crate::store::Store;
use crate::telemetry::log::chain;
use crate::telemetry::{Part, Room, StatusBoard, Verdict};

/// How often it is written: as often as ZaLua did.
pub(super) const PERIOD: Duration = Duration::from_mins(1);

/// The file, when there is to be one.
#[derive(Clone, Debug)]
pub(super) struct ZaluaStorage {
    storage: Arc<Storage>,
    part: Arc<Part>,
}

impl ZaluaStorage {
    /// The file that the configuration names; `None` when it is off.
    pub(super) fn new(config: &ZaluaConfig, board: &StatusBoard) -> Option<Self> {
        let path = config.storage.as_ref()?;
        Some(Self {
            storage: Arc::new(Storage::new(path)),
            part: board.part(Room::Store, "zalua-storage", Verdict::Starting),
        })
    }

    /// Reads the file into the store; what the store has already stays.
    pub(super) fn restore(&self, store: &Store) {
        match self.storage.load(store) {
            Ok(Some(loaded)) => {
                tracing::info!("{loaded}");
                self.part.set(Verdict::Active);
            }
            Ok(None) => {
                self.part.set(Verdict::Active);
            }
            Err(error) => self.failed(&chain(&error).to_string()),
        }
    }

    /// Writes the file. Blocks on the disk.
    pub(super) fn save(&self, store: &Store) {
        let begun = store.clock().now();
        match self.storage.save(store) {
            Ok(saved) => {
                self.part.ran(store.clock().now().since(begun), saved.items);
                let verdict = match saved.left_out {
                    0 => Verdict::Active,
                    more => Verdict::Degraded(format!("{more} values are too many for the file")),
                };
                if self.part.set(verdict) {
                    tracing::info!(items = saved.items, "ZaLua's storage written");
                }
            }
            // Why it was refused is on the board since the start, and says more.
            Err(StorageError::InTheWay { .. }) => self.part.erred(1),
            Err(error) => self.failed(&chain(&error).to_string()),
        }
    }

    fn failed(&self, reason: &str) {
        self.part.erred(1);
        // Once a minute the same would fill the log; the status shows that it lasts.
        if self.part.set(Verdict::Failed(reason.to_owned())) {
            tracing::error!(reason, "ZaLua's storage does not work");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Clock, Kind, Series, Unit};
    use crate::store::StoreLimits;

    #[test]
    fn zalua_39_values_of_one_run_are_there_in_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let config = ZaluaConfig {
            storage: Some(directory.path().join("storage.json")),
            ..ZaluaConfig::default()
        };
        let store = || Store::new(Clock::System, StoreLimits::default());
        let (first, board) = (store(), StatusBoard::new());
        let storage = ZaluaStorage::new(&config, &board).unwrap();
        storage.restore(&first);
        let series = Series::new("a", &[]).unwrap();
        first.put_one("plugin:a", &series, Kind::Gauge, Unit::ONE, 1.5, None);
        storage.save(&first);
        assert_eq!(board.count("active"), 1);

        let second = store();
        ZaluaStorage::new(&config, &board).unwrap().restore(&second);
        assert_eq!(second.get("a").unwrap().value, 1.5.into());

        std::fs::write(config.storage.as_ref().unwrap(), "{").unwrap();
        let third = ZaluaStorage::new(&config, &board).unwrap();
        third.restore(&store());
        third.save(&second);
        let status = board.statuses().remove(0);
        assert_eq!((status.verdict, status.errors), ("failed", 2));
        assert!(status.reason.unwrap().contains("until it is moved away"));
    }

    #[test]
    fn without_a_path_there_is_none() {
        let board = StatusBoard::new();
        assert!(ZaluaStorage::new(&ZaluaConfig::default(), &board).is_none());
        assert!(board.statuses().is_empty());
    }
}
