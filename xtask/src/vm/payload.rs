//! The second disk: what changes from one build to the next, so that the first can be kept.
//!
//! It holds this program, which answers the workshop from inside, and the package under test.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::process::Program;
use crate::workspace;

/// The package under test, as the machine sees it.
pub(crate) const PACKAGE: &str = "/mnt/workshop/moonward.deb";

/// This program, as the machine sees it.
pub(crate) const PROGRAM: &str = "/mnt/workshop/xtask";

/// Label by which the machine finds the disk.
pub(crate) const LABEL: &str = "workshop";

/// Makes the disk; returns its path.
///
/// # Errors
/// When a file cannot be copied or the file system does not hold them.
pub(crate) fn build(package: Option<&Path>) -> Result<PathBuf> {
    let machines = workspace::machines();
    let tree = machines.join("payload");
    if tree.exists() {
        fs::remove_dir_all(&tree).context("cannot clear the old payload")?;
    }
    fs::create_dir_all(&tree).context("cannot create the payload's directory")?;
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut bytes = copy(&program, &tree.join("xtask"))?;
    if let Some(package) = package {
        bytes += copy(package, &tree.join("moonward.deb"))?;
    }
    let image = machines.join("payload.img");
    disk_from_tree(&tree, &image, LABEL, 16 + bytes * 5 / 4 / (1 << 20))?;
    Ok(image)
}

fn copy(from: &Path, to: &Path) -> Result<u64> {
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))
}

/// Makes an ext4 disk out of a directory, without mounting anything.
pub(crate) fn disk_from_tree(tree: &Path, image: &Path, label: &str, mebibytes: u64) -> Result<()> {
    if image.exists() {
        fs::remove_file(image).with_context(|| format!("cannot replace {}", image.display()))?;
    }
    Program::new("/usr/sbin/mke2fs")
        .args(["-q", "-F", "-t", "ext4", "-L", label, "-d"])
        .arg(tree)
        .arg(image)
        .arg(format!("{mebibytes}M"))
        .capture()
        .map(drop)
        .with_context(|| format!("cannot make the disk {}", image.display()))
}
