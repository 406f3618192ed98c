//! File systems: how full they are.
//!
//! Kernel sources: `/proc/1/mountinfo` or `/proc/self/mountinfo` and `statvfs(3)`. [`collector`] has the series with
//! their units, [`selection`] which mounts are asked, [`answer`] what a file system says, and
//! [`asking`] how those that may never answer are asked.

pub mod answer;
pub mod asking;
pub mod collector;
mod selection;

pub use answer::{Answer, Statvfs};
pub use collector::Filesystem;
pub use selection::{IGNORED_MOUNTPOINTS, IGNORED_TYPES, Ignored};
