//! The collectors on the machine that runs the tests, compared with what the kernel says in
//! another place, between a look before and a look after.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests ask programs of the system for a second opinion"
)]
#![expect(
    clippy::unwrap_used,
    reason = "in a test, what cannot be read is a failure"
)]
#![expect(
    clippy::float_cmp,
    reason = "whole numbers that the kernel gives twice are the same number"
)]

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::process::Command;

use moonward::collect::cpu::MODES;
use moonward::collect::filesystem::Ignored;
use moonward::collect::{Collector, Root, Round, Schedule, Timetable, registry};
use moonward::model::{Batch, Clock};
use moonward::store::{Store, StoreLimits};
use moonward::telemetry::{Room, StatusBoard};

type Values = BTreeMap<String, f64>;

fn collector(name: &str) -> Box<dyn Collector> {
    registry::all(Ignored::default(), true)
        .into_iter()
        .find(|collector| collector.name() == name)
        .unwrap()
}

fn collect(collector: &mut dyn Collector) -> Values {
    let root = Root::machine();
    let mut batch = Batch::new();
    let mut round = Round::new(&root, &mut batch, Clock::System.now());
    collector.collect(&mut round);
    let (lost, words) = round.losses();
    assert!(
        lost == round.absences(),
        "{} lost something: {words:?}",
        collector.name()
    );
    batch
        .iter()
        .filter_map(|sample| Some((sample.series.as_str().to_owned(), sample.value.as_f64()?)))
        .collect()
}

/// Collects between two looks at another source, which must go one way only.
fn between(name: &str, look: impl Fn() -> f64) -> (Values, RangeInclusive<f64>) {
    let mut collector = collector(name);
    let before = look();
    let values = collect(collector.as_mut());
    (values, before..=look())
}

fn file(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The number after `key` in a file of lines.
fn field(path: &str, key: &str) -> f64 {
    let text = file(path);
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let word = line.unwrap().split_whitespace().next();
    word.unwrap().parse().unwrap()
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    String::from_utf8(output.stdout).ok()
}

#[test]
fn every_collector_gives_samples_or_says_what_is_absent() {
    for mut collector in registry::all(Ignored::default(), true) {
        let root = Root::machine();
        let mut batch = Batch::new();
        let mut round = Round::new(&root, &mut batch, Clock::System.now());
        collector.collect(&mut round);
        let absent = round.absences();
        assert!(!batch.is_empty() || absent > 0, "{}", collector.name());
        assert_eq!(batch.refused(), 0, "{}", collector.name());
    }
}

#[test]
fn cpu_counts_agree_with_the_c_library() {
    let values = collect(collector("cpu").as_mut());
    if let Some(online) = output("getconf", &["_NPROCESSORS_ONLN"]) {
        let online: f64 = online.trim().parse().unwrap();
        assert_eq!(values["system.cpu.logical.count"], online);
    }
    if let Some(physical) = values.get("system.cpu.physical.count") {
        assert!((1.0..=values["system.cpu.logical.count"]).contains(physical));
    }
}

#[test]
fn cpu_counters_lie_between_two_looks() {
    for (series, key) in [
        ("system.cpu.context_switches", "ctxt "),
        ("system.cpu.interrupts", "intr "),
        ("system.cpu.softirqs", "softirq "),
        ("system.process.created", "processes "),
    ] {
        let (values, bracket) = between("cpu", || field("/proc/stat", key));
        assert!(bracket.contains(&values[series]), "{series} {bracket:?}");
    }
}

#[test]
fn cpu_time_is_what_this_process_adds_to() {
    let own = || {
        let text = file("/proc/self/stat");
        let after = text.rsplit(')').next().unwrap();
        let ticks: f64 = after.split_whitespace().nth(11).unwrap().parse().unwrap();
        ticks / 100.0
    };
    let mut collector = collector("cpu");
    let before = collect(collector.as_mut());
    let start = own();
    let mut turns = 0_u64;
    while own() - start < 0.2 {
        turns = std::hint::black_box(turns + 1);
    }
    let after = collect(collector.as_mut());
    let user = "system.cpu.time{mode=\"user\"}";
    assert!(
        after[user] - before[user] >= 0.15,
        "{} {}",
        before[user],
        after[user]
    );
    let share: f64 = MODES
        .iter()
        .filter(|mode| !mode.starts_with("guest"))
        .filter_map(|mode| after.get(&format!("system.cpu.utilization{{mode=\"{mode}\"}}")))
        .sum();
    assert!((share - 1.0).abs() < 1e-9, "{share}");
}

#[test]
fn cpu_time_per_cpu_adds_up_to_the_whole() {
    let values = collect(collector("cpu").as_mut());
    for mode in ["user", "system", "idle"] {
        let whole = values[&format!("system.cpu.time{{mode=\"{mode}\"}}")];
        let sum: f64 = values
            .iter()
            .filter(|(series, _)| {
                series.starts_with("system.cpu.time{cpu=")
                    && series.ends_with(&format!("mode=\"{mode}\"}}"))
            })
            .map(|(_, value)| value)
            .sum();
        // The kernel rounds each line to ticks on its own.
        let rounding = 0.01 * values["system.cpu.logical.count"];
        assert!(
            (whole - sum).abs() <= rounding + 1e-6,
            "{mode} {whole} {sum}"
        );
    }
}

#[test]
fn uptime_lies_between_two_looks() {
    let (values, bracket) = between("uptime", || field("/proc/uptime", ""));
    assert!(bracket.contains(&values["system.uptime"]), "{bracket:?}");
    let up = Clock::System.uptime().as_secs_f64();
    assert!((up - values["system.uptime"]).abs() < 5.0);
}

#[test]
fn memory_agrees_with_the_system_call() {
    let values = collect(collector("memory").as_mut());
    let info = rustix::system::sysinfo();
    let unit = f64::from(info.mem_unit);
    assert_eq!(values["system.memory.limit"], info.totalram as f64 * unit);
    assert_eq!(values["system.paging.limit"], info.totalswap as f64 * unit);
    let sum: f64 = values
        .iter()
        .filter(|(series, _)| series.starts_with("system.memory.usage"))
        .map(|(_, value)| value)
        .sum();
    assert_eq!(sum, values["system.memory.limit"]);
    assert!(values["system.linux.memory.available"] <= values["system.memory.limit"]);
}

#[test]
fn vmstat_counters_lie_between_two_looks() {
    for (series, key, unit) in [
        ("system.paging.faults{type=\"major\"}", "pgmajfault ", 1.0),
        ("system.paging.io{direction=\"out\"}", "pgpgout ", 1024.0),
        ("system.linux.vmstat{field=\"pgfree\"}", "pgfree ", 1.0),
    ] {
        let (values, bracket) = between("vmstat", || field("/proc/vmstat", key) * unit);
        assert!(bracket.contains(&values[series]), "{series} {bracket:?}");
    }
    let (values, bracket) = between("vmstat", || field("/proc/vmstat", "pgfault "));
    let sum = values["system.paging.faults{type=\"major\"}"]
        + values["system.paging.faults{type=\"minor\"}"];
    assert!(bracket.contains(&sum), "{sum} {bracket:?}");
}

#[test]
fn load_and_threads_are_those_of_the_kernel() {
    let values = collect(collector("load").as_mut());
    let [one, five, fifteen] = rustix::system::sysinfo()
        .loads
        .map(|load| load as f64 / 65536.0);
    for (period, load) in [("1m", one), ("5m", five), ("15m", fifteen)] {
        let seen = values[&format!("system.cpu.load_average{{period=\"{period}\"}}")];
        // Between the two the kernel may have made a step of 5 seconds.
        assert!(
            (seen - load).abs() <= 0.1 * load + 0.2,
            "{period} {seen} {load}"
        );
    }
    assert!(values["system.linux.threads.total"] >= values["system.linux.threads.runnable"]);
}

#[test]
fn numa_agrees_with_the_list_of_nodes() {
    let values = collect(collector("numa").as_mut());
    let Ok(online) = std::fs::read_to_string("/sys/devices/system/node/online") else {
        return;
    };
    let nodes: f64 = online
        .trim()
        .split(',')
        .map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            last.parse::<f64>().unwrap() - first.parse::<f64>().unwrap() + 1.0
        })
        .sum();
    assert_eq!(values["system.numa.nodes"], nodes);
    let hits = || field("/sys/devices/system/node/node0/numastat", "numa_hit ");
    let (values, bracket) = between("numa", hits);
    let series = "system.numa.allocations{node=\"0\",type=\"hit\"}";
    assert!(bracket.contains(&values[series]), "{bracket:?}");
}

