//! The shipped Lua: stock plugins and the modules that plugins `require`.
//!
//! It is built into the program, so that an agent that was only copied to a host has it too. Where
//! a package has put it on the disk, the files there are used instead, all of them.

use std::path::{Path, PathBuf};

mod built_in {
    include!(concat!(env!("OUT_DIR"), "/library.rs"));
}

/// What a built-in file is called in messages, before its path below `lua-stdlib`.
const PREFIX: &str = "builtin:";

/// Where the shipped Lua is taken from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Library {
    directory: Option<PathBuf>,
}

/// A file that is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// Its name without `.lua`.
    pub name: &'static str,
    /// What is in it.
    pub text: &'static str,
    /// The folder it is from.
    folder: &'static str,
}

impl BuiltIn {
    /// What it is called in messages: `builtin:plugins/cpu.lua`.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("{PREFIX}{}/{}.lua", self.folder, self.name))
    }
}

impl Library {
    /// The library in a directory when that exists, else what is built in.
    pub fn at(directory: &Path) -> Self {
        Self {
            directory: directory.is_dir().then(|| directory.to_owned()),
        }
    }

    /// Its directory of plugins, when they are files.
    pub fn plugins(&self) -> Option<PathBuf> {
        self.directory
            .as_ref()
            .map(|directory| directory.join("plugins"))
    }

    /// Its directory of modules, when they are files.
    pub fn modules(&self) -> Option<PathBuf> {
        self.directory
            .as_ref()
            .map(|directory| directory.join("modules"))
    }

    /// The plugins that are built in, by name; none when they are files.
    pub fn built_in_plugins(&self) -> impl Iterator<Item = BuiltIn> {
        let table = match self.directory {
            None => built_in::PLUGINS,
            Some(_) => &[],
        };
        table.iter().map(|(name, text)| BuiltIn {
            name,
            text,
            folder: "plugins",
        })
    }

    /// A module that is built in; none when modules are files.
    pub fn built_in_module(&self, name: &str) -> Option<BuiltIn> {
        if self.directory.is_some() {
            return None;
        }
        let mut table = built_in::MODULES.iter();
        table
            .find(|(known, _)| *known == name)
            .map(|(name, text)| BuiltIn {
                name,
                text,
                folder: "modules",
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_shipped_is_built_in() {
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lua-stdlib");
        for (folder, table) in [
            ("plugins", built_in::PLUGINS),
            ("modules", built_in::MODULES),
        ] {
            let Ok(entries) = std::fs::read_dir(library.join(folder)) else {
                assert!(table.is_empty());
                continue;
            };
            let paths = entries.map(|entry| entry.unwrap().path());
            let mut files: Vec<PathBuf> = paths
                .filter(|path| path.extension().is_some_and(|extension| extension == "lua"))
                .collect();
            files.sort();
            assert_eq!(files.len(), table.len(), "{folder}");
            for (file, (name, text)) in files.iter().zip(table) {
                assert_eq!(file.file_stem().unwrap().to_str(), Some(*name));
                assert_eq!(std::fs::read_to_string(file).unwrap(), **text, "{name}");
            }
        }
    }

    #[test]
    fn files_on_the_disk_take_the_place_of_all_that_is_built_in() {
        let directory = tempfile::tempdir().unwrap();
        let absent = Library::at(&directory.path().join("absent"));
        assert_eq!(absent, Library::default());
        assert_eq!(absent.plugins(), None);
        let present = Library::at(directory.path());
        assert_eq!(present.plugins(), Some(directory.path().join("plugins")));
        assert_eq!(present.built_in_plugins().count(), 0);
        assert!(present.built_in_module("prometheus_gauge").is_none());
    }
}
