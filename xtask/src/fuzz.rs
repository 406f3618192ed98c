//! `cargo xtask fuzz [TARGET...]`: throws mutated input at the agent's parsers.
//!
//! A target is a file of `agent/fuzz/fuzz_targets`; what is known to be interesting lies in
//! `agent/fuzz/seeds/TARGET`, what a run finds out goes to `target/fuzz/corpus/TARGET` and is where
//! the next run begins. Instrumented builds need an unstable compiler: rustup's nightly, or the
//! stable one told to behave like it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use lexopt::prelude::*;

use crate::apt::{self, Need};
use crate::process::{Program, is_installed};
use crate::stage::Record;
use crate::{toolchain, workspace};

/// The release of cargo-fuzz.
const CARGO_FUZZ: &str = "0.13.2";

/// libFuzzer itself is built from its C++ sources.
const NEEDS: [Need; 1] = [Need {
    program: "c++",
    package: "g++",
}];

/// The target of the instrumented build; an explicit one keeps build scripts uninstrumented.
const TARGET: &str = if cfg!(target_arch = "aarch64") {
    "aarch64-unknown-linux-gnu"
} else {
    "x86_64-unknown-linux-gnu"
};

/// How long each target runs unless told otherwise.
const SECONDS: u32 = 20;

/// No single input may take longer, in seconds: parsers run on threads that others wait for.
const INPUT_SECONDS_MAX: u32 = 5;

/// How much of a failed run is shown; all of it is in `target/fuzz/TARGET.log`.
const LINES_OF_A_COMPLAINT: usize = 30;
const LINES_OF_A_PANIC: usize = 6;

/// Options of the verb.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    list: bool,
    seconds: u32,
    input: Option<PathBuf>,
    names: Vec<String>,
}

