//! The compilers and cargo tools that a verb needs beyond stable Rust.
//!
//! eBPF programs need the sources of `core` that match their compiler. Two ways are tried, in
//! this order: rustup's nightly with its `rust-src` component, and Debian's own `rustc-web` with
//! `rust-web-src`. `MOONWARD_EBPF_TOOLCHAIN=rustup` or `=debian` admits only that one.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::process::{Program, is_installed};
use crate::{apt, workspace};

/// Last release that links with the LLVM inside rustc; later ones want a system LLVM.
const BPF_LINKER: &str = "0.10.0";

/// Debian's compiler and the sources of its `core`.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CORE: &str = "/usr/lib/rustlib/src/rust/library/core";
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// A compiler that has the sources of its own `core`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BpfCompiler {
    /// rustup's nightly.
    Nightly,
    /// Debian's rustc, driven by whatever cargo is at hand.
    Debian,
}

impl BpfCompiler {
    /// For messages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nightly => "rustup's nightly",
            Self::Debian => "Debian's rustc-web",
        }
    }

    /// Finds it, or installs it where that is possible.
    ///
    /// # Errors
    /// Says why this way is closed.
    pub(crate) fn provide(self) -> Result<()> {
        match self {
            Self::Nightly => nightly(),
            Self::Debian => debian(),
        }
    }

    /// A `cargo` that compiles with it.
    pub(crate) fn cargo(self) -> Program {
        match self {
            Self::Nightly => Program::new("rustup")
                .args(["run", "nightly", "cargo"])
                .without_cargo_environment(),
            Self::Debian => Program::new("cargo")
                .without_cargo_environment()
                .env("RUSTC", DEBIAN_RUSTC)
                // Debian's compiler is a stable one; `-Zbuild-std` is asked of it all the same.
                .env("RUSTC_BOOTSTRAP", "1"),
        }
    }
}

/// The compilers to try, in order.
pub(crate) fn bpf_compilers() -> Vec<BpfCompiler> {
    match std::env::var("MOONWARD_EBPF_TOOLCHAIN").as_deref() {
        Ok("rustup") => vec![BpfCompiler::Nightly],
        Ok("debian") => vec![BpfCompiler::Debian],
        _ => vec![BpfCompiler::Nightly, BpfCompiler::Debian],
    }
}

/// Is rustup's nightly here, and does it have the sources of `core`?
fn nightly() -> Result<()> {
    if !is_installed("rustup") {
        bail!("rustup is not installed");
    }
    let installed = Program::new("rustup")
        .args(["toolchain", "list"])
        .capture()?;
    if !installed.lines().any(|line| line.starts_with("nightly")) {
        bail!("not installed (rustup toolchain install nightly --component rust-src)");
    }
    let sysroot = Program::new("rustup")
        .args(["run", "nightly", "rustc", "--print", "sysroot"])
        .without_cargo_environment()
        .capture()?;
    let core = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core");
    if core.is_dir() {
        return Ok(());
    }
    let added = Program::new("rustup")
        .args(["component", "add", "rust-src", "--toolchain", "nightly"])
        .attempt()?;
    if !added.status.success() || !core.is_dir() {
        bail!("it has no rust-src and rustup could not add it");
    }
    Ok(())
}

/// Is Debian's compiler here, or can it be installed?
fn debian() -> Result<()> {
    let present = || Path::new(DEBIAN_RUSTC).is_file() && Path::new(DEBIAN_CORE).is_dir();
    if present() {
        return Ok(());
    }
    apt::install(&DEBIAN_PACKAGES)?;
    if !present() {
        bail!(
            "{} came without {DEBIAN_CORE}",
            DEBIAN_PACKAGES.join(" and ")
        );
    }
    Ok(())
}

/// What the agent's dependencies in C are built with and against, installed where it is missing:
/// `make` for LuaJIT, OpenSSL's headers and the program that finds them for TLS.
///
/// # Errors
/// Names what is missing when it cannot be installed here.
pub(crate) fn for_the_agent() -> Result<()> {
    let mut missing = Vec::new();
    if !is_installed("make") {
        missing.push("make");
    }
    if !has_openssl()? {
        missing.extend(["pkg-config", "libssl-dev"]);
    }
    if missing.is_empty() {
        return Ok(());
    }
    apt::install(&missing)?;
    if !has_openssl()? {
        bail!("{} came without OpenSSL's headers", missing.join(" and "));
    }
    Ok(())
}

/// Whether the build of the `openssl` crate will find the library.
fn has_openssl() -> Result<bool> {
    // Whoever builds it himself tells the crate where it is.
    if std::env::var_os("OPENSSL_DIR").is_some() {
        return Ok(true);
    }
    if !is_installed("pkg-config") {
        return Ok(false);
    }
    let found = Program::new("pkg-config")
        .args(["--exists", "openssl"])
        .attempt()?;
    Ok(found.status.success())
}

/// The linker of the eBPF target, built on the first call.
///
/// # Errors
/// When it cannot be fetched or built.
pub(crate) fn bpf_linker() -> Result<PathBuf> {
    cargo_tool("bpf-linker", BPF_LINKER)
}

/// A cargo tool of an exact version under `target/tools`, built on the first call.
///
/// # Errors
/// When it cannot be fetched or built.
pub(crate) fn cargo_tool(name: &str, version: &str) -> Result<PathBuf> {
    let root = workspace::tools();
    let binary = root.join("bin").join(name);
    let stamp = root.join(format!("{name}.version"));
    let installed = std::fs::read_to_string(&stamp).unwrap_or_default();
    if binary.is_file() && installed == version {
        return Ok(binary);
    }
    println!("building {name} {version} into {}", root.display());
    Program::new("cargo")
        .without_cargo_environment()
        .within(&workspace::root())
        .args([
            "install",
            "--quiet",
            "--locked",
            name,
            "--version",
            version,
            "--root",
        ])
        .arg(&root)
        .run()
        .with_context(|| format!("cannot install {name} {version}"))?;
    std::fs::write(&stamp, version).context("cannot note the tool's version")?;
    Ok(binary)
}
