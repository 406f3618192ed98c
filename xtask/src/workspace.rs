//! Where things are in the workspace.

use std::path::PathBuf;

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
