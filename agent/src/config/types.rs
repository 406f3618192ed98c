//! The sections of the configuration, with their defaults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::environment::Environment;
use super::plugin::PluginConfig;
use crate::collect::filesystem::{IGNORED_MOUNTPOINTS, IGNORED_TYPES};
use crate::store::StoreLimits;

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[agent]`
    pub agent: AgentConfig,
    /// `[collect]` and `[collect.NAME]`
    pub collect: CollectConfig,
    /// `[probe]`
    pub probe: ProbeConfig,
    /// `[store]`
    pub store: StoreConfig,
    /// `[control]`
    pub control: ControlConfig,
    /// `[zabbix]`
    pub zabbix: ZabbixConfig,
    /// `[zalua]`
    pub zalua: ZaluaConfig,
    /// `[plugin]` and `[plugin.NAME]`
    pub plugin: PluginConfig,
    /// `[runner]`
    pub runner: RunnerConfig,
    /// `[http]`
    pub http: HttpConfig,
    /// `[state]`
    pub state: StateConfig,
    /// The files that were read, in order; later ones won over earlier ones.
    pub files: Vec<PathBuf>,
}

/// `[agent]`: the agent itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// The name this host goes by. Default: the system's host name.
    pub hostname: String,
    /// The least severe events that are logged. Default: `info`.
    pub log_level: LogLevel,
}

/// How severe an event must be to be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Data was lost or a human must act.
    Error,
    /// Odd, but nothing was lost.
    Warn,
    /// What was started, stopped and decided.
    Info,
    /// What helps whoever looks for a fault.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// Every level with its name, from the most to the least severe.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Error, "error"),
        (Self::Warn, "warn"),
        (Self::Info, "info"),
        (Self::Debug, "debug"),
        (Self::Trace, "trace"),
    ];

    /// The level's name, as `tracing` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// `[collect]`: the collectors that read the kernel's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectConfig {
    /// How often a collector runs that has no interval of its own. 100 ms to 1 day; default 10 s.
    pub interval: Duration,
    /// What every collector has, in the order of [`CollectConfig::NAMES`].
    pub(super) collectors: [CollectorConfig; Self::NAMES.len()],
    /// What `[collect.filesystem]` has beyond that.
    pub filesystem: FilesystemConfig,
    /// What `[collect.unit]` has beyond that.
    pub unit: UnitConfig,
}

impl CollectConfig {
    /// The collectors that have a table of their own, `[collect.NAME]`.
    pub const NAMES: [&'static str; 16] = [
        "cpu",
        "load",
        "memory",
        "vmstat",
        "numa",
        "pressure",
        "uptime",
        "users",
        "limits",
        "temperature",
        "disk",
        "filesystem",
        "network",
        "sockets",
        "process",
        "unit",
    ];

    /// What is set for one collector. A name that has no table is on, at the common interval.
    pub fn collector(&self, name: &str) -> CollectorConfig {
        Self::NAMES
            .iter()
            .zip(self.collectors)
            .find(|(known, _)| **known == name)
            .map_or(
                CollectorConfig {
                    enabled: true,
                    interval: self.interval,
                },
                |(_, collector)| collector,
            )
    }
}

/// What every `[collect.NAME]` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectorConfig {
    /// Whether the collector runs. Default: true.
    pub enabled: bool,
    /// How often it runs. 100 ms to 1 day; default: `collect.interval`.
    pub interval: Duration,
}

/// What `[collect.filesystem]` has of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesystemConfig {
    /// Patterns (`*`, `?`) of file system types that are not measured. Default: the kernel's own
    /// views and read-only images; `tmpfs` is measured, because a full `/run` or `/tmp` hurts.
    pub ignore_types: Vec<String>,
    /// Patterns (`*`, `?`) of mount points that are not measured. Default: the layers of
    /// containers.
    pub ignore_mountpoints: Vec<String>,
}

/// What `[collect.unit]` has of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitConfig {
    /// Patterns (`*`, `?`) of the units that are measured. Default: `*.service`.
    pub patterns: Vec<String>,
    /// The most units that are measured. 1 to 100,000; default 500.
    pub max_units: usize,
}

/// `[probe]`: the programs in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one switch per program, as in the file"
)]
pub struct ProbeConfig {
    /// Whether any program is loaded. Default: true.
    pub enabled: bool,
    /// Block IO. Default: true.
    pub block: bool,
    /// TCP. Default: true.
    pub tcp: bool,
    /// Processes. Default: true.
    pub process: bool,
}

/// `[store]`: the latest value of every series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The most series at one time. 100 to 10,000,000; default 100,000.
    pub max_series: usize,
    /// The most series of one source. 10 to 10,000,000, at most `max_series`; default 20,000.
    pub max_series_per_source: usize,
    /// The longest text value in bytes. 64 B to 1 MiB; default 64 KiB.
    pub text_max: u64,
    /// How long a value holds when its source does not say. 1 s to 30 days; default 5 minutes.
    pub ttl: Duration,
    /// Whether values survive a restart in `<state directory>/store.snapshot`. Default: true.
    pub snapshot: bool,
    /// How often they are written. 1 s to 1 day; default 1 minute.
    pub snapshot_interval: Duration,
}

impl StoreConfig {
    /// The same as the store wants it.
    pub fn limits(&self) -> StoreLimits {
        StoreLimits {
            series: self.max_series,
            series_per_source: self.max_series_per_source,
            text_bytes: usize::try_from(self.text_max).unwrap_or(usize::MAX),
            ttl: self.ttl,
        }
    }
}

/// `[control]`: the socket of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlConfig {
    /// Where it is. Default: `control.sock` in the runtime directory (`/run/moonward`).
    pub socket: PathBuf,
}

/// Where a door listens beside the sockets that systemd passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DoorAddress {
    /// Nowhere; at the door's own port on loopback when the agent was started by hand and was passed
    /// no socket.
    #[default]
    Auto,
    /// Nowhere.
    Off,
    /// At this address and port.
    At(SocketAddr),
}

/// `[zabbix]`: the agent's side of Zabbix's protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZabbixConfig {
    /// Where is listened beside the sockets that systemd passes. Default: auto; by hand that is
    /// `127.0.0.1:10050`.
    pub listen: DoorAddress,
    /// Who may ask: addresses, networks and host names. Default: this host alone, `127.0.0.1` and
    /// `::1`.
    pub server: Vec<String>,
    /// What `agent.hostname` answers. Default: `agent.hostname`.
    pub hostname: String,
    /// What `agent.hostmetadata` answers. Default: empty.
    pub metadata: String,
}

/// `[zalua]`: what ZaLua had at fixed places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZaluaConfig {
    /// The socket of its command line; ZaLua has it at `/tmp/zalua-mon.sock`. Default: off.
    pub socket: Option<PathBuf>,
    /// Its first script, which is run as it is; ZaLua has it at `/etc/zalua/init.lua`. Default:
    /// off.
    pub init: Option<PathBuf>,
    /// Its file of values, read at start and written every minute; ZaLua has it at
    /// `/tmp/zalua-storage.json`. Default: off.
    pub storage: Option<PathBuf>,
    /// The file for what plugins log; ZaLua has it at `/var/log/zabbix/zalua.log`. Default: off,
    /// which is the journal.
    pub log: Option<PathBuf>,
}

/// `[runner]`: the process that may execute programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunnerConfig {
    /// Its socket; off means that nothing is executed. Started by hand, a child stands in where the
    /// default one is not there for this user. Default: `/run/moonward/runner.sock`.
    pub socket: Option<PathBuf>,
}

/// `[http]`: `/metrics` for Prometheus. Token, certificate and key also guard the doors that plugins
/// open beyond loopback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where is listened beside the sockets that systemd passes. Default: auto; by hand that is
    /// `127.0.0.1:61777`.
    pub listen: DoorAddress,
    /// The file with the token that requests have to carry. Default: none is asked for.
    pub token_file: Option<PathBuf>,
    /// The file of the certificate and those that vouch for it, in PEM. Default: no TLS.
    pub certificate: Option<PathBuf>,
    /// The file of its key, in PEM.
    pub key: Option<PathBuf>,
}

/// `[state]`: what survives a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateConfig {
    /// The directory of the snapshot and of whatever else survives. Default: systemd's
    /// `STATE_DIRECTORY`, else `/var/lib/moonward`, or without root `$XDG_STATE_HOME/moonward`.
    pub directory: PathBuf,
}

impl Config {
    /// What holds without any file.
    pub fn defaults(environment: &Environment) -> Self {
        let interval = Duration::from_secs(10);
        let limits = StoreLimits::default();
        Self {
            agent: AgentConfig {
                hostname: environment.hostname.clone(),
                log_level: LogLevel::Info,
            },
            collect: CollectConfig {
                interval,
                collectors: [CollectorConfig {
                    enabled: true,
                    interval,
                }; CollectConfig::NAMES.len()],
                filesystem: FilesystemConfig {
                    ignore_types: texts(&IGNORED_TYPES),
                    ignore_mountpoints: texts(&IGNORED_MOUNTPOINTS),
                },
                unit: UnitConfig {
                    patterns: texts(&["*.service"]),
                    max_units: 500,
                },
            },
            probe: ProbeConfig {
                enabled: true,
                block: true,
                tcp: true,
                process: true,
            },
            store: StoreConfig {
                max_series: limits.series,
                max_series_per_source: limits.series_per_source,
                text_max: limits.text_bytes as u64,
                ttl: limits.ttl,
                snapshot: true,
                snapshot_interval: Duration::from_mins(1),
            },
            control: ControlConfig {
                socket: environment.control_socket(),
            },
            zabbix: ZabbixConfig {
                listen: DoorAddress::Auto,
                server: texts(&["127.0.0.1", "::1"]),
                hostname: environment.hostname.clone(),
                metadata: String::new(),
            },
            zalua: ZaluaConfig::default(),
            plugin: PluginConfig::default(),
            runner: RunnerConfig {
                socket: Some(environment.runner_socket()),
            },
            http: HttpConfig::default(),
            state: StateConfig {
                directory: environment.state_directory(),
            },
            files: Vec::new(),
        }
    }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}
