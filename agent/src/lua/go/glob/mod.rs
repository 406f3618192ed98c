//! Go's `filepath.Glob`: the files whose paths fit a pattern.

mod name;
mod walk;

pub use name::PATTERN_MAX;
pub use walk::{ENTRIES_MAX, GlobError, RESULTS_MAX, glob};
