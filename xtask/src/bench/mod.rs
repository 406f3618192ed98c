//! `cargo xtask bench`: measurements, each with its peer beside it in the same run.
//!
//! One file per subject. [`agent`] starts the agent under measurement, [`cost`] reads what
//! processes have used, [`report`] prints figures as ratios.

mod agent;
mod bpf;
mod client;
mod cost;
mod plugins;
mod report;
mod round;
mod scrape;
mod store;
mod zabbix;

use std::ffi::OsString;
use std::process::Child;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::stopwatch::Stopwatch;
use crate::{ebpf, run};

/// Something that is measured.
struct Subject {
    name: &'static str,
    what: &'static str,
    run: fn() -> Result<()>,
}

/// All of them, in the order in which they run.
const ALL: &[Subject] = &[
    Subject {
        name: "client",
        what: "moonward get against /bin/true",
        run: client::run,
    },
    Subject {
        name: "zabbix",
        what: "the Zabbix door against zabbix_agentd",
        run: zabbix::run,
    },
    Subject {
        name: "round",
        what: "a collection round against prometheus-node-exporter and collectd",
        run: round::run,
    },
    Subject {
        name: "scrape",
        what: "/metrics against prometheus-node-exporter",
        run: scrape::run,
    },
    Subject {
        name: "plugins",
        what: "Lua plugins: values per second, a thousand idle ones, the stock set, a saved file",
        run: plugins::run,
    },
    Subject {
        name: "bpf",
        what: "nanoseconds per BPF event",
        run: bpf::run,
    },
    Subject {
        name: "store",
        what: "put, get and scan at 10k and 1M series",
        run: store::run,
    },
];

/// The verb: all subjects or the named ones; `--list` names them.
pub(crate) fn verb(arguments: &[OsString]) -> Result<()> {
    if arguments.iter().any(|argument| argument == "--list") {
        for subject in ALL {
            println!("{:<10} {}", subject.name, subject.what);
        }
        return Ok(());
    }
    let mut chosen = Vec::new();
    for argument in arguments {
        let found = ALL.iter().find(|subject| *argument == subject.name);
        chosen.push(
            found.with_context(|| {
                format!("no subject {}; try --list", argument.to_string_lossy())
            })?,
        );
    }
    if chosen.is_empty() {
        chosen.extend(ALL);
    }
    match ebpf::build() {
        Ok(ebpf::Verdict::Built { .. }) => {}
        Ok(ebpf::Verdict::NotPossible(reason)) => println!("without eBPF objects: {reason}"),
        Err(error) => println!("without eBPF objects: {error:#}"),
    }
    run::build_agent(false)?;
    let mut failed = Vec::new();
    for subject in chosen {
        println!("\n== {}: {}", subject.name, subject.what);
        let watch = Stopwatch::start();
        if let Err(error) = (subject.run)() {
            println!("not measured: {error:#}");
            failed.push(subject.name);
        }
        println!("   ({watch})");
    }
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("not measured: {}", failed.join(", "))
    }
}

/// Asks a program to end, and waits until it has.
fn end(child: &mut Child) {
    let asked = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
    if !asked {
        // Fails only when it has ended already.
        drop(child.kill());
    }
    drop(child.wait());
}
