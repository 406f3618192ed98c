//! The store alone: the agent's own benchmark.

use anyhow::Result;

use crate::process::Program;
use crate::{toolchain, workspace};

/// Runs the benchmark that lives beside the store.
pub(crate) fn run() -> Result<()> {
    toolchain::for_the_agent()?;
    Program::new("cargo")
        .without_cargo_environment()
        .within(&workspace::root())
        .args([
            "bench",
            "--quiet",
            "--locked",
            "--package",
            "moonward",
            "--bench",
            "store",
        ])
        .run()
}
