//! The verb itself.

use lexopt::Parser;

use super::finding::{Finding, Level, lines};
use super::{doors, kernel, permissions};
use crate::cli::verb::{Stopped, Verb};
use crate::cli::{exit, output};
use crate::collect::root::Root;
use crate::config::Environment;

/// The verb.
pub static VERB: Verb = Verb {
    name: "doctor",
    summary: "say what this machine allows and what to do about the rest",
    help: "\
Usage: moonward doctor [OPTIONS]

Looks at the kernel, the permissions, the directories, the sockets and systemd, and prints a line
for each: `ok`, `note` or `problem`, what was seen, and what to do about it. Works without the
service. The exit status is 1 when there is a problem.

Options
  --json             print a JSON array of objects with level, subject, text and advice
",
    options: &["json"],
};

/// Runs the verb.
pub fn run(parser: &mut Parser) -> Result<u8, Stopped> {
    let given = VERB.read(parser, 0)?;
    let findings = look();
    let problem = findings
        .iter()
        .any(|finding| finding.level == Level::Problem);
    let text = if given.json {
        let mut text = serde_json::to_string_pretty(&findings).unwrap_or_default();
        text.push('\n');
        text
    } else {
        lines(&findings)
    };
    Ok(match output::print(text.as_bytes()) {
        exit::OK if problem => exit::NOTHING,
        status => status,
    })
}

fn look() -> Vec<Finding> {
    let root = Root::machine();
    let environment = Environment::current();
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let (service, control) = doors::control();
    let mut findings = kernel::look(&root, &release);
    findings.extend(permissions::look(&root, &environment, service));
    findings.push(control);
    findings.push(doors::zabbix(&root));
    findings.extend(doors::systemd(&root, service));
    findings
}
