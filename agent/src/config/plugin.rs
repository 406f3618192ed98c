//! `[plugin]` and `[plugin.NAME]`: which plugins run, how much they may use, and what is theirs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::options::Options;
use super::schema::keys;

/// `[plugin]`: the Lua plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginConfig {
    /// What holds for every plugin that has no table of its own, and for what such a table leaves
    /// out. Its options are empty.
    pub common: PluginSettings,
    /// The directories whose `*.lua` are run. Default: `/etc/moonward/plugins`.
    pub directories: Vec<PathBuf>,
    /// Whether the plugins that are shipped run too. Default: true.
    pub stock: bool,
    /// The directory of the shipped Lua. Where it does not exist, the agent uses what is built
    /// into it. Default: `/usr/share/moonward/lua`.
    pub library: PathBuf,
    /// The directories in which `require` looks beside the shipped modules. Default:
    /// `/etc/moonward/plugins/common`.
    pub modules: Vec<PathBuf>,
    /// The pause before a plugin that has failed is started again; it doubles with every failure.
    /// 1 s to 1 h; default 5 s.
    pub restart_delay: Duration,
    /// The longest such pause. 1 s to 1 day, at least `restart_delay`; default 5 minutes.
    pub restart_delay_max: Duration,
    /// The plugins that have a table of their own, with everything filled in.
    pub(crate) named: BTreeMap<String, PluginSettings>,
}

/// What holds for one plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginSettings {
    /// Whether it runs. Default: true.
    pub enabled: bool,
    /// The most memory that its Lua may take, in bytes. 1 MiB to 1 GiB; default 32 MiB.
    pub memory: u64,
    /// The most instructions of Lua's machine between two pauses. 100,000 to 10^12; default
    /// 100,000,000.
    pub instructions: u64,
    /// The longest time that Lua may run between two pauses. 10 ms to 60 s; default 500 ms.
    pub time: Duration,
    /// How long one run of what `plugin.every` repeats may take, pauses included. 1 s to 1 h;
    /// default 60 s.
    pub deadline: Duration,
    /// What the plugin is given, as it is. Default: nothing.
    pub options: Options,
}

impl Default for PluginSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            memory: 32 << 20,
            instructions: 100_000_000,
            time: Duration::from_millis(500),
            deadline: Duration::from_mins(1),
            options: Options::default(),
        }
    }
}

impl Default for PluginConfig {
    fn default() -> Self {
        Self {
            common: PluginSettings::default(),
            directories: vec![PathBuf::from("/etc/moonward/plugins")],
            stock: true,
            library: PathBuf::from("/usr/share/moonward/lua"),
            modules: vec![PathBuf::from("/etc/moonward/plugins/common")],
            restart_delay: Duration::from_secs(5),
            restart_delay_max: Duration::from_mins(5),
            named: BTreeMap::new(),
        }
    }
}

impl PluginConfig {
    /// The longest name of a plugin in bytes: that of a file, without the extension.
    pub const NAME_MAX: usize = 251;

    /// The most plugins that have a table of their own.
    pub const NAMED_MAX: usize = 1000;

    /// What holds for one plugin; `name` is the name of its file, with or without `.lua`.
    ///
    /// A plugin's own `enabled` wins over that of `[plugin]`, in both directions: with
    /// `plugin.enabled = false`, those run whose own table says so.
    pub fn settings(&self, name: &str) -> PluginSettings {
        self.named.get(bare(name)).unwrap_or(&self.common).clone()
    }

    /// Whether any plugin can run at all: then the host of the plugins is worth starting.
    pub fn any_enabled(&self) -> bool {
        self.common.enabled || self.named.values().any(|plugin| plugin.enabled)
    }

    /// The plugins that have a table of their own, by name, whether they exist or not.
    pub fn named(&self) -> impl Iterator<Item = (&str, &PluginSettings)> {
        self.named
            .iter()
            .map(|(name, settings)| (name.as_str(), settings))
    }

    /// Whether a plugin can have the name: letters, digits, `_`, `.` and `-`.
    pub fn is_name(name: &str) -> bool {
        let name = bare(name);
        (1..=Self::NAME_MAX).contains(&name.len())
            && bare(name) == name
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
    }
}

/// The name without the file's extension. It may be written with it, because `[plugin.memory]` is
/// no table where `plugin.memory` is a size already.
pub(super) fn bare(name: &str) -> &str {
    name.strip_suffix(".lua").unwrap_or(name)
}

/// The name of a plugin's table as a file would have it, without brackets: a dot needs quotes, and
/// a plugin that is called like a key of `[plugin]` the extension.
pub(super) fn section(name: &str) -> String {
    if keys("plugin").iter().any(|key| key.name == name) {
        format!("plugin.\"{name}.lua\"")
    } else if name.contains('.') {
        format!("plugin.\"{name}\"")
    } else {
        format!("plugin.{name}")
    }
}
