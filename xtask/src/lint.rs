//! `cargo xtask lint`: rustfmt, clippy with the workspace's table, and cargo-deny.

use anyhow::{Context as _, Result, bail};

use crate::process::Program;
use crate::{toolchain, workspace};

/// The release of cargo-deny that the table in `deny.toml` was written for.
const CARGO_DENY: &str = "0.20.2";

/// The verb. All three run, and all that is wrong is told, before it fails.
pub(crate) fn verb() -> Result<()> {
    let mut wrong = Vec::new();
    for (name, check) in [
        ("rustfmt", rustfmt as fn() -> Result<()>),
        ("clippy", clippy),
        ("cargo-deny", deny),
    ] {
        if let Err(error) = check() {
            eprintln!("{name}: {error:#}");
            wrong.push(name);
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("lint: {} found something", wrong.join(", "))
}

fn rustfmt() -> Result<()> {
    component("fmt", "rustfmt")?;
    cargo().args(["fmt", "--all", "--check"]).run()
}

fn clippy() -> Result<()> {
    component("clippy", "clippy")?;
    toolchain::for_the_agent()?;
    cargo()
        .args([
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])
        .run()
}

/// A minimal rustup has neither; adding them needs no tool chain but the one at hand.
fn component(subcommand: &str, component: &str) -> Result<()> {
    if cargo()
        .args([subcommand, "--version"])
        .attempt()?
        .status
        .success()
    {
        return Ok(());
    }
    Program::new("rustup")
        .without_cargo_environment()
        .within(&workspace::root())
        .args(["component", "add", component])
        .run()
}

/// Licences, sources and bans from the lock file alone; advisories when their database can be
/// fetched.
fn deny() -> Result<()> {
    let deny = toolchain::cargo_tool("cargo-deny", CARGO_DENY)?;
    let check = |checks: &[&str]| {
        Program::new(&deny)
            .without_cargo_environment()
            .within(&workspace::root())
            .args(["--log-level", "error", "check", "--hide-inclusion-graph"])
            .args(checks)
    };
    check(&["bans", "licenses", "sources"]).run()?;
    let fetched = Program::new(&deny)
        .without_cargo_environment()
        .within(&workspace::root())
        .args(["--log-level", "error", "fetch", "db"])
        .attempt()
        .context("cannot ask for the advisory database")?;
    if !fetched.status.success() {
        println!("cargo-deny: advisories not checked, their database cannot be fetched from here");
        return Ok(());
    }
    check(&["advisories"]).run()
}

fn cargo() -> Program {
    Program::new("cargo")
        .without_cargo_environment()
        .within(&workspace::root())
}
