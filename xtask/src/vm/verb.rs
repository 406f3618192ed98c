//! The arguments of `cargo xtask vm`.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use lexopt::prelude::*;

use super::drive::{self, Wish};
use super::guest::Channel;
use super::scenario;
use crate::dist;
use crate::stage::Record;

/// Options of the verb.
#[derive(Default)]
struct Options {
    list: bool,
    keep: bool,
    package: Option<PathBuf>,
    socket: Option<PathBuf>,
    names: Vec<String>,
}

fn parse(arguments: &[OsString]) -> Result<Options> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_args(arguments.iter().cloned());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("list") => options.list = true,
            Long("keep") => options.keep = true,
            Long("package") => options.package = Some(parser.value()?.into()),
            Long("socket") => options.socket = Some(parser.value()?.into()),
            Value(name) => options.names.push(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

/// The verb: all scenarios or the named ones. `--list` names them, `--keep` leaves the last
/// machine running, `--socket PATH COMMAND` runs a command in a machine that was kept,
/// `--package FILE` installs that package instead of building one.
pub(crate) fn verb(arguments: &[OsString]) -> Result<()> {
    let options = parse(arguments)?;
    if options.list {
        for scenario in scenario::ALL {
            println!("{:<28} {}", scenario.name, scenario.what);
        }
        return Ok(());
    }
    if let Some(socket) = options.socket {
        return command_in_kept_machine(&socket, &options.names.join(" "));
    }
    let mut chosen = Vec::new();
    for name in &options.names {
        let found = scenario::ALL.iter().find(|scenario| scenario.name == *name);
        chosen.push(*found.with_context(|| format!("no scenario {name}; try --list"))?);
    }
    if chosen.is_empty() {
        chosen.extend(scenario::ALL);
    }
    let package = match options.package {
        Some(package) => Some(package),
        // Trying the machine itself needs no package.
        None if chosen.iter().all(|scenario| !scenario.needs_package) => None,
        None => Some(dist::build()?),
    };
    let mut record = Record::default();
    let wish = Wish {
        package: package.as_deref(),
        keep: options.keep,
    };
    drive::carry_out(&mut record, &chosen, &wish);
    record.print();
    if record.failed() > 0 {
        bail!("not every scenario passed");
    }
    Ok(())
}

fn command_in_kept_machine(socket: &std::path::Path, command: &str) -> Result<()> {
    let mut channel = Channel::connect(socket)?;
    let output = channel.run(command, 600, &mut || Ok(()))?;
    print!("{}", output.stdout);
    eprint!("{}", output.stderr);
    if output.status == 0 {
        Ok(())
    } else {
        bail!("ended with {}", output.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_sorted_out() {
        let words = ["--keep", "probes_attached", "--package", "/tmp/x.deb"].map(OsString::from);
        let options = parse(&words).expect("understood");
        assert!(options.keep && !options.list);
        assert_eq!(options.names, ["probes_attached"]);
        assert_eq!(options.package, Some(PathBuf::from("/tmp/x.deb")));
        assert!(parse(&["--kep".into()]).is_err());
    }
}
