//! Reads the files and the environment; the only part of the configuration that does I/O.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::document::{self, Unread};
use super::environment::Environment;
use super::parse::{Source, parse};
use super::problem::{Problem, Problems};
use super::types::Config;

/// The largest file that is read. The shipped sample is a few kilobytes.
const FILE_MAX: u64 = 1 << 20;
/// The most files of a directory that are read.
const FILES_MAX: usize = 1000;

/// Which files make the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigPaths {
    /// The file that is read first.
    pub main: PathBuf,
    /// Whether it is a mistake that it does not exist; it is when somebody named it.
    pub main_required: bool,
    /// The directory whose `*.toml` are read after it, sorted by name.
    pub fragments: Option<PathBuf>,
}

impl ConfigPaths {
    /// `/etc/moonward/moonward.toml` and `/etc/moonward/conf.d/*.toml`; none of them must exist.
    pub fn system() -> Self {
        Self {
            main: PathBuf::from("/etc/moonward/moonward.toml"),
            main_required: false,
            fragments: Some(PathBuf::from("/etc/moonward/conf.d")),
        }
    }

    /// One file that somebody named, and nothing else.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            main: path.into(),
            main_required: true,
            fragments: None,
        }
    }
}

impl Config {
    /// Reads all files. On any mistake nothing is returned but all mistakes.
    pub fn load(paths: &ConfigPaths, environment: &Environment) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut sources = Vec::new();
        let mut files = vec![(paths.main.clone(), paths.main_required)];
        if let Some(directory) = &paths.fragments {
            match fragments(directory) {
                Ok(found) => files.extend(found.into_iter().map(|file| (file, true))),
                Err(message) => problems.push(Problem {
                    file: directory.clone(),
                    position: None,
                    message,
                }),
            }
        }
        for (path, required) in files {
            match document::read(&path, FILE_MAX) {
                Ok((text, _)) => sources.push(Source { path, text }),
                Err(Unread::Absent) if !required => {}
                Err(unread) => problems.push(Problem {
                    file: path,
                    position: None,
                    message: unread.message(),
                }),
            }
        }
        parse(&sources, environment, problems)
    }
}

impl Environment {
    /// The surroundings of this process.
    pub fn current() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            uid: rustix::process::geteuid().as_raw(),
            hostname: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            state_directory: variable("STATE_DIRECTORY"),
            runtime_directory: variable("RUNTIME_DIRECTORY"),
            xdg_runtime_dir: variable("XDG_RUNTIME_DIR"),
            xdg_state_home: variable("XDG_STATE_HOME"),
            home: variable("HOME"),
        }
    }
}

/// The `*.toml` of a directory, sorted by name; a directory that is not there has none.
fn fragments(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("cannot be listed: {error}")),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| format!("cannot be listed: {error}"))?;
        let name = entry.file_name();
        // Editors and package managers leave hidden files and `*.toml.dpkg-old`.
        if name.as_bytes().ends_with(b".toml") && !name.as_bytes().starts_with(b".") {
            files.push(entry.path());
        }
        if files.len() > FILES_MAX {
            return Err(format!(
                "has more than {FILES_MAX} files, which are not read"
            ));
        }
    }
    files.sort();
    Ok(files)
}
