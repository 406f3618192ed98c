//! CPU time, interrupts, context switches and forks.
//!
//! Reads `/proc/stat` (proc_stat(5)) and, when the set of CPUs changes,
//! `/sys/devices/system/cpu/cpu*/topology/{physical_package_id,core_id}`
//! (Documentation/admin-guide/cputopology.rst).
//!
//! | series | unit | kind |
//! |---|---|---|
//! | `system.cpu.time{mode}`, `system.cpu.time{cpu,mode}` | s | counter |
//! | `system.cpu.utilization{mode}` (whole machine, since the last round) | 1 | gauge |
//! | `system.cpu.logical.count`, `system.cpu.physical.count` | {cpu} | gauge |
//! | `system.cpu.interrupts`, `system.cpu.softirqs`, `system.cpu.context_switches` | {interrupt}, {softirq}, {context_switch} | counter |
//! | `system.process.created` (forks and clones) | {process} | counter |
//! | `system.linux.processes.runnable`, `system.linux.processes.blocked` | {process} | gauge |
//! | `system.boot.time` (seconds since 1970) | s | gauge |
//!
//! Modes are `user`, `nice`, `system`, `idle`, `iowait`, `interrupt`, `softirq`, `steal`, `guest`
//! and `guest_nice`. They are the kernel's figures as they stand: time of a guest is in `guest`
//! *and* in `user`, and likewise for `guest_nice`, so the first eight add up to the whole. A mode
//! that falls back by up to three seconds is held. A series without `cpu` is the whole machine,
//! never one of several to sum.
//!
//! The lines are taken apart by hand: procfs-core gives up on the whole file for one odd line,
//! does not carry interrupts, and makes a structure per CPU that would be copied at once.

use std::collections::{BTreeMap, BTreeSet};

use super::number::{numbered, shorten, whole};
use super::{Collector, Round};
use crate::model::Unit;

pub(crate) const STAT: &str = "/proc/stat";
/// The tag `mode` of `system.cpu.time`, in the order of the kernel's columns. `guest` time is also
/// in `user`, and `guest_nice` in `nice`, as the kernel counts them (proc_stat(5)).
pub const MODES: [&str; 10] = [
    "user",
    "nice",
    "system",
    "idle",
    "iowait",
    "interrupt",
    "softirq",
    "steal",
    "guest",
    "guest_nice",
];
/// How many of the modes add up to the whole; the guest modes are in `user` and `nice` already.
const DISJOINT: usize = 8;
/// How far a mode may fall back, in seconds, and still be held at what it was.
const FALL_MAX: f64 = 3.0;
const CPUS: Unit = Unit::new("{cpu}");
const PROCESSES: Unit = Unit::new("{process}");

/// Ticks per mode; `None` where the kernel has no such column.
pub(crate) type Ticks = [Option<u64>; MODES.len()];

/// The collector of `/proc/stat`.
#[derive(Debug, Default)]
pub struct Cpu {
    text: String,
    whole: Option<Ticks>,
    /// What was last shown of each CPU; `/proc/stat` bounds how many there are.
    cpus: BTreeMap<String, Ticks>,
    topology: Option<Topology>,
}

/// How many cores the CPUs of one set are.
#[derive(Debug)]
struct Topology {
    logical: u64,
    physical: u64,
}

impl Collector for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        if let Err(error) = round.root.read_into(STAT, &mut self.text) {
            round.lost_file(&error);
            return;
        }
        let text = std::mem::take(&mut self.text);
        self.take_apart(round, &text);
        self.text = text;
    }
}

