//! From the text of the files to the configuration, or to every mistake in them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::{Lines, short, show, too_deep};
use super::environment::Environment;
use super::field::Wrong;
use super::plugin::{self, PluginConfig, PluginSettings};
use super::problem::{Problem, Problems};
use super::schema::{COLLECTOR_KEYS, PLUGIN_KEYS, SECTIONS, keys};
use super::suggest::unknown;
use super::types::{CollectConfig, Config};
use super::units;

/// A file's content and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file, for messages.
    pub path: PathBuf,
    /// What it holds.
    pub text: Vec<u8>,
}

/// Reads the files in order; a key of a later file wins. `found` are the mistakes that reading the
/// files themselves brought up; they are reported together with those inside.
pub fn parse(
    sources: &[Source],
    environment: &Environment,
    found: Problems,
) -> Result<Config, Problems> {
    let mut reader = Reader {
        config: Config::defaults(environment),
        set: BTreeMap::new(),
        problems: found,
    };
    for source in sources {
        reader.file(source);
    }
    reader.settle();
    reader.config.files = sources.iter().map(|source| source.path.clone()).collect();
    if reader.problems.is_empty() {
        Ok(reader.config)
    } else {
        Err(reader.problems)
    }
}

struct Reader {
    config: Config,
    /// Every key that a file has set, with the place.
    set: BTreeMap<String, (PathBuf, (usize, usize))>,
    problems: Problems,
}

impl Reader {
    fn file(&mut self, source: &Source) {
        let text = match std::str::from_utf8(&source.text) {
            Ok(text) => text,
            Err(error) => {
                let valid = source.text.get(..error.valid_up_to()).unwrap_or_default();
                let before = String::from_utf8_lossy(valid);
                self.problems.push(Problem {
                    file: source.path.clone(),
                    position: Some(Lines::new(&before).position(before.len())),
                    message: "found a byte that is not UTF-8, expected text in UTF-8".to_owned(),
                });
                return;
            }
        };
        if let Some((at, message)) = too_deep(text) {
            self.problems.push(Problem {
                file: source.path.clone(),
                position: Some(Lines::new(text).position(at)),
                message,
            });
            return;
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut file = File {
            path: &source.path,
            lines: Lines::new(text),
            found: Vec::new(),
        };
        let mut broken = BTreeSet::new();
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            broken.insert(file.lines.line(span.start));
            // The parser takes what is not there for a text without quotes.
            let message = if span.is_empty() && error.message().starts_with("string values must") {
                "a value is missing"
            } else {
                // Only the first line: a problem is one line.
                error.message().lines().next().unwrap_or_default()
            };
            file.found.push((span.start, format!("syntax: {message}")));
        }
        let syntax = file.found.len();
        self.table(&mut file, "", table.get_ref());
        // What the parser made of a broken line is its guess, not the administrator's mistake.
        let mut index = 0;
        let lines = &file.lines;
        file.found.retain(|(at, _)| {
            index += 1;
            index <= syntax || !broken.contains(&lines.line(*at))
        });
        // One mistake of syntax can be reported by several rules of the grammar.
        file.found.sort();
        file.found.dedup_by_key(|(at, _)| *at);
        for (at, message) in file.found {
            self.problems.push(Problem {
                file: source.path.clone(),
                position: Some(file.lines.position(at)),
                message,
            });
        }
    }

