//! `cargo xtask ebpf`: the eBPF objects that the agent embeds.
//!
//! Every file of `ebpf/src/bin` becomes one object under `target/ebpf/objects`, where the agent's
//! build script looks for them. Nothing here stops a build of the agent: without objects it still
//! works, with the procfs collectors alone.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::toolchain::{self, BpfCompiler};
use crate::workspace;

/// The target of the kernel's virtual machine, in this machine's byte order.
const TARGET: &str = if cfg!(target_endian = "little") {
    "bpfel-unknown-none"
} else {
    "bpfeb-unknown-none"
};

/// What became of the eBPF build.
pub(crate) enum Verdict {
    /// The objects are there.
    Built {
        /// Who compiled them.
        compiler: BpfCompiler,
        /// One path per program file.
        objects: Vec<PathBuf>,
    },
    /// There is no way to build them here; the text is one line.
    NotPossible(String),
}

/// The verb: builds, and fails when that is not possible.
pub(crate) fn verb() -> Result<()> {
    match build()? {
        Verdict::Built { compiler, objects } => {
            println!("built with {}:", compiler.name());
            for object in objects {
                println!("  {}", object.display());
            }
            Ok(())
        }
        Verdict::NotPossible(reason) => bail!("no eBPF tool chain: {reason}"),
    }
}

/// Builds the objects; quick when nothing changed.
///
/// # Errors
/// When the tool chain is there and the programs do not compile: that is a fault of the sources,
/// not of the machine.
pub(crate) fn build() -> Result<Verdict> {
    let programs = workspace::rust_files(&workspace::root().join("ebpf/src/bin"))?;
    let linker = match toolchain::bpf_linker() {
        Ok(linker) => linker,
        Err(error) => return Ok(Verdict::NotPossible(one_line(&error))),
    };
    let mut closed = Vec::new();
    let mut failed = None;
    for compiler in toolchain::bpf_compilers() {
        if let Err(error) = compiler.provide() {
            closed.push(format!("{}: {}", compiler.name(), one_line(&error)));
            continue;
        }
        // A nightly may be too new for the linker; the next compiler gets its turn then.
        match compile(compiler, &linker) {
            Ok(()) => {
                let objects = collect(compiler, &programs)?;
                return Ok(Verdict::Built { compiler, objects });
            }
            Err(error) => failed = Some(error.context(format!("tried {}", compiler.name()))),
        }
    }
    failed.map_or_else(|| Ok(Verdict::NotPossible(closed.join("; "))), Err)
}

/// Where one compiler keeps its work; two never share, or each would undo the other's.
fn work(compiler: BpfCompiler) -> PathBuf {
    workspace::target().join("ebpf").join(match compiler {
        BpfCompiler::Nightly => "nightly",
        BpfCompiler::Debian => "debian",
    })
}

fn compile(compiler: BpfCompiler, linker: &Path) -> Result<()> {
    // No `-C link-arg=--btf`: the programs' own type information would hold a MaybeUninit that
    // kernels refuse.
    let flags = format!(
        "-C linker={} -C debuginfo=2 --cfg bpf_target_arch=\"{}\"",
        linker.display(),
        std::env::consts::ARCH
    );
    compiler
        .cargo()
        .within(&workspace::root())
        .env("RUSTFLAGS", flags)
        // The agent's release profile is for machines that link objects, not bitcode.
        .env("CARGO_PROFILE_RELEASE_LTO", "false")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_PROFILE_RELEASE_STRIP", "none")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .args([
            "build",
            "--quiet",
            "--locked",
            "--release",
            "--package",
            "moonward-ebpf",
        ])
        .args([
            "--features",
            "programs",
            "--bins",
            "-Zbuild-std=core",
            "--target",
            TARGET,
        ])
        .arg("--target-dir")
        .arg(work(compiler))
        .run()
        .context("the eBPF programs did not compile")
}

/// Puts the objects where the agent's build script looks, touching only what changed.
fn collect(compiler: BpfCompiler, programs: &[String]) -> Result<Vec<PathBuf>> {
    let built = work(compiler).join(TARGET).join("release");
    let destination = workspace::ebpf_objects();
    fs::create_dir_all(&destination)
        .with_context(|| format!("cannot create {}", destination.display()))?;
    let mut objects = Vec::new();
    for program in programs {
        let from = built.join(program);
        let to = destination.join(format!("{program}.o"));
        let object =
            fs::read(&from).with_context(|| format!("the build left no {}", from.display()))?;
        // An unchanged file keeps its time stamp, so that the agent is not built again.
        if fs::read(&to).ok().as_deref() != Some(object.as_slice()) {
            fs::write(&to, &object).with_context(|| format!("cannot write {}", to.display()))?;
        }
        objects.push(to);
    }
    Ok(objects)
}

fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_directory_is_a_program() {
        let names = workspace::rust_files(&workspace::root().join("ebpf/src/bin")).expect("listed");
        assert!(names.contains(&"block".to_owned()), "{names:?}");
        assert!(names.contains(&"tcp".to_owned()), "{names:?}");
    }

    #[test]
    fn a_directory_without_programs_is_an_error() {
        let error =
            workspace::rust_files(&workspace::root().join("xtask")).expect_err("no programs here");
        assert!(error.to_string().contains("no programs"));
    }
}