impl Cpu {
    fn take_apart(&mut self, round: &mut Round<'_>, text: &str) {
        let hertz = rustix::param::clock_ticks_per_second().max(1) as f64;
        let mut logical = 0;
        for line in text.lines() {
            let Some((key, rest)) = line.split_once(' ') else {
                if !line.is_empty() {
                    round.lost(format!("{STAT}: {:?} has no value", shorten(line)));
                }
                continue;
            };
            match key {
                "cpu" => {
                    let mut ticks = read_ticks(round, key, rest);
                    if let Some(previous) = self.whole {
                        hold(&previous, &mut ticks, hertz);
                        emit_utilization(round, &previous, &ticks);
                    }
                    self.whole = Some(ticks);
                    emit_time(round, None, &ticks, hertz);
                }
                "intr" => counter(round, "system.cpu.interrupts", "{interrupt}", rest),
                "softirq" => counter(round, "system.cpu.softirqs", "{softirq}", rest),
                "ctxt" => counter(
                    round,
                    "system.cpu.context_switches",
                    "{context_switch}",
                    rest,
                ),
                "processes" => counter(round, "system.process.created", "{process}", rest),
                "btime" => gauge(round, "system.boot.time", Unit::SECONDS, rest),
                "procs_running" => {
                    gauge(round, "system.linux.processes.runnable", PROCESSES, rest);
                }
                "procs_blocked" => {
                    gauge(round, "system.linux.processes.blocked", PROCESSES, rest);
                }
                _ => {
                    let Some(cpu) = numbered(key, "cpu") else {
                        // A line of a kernel to come; the values around it still hold.
                        continue;
                    };
                    logical += 1;
                    let mut ticks = read_ticks(round, key, rest);
                    match self.cpus.get_mut(cpu) {
                        Some(shown) => {
                            hold(shown, &mut ticks, hertz);
                            *shown = ticks;
                        }
                        None => {
                            self.cpus.insert(cpu.to_owned(), ticks);
                        }
                    }
                    emit_time(round, Some(cpu), &ticks, hertz);
                }
            }
        }
        if logical > 0 {
            round
                .batch
                .gauge("system.cpu.logical.count", &[], CPUS, logical);
            self.emit_physical(round, text, logical);
        }
    }

    /// Cores do not come and go without CPUs, so two files per CPU are read only when the number
    /// of CPUs has changed.
    fn emit_physical(&mut self, round: &mut Round<'_>, text: &str, logical: u64) {
        if self
            .topology
            .as_ref()
            .is_none_or(|known| known.logical != logical)
        {
            self.topology = read_topology(round, text, logical);
        }
        if let Some(known) = &self.topology {
            round
                .batch
                .gauge("system.cpu.physical.count", &[], CPUS, known.physical);
        }
    }
}

fn read_ticks(round: &mut Round<'_>, cpu: &str, columns: &str) -> Ticks {
    columns_of(columns, |mode, word| {
        round.lost(format!(
            "{STAT}: {cpu} {mode} is {:?}, not a number",
            shorten(word)
        ));
    })
}

/// The ticks behind `cpu` or `cpu7`; `lost` gets the mode and the word of a column that is no
/// number. What a kernel to come has behind the tenth column is ignored.
pub(crate) fn columns_of(columns: &str, mut lost: impl FnMut(&str, &str)) -> Ticks {
    let mut ticks = Ticks::default();
    for (slot, (word, mode)) in ticks
        .iter_mut()
        .zip(columns.split_ascii_whitespace().zip(MODES))
    {
        *slot = word.parse().ok();
        if slot.is_none() {
            lost(mode, word);
        }
    }
    ticks
}

fn emit_time(round: &mut Round<'_>, cpu: Option<&str>, ticks: &Ticks, hertz: f64) {
    for (mode, ticks) in MODES.iter().zip(ticks) {
        let Some(ticks) = ticks else { continue };
        let seconds = *ticks as f64 / hertz;
        let name = "system.cpu.time";
        match cpu {
            Some(cpu) => round.batch.counter(
                name,
                &[("cpu", cpu), ("mode", mode)],
                Unit::SECONDS,
                seconds,
            ),
            None => round
                .batch
                .counter(name, &[("mode", mode)], Unit::SECONDS, seconds),
        }
    }
}

