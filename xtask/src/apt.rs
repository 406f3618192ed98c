//! Debian packages that a verb needs, installed when they are missing and this is root.
//!
//! Elsewhere the person is told what is missing; nothing is ever removed.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail};

use crate::process::{Program, is_installed, is_root};

/// The package lists are fetched once per run.
static LISTS_ARE_FRESH: AtomicBool = AtomicBool::new(false);

/// Something that a verb needs: a program, and the Debian package that holds it.
#[derive(Clone, Copy)]
pub(crate) struct Need {
    /// Program looked up in `PATH`.
    pub(crate) program: &'static str,
    /// Debian package that brings it.
    pub(crate) package: &'static str,
}

/// Makes sure that all the programs are there.
///
/// # Errors
/// Names the packages that are missing when they cannot be installed here.
pub(crate) fn provide(needs: &[Need]) -> Result<()> {
    let missing: Vec<&str> = needs
        .iter()
        .filter(|need| !is_installed(need.program))
        .map(|need| need.package)
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        install(&missing)
    }
}

/// Installs packages without their recommendations.
///
/// # Errors
/// When this is not Debian, not root, or the archive refuses.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let wanted = packages.join(" ");
    if !is_installed("apt-get") {
        bail!("missing: {wanted} (Debian's names); no apt-get here to install them with");
    }
    if !is_root() {
        bail!("missing: {wanted}; as root: apt-get install {wanted}");
    }
    println!("installing {wanted}");
    if !LISTS_ARE_FRESH.swap(true, Ordering::Relaxed) {
        apt_get()
            .args(["update"])
            .capture()
            .context("cannot fetch Debian's package lists")?;
    }
    apt_get()
        .args(["install", "-y", "--no-install-recommends"])
        .args(packages)
        .capture()
        .map(drop)
        .with_context(|| format!("cannot install {wanted}"))
}

/// `apt-get` that asks nothing and waits for whoever holds the lock.
fn apt_get() -> Program {
    Program::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args([
            "-qq",
            "-o",
            "DPkg::Lock::Timeout=600",
            "-o",
            "Dpkg::Use-Pty=0",
        ])
        .without_input()
}
