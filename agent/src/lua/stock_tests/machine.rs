//! A recorded machine whose files and clock a test changes, and stock plugins that run on it.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::collect::Root;
use crate::lua::testing::Stage;
use crate::lua::{Ending, HostOptions, Run};
use crate::model::clock::ManualClock;
use crate::model::{Clock, Glob};
use crate::serve::zalua::format;

/// 2023-11-14 22:13:20 UTC: when the machine's clock begins.
pub(super) const BEGIN: u64 = 1_700_000_000;

/// A machine.
pub(super) struct Machine {
    pub(super) stage: Stage,
    clock: Arc<ManualClock>,
    tree: TempDir,
    /// A plugin ends when nobody can stop it any more.
    started: RefCell<Vec<Run>>,
}

impl Machine {
    /// One without any files.
    pub(super) fn bare() -> Self {
        Self::with(|_| {})
    }

    /// The same with other options for the host.
    pub(super) fn with(change: impl FnOnce(&mut HostOptions)) -> Self {
        let tree = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::manual();
        hand.advance(Duration::from_secs(BEGIN));
        let stage = Stage::made(clock, Root::recorded(tree.path()), change);
        Self {
            stage,
            clock: hand,
            tree,
            started: RefCell::default(),
        }
    }

    /// A copy of one of `tests/data/machines`.
    pub(super) fn recorded(name: &str) -> Self {
        let machine = Self::bare();
        let recording = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data/machines")
            .join(name);
        copy(&recording, machine.tree.path());
        machine
    }

    /// The place of a file in the tree.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.tree.path().join(path)
    }

    /// Writes a file.
    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces a text that is in a file.
    #[track_caller]
    pub(super) fn change(&self, path: &str, changes: &[(&str, &str)]) {
        let path = self.path(path);
        let mut text = fs::read_to_string(&path).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "{from:?} is not in {}", path.display());
            text = text.replace(from, to);
        }
        fs::write(path, text).unwrap();
    }

    /// Moves the clock.
    pub(super) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The clock, in seconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.stage.store.clock().wall().seconds()
    }

    /// Starts a stock plugin with further options, written as Lua.
    pub(super) fn start(&self, plugin: &str, options: &str) -> Run {
        self.start_changed(plugin, options, &[])
    }

    /// The same with texts in it replaced, for what no option changes.
    fn start_changed(&self, plugin: &str, options: &str, changes: &[(&str, &str)]) -> Run {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../lua-stdlib/plugins")
            .join(plugin)
            .with_extension("lua");
        let mut source = fs::read_to_string(path).unwrap();
        for (from, to) in changes {
            assert!(source.contains(from), "{from:?} is not in {plugin}");
            source = source.replace(from, to);
        }
        // On the first line, so that messages name the plugin's own lines. Its second run comes
        // when the test wants it.
        let source = format!("plugin.options = {{interval = 86400, {options}}} {source}");
        let run = self.stage.start(&format!("{plugin}.lua"), source);
        self.started.borrow_mut().push(run.clone());
        run
    }

    /// Starts a stock plugin and waits for the end of its first run.
    #[track_caller]
    pub(super) fn first(&self, plugin: &str, options: &str) -> Run {
        let run = self.start(plugin, options);
        until(&run, 2);
        run
    }

    /// The same with texts in it replaced.
    #[track_caller]
    pub(super) fn first_changed(&self, plugin: &str, changes: &[(&str, &str)]) -> Run {
        let run = self.start_changed(plugin, "", changes);
        until(&run, 2);
        run
    }

    /// Moves the clock by a minute and has the plugin run again.
    #[track_caller]
    pub(super) fn next(&self, run: &Run) {
        self.advance(60);
        self.again(run);
    }

    /// Has the plugin run again.
    #[track_caller]
    pub(super) fn again(&self, run: &Run) {
        assert!(!self.started.borrow().is_empty(), "nothing was started");
        let before = run.status().runs;
        run.hurry();
        until(run, before + 1);
    }

    /// Every series that fits the pattern, sorted, each in a line of its own: the series, its value as
    /// ZaLua's clients see it, and in brackets its kind and unit.
    pub(super) fn seen(&self, pattern: &str) -> String {
        let mut lines: Vec<String> = Vec::new();
        for reading in self.stage.store.scan(&Glob::new(pattern)) {
            let value = format::value(&reading.value, reading.unit);
            let mut line = format!("{} {value} [{}", reading.series, reading.kind.as_str());
            if !reading.unit.as_str().is_empty() {
                write!(line, " {}", reading.unit.as_str()).unwrap();
            }
            lines.push(line + "]");
        }
        lines.sort();
        lines.join("\n")
    }

    /// The value of a series as ZaLua's clients see it; a dash when there is none.
    pub(super) fn value(&self, series: &str) -> String {
        match self.stage.store.get(series) {
            Some(reading) => format::value(&reading.value, reading.unit),
            None => "-".to_owned(),
        }
    }
}

/// Waits until so many runs have ended well: the first is the script itself.
#[track_caller]
fn until(run: &Run, runs: u64) {
    while run.status().runs < runs {
        match run.ending() {
            None => std::thread::sleep(Duration::from_millis(1)),
            Some(Ending::Returned) => panic!("it returned"),
            Some(Ending::Failed(error)) => {
                let trace = error.traceback.as_deref().unwrap_or_default();
                panic!("{error}\n{trace}");
            }
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from).unwrap(), to).unwrap();
        } else if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}