/// Keeps what was shown of a mode that fell back a little, until the kernel has caught up: `idle`
/// and `iowait` of a CPU that sleeps are estimates that it takes back (proc_stat(5)), and a counter
/// that goes down would be taken for a reset and have no rate. A longer way down is a reset, as of
/// a CPU that was switched off and on.
fn hold(shown: &Ticks, ticks: &mut Ticks, hertz: f64) {
    for (shown, now) in shown.iter().zip(ticks) {
        if let (Some(shown), Some(now)) = (*shown, now.as_mut())
            && *now < shown
            && (shown - *now) as f64 <= FALL_MAX * hertz
        {
            *now = shown;
        }
    }
}

/// The share of each mode since the last round; a mode that fell counts as zero.
fn emit_utilization(round: &mut Round<'_>, previous: &Ticks, ticks: &Ticks) {
    let passed = |(before, after): (&Option<u64>, &Option<u64>)| -> Option<u64> {
        Some((*after)?.saturating_sub((*before)?))
    };
    let total: u64 = previous
        .iter()
        .zip(ticks)
        .take(DISJOINT)
        .filter_map(passed)
        .sum();
    if total == 0 {
        return;
    }
    for (mode, pair) in MODES.iter().zip(previous.iter().zip(ticks)) {
        if let Some(passed) = passed(pair) {
            let share = (passed as f64 / total as f64).min(1.0);
            round.batch.gauge(
                "system.cpu.utilization",
                &[("mode", mode)],
                Unit::ONE,
                share,
            );
        }
    }
}

fn counter(round: &mut Round<'_>, name: &str, unit: &'static str, rest: &str) {
    let word = rest.split_ascii_whitespace().next().unwrap_or_default();
    if let Some(number) = whole(round, STAT, word) {
        round.batch.counter(name, &[], Unit::new(unit), number);
    }
}

fn gauge(round: &mut Round<'_>, name: &str, unit: Unit, rest: &str) {
    if let Some(number) = whole(round, STAT, rest.trim_ascii()) {
        round.batch.gauge(name, &[], unit, number);
    }
}

