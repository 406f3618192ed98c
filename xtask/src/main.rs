//! `cargo xtask VERB`: everything that is done to Moonward's sources, one file per verb.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the workshop speaks to a person"
)]

mod apt;
mod bench;
mod dist;
mod ebpf;
mod fuzz;
mod lint;
mod process;
mod run;
mod servers;
mod stage;
mod stopwatch;
mod test;
mod toolchain;
mod vm;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask VERB

  run [--debug] [ARGUMENT...]   build everything and start the agent in the foreground
  test                          all tests: unit, golden, whole agent, lint, package, machines
  ebpf                          build the eBPF objects, installing what that needs
  lint                          rustfmt, clippy, cargo-deny
  bench [SUBJECT...]            measure, with the peer beside it; --list
  fuzz [TARGET...]              mutated input for every parser; --list, --seconds, --input
  vm [SCENARIO...]              machine tests under QEMU; --list, --keep
  dist                          build the Debian package
  ci                            what continuous integration runs; the same as test
";

/// A verb, and what does it.
type Verb = fn(&[OsString]) -> Result<()>;

const VERBS: &[(&str, Verb)] = &[
    ("run", run::verb),
    ("test", test::verb),
    ("ebpf", |arguments| {
        none_left(arguments).and_then(|()| ebpf::verb())
    }),
    ("lint", |arguments| {
        none_left(arguments).and_then(|()| lint::verb())
    }),
    ("bench", bench::verb),
    ("fuzz", fuzz::verb),
    ("vm", vm::verb),
    ("dist", dist::verb),
    ("ci", test::verb),
    // Not for people: what this same program does inside a machine under test.
    ("guest", vm::inside::verb),
];

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (name, arguments) = match arguments.split_first() {
        Some((name, rest)) => (name.clone(), rest),
        None => (OsString::new(), [].as_slice()),
    };
    let Some((_, verb)) = VERBS.iter().find(|(known, _)| name == *known) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    match verb(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// For verbs that take no arguments.
fn none_left(arguments: &[OsString]) -> Result<()> {
    match arguments.first() {
        None => Ok(()),
        Some(argument) => bail!("unexpected argument {}", argument.display()),
    }
}
