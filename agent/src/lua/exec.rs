//! Runs one file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{ScriptError, State};

/// The longest script, in bytes: far more than anybody writes, little enough to read at once.
pub const SCRIPT_MAX: u64 = 16 * 1_048_576;

/// Why a file did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// It cannot be read.
    #[error("open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is longer than [`SCRIPT_MAX`].
    #[error("{} is longer than {} MiB and no script", .0.display(), SCRIPT_MAX / 1_048_576)]
    TooLong(PathBuf),
    /// It ran and failed.
    #[error(transparent)]
    Script(#[from] ScriptError),
}

/// Runs the file in the state.
///
/// # Errors
/// When it cannot be read, is too long, or fails.
pub fn run_file(state: &State, path: &Path) -> Result<(), ExecError> {
    let source = read(path).map_err(|source| ExecError::Open {
        path: path.to_owned(),
        source,
    })?;
    // One byte more than allowed was asked for.
    if u64::try_from(source.len()).unwrap_or(u64::MAX) > SCRIPT_MAX {
        return Err(ExecError::TooLong(path.to_owned()));
    }
    state.execute(&path.to_string_lossy(), &source)?;
    Ok(())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut source = Vec::new();
    File::open(path)?
        .take(SCRIPT_MAX + 1)
        .read_to_end(&mut source)?;
    Ok(source)
}