/// Counts the different (package, core) pairs of the CPUs that `/proc/stat` lists.
fn read_topology(round: &mut Round<'_>, text: &str, logical: u64) -> Option<Topology> {
    let mut cores = BTreeSet::new();
    for key in text.lines().filter_map(|line| line.split(' ').next()) {
        if numbered(key, "cpu").is_none() {
            continue;
        }
        let folder = format!("/sys/devices/system/cpu/{key}/topology");
        // One CPU without topology makes the sum wrong, so the first failure ends it.
        let package = round.read(&format!("{folder}/physical_package_id"))?;
        let core = round.read(&format!("{folder}/core_id"))?;
        cores.insert((package, core));
    }
    Some(Topology {
        logical,
        physical: u64::try_from(cores.len()).unwrap_or(u64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collect::Root;
    use crate::model::{Batch, Moment};

    fn round_of(cpu: &mut Cpu, text: &str) -> (Vec<String>, u64) {
        let root = Root::recorded("/nowhere");
        let mut batch = Batch::new();
        let mut round = Round::new(&root, &mut batch, Moment(1));
        cpu.take_apart(&mut round, text);
        let lost = round.losses().0;
        let lines = batch
            .iter()
            .map(|sample| format!("{} {}", sample.series.as_str(), sample.value))
            .collect();
        (lines, lost)
    }

    #[test]
    fn utilization_is_the_share_between_two_rounds() {
        let mut cpu = Cpu::default();
        let (first, _) = round_of(&mut cpu, "cpu  100 0 100 800 0 0 0 0 0 0\n");
        assert!(first.iter().all(|line| !line.contains("utilization")));
        let (second, _) = round_of(&mut cpu, "cpu  150 0 125 825 0 0 0 0 50 0\n");
        for expected in [
            "system.cpu.utilization{mode=\"user\"} 0.5",
            "system.cpu.utilization{mode=\"system\"} 0.25",
            "system.cpu.utilization{mode=\"idle\"} 0.25",
            "system.cpu.utilization{mode=\"guest\"} 0.5",
            "system.cpu.time{mode=\"user\"} 1.5",
        ] {
            assert!(
                second.iter().any(|line| line == expected),
                "{expected} in {second:?}"
            );
        }
    }

    #[test]
    fn a_mode_that_falls_back_counts_as_nothing() {
        let mut cpu = Cpu::default();
        round_of(&mut cpu, "cpu  0 0 0 100 50\n");
        let (second, _) = round_of(&mut cpu, "cpu  10 0 0 90 50\n");
        assert!(second.contains(&"system.cpu.utilization{mode=\"idle\"} 0".to_owned()));
        assert!(second.contains(&"system.cpu.utilization{mode=\"user\"} 1".to_owned()));
    }

    #[test]
    fn a_small_step_back_is_held_and_a_long_one_is_a_reset() {
        let mut cpu = Cpu::default();
        let mut idle = |ticks: u64| {
            let line = format!("cpu  0 0 0 {ticks} 0\ncpu3 0 0 0 {ticks} 0\n");
            round_of(&mut cpu, &line)
                .0
                .into_iter()
                .filter(|line| line.contains("cpu.time") && line.contains("mode=\"idle\""))
                .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
                .collect::<Vec<f64>>()
        };
        let hertz = rustix::param::clock_ticks_per_second();
        let tick = 1.0 / hertz as f64;
        assert_eq!(idle(100 * hertz), [100.0, 100.0]);
        assert_eq!(idle(98 * hertz), [100.0, 100.0]);
        assert_eq!(idle(100 * hertz + 1), [100.0 + tick, 100.0 + tick]);
        assert_eq!(idle(90 * hertz), [90.0, 90.0]);
    }

    #[test]
    fn two_rounds_of_one_moment_have_no_share() {
        let mut cpu = Cpu::default();
        round_of(&mut cpu, "cpu  1 2 3 4\n");
        let (second, _) = round_of(&mut cpu, "cpu  1 2 3 4\n");
        assert!(second.iter().all(|line| !line.contains("utilization")));
    }

    #[test]
    fn an_odd_word_costs_its_value_only() {
        let (lines, lost) = round_of(&mut Cpu::default(), "cpu  1 x 3\nctxt 7\nintr\nnews 1\n");
        assert_eq!(
            lines,
            [
                "system.cpu.time{mode=\"user\"} 0.01",
                "system.cpu.time{mode=\"system\"} 0.03",
                "system.cpu.context_switches 7",
            ]
        );
        assert_eq!(lost, 2);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            start in prop::sample::select(vec!["", "cpu  ", "cpu1 ", "intr ", "cpu"]),
        ) {
            let text = format!("{start}{}", String::from_utf8_lossy(&bytes));
            let mut cpu = Cpu::default();
            round_of(&mut cpu, &text);
            round_of(&mut cpu, &text);
        }

        #[test]
        fn shares_stay_between_zero_and_one(
            one in proptest::collection::vec(any::<u32>(), 10),
            two in proptest::collection::vec(any::<u32>(), 10),
        ) {
            let line = |ticks: &[u32]| {
                let words: Vec<String> = ticks.iter().map(u32::to_string).collect();
                format!("cpu  {}\n", words.join(" "))
            };
            let mut cpu = Cpu::default();
            round_of(&mut cpu, &line(&one));
            for sample in round_of(&mut cpu, &line(&two)).0 {
                if let Some((_, share)) = sample.split_once("utilization") {
                    let share: f64 = share.rsplit(' ').next().unwrap().parse().unwrap();
                    prop_assert!((0.0..=1.0).contains(&share));
                }
            }
        }
    }
}
