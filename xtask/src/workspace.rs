//! Where things are in the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The top of the sources.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.clone(), PathBuf::from)
}

/// What is built, and all that the workshop keeps between two calls.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// Tools that were installed for this workspace alone.
pub(crate) fn tools() -> PathBuf {
    target().join("tools")
}

/// The eBPF objects that the agent embeds.
pub(crate) fn ebpf_objects() -> PathBuf {
    target().join("ebpf").join("objects")
}

/// Images, logs and sockets of the machine tests.
pub(crate) fn machines() -> PathBuf {
    target().join("vm")
}

/// The names of the Rust files of a directory, sorted: programs and fuzz targets are such files, and
/// a new one needs no line anywhere else.
///
/// # Errors
/// When the directory cannot be listed or has none.
pub(crate) fn rust_files(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs")
            && let Some(stem) = path.file_stem()
        {
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort();
    if names.is_empty() {
        bail!("no programs in {}", directory.display());
    }
    Ok(names)
}
