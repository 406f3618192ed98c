//! `cargo xtask run`: builds everything and becomes the agent, in the foreground.

use std::ffi::OsString;

use anyhow::{Context as _, Result};

use crate::ebpf::Verdict;
use crate::process::{Program, is_root};
use crate::{ebpf, toolchain, workspace};

/// The verb. `--debug` builds without optimisation; everything else goes to `moonward run`.
pub(crate) fn verb(arguments: &[OsString]) -> Result<()> {
    let (debug, arguments) = match arguments.split_first() {
        Some((first, rest)) if first == "--debug" => (true, rest),
        _ => (false, arguments),
    };
    if let Some(reason) = without_probes() {
        println!("eBPF probes: off ({reason}); the procfs collectors run alone");
    }
    build_agent(debug)?;
    let profile = if debug { "debug" } else { "release" };
    let agent = workspace::target().join(profile).join("moonward");
    Err(Program::new(agent).arg("run").args(arguments).replace())
}

/// Builds the eBPF objects, or says in one line why the agent has to do without them.
fn without_probes() -> Option<String> {
    if !is_root() {
        return Some("not root; run this as root to load them".to_owned());
    }
    match ebpf::build() {
        Ok(Verdict::Built { compiler, objects }) => {
            println!(
                "eBPF probes: {} built with {}",
                objects.len(),
                compiler.name()
            );
            None
        }
        Ok(Verdict::NotPossible(reason)) => Some(reason),
        Err(error) => Some(format!("{error:#}").replace('\n', " ")),
    }
}

/// Builds the agent alone.
pub(crate) fn build_agent(debug: bool) -> Result<()> {
    toolchain::for_the_agent()?;
    let mut cargo = Program::new("cargo")
        .without_cargo_environment()
        .within(&workspace::root())
        .args(["build", "--locked", "--package", "moonward"]);
    if !debug {
        cargo = cargo.arg("--release");
    }
    cargo.run().context("the agent did not build")?;
    if debug { Ok(()) } else { build_client() }
}

/// Links the client statically: without a dynamic loader at its start, `moonward get` takes about as
/// long as `true`. Comes after the agent, because a plain build of it would link it dynamically.
fn build_client() -> Result<()> {
    Program::new("cargo")
        .without_cargo_environment()
        .within(&workspace::root())
        .args([
            "rustc",
            "--locked",
            "--release",
            "--package",
            "moonward",
            "--bin",
            "moonward",
        ])
        .args(["--", "-C", "target-feature=+crt-static"])
        .run()
        .context("the client did not build")
}
