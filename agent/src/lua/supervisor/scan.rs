//! Which plugins there are, and what is in them. Blocks on the disk.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::path::{Step, walk};
use super::watch::Interests;
use super::{Init, Plan};
use crate::config::PluginConfig;
use crate::lua::library::Library;
use crate::lua::source::read;
use crate::telemetry::log::chain;

/// The most scripts that one directory is looked through for: more is no directory of plugins.
const SCRIPTS_MAX: usize = 4096;

/// The name of ZaLua's first script as a plugin.
pub(super) const INIT: &str = "init";

/// What to look through.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) plan: Arc<Plan>,
    pub(super) library: Library,
    /// Files that somebody writes at this moment.
    pub(super) open: HashSet<Step>,
    /// The plugins that were there before, and their files.
    pub(super) known: BTreeMap<String, PathBuf>,
    /// Says what the look is at.
    pub(super) place: Place,
}

/// What a look is at: a directory, or a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Place(Arc<Mutex<PathBuf>>);

impl Place {
    fn set(&self, path: &Path) {
        path.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        #[cfg(test)]
        tests::hold(path);
    }

    pub(super) fn get(&self) -> PathBuf {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// What there is.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By the name of the page: the plugin's, or the path of what is refused or closed.
    pub(super) plugins: BTreeMap<String, Sighting>,
    /// What the path of each plugin leads through.
    steps: BTreeMap<String, Vec<Step>>,
    /// Where a change would change any of this.
    pub(super) interests: Interests,
}

/// One plugin as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    /// The file.
    pub(super) path: PathBuf,
    /// What is in it.
    pub(super) content: Content,
}

/// What is in the file of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Something to run.
    Code(Arc<[u8]>),
    /// It cannot be read now, and why.
    Unreadable(String),
    /// It is not run, and why.
    Refused(String),
    /// It is a directory that cannot be looked into now, and why.
    Closed(String),
    /// Somebody is writing it, or its directory cannot be looked into: it stays what it was.
    BeingWritten,
}

/// Whether a file of this name is a plugin.
pub(super) fn is_script(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.ends_with(b".lua") && !name.starts_with(b".") && name.len() > 4
}

impl Scan {
    /// Looks.
    pub(super) fn look(&self) -> Found {
        let mut found = Found::default();
        let config = &self.plan.config;
        if let Some(init) = &self.plan.init {
            self.file(&init.path, INIT, &mut found);
            if init.alone {
                return found;
            }
        }
        let stock = config.stock.then(|| self.library.plugins()).flatten();
        for directory in config.directories.iter().chain(&stock) {
            let is_stock = stock.as_ref() == Some(directory);
            self.directory(directory, is_stock, &mut found);
        }
        if config.stock {
            for plugin in self.library.built_in_plugins() {
                if found.has_zaluas(plugin.name) {
                    continue;
                }
                let sighting = Sighting {
                    path: plugin.path(),
                    content: Content::Code(Arc::from(plugin.text.as_bytes())),
                };
                // An operator's plugin of the same name takes its place.
                found
                    .plugins
                    .entry(plugin.name.to_owned())
                    .or_insert(sighting);
            }
        }
        found
    }

