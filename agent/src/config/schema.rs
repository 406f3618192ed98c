//! The one list of keys: name, type, range, where the value goes, and whether a change needs a
//! restart.
//!
//! Everything else that knows keys (the reader, the suggestions, the comparison of two
//! configurations, the test of the shipped sample) takes them from here.

use std::path::PathBuf;
use std::time::Duration;

use super::options::Options;
use super::plugin::PluginSettings;
use super::types::{CollectorConfig, Config, DoorAddress, LogLevel};

/// A table of the file and the keys it may have.
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) keys: &'static [Key<Config>],
}

/// One key. `T` is what its value goes into.
pub(super) struct Key<T> {
    pub(super) name: &'static str,
    pub(super) field: Field<T>,
    pub(super) reload: Reload,
}

/// What a changed value asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reload {
    /// Nothing: a reload takes it over.
    Live,
    /// A restart: sockets, memory layout or capabilities are settled at start.
    Restart,
}

/// Where a value goes, and with it its type and range.
pub(super) enum Field<T> {
    Bool(fn(&mut T) -> &mut bool),
    Duration(fn(&mut T) -> &mut Duration, Duration, Duration),
    Size(fn(&mut T) -> &mut u64, u64, u64),
    Count(fn(&mut T) -> &mut usize, usize, usize),
    Number(fn(&mut T) -> &mut u64, u64, u64),
    /// Words that must not be empty.
    Name(fn(&mut T) -> &mut String),
    /// Words that may be empty.
    Text(fn(&mut T) -> &mut String),
    Level(fn(&mut T) -> &mut LogLevel),
    Path(fn(&mut T) -> &mut PathBuf),
    /// A path or `"off"`.
    OptionalPath(fn(&mut T) -> &mut Option<PathBuf>),
    /// Address and port, `"auto"` or `"off"`.
    DoorAddress(fn(&mut T) -> &mut DoorAddress),
    Paths(fn(&mut T) -> &mut Vec<PathBuf>),
    /// A table of whatever is in it.
    Options(fn(&mut T) -> &mut Options),
    Patterns(fn(&mut T) -> &mut Vec<String>),
    Peers(fn(&mut T) -> &mut Vec<String>),
}

const fn live<T>(name: &'static str, field: Field<T>) -> Key<T> {
    Key {
        name,
        field,
        reload: Reload::Live,
    }
}

const fn restart<T>(name: &'static str, field: Field<T>) -> Key<T> {
    Key {
        name,
        field,
        reload: Reload::Restart,
    }
}

const DAY: Duration = Duration::from_hours(24);
const SECOND: Duration = Duration::from_secs(1);
/// Faster than this a round of all collectors would cost more than it tells.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Ten million series are some gigabytes; more is a mistake in the number.
const SERIES_MAX: usize = 10_000_000;
const HOUR: Duration = Duration::from_hours(1);
const MIB: u64 = 1 << 20;

/// What every `[collect.NAME]` has, NAME being one of `CollectConfig::NAMES`.
pub(super) const COLLECTOR_KEYS: &[Key<CollectorConfig>] = &[
    live("enabled", Field::Bool(|to| &mut to.enabled)),
    live(
        "interval",
        Field::Duration(|to| &mut to.interval, INTERVAL_MIN, DAY),
    ),
];

/// What every `[plugin.NAME]` has, NAME being any name that a plugin can have. What it leaves out
/// is as in `[plugin]`, which has the same keys but the last.
pub(super) const PLUGIN_KEYS: &[Key<PluginSettings>] = &[
    live("enabled", Field::Bool(|to| &mut to.enabled)),
    live("memory", Field::Size(|to| &mut to.memory, MIB, 1024 * MIB)),
    live(
        "instructions",
        Field::Number(|to| &mut to.instructions, 100_000, 1_000_000_000_000),
    ),
    live(
        "time",
        Field::Duration(
            |to| &mut to.time,
            Duration::from_millis(10),
            Duration::from_mins(1),
        ),
    ),
    live(
        "deadline",
        Field::Duration(|to| &mut to.deadline, SECOND, HOUR),
    ),
    live("options", Field::Options(|to| &mut to.options)),
];

