//! From the configuration to the schedule: which collectors run, how often, with which options.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::probing::{self, SharedProbes};
use crate::collect::filesystem::Ignored;
use crate::collect::own::Own;
use crate::collect::unit::{Selection, UnitWatch};
use crate::collect::{Root, Schedule, Timetable, registry};
use crate::config::{CollectConfig, Config, StoreConfig};
use crate::model::Glob;
use crate::store::Store;
use crate::telemetry::{Room, StatusBoard};

/// The intervals and the collectors that are off.
pub(super) fn timetable(config: &CollectConfig) -> Timetable {
    let mut intervals = BTreeMap::new();
    let mut off = BTreeSet::new();
    for name in CollectConfig::NAMES {
        let collector = config.collector(name);
        intervals.insert(name.to_owned(), collector.interval);
        if !collector.enabled {
            off.insert(name.to_owned());
        }
    }
    Timetable {
        interval: config.interval,
        intervals,
        off,
    }
}

fn ignored(config: &CollectConfig) -> Ignored {
    Ignored::new(
        &config.filesystem.ignore_types,
        &config.filesystem.ignore_mountpoints,
    )
}

/// The schedule with every collector and probe reader on it.
pub(super) fn schedule(
    config: &Config,
    store: &Store,
    board: &StatusBoard,
    probes: &SharedProbes,
) -> Schedule {
    let timetable = timetable(&config.collect);
    let mut schedule = Schedule::new(Root::machine(), store.clone(), board.clone(), timetable);
    let process_io = !probing::counts_process_io(probes);
    for collector in registry::all(ignored(&config.collect), process_io) {
        schedule.add(Room::Collector, collector);
    }
    schedule.add(
        Room::Collector,
        Box::new(Own::new(board.clone(), store.clone())),
    );
    for reader in probing::readers(probes) {
        schedule.add(Room::Probe, reader);
    }
    schedule
}

/// The watch over systemd's units; `None` when it is switched off.
pub(super) fn unit_watch(config: &CollectConfig) -> Option<UnitWatch> {
    config.collector("unit").enabled.then(|| UnitWatch {
        selection: Selection {
            patterns: config
                .unit
                .patterns
                .iter()
                .map(|pattern| Glob::new(pattern))
                .collect(),
            units_max: config.unit.max_units,
        },
        interval: config.collector("unit").interval,
        ..UnitWatch::default()
    })
}

/// How often the snapshot is written; `None` when it is switched off.
pub(super) fn snapshots(config: &StoreConfig) -> Option<Duration> {
    config.snapshot.then_some(config.snapshot_interval)
}

/// How often what the Zabbix doors answer from looks at what there is to discover.
pub(super) fn zabbix_looks(config: &CollectConfig) -> Duration {
    config
        .interval
        .clamp(Duration::from_secs(1), Duration::from_secs(10))
}