#[test]
fn pressure_lies_between_two_looks() {
    let total = || {
        let text = std::fs::read_to_string("/proc/pressure/cpu").ok()?;
        let (_, total) = text.lines().next()?.split_once("total=")?;
        Some(total.parse::<f64>().ok()? / 1e6)
    };
    if total().is_none() {
        return;
    }
    let (values, bracket) = between("pressure", || total().unwrap());
    let series = "system.linux.pressure.time{resource=\"cpu\",type=\"some\"}";
    assert!(bracket.contains(&values[series]), "{bracket:?}");
}

#[test]
fn limits_agree_with_sysctl() {
    let values = collect(collector("limits").as_mut());
    for (series, path) in [
        ("system.process.limit", "/proc/sys/kernel/pid_max"),
        ("system.thread.limit", "/proc/sys/kernel/threads-max"),
        ("system.linux.file_handle.limit", "/proc/sys/fs/file-max"),
    ] {
        assert_eq!(values[series], field(path, ""), "{series}");
    }
    assert!(values["system.linux.file_handle.count"] > 0.0);
}

#[test]
fn users_are_as_many_as_who_shows() {
    let values = collect(collector("users").as_mut());
    if let (Some(seen), Some(who)) = (values.get("system.users.count"), output("who", &[]))
        && std::path::Path::new("/run/utmp").exists()
    {
        assert_eq!(*seen, who.lines().count() as f64);
    }
}

#[test]
fn the_schedule_brings_every_collector_into_the_store() {
    let store = Store::new(Clock::System, StoreLimits::default());
    let board = StatusBoard::new();
    let mut schedule = Schedule::new(
        Root::machine(),
        store.clone(),
        board.clone(),
        Timetable::default(),
    );
    for collector in registry::all(Ignored::default(), true) {
        schedule.add(Room::Collector, collector);
    }
    assert_eq!(
        schedule.run_due(|| false),
        registry::all(Ignored::default(), true).len()
    );
    assert!(store.get("system.uptime").is_some());
    for status in board.statuses() {
        assert_eq!(status.runs, 1, "{}", status.name);
        assert!(
            status.verdict == "unsupported" || status.samples > 0,
            "{status:?}"
        );
    }
}
