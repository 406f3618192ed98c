//! `cargo xtask dist`: the Debian package, from the section `package.metadata.deb` of the agent.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::ebpf::Verdict;
use crate::process::Program;
use crate::{apt, ebpf, run, toolchain, workspace};

const CARGO_DEB: &str = "3.8.0";

/// The verb.
pub(crate) fn verb(arguments: &[OsString]) -> Result<()> {
    crate::none_left(arguments)?;
    let package = build()?;
    println!("{}", package.display());
    Ok(())
}

/// Builds objects, agent and package.
///
/// # Errors
/// When one of them does not build, and when there is no eBPF tool chain: a package without
/// probes is never made by accident.
pub(crate) fn build() -> Result<PathBuf> {
    if let Verdict::NotPossible(reason) = ebpf::build()? {
        bail!("a package holds the eBPF programs, and they cannot be built here: {reason}");
    }
    run::build_agent(false)?;
    // Dependencies on shared libraries are worked out by dpkg-shlibdeps.
    apt::provide(&[apt::Need {
        program: "dpkg-shlibdeps",
        package: "dpkg-dev",
    }])?;
    let cargo_deb = toolchain::cargo_tool("cargo-deb", CARGO_DEB)?;
    let output = workspace::target().join("debian");
    forget_older(&output)?;
    Program::new(cargo_deb)
        .without_cargo_environment()
        .within(&workspace::root())
        .args(["--quiet", "--package", "moonward", "--no-build", "--output"])
        .arg(&output)
        .run()
        .context("cargo-deb made no package")?;
    newest(&output)?.with_context(|| format!("cargo-deb left nothing in {}", output.display()))
}

/// The packages that are there; one, unless somebody put others beside it.
fn newest(directory: &std::path::Path) -> Result<Option<PathBuf>> {
    let mut packages = packages(directory)?;
    packages.sort();
    Ok(packages.pop())
}

fn packages(directory: &std::path::Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Ok(Vec::new());
    };
    let mut packages = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            packages.push(path);
        }
    }
    Ok(packages)
}

/// A package of an older version must not be taken for the one just built.
fn forget_older(directory: &std::path::Path) -> Result<()> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    for package in packages(directory)? {
        fs::remove_file(&package)
            .with_context(|| format!("cannot remove {}", package.display()))?;
    }
    Ok(())
}