/// Every table; a `collect.NAME` that is not here has the keys of every collector alone.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "agent",
        keys: &[
            restart("hostname", Field::Name(|to| &mut to.agent.hostname)),
            live("log_level", Field::Level(|to| &mut to.agent.log_level)),
        ],
    },
    Section {
        name: "collect",
        keys: &[live(
            "interval",
            Field::Duration(|to| &mut to.collect.interval, INTERVAL_MIN, DAY),
        )],
    },
    Section {
        name: "collect.filesystem",
        keys: &[
            live(
                "ignore_types",
                Field::Patterns(|to| &mut to.collect.filesystem.ignore_types),
            ),
            live(
                "ignore_mountpoints",
                Field::Patterns(|to| &mut to.collect.filesystem.ignore_mountpoints),
            ),
        ],
    },
    Section {
        name: "collect.unit",
        keys: &[
            live(
                "patterns",
                Field::Patterns(|to| &mut to.collect.unit.patterns),
            ),
            live(
                "max_units",
                Field::Count(|to| &mut to.collect.unit.max_units, 1, 100_000),
            ),
        ],
    },
    Section {
        name: "probe",
        keys: &[
            restart("enabled", Field::Bool(|to| &mut to.probe.enabled)),
            restart("block", Field::Bool(|to| &mut to.probe.block)),
            restart("tcp", Field::Bool(|to| &mut to.probe.tcp)),
            restart("process", Field::Bool(|to| &mut to.probe.process)),
        ],
    },
    Section {
        name: "store",
        keys: &[
            restart(
                "max_series",
                Field::Count(|to| &mut to.store.max_series, 100, SERIES_MAX),
            ),
            restart(
                "max_series_per_source",
                Field::Count(|to| &mut to.store.max_series_per_source, 10, SERIES_MAX),
            ),
            restart(
                "text_max",
                Field::Size(|to| &mut to.store.text_max, 64, 1 << 20),
            ),
            restart(
                "ttl",
                Field::Duration(|to| &mut to.store.ttl, SECOND, Duration::from_hours(720)),
            ),
            live("snapshot", Field::Bool(|to| &mut to.store.snapshot)),
            live(
                "snapshot_interval",
                Field::Duration(|to| &mut to.store.snapshot_interval, SECOND, DAY),
            ),
        ],
    },
    Section {
        name: "control",
        keys: &[restart("socket", Field::Path(|to| &mut to.control.socket))],
    },
    Section {
        name: "zabbix",
        keys: &[
            restart("listen", Field::DoorAddress(|to| &mut to.zabbix.listen)),
            live("server", Field::Peers(|to| &mut to.zabbix.server)),
            restart("hostname", Field::Name(|to| &mut to.zabbix.hostname)),
            restart("metadata", Field::Text(|to| &mut to.zabbix.metadata)),
        ],
    },
    Section {
        name: "zalua",
        keys: &[
            restart("socket", Field::OptionalPath(|to| &mut to.zalua.socket)),
            restart("init", Field::OptionalPath(|to| &mut to.zalua.init)),
            restart("storage", Field::OptionalPath(|to| &mut to.zalua.storage)),
            restart("log", Field::OptionalPath(|to| &mut to.zalua.log)),
        ],
    },
    Section {
        name: "plugin",
        keys: &[
            live("enabled", Field::Bool(|to| &mut to.plugin.common.enabled)),
            live(
                "memory",
                Field::Size(|to| &mut to.plugin.common.memory, MIB, 1024 * MIB),
            ),
            live(
                "instructions",
                Field::Number(
                    |to| &mut to.plugin.common.instructions,
                    100_000,
                    1_000_000_000_000,
                ),
            ),
            live(
                "time",
                Field::Duration(
                    |to| &mut to.plugin.common.time,
                    Duration::from_millis(10),
                    Duration::from_mins(1),
                ),
            ),
            live(
                "deadline",
                Field::Duration(|to| &mut to.plugin.common.deadline, SECOND, HOUR),
            ),
            live("directories", Field::Paths(|to| &mut to.plugin.directories)),
            live("stock", Field::Bool(|to| &mut to.plugin.stock)),
            restart("library", Field::Path(|to| &mut to.plugin.library)),
            live("modules", Field::Paths(|to| &mut to.plugin.modules)),
            live(
                "restart_delay",
                Field::Duration(|to| &mut to.plugin.restart_delay, SECOND, HOUR),
            ),
            live(
                "restart_delay_max",
                Field::Duration(|to| &mut to.plugin.restart_delay_max, SECOND, DAY),
            ),
        ],
    },
    Section {
        name: "runner",
        keys: &[restart(
            "socket",
            Field::OptionalPath(|to| &mut to.runner.socket),
        )],
    },
    Section {
        name: "http",
        keys: &[
            restart("listen", Field::DoorAddress(|to| &mut to.http.listen)),
            live(
                "token_file",
                Field::OptionalPath(|to| &mut to.http.token_file),
            ),
            live(
                "certificate",
                Field::OptionalPath(|to| &mut to.http.certificate),
            ),
            live("key", Field::OptionalPath(|to| &mut to.http.key)),
        ],
    },
    Section {
        name: "state",
        keys: &[restart(
            "directory",
            Field::Path(|to| &mut to.state.directory),
        )],
    },
];

/// The keys of one table beyond those of every collector.
pub(super) fn keys(section: &str) -> &'static [Key<Config>] {
    SECTIONS
        .iter()
        .find(|known| known.name == section)
        .map_or(&[], |known| known.keys)
}
