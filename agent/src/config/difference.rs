//! What differs between two configurations, and whether a reload is enough for it.

use super::schema::{COLLECTOR_KEYS, Reload, SECTIONS};
use super::types::{CollectConfig, Config};

/// One key whose value differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The table, such as `collect.disk`.
    pub section: String,
    /// The key in it.
    pub key: &'static str,
    /// The value before, as a file would have it.
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
    let changes = effective(old)
        .into_iter()
        .zip(effective(new))
        .filter(|(old, new)| old.value != new.value)
        .map(|(old, new)| Change {
            section: new.section,
            key: new.key,
            old: old.value,
            new: new.value,
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
    pub(super) reload: Reload,
}

/// Every key there is, always in the same order.
pub(super) fn effective(config: &Config) -> Vec<Effective> {
    // The fields of the schema lead to places to write to; reading needs a copy to lead into.
    let mut config = config.clone();
    let mut all = Vec::new();
    for section in SECTIONS {
        for key in section.keys {
            all.push(Effective {
                section: section.name.to_owned(),
                key: key.name,
                value: key.field.show(&mut config),
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
