//! Every collector over every recorded machine, compared with what it gave when a person last
//! looked.
//!
//! `data/machines/README.md` says what the trees are and how to accept a change.

#![expect(
    clippy::unwrap_used,
    reason = "in a test, what cannot be read is a failure"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use moonward::collect::filesystem::Ignored;
use moonward::collect::{Collector, Root, Round, registry};
use moonward::model::{Batch, Moment};

const MACHINES: [&str; 3] = ["md-and-dm", "minimal", "two-nodes"];

fn tree(machine: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/machines")
        .join(machine)
}

/// One line per sample, sorted, then what was lost.
fn run(collector: &mut dyn Collector, machine: &str) -> String {
    let root = Root::recorded(tree(machine));
    let mut batch = Batch::new();
    let mut round = Round::new(&root, &mut batch, Moment(1_000_000_000));
    collector.collect(&mut round);
    let mut text = String::new();
    let (lost, words) = round.losses();
    let mut losses = format!("# {lost} lost, {} of them absent\n", round.absences());
    for loss in words {
        writeln!(losses, "# {loss}").unwrap();
    }
    let mut lines: Vec<String> = batch
        .iter()
        .map(|sample| {
            let unit = sample.unit.as_str();
            format!(
                "{} {} {} {}",
                sample.series.as_str(),
                sample.kind,
                if unit.is_empty() { "-" } else { unit },
                sample.value
            )
        })
        .collect();
    lines.sort_unstable();
    for line in lines {
        writeln!(text, "{line}").unwrap();
    }
    if batch.refused() > 0 {
        writeln!(losses, "# {} refused", batch.refused()).unwrap();
    }
    text + &losses
}

/// The lines that only one of the two has, in the order of the lines.
fn difference(expected: &str, seen: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), seen.lines().collect());
    let mut text = String::new();
    for line in old.iter().filter(|line| !new.contains(line)) {
        writeln!(text, "  - {line}").unwrap();
    }
    for line in new.iter().filter(|line| !old.contains(line)) {
        writeln!(text, "  + {line}").unwrap();
    }
    text
}

#[test]
fn every_collector_reads_every_machine_as_before() {
    let bless = std::env::var_os("MOONWARD_BLESS").is_some();
    let mut report = String::new();
    for machine in MACHINES {
        for mut collector in registry::all(Ignored::default(), true) {
            let seen = run(collector.as_mut(), machine);
            let path = tree(machine)
                .join("expected")
                .join(format!("{}.txt", collector.name()));
            if bless {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, &seen).unwrap();
                continue;
            }
            let expected = std::fs::read_to_string(&path).unwrap_or_default();
            if expected != seen {
                writeln!(report, "{}", path.display()).unwrap();
                report.push_str(&difference(&expected, &seen));
            }
        }
    }
    assert!(
        report.is_empty(),
        "the collectors no longer read the recorded machines as before \
         (MOONWARD_BLESS=1 accepts this):\n{report}"
    );
}

#[test]
fn no_series_comes_twice_from_one_machine() {
    for machine in MACHINES {
        let root = Root::recorded(tree(machine));
        let mut batch = Batch::new();
        for mut collector in registry::all(Ignored::default(), true) {
            collector.collect(&mut Round::new(&root, &mut batch, Moment(1)));
        }
        let mut series: Vec<&str> = batch.iter().map(|sample| sample.series.as_str()).collect();
        let all = series.len();
        series.sort_unstable();
        series.dedup();
        assert_eq!(series.len(), all, "{machine}");
        assert_eq!(batch.refused(), 0, "{machine}");
    }
}

#[test]
fn a_machine_without_any_file_costs_values_only() {
    let empty = tempfile::tempdir().unwrap();
    let root = Root::recorded(empty.path());
    for mut collector in registry::all(Ignored::default(), true) {
        let mut batch = Batch::new();
        let mut round = Round::new(&root, &mut batch, Moment(1));
        collector.collect(&mut round);
        let (lost, _) = round.losses();
        assert!(lost > 0, "{} noticed nothing", collector.name());
        assert_eq!(round.absences(), lost, "{}", collector.name());
    }
}

#[test]
fn a_second_round_on_a_machine_that_stands_still_gives_the_same() {
    for machine in MACHINES {
        for mut collector in registry::all(Ignored::default(), true) {
            let first = run(collector.as_mut(), machine);
            let second = run(collector.as_mut(), machine);
            assert_eq!(
                difference(&first, &second),
                "",
                "{} on {machine}",
                collector.name()
            );
        }
    }
}
