//! What survives a restart: the store's snapshot in the state directory.

use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{Access, Mode, access};

use crate::config::{Config, StoreConfig};
use crate::store::{BootId, Loaded, Snapshot, Store};
use crate::telemetry::log::chain;
use crate::telemetry::{Part, Room, StatusBoard, Verdict};

/// The snapshot with its page on the board.
#[derive(Clone, Debug)]
pub(super) struct State {
    snapshot: Option<Arc<Snapshot>>,
    directory: PathBuf,
    part: Arc<Part>,
}

impl State {
    /// Finds the state directory, and makes it if it is not there.
    pub(super) fn new(config: &Config, board: &StatusBoard) -> Self {
        let part = board.part(Room::Store, "snapshot", Verdict::Off);
        let directory = &config.state.directory;
        let private = std::os::unix::fs::DirBuilderExt::mode(
            std::fs::DirBuilder::new().recursive(true),
            Mode::RWXU.bits(),
        )
        .create(directory);
        if let Err(error) = private {
            // Whether that matters shows when the snapshot is written.
            tracing::debug!(%error, directory = %directory.display(), "no state directory was made");
        }
        let snapshot = match BootId::current() {
            Ok(boot) => Some(Arc::new(Snapshot::new(directory, boot))),
            Err(error) => {
                part.set(Verdict::Unsupported(chain(&error).to_string()));
                None
            }
        };
        let state = Self {
            snapshot,
            directory: directory.clone(),
            part,
        };
        state.show(&config.store);
        state
    }

    /// Shows whether the snapshot is switched on; how it goes shows when it is read or written.
    pub(super) fn show(&self, config: &StoreConfig) {
        let was_off = self.part.verdict() == Verdict::Off;
        if self.snapshot.is_some() && config.snapshot == was_off {
            self.part.set(if config.snapshot {
                Verdict::Starting
            } else {
                Verdict::Off
            });
        }
    }

    /// Reads the snapshot, if there is one that fits; what is damaged is set aside and shown.
    pub(super) fn restore(&self, store: &Store) {
        let Some(snapshot) = &self.snapshot else {
            return;
        };
        match snapshot.load(store) {
            Ok(loaded @ Loaded::Damaged { .. }) => {
                tracing::error!("{loaded}");
                self.part.erred(1);
                self.part.set(Verdict::Degraded(loaded.to_string()));
            }
            Ok(loaded) => {
                tracing::info!("{loaded}");
                self.part.set(Verdict::Active);
                self.look_whether_writable();
            }
            Err(error) => self.failed(&chain(&error).to_string()),
        }
    }

    /// Says at start what would else be found out with the first snapshot, a minute later.
    fn look_whether_writable(&self) {
        if let Err(errno) = access(&self.directory, Access::WRITE_OK | Access::EXEC_OK) {
            let directory = self.directory.display();
            self.failed(&format!(
                "the state directory {directory} cannot be written: {errno}"
            ));
        }
    }

    /// Writes the snapshot. Blocks on the disk.
    pub(super) fn save(&self, store: &Store) {
        let Some(snapshot) = &self.snapshot else {
            return;
        };
        let begun = store.clock().now();
        match snapshot.write(store) {
            Ok(written) => {
                self.part
                    .ran(store.clock().now().since(begun), written.series);
                let verdict = match written.left_out {
                    0 => Verdict::Active,
                    more => Verdict::Degraded(format!("{more} series are too many to be kept")),
                };
                // A damage that was found at start is shown until the first good snapshot.
                if self.part.set(verdict) {
                    tracing::info!(
                        series = written.series,
                        bytes = written.bytes,
                        "snapshot written"
                    );
                }
            }
            Err(error) => self.failed(&chain(&error).to_string()),
        }
    }

    fn failed(&self, reason: &str) {
        self.part.erred(1);
        // Once a minute the same would fill the log; the status shows that it lasts.
        if self.part.set(Verdict::Failed(reason.to_owned())) {
            tracing::error!(reason, "the values of now will not survive a restart");
        }
    }
}
