//! `cargo xtask test`, and `ci`: every test there is, on a machine where nothing was prepared.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};

use anyhow::{Context as _, Result, bail};

use crate::ebpf::Verdict;
use crate::process::Program;
use crate::stage::Record;
use crate::{dist, ebpf, lint, servers, toolchain, vm, workspace};

/// The verb.
pub(crate) fn verb(arguments: &[OsString]) -> Result<()> {
    crate::none_left(arguments)?;
    let mut record = Record::default();
    record.stage("eBPF objects", || match ebpf::build()? {
        Verdict::Built { .. } => Ok(()),
        Verdict::NotPossible(reason) => bail!("{reason}"),
    });
    record.stage("database servers", servers::provide);
    cargo_tests(&mut record);
    record.stage("lint", lint::verb);
    match record.stage("Debian package", dist::build) {
        Some(package) => vm::all(&mut record, &package),
        None => record.skipped("machine tests", "there is no package to install"),
    }
    record.print();
    if record.failed() > 0 {
        bail!("not everything passed");
    }
    Ok(())
}

/// All tests that cargo knows of, with their number in the table.
fn cargo_tests(record: &mut Record) {
    let mut passed = 0;
    record.stage("cargo test", || {
        toolchain::for_the_agent()?;
        let (require, yes) = servers::REQUIRED;
        let mut child = Program::new("cargo")
            .without_cargo_environment()
            .within(&workspace::root())
            .args(["test", "--locked", "--workspace", "--no-fail-fast"])
            .env(require, yes)
            .without_input()
            .spawn_with_output()?;
        let output = child.stdout.take().context("cargo has no output")?;
        for line in BufReader::new(output).lines() {
            let line = line?;
            passed += tests_passed(&line).unwrap_or(0);
            println!("{line}");
        }
        let status = child.wait()?;
        if !status.success() {
            bail!("cargo test ended with {status}");
        }
        Ok(())
    });
    record.name_last(format!("cargo test: {passed} tests passed"));
}

/// Reads the number out of `test result: ok. 12 passed; 0 failed; …`.
fn tests_passed(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("test result: ")?;
    let (before, _) = rest.split_once(" passed")?;
    before.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_summary_is_understood() {
        let line = "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out";
        assert_eq!(tests_passed(line), Some(12));
        assert_eq!(tests_passed("running 12 tests"), None);
    }
}
