//! What differs between two configurations, and whether a reload is enough for it.

use std::collections::BTreeSet;

use super::plugin;
use super::schema::{COLLECTOR_KEYS, Field, PLUGIN_KEYS, Reload, SECTIONS};
use super::types::{CollectConfig, Config};

/// One key whose value differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The table, such as `collect.disk`.
    pub section: String,
    /// The key in it.
    pub key: &'static str,
    /// The value before, as a file would have it; of options how many there are, because they may
    /// hold passwords and this is logged.
    pub old: String,
    /// The value after.
    pub new: String,
    /// Whether it takes a restart to take effect.
    pub restart: bool,
}

/// Every key whose value differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// The changes, in the order of the tables.
    pub changes: Vec<Change>,
}

impl Difference {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether anything in a table or in those below it differs: `collect` holds `collect.disk`.
    pub fn touches(&self, section: &str) -> bool {
        self.changes.iter().any(|change| {
            change
                .section
                .strip_prefix(section)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    /// The keys, as `section.key`, that a reload does not take over.
    pub fn needs_restart(&self) -> Vec<String> {
        self.changes
            .iter()
            .filter(|change| change.restart)
            .map(|change| format!("{}.{}", change.section, change.key))
            .collect()
    }
}

/// Compares two configurations key by key.
pub fn difference(old: &Config, new: &Config) -> Difference {
    // A plugin that has a table in one of them has the values of `[plugin]` in the other.
    let named: BTreeSet<&str> = [old, new]
        .into_iter()
        .flat_map(|config| config.plugin.named.keys().map(String::as_str))
        .collect();
    let changes = all(old, &named)
        .into_iter()
        .zip(all(new, &named))
        .filter(|(old, new)| old.value != new.value)
        .map(|(old, new)| Change {
            section: new.section,
            key: new.key,
            old: old.shown.unwrap_or(old.value),
            new: new.shown.unwrap_or(new.value),
            restart: new.reload == Reload::Restart,
        })
        .collect();
    Difference { changes }
}

/// One key with the value in force.
pub(super) struct Effective {
    pub(super) section: String,
    pub(super) key: &'static str,
    pub(super) value: String,
    /// What is shown in its place where others can read it.
    shown: Option<String>,
    pub(super) reload: Reload,
}

/// Every key that has a value in the configuration.
pub(super) fn effective(config: &Config) -> Vec<Effective> {
    all(
        config,
        &config.plugin.named.keys().map(String::as_str).collect(),
    )
}

/// Every key there is, always in the same order; of plugins those of `named`.
fn all(config: &Config, named: &BTreeSet<&str>) -> Vec<Effective> {
    let plugins: Vec<_> = named
        .iter()
        .map(|name| (*name, config.plugin.settings(name)))
        .collect();
    // The fields of the schema lead to places to write to; reading needs a copy to lead into.
    let mut config = config.clone();
    let mut all = Vec::new();
    for section in SECTIONS {
        for key in section.keys {
            all.push(Effective {
                section: section.name.to_owned(),
                key: key.name,
                value: key.field.show(&mut config),
                shown: None,
                reload: key.reload,
            });
        }
    }
    for (name, collector) in CollectConfig::NAMES
        .iter()
        .zip(&mut config.collect.collectors)
    {
        for key in COLLECTOR_KEYS {
            all.push(Effective {
                section: format!("collect.{name}"),
                key: key.name,
                value: key.field.show(collector),
                shown: None,
                reload: key.reload,
            });
        }
    }
    for (name, mut settings) in plugins {
        for key in PLUGIN_KEYS {
            all.push(Effective {
                section: plugin::section(name),
                key: key.name,
                value: key.field.show(&mut settings),
                shown: matches!(key.field, Field::Options(_))
                    .then(|| format!("{} options", settings.options.iter().count())),
                reload: key.reload,
            });
        }
    }
    all
}

impl Config {
    /// The whole configuration in force as a file of its own.
    pub fn to_toml(&self) -> String {
        let mut all = effective(self);
        all.sort_by(|one, two| one.section.cmp(&two.section));
        let mut text = String::new();
        let mut section = String::new();
        for entry in all {
            if entry.section != section {
                if !section.is_empty() {
                    text.push('\n');
                }
                text = text + "[" + &entry.section + "]\n";
                section = entry.section;
            }
            text = text + entry.key + " = " + &entry.value + "\n";
        }
        text
    }
}
