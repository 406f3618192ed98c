//! What several fuzz targets share: directories in memory, and collectors over a tree of files.

use std::fs;
use std::path::{Path, PathBuf};

use moonward::collect::filesystem::Ignored;
use moonward::collect::{Collector, Root, Round, registry};
use moonward::model::{Batch, Moment, Series, Value};

/// Where a target may write: what `cargo xtask fuzz` made for it (in memory, and removed
/// afterwards), else a directory of its own below the system's temporary one.
pub fn scratch(name: &str) -> PathBuf {
    let base =
        std::env::var_os("MOONWARD_FUZZ_SCRATCH").map_or_else(std::env::temp_dir, PathBuf::from);
    let path = base.join(format!("moonward-fuzz-{name}-{}", std::process::id()));
    fs::create_dir_all(&path).expect("the scratch directory can be made");
    path
}

/// The recorded machines that the golden tests use.
pub fn machines() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/machines")
}

/// Writes a file below `tree`, with the directories above it.
pub fn write(tree: &Path, path: &str, content: &[u8]) {
    let path = tree.join(path.trim_start_matches('/'));
    if fs::write(&path, content).is_err() {
        fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("made");
        fs::write(&path, content).expect("written");
    }
}

/// A fresh collector by its name.
pub fn collector(name: &str) -> Box<dyn Collector> {
    registry::all(Ignored::default(), true)
        .into_iter()
        .find(|collector| collector.name() == name)
        .expect("there is such a collector")
}

/// Runs one round at `seconds` after boot; returns the samples and the number of losses.
///
/// Every sample must have a series that reads back as itself, and a value that makes sense
/// whatever the files said: numbers are finite, shares lie between 0 and 1.
pub fn round(collector: &mut dyn Collector, root: &Root, seconds: u64) -> (Batch, u64) {
    let mut batch = Batch::new();
    let mut round = Round::new(root, &mut batch, Moment(seconds * 1_000_000_000));
    collector.collect(&mut round);
    let (lost, words) = round.losses();
    assert!(words.len() as u64 <= lost);
    assert!(round.absences() <= lost);
    for sample in batch.iter() {
        let series = sample.series.as_str();
        let read = Series::parse(series);
        assert_eq!(read.as_ref().map(Series::as_str), Ok(series));
        if let Value::Float(number) = sample.value {
            assert!(number.is_finite(), "{series} is {number}");
            let share = sample.series.name().ends_with(".utilization");
            assert!(
                !share || (0.0..=1.0).contains(number),
                "{series} is {number}"
            );
        }
    }
    (batch, lost)
}
