//! Nanoseconds that the kernel spends in each of our programs per event.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, bail, ensure};

use super::agent::Agent;
use super::report::{Budget, alone};
use crate::process::{Program, is_root};
use crate::workspace;

/// While it is 1 the kernel times every run; that itself costs some 20 ns per run.
const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// Measures.
pub(crate) fn run() -> Result<()> {
    ensure!(is_root(), "only root may load programs");
    let agent = Agent::start("")?;
    fs::write(SWITCH, "1").with_context(|| format!("cannot write {SWITCH}"))?;
    let result = measure(&agent);
    fs::write(SWITCH, "0").with_context(|| format!("cannot write {SWITCH}"))?;
    result
}

fn measure(agent: &Agent) -> Result<()> {
    let before = programs(agent.pid())?;
    ensure!(!before.is_empty(), "the agent holds no eBPF program");
    let file = workspace::target().join("bench").join("direct");
    Program::new("dd")
        .arg(format!("of={}", file.display()))
        .args([
            "if=/dev/zero",
            "bs=4096",
            "count=20000",
            "oflag=direct",
            "status=none",
        ])
        .run()?;
    fs::remove_file(&file)?;
    Program::new(std::env::current_exe()?)
        .args(["guest", "tcp-loop", "5000"])
        .capture()?;
    let after = programs(agent.pid())?;
    for (program, (name, end)) in &after {
        let start = before
            .get(program)
            .map_or(Runs::default(), |(_, runs)| *runs);
        let count = end.count - start.count;
        if count == 0 {
            println!("{name:<34} no event");
            continue;
        }
        let each = (end.nanoseconds - start.nanoseconds) as f64 / count as f64;
        // The budget is for a block IO; the others are told.
        let budget = if name.contains("block") {
            Budget::AtMost(150.0)
        } else {
            Budget::None
        };
        alone(&format!("{name} ({count} events)"), "ns", each, budget);
    }
    Ok(())
}

/// What the kernel counted for one program.
#[derive(Clone, Copy, Default)]
struct Runs {
    nanoseconds: u64,
    count: u64,
}

/// The programs of the kernel that this process holds, by id.
fn programs(pid: u32) -> Result<BTreeMap<u64, (String, Runs)>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).context("cannot look at the agent")? {
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        // A program's own descriptor, and that of its link, both name it.
        ids.extend(field(&text, "prog_id:"));
    }
    if ids.is_empty() {
        bail!("process {pid} holds no program");
    }
    let listed = Program::new("bpftool")
        .args(["--json", "prog", "show"])
        .capture();
    let listed = listed.context("bpftool tells the programs' figures (apt-get install bpftool)")?;
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed)?;
    let mut programs = BTreeMap::new();
    for program in listed {
        let number = |name: &str| program.get(name).and_then(serde_json::Value::as_u64);
        let Some(id) = number("id").filter(|id| ids.contains(id)) else {
            continue;
        };
        let name = program
            .get("name")
            .and_then(serde_json::Value::as_str)
            .unwrap_or("?");
        let runs = Runs {
            nanoseconds: number("run_time_ns").unwrap_or(0),
            count: number("run_cnt").unwrap_or(0),
        };
        programs.insert(id, (name.to_owned(), runs));
    }
    Ok(programs)
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_recognised_by_its_descriptor() {
        let text = "pos:\t0\nflags:\t02000002\nprog_type:\t26\nprog_id:\t41\n";
        assert_eq!(field(text, "prog_id:"), Some(41));
        assert_eq!(field(text, "run_cnt:"), None);
    }
}