    fn directory(&self, directory: &Path, is_stock: bool, found: &mut Found) {
        self.place.set(directory);
        let mut steps = Vec::new();
        let end = walk(directory, &mut steps);
        take(&mut found.interests, &steps);
        // Where it is that one may not go on, when one may not.
        let barred = match &end {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                steps.last().map(|(place, _)| place.as_path())
            }
            _ => None,
        };
        let names = end.and_then(|real| {
            let names = scripts(&real);
            found.interests.entry(real).or_default().scripts = true;
            names
        });
        let names = match names {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                let name = directory.display().to_string();
                let reason = match barred {
                    Some(place) => {
                        format!(
                            "open {name}: {} cannot be searched: {error}",
                            place.display()
                        )
                    }
                    None => format!("open {name}: {error}"),
                };
                if error.kind() == io::ErrorKind::NotADirectory {
                    refuse(found, name, directory, reason);
                } else {
                    self.keep(directory, found);
                    let path = directory.to_owned();
                    let content = Content::Closed(reason);
                    found.plugins.insert(name, Sighting { path, content });
                }
                return;
            }
        };
        for file in names {
            let path = directory.join(&file);
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            if !PluginConfig::is_name(&name) || file.to_str().is_none() {
                let reason = "its name has other characters than letters, digits, \"_\", \".\" and \
                              \"-\"; rename it";
                refuse(found, path.display().to_string(), &path, reason.to_owned());
                continue;
            }
            match found.plugins.get(&*name) {
                None if is_stock && found.has_zaluas(&name) => {}
                None => self.file(&path, &name, found),
                Some(_) if is_stock => {}
                Some(first) => {
                    let reason = format!("its name is taken by {}", first.path.display());
                    refuse(found, path.display().to_string(), &path, reason);
                }
            }
        }
    }

    /// Leaves the plugins of a directory as they are. They are among what was found, so that no other
    /// takes the name of one.
    fn keep(&self, directory: &Path, found: &mut Found) {
        let known = self.known.iter();
        for (name, path) in known.filter(|(_, path)| path.parent() == Some(directory)) {
            let path = path.clone();
            let content = Content::BeingWritten;
            let plugin = found.plugins.entry(name.clone());
            plugin.or_insert(Sighting { path, content });
        }
    }

    fn file(&self, path: &Path, name: &str, found: &mut Found) {
        self.place.set(path);
        let mut steps = Vec::new();
        // Whether it can be reached is found out by reading it.
        walk(path, &mut steps).ok();
        take(&mut found.interests, &steps);
        let content = if steps.iter().any(|step| self.open.contains(step)) {
            Content::BeingWritten
        } else {
            content(path)
        };
        let path = path.to_owned();
        found.steps.insert(name.to_owned(), steps);
        found
            .plugins
            .insert(name.to_owned(), Sighting { path, content });
    }
}

impl Found {
    /// Whether the operator has brought along ZaLua's plugin of this name, `NAME_plugin.lua`. Two
    /// that put the same keys would take each other's speeds.
    fn has_zaluas(&self, name: &str) -> bool {
        self.plugins.contains_key(&format!("{name}_plugin"))
    }

    /// Forgets the content of files that somebody began to write while they were read.
    pub(super) fn leave_out(&mut self, open: &HashSet<Step>) {
        for (name, steps) in &self.steps {
            if steps.iter().any(|step| open.contains(step))
                && let Some(plugin) = self.plugins.get_mut(name)
            {
                plugin.content = Content::BeingWritten;
            }
        }
    }
}

fn content(path: &Path) -> Content {
    // A pipe would keep whoever opens it.
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => {
            Content::Unreadable(format!("open {}: it is a directory", path.display()))
        }
        Ok(metadata) if !metadata.is_file() => {
            Content::Unreadable(format!("open {}: it is no file", path.display()))
        }
        _ => match read(path) {
            Ok(code) => Content::Code(code.into()),
            Err(error) => Content::Unreadable(chain(&error).to_string()),
        },
    }
}

fn refuse(found: &mut Found, name: String, path: &Path, reason: String) {
    let sighting = Sighting {
        path: path.to_owned(),
        content: Content::Refused(reason),
    };
    found.plugins.entry(name).or_insert(sighting);
}

fn take(interests: &mut Interests, steps: &[Step]) {
    for (directory, name) in steps {
        let interest = interests.entry(directory.clone()).or_default();
        interest.names.insert(name.clone());
    }
}

/// The names of the scripts in a directory, in order.
fn scripts(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if is_script(&name) {
            names.push(name);
        }
        if names.len() > SCRIPTS_MAX {
            let reason = format!("it has more than {SCRIPTS_MAX} scripts and is not looked at");
            return Err(io::Error::other(reason));
        }
    }
    names.sort();
    Ok(names)
}

impl Init {
    /// Whether nothing else is to run.
    pub(super) fn is_alone(init: Option<&Self>) -> bool {
        init.is_some_and(|init| init.alone)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;
    use std::sync::Condvar;

    use super::*;

    static HELD: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    static CHANGED: Condvar = Condvar::new();

    /// While this is there, looking at the path hangs, as on a server that is gone.
    pub(in super::super) struct Hold(PathBuf);

    impl Hold {
        pub(in super::super) fn new(path: PathBuf) -> Self {
            HELD.lock().unwrap().insert(path.clone());
            Self(path)
        }
    }

    impl Drop for Hold {
        fn drop(&mut self) {
            HELD.lock().unwrap().remove(&self.0);
            CHANGED.notify_all();
        }
    }

    pub(super) fn hold(path: &Path) {
        let held = HELD.lock().unwrap();
        drop(
            CHANGED
                .wait_while(held, |held| held.contains(path))
                .unwrap(),
        );
    }
}