fn parse(arguments: &[OsString]) -> Result<Options> {
    let mut options = Options {
        list: false,
        seconds: SECONDS,
        input: None,
        names: Vec::new(),
    };
    let mut parser = lexopt::Parser::from_args(arguments.iter().cloned());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("list") => options.list = true,
            Long("seconds") => options.seconds = parser.value()?.parse()?,
            Long("input") => options.input = Some(parser.value()?.into()),
            Value(name) => options.names.push(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    // libFuzzer takes 0 for "without an end".
    if options.seconds == 0 {
        bail!("--seconds must be at least 1");
    }
    if options.input.is_some() && options.names.len() != 1 {
        bail!("--input needs the one target that it is for");
    }
    Ok(options)
}

/// The verb: all targets or the named ones, one after the other. `--seconds N` is the time for
/// each, `--input FILE` runs one target once on a file, `--list` names the targets.
pub(crate) fn verb(arguments: &[OsString]) -> Result<()> {
    let options = parse(arguments)?;
    let known = workspace::rust_files(&fuzz_directory().join("fuzz_targets"))?;
    if options.list {
        for name in known {
            println!("{name}");
        }
        return Ok(());
    }
    if let Some(name) = options.names.iter().find(|name| !known.contains(name)) {
        bail!("no fuzz target {name}; try --list");
    }
    let chosen = if options.names.is_empty() {
        known
    } else {
        options.names
    };
    build(&chosen)?;
    let scratch = Scratch::new()?;
    let mut record = Record::default();
    for name in &chosen {
        record.stage(name, || match &options.input {
            Some(input) => once(name, input, &scratch.path),
            None => fuzz(name, options.seconds, &scratch.path),
        });
    }
    record.print();
    if record.failed() > 0 {
        bail!("fuzzing found something");
    }
    Ok(())
}

fn fuzz_directory() -> PathBuf {
    workspace::root().join("agent/fuzz")
}

/// What is built and found; never among the sources.
fn work() -> PathBuf {
    workspace::target().join("fuzz")
}

/// Whether rustup has a nightly that runs.
fn has_nightly() -> Result<bool> {
    if !is_installed("rustup") {
        return Ok(false);
    }
    let version = Program::new("rustup")
        .args(["run", "nightly", "rustc", "--version"])
        .without_cargo_environment()
        .attempt()?;
    Ok(version.status.success())
}

/// Builds the chosen targets with instrumentation and the address sanitizer.
fn build(names: &[String]) -> Result<()> {
    apt::provide(&NEEDS)?;
    toolchain::for_the_agent()?;
    let cargo_fuzz = toolchain::cargo_tool("cargo-fuzz", CARGO_FUZZ)?;
    let program = if has_nightly()? {
        Program::new("rustup")
            .args(["run", "nightly"])
            .arg(&cargo_fuzz)
            .without_cargo_environment()
    } else {
        println!("no nightly here: building with the stable compiler's unstable options");
        Program::new(&cargo_fuzz)
            .without_cargo_environment()
            .env("RUSTC_BOOTSTRAP", "1")
    };
    let program = program
        .within(&workspace::root())
        // Under the name of a cargo subcommand it expects the subcommand's name first.
        .args(["fuzz", "build", "--target", TARGET])
        .arg("--fuzz-dir")
        .arg(fuzz_directory())
        .arg("--target-dir")
        .arg(work());
    match names {
        // cargo-fuzz builds one target or all.
        [one] => program.arg(one),
        _ => program,
    }
    .run()
    .context("the fuzz targets did not compile")
}

/// The program of a target, with what holds for every run of it.
fn target(name: &str, scratch: &Path) -> Program {
    Program::new(work().join(TARGET).join("release").join(name))
        .within(&workspace::root())
        .env("MOONWARD_FUZZ_SCRATCH", scratch)
        // SQLite has static tables of one name in several functions, which are no doubles.
        .env("ASAN_OPTIONS", "detect_odr_violation=0")
        .args([
            format!("-timeout={INPUT_SECONDS_MAX}"),
            "-rss_limit_mb=1024".to_owned(),
            "-close_fd_mask=1".to_owned(),
            // Runs are short: letting inputs grow slowly would leave them at some twenty bytes.
            "-len_control=0".to_owned(),
        ])
}

/// Fuzzes one target for a time; a finding is an error that says how to see it again.
fn fuzz(name: &str, seconds: u32, scratch: &Path) -> Result<()> {
    let corpus = work().join("corpus").join(name);
    let findings = work().join("findings");
    for directory in [&corpus, &findings] {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
    }
    let before = found(&findings, name)?;
    let seeds = fuzz_directory().join("seeds").join(name);
    let program = target(name, scratch)
        .arg(format!("-max_total_time={seconds}"))
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/{name}-", findings.display()))
        .arg(&corpus);
    let program = if seeds.is_dir() {
        program.arg(&seeds)
    } else {
        program
    };
    let log = work().join(format!("{name}.log"));
    let file =
        fs::File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
    let status = program.errors_to(file).status()?;
    let text = fs::read(&log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    if status.success() {
        println!("{} inputs", inputs(&text).unwrap_or("unknown numbers of"));
        return Ok(());
    }
    for line in complaint(&text) {
        println!("  {line}");
    }
    let after = found(&findings, name)?;
    match after.iter().find(|path| !before.contains(path)) {
        Some(path) => bail!(
            "{status}; again: cargo xtask fuzz {name} --input {}",
            path.display()
        ),
        // The same finding as before has the same name.
        None => bail!(
            "{status}; its input is among target/fuzz/findings/{name}-*: \
             cargo xtask fuzz {name} --input FILE"
        ),
    }
}

/// How many inputs a run tried, out of libFuzzer's closing lines.
fn inputs(log: &str) -> Option<&str> {
    let rest = log.split("stat::number_of_executed_units:").nth(1)?;
    rest.lines().next().map(str::trim)
}

/// What a person wants to see of a failed run: the panic's message, the sanitizer's verdict, and
/// the agent's own functions on the stack.
fn complaint(log: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut panic = 0;
    for line in log.lines() {
        if line.contains(" panicked at ") {
            panic = LINES_OF_A_PANIC;
        }
        if line.trim_start().starts_with("#0 ") {
            panic = 0;
        }
        if panic > 0 || line.contains("ERROR: ") || line.contains(" in moonward") {
            lines.push(line);
        }
        panic = panic.saturating_sub(1);
    }
    lines.truncate(LINES_OF_A_COMPLAINT);
    lines
}

/// Runs one target once on a file.
fn once(name: &str, input: &Path, scratch: &Path) -> Result<()> {
    let input = input
        .canonicalize()
        .with_context(|| format!("cannot find {}", input.display()))?;
    target(name, scratch).arg(input).run()
}

/// The inputs that made a target fail.
fn found(findings: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(findings)? {
        let entry = entry?;
        let file = entry.file_name();
        // libFuzzer names them after what happened: crash-, timeout-, oom-, leak-, slow-unit-.
        let what = file.to_str().and_then(|file| file.strip_prefix(name));
        if what.is_some_and(|what| what.starts_with('-')) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// A directory in memory where there is one: targets write small files thousands of times a
/// second. It goes away with the run.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new() -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() {
            memory.to_owned()
        } else {
            work()
        };
        let path = base.join(format!("moonward-fuzz-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("{} stays: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn every_target_is_a_program_of_the_fuzz_package() {
        let names = workspace::rust_files(&fuzz_directory().join("fuzz_targets")).expect("listed");
        let manifest =
            fs::read_to_string(fuzz_directory().join("Cargo.toml")).expect("there is one");
        for name in &names {
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        }
        assert_eq!(manifest.matches("[[bin]]").count(), names.len());
    }

    #[test]
    fn every_seed_belongs_to_a_target() {
        let names = workspace::rust_files(&fuzz_directory().join("fuzz_targets")).expect("listed");
        for entry in fs::read_dir(fuzz_directory().join("seeds")).expect("listed") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().to_string_lossy().into_owned();
            assert!(names.contains(&name), "{name}");
        }
    }

    #[test]
    fn a_finding_is_shown_without_the_noise() {
        let log = "#1 NEW cov: 3\n\nthread 'x' (7) panicked at src/a.rs:1:2:\nleft is not right\n\
                   note: run\n\n\n\n==7== ERROR: libFuzzer: deadly signal\n    #0 0x5 in std\n\
                   \x20   #1 0x6 in moonward::model::read a.rs:1\nstat::x: 1\n";
        let shown = complaint(log);
        assert!(shown.contains(&"left is not right"));
        assert!(shown.iter().any(|line| line.contains("deadly signal")));
        assert!(shown.iter().any(|line| line.contains("moonward::model")));
        assert!(
            !shown
                .iter()
                .any(|line| line.contains("NEW") || line.contains("std"))
        );
        assert_eq!(
            inputs("a\nstat::number_of_executed_units: 42\nb"),
            Some("42")
        );
        assert_eq!(inputs("killed"), None);
    }

    #[test]
    fn arguments_are_understood() {
        let options = parse(&words("btf --seconds 60 config")).expect("fine");
        assert_eq!(options.names, ["btf", "config"]);
        assert_eq!(options.seconds, 60);
        assert_eq!(parse(&[]).expect("fine").seconds, SECONDS);
        for wrong in [
            "--seconds 0",
            "--seconds x",
            "--input f",
            "--input f a b",
            "--x",
        ] {
            assert!(parse(&words(wrong)).is_err(), "{wrong}");
        }
    }
}
