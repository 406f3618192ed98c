//! What a process and its descendants have used, from `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// A process with all its descendants that are alive.
pub(crate) fn family(pid: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot list /proc")? {
        let name = entry?.file_name();
        if let Some(process) = name.to_str().and_then(|name| name.parse::<u32>().ok())
            && let Some(stat) = Stat::read(process)
        {
            parents.push((process, stat.parent));
        }
    }
    let mut family = vec![pid];
    let mut at = 0;
    while let Some(parent) = family.get(at).copied() {
        family.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(process, _)| *process),
        );
        at += 1;
    }
    Ok(family)
}

/// CPU time of a family, children that have ended and were waited for included.
///
/// The living are read in nanoseconds from `schedstat`, the dead in ticks from `stat`.
pub(crate) fn cpu(family: &[u32]) -> Duration {
    let mut total = Duration::ZERO;
    for process in family {
        total += threads(*process);
        if let Some(stat) = Stat::read(*process) {
            total += ticks(stat.children);
        }
    }
    total
}

/// Resident memory of a family in bytes, shared pages counted once per process.
pub(crate) fn resident(family: &[u32]) -> u64 {
    let page = rustix::param::page_size() as u64;
    family
        .iter()
        .filter_map(|process| fs::read_to_string(format!("/proc/{process}/statm")).ok())
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .map(|pages| pages * page)
        .sum()
}

fn threads(process: u32) -> Duration {
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else {
        return Duration::ZERO;
    };
    let nanoseconds = tasks
        .filter_map(Result::ok)
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    Duration::from_nanos(nanoseconds)
}

fn ticks(count: u64) -> Duration {
    let rate = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_secs_f64(count as f64 / rate as f64)
}

/// The fields of `/proc/PID/stat` that are used here.
struct Stat {
    parent: u32,
    /// User and system time of children that were waited for, in ticks.
    children: u64,
}

impl Stat {
    fn read(process: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
    }

    /// The name in parentheses may hold anything, so what follows its last one is read.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(1)?).ok()?,
            children: number(13)? + number(14)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_does_not_confuse_the_fields() {
        let line = "7 (a) b) S 3 7 7 0 -1 0 0 0 0 0 11 12 13 14 20 0 1 0 5 6 7";
        let stat = Stat::parse(line).expect("parsed");
        assert_eq!((stat.parent, stat.children), (3, 27));
        assert!(Stat::parse("7 (a").is_none());
    }

    #[test]
    fn this_process_has_used_something() {
        let me = std::process::id();
        let family = family(me).expect("listed");
        assert_eq!(family.first(), Some(&me));
        assert!(cpu(&family) > Duration::ZERO);
        assert!(resident(&family) > 100_000);
    }
}
