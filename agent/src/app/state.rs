//! What survives a restart: the store's snapshot in the state directory.

use crate::config::Config;
use crate::store::Store;
use crate::telemetry::{Room, StatusBoard, Verdict};

/// Reads the snapshot, if there is one that fits; what is damaged is set aside and shown.
pub(super) fn restore(config: &Config, store: &Store, board: &StatusBoard) {
    let _ = (config, store);
    board.part(Room::Store, "snapshot", Verdict::Off);
}

/// Writes the snapshot.
pub(super) fn save(config: &Config, store: &Store, board: &StatusBoard) {
    let _ = (config, store, board);
}
