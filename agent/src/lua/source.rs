//! Reads the file of a script.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The longest script, in bytes: far more than anybody writes, little enough to read at once.
pub const SCRIPT_MAX: u64 = 16 * 1_048_576;

/// Why there is no script in a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
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
}

/// The script in a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    let source = read_some(path).map_err(|source| ReadError::Open {
        path: path.to_owned(),
        source,
    })?;
    // One byte more than allowed was asked for.
    if u64::try_from(source.len()).unwrap_or(u64::MAX) > SCRIPT_MAX {
        return Err(ReadError::TooLong(path.to_owned()));
    }
    Ok(source)
}

fn read_some(path: &Path) -> io::Result<Vec<u8>> {
    let mut source = Vec::new();
    File::open(path)?
        .take(SCRIPT_MAX + 1)
        .read_to_end(&mut source)?;
    Ok(source)
}