    /// Walks one table; `path` is its name with dots, empty for the file itself.
    fn table(&mut self, file: &mut File<'_>, path: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let name: &str = key.get_ref();
            let full = join(path, name);
            if is_section(&full) {
                if let DeValue::Table(inner) = value.get_ref() {
                    self.table(file, &full, inner);
                } else {
                    file.wrong(
                        value.span(),
                        format!(
                            "{full}: found {}, expected a table, written [{full}]",
                            show(value.get_ref())
                        ),
                    );
                }
                continue;
            }
            if path == "plugin"
                && let DeValue::Table(inner) = value.get_ref()
            {
                self.plugin(file, name, key.span(), inner);
                continue;
            }
            match self.set(path, name, value) {
                Some(result) => self.was_set(file, full, value, result),
                None => file.wrong(key.span(), unknown(path, name)),
            }
        }
    }

    /// Notes that a key was set, or what is wrong with it.
    fn was_set(
        &mut self,
        file: &mut File<'_>,
        full: String,
        value: &Spanned<DeValue<'_>>,
        result: Result<(), Vec<Wrong>>,
    ) {
        match result {
            Ok(()) => {
                let place = file.lines.position(value.span().start);
                self.set.insert(full, (file.path.to_owned(), place));
            }
            Err(wrongs) => {
                for wrong in wrongs {
                    let span = wrong.span.unwrap_or_else(|| value.span());
                    file.wrong(span, format!("{full}: {}", wrong.message));
                }
            }
        }
    }

    /// Reads `[plugin.NAME]`.
    fn plugin(&mut self, file: &mut File<'_>, name: &str, at: Range<usize>, table: &DeTable<'_>) {
        if !PluginConfig::is_name(name) {
            let message = format!(
                "plugin: found {:?}, expected the name of a plugin, which has at most {} letters, \
                 digits, \"_\", \".\" and \"-\"",
                short(name),
                PluginConfig::NAME_MAX
            );
            return file.wrong(at, message);
        }
        let name = plugin::bare(name);
        let named = &mut self.config.plugin.named;
        if !named.contains_key(name) && named.len() >= PluginConfig::NAMED_MAX {
            let message = format!(
                "plugin: found {:?}, expected at most {} plugins with a table of their own",
                short(name),
                PluginConfig::NAMED_MAX
            );
            return file.wrong(at, message);
        }
        named.entry(name.to_owned()).or_default();
        let section = plugin::section(name);
        for (key, value) in table {
            let Some(known) = PLUGIN_KEYS.iter().find(|known| known.name == key.get_ref()) else {
                file.wrong(key.span(), unknown(&section, key.get_ref()));
                continue;
            };
            if let Some(settings) = self.config.plugin.named.get_mut(name) {
                let result = known.field.set(settings, value.get_ref());
                self.was_set(file, join(&section, known.name), value, result);
            }
        }
    }

    /// Sets a key; `None` when the table has no such key.
    fn set(
        &mut self,
        section: &str,
        name: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Result<(), Vec<Wrong>>> {
        if let Some(key) = keys(section).iter().find(|key| key.name == name) {
            return Some(key.field.set(&mut self.config, value.get_ref()));
        }
        let index = collector_index(section)?;
        let key = COLLECTOR_KEYS.iter().find(|key| key.name == name)?;
        let collector = self.config.collect.collectors.get_mut(index)?;
        Some(key.field.set(collector, value.get_ref()))
    }

    /// Fills in what depends on other keys, and checks keys against each other.
    fn settle(&mut self) {
        let config = &mut self.config;
        for (name, collector) in CollectConfig::NAMES
            .iter()
            .zip(&mut config.collect.collectors)
        {
            if !self.set.contains_key(&format!("collect.{name}.interval")) {
                collector.interval = config.collect.interval;
            }
        }
        if !self.set.contains_key("zabbix.hostname") {
            config.zabbix.hostname.clone_from(&config.agent.hostname);
        }
        self.settle_plugins();
        let store = &mut self.config.store;
        if store.max_series_per_source > store.max_series {
            if let Some((file, place)) = self.set.get("store.max_series_per_source") {
                self.problems.push(Problem {
                    file: file.clone(),
                    position: Some(*place),
                    message: format!(
                        "store.max_series_per_source: found {}, expected at most \
                         store.max_series, which is {}",
                        store.max_series_per_source, store.max_series
                    ),
                });
            } else {
                store.max_series_per_source = store.max_series;
            }
        }
    }
}

impl Reader {
    /// Plugins take what their own table does not say from `[plugin]`; the pauses between starts
    /// must fit each other.
    fn settle_plugins(&mut self) {
        let plugins = &mut self.config.plugin;
        for (name, settings) in &mut plugins.named {
            let section = plugin::section(name);
            let said = |key: &str| self.set.contains_key(&join(&section, key));
            let own = std::mem::replace(settings, plugins.common.clone());
            *settings = PluginSettings {
                enabled: if said("enabled") {
                    own.enabled
                } else {
                    settings.enabled
                },
                memory: if said("memory") {
                    own.memory
                } else {
                    settings.memory
                },
                instructions: if said("instructions") {
                    own.instructions
                } else {
                    settings.instructions
                },
                time: if said("time") {
                    own.time
                } else {
                    settings.time
                },
                deadline: if said("deadline") {
                    own.deadline
                } else {
                    settings.deadline
                },
                options: own.options,
            };
        }
        if plugins.restart_delay <= plugins.restart_delay_max {
            return;
        }
        // Somebody who sets one need not know of the other.
        let least = self.set.get("plugin.restart_delay");
        let most = self.set.get("plugin.restart_delay_max");
        match (least, most) {
            (Some(_), Some((file, place))) => self.problems.push(Problem {
                file: file.clone(),
                position: Some(*place),
                message: format!(
                    "plugin.restart_delay_max: found {:?}, expected at least \
                     plugin.restart_delay, which is {:?}",
                    units::show_duration(plugins.restart_delay_max),
                    units::show_duration(plugins.restart_delay)
                ),
            }),
            (Some(_), None) => plugins.restart_delay_max = plugins.restart_delay,
            _ => plugins.restart_delay = plugins.restart_delay_max,
        }
    }
}

/// One file while it is walked.
struct File<'t> {
    path: &'t Path,
    lines: Lines<'t>,
    found: Vec<(usize, String)>,
}

impl File<'_> {
    fn wrong(&mut self, span: Range<usize>, message: String) {
        self.found.push((span.start, message));
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// Which collector's table it is.
pub(super) fn collector_index(section: &str) -> Option<usize> {
    let name = section.strip_prefix("collect.")?;
    CollectConfig::NAMES.iter().position(|known| *known == name)
}

fn is_section(path: &str) -> bool {
    SECTIONS.iter().any(|section| section.name == path) || collector_index(path).is_some()
}
