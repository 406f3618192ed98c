//! The counters of virtual memory.
//!
//! Reads `/proc/vmstat` (proc_vmstat(5); the names are in mm/vmstat.c of the kernel).
//!
//! | series | unit | kind |
//! |---|---|---|
//! | `system.paging.faults{type}`, type `major`, `minor` | {fault} | counter |
//! | `system.paging.operations{direction}`, pages swapped `in` and `out` | {page} | counter |
//! | `system.paging.io{direction}`, all that went through the page cache's block layer (`pgpgin`, `pgpgout`) | By | counter |
//! | `system.linux.oom_kills` | {kill} | counter |
//! | `system.linux.vmstat{field}`, every other line under the kernel's name | – | gauge for levels, else counter |
//!
//! The kernel's `pgfault` counts major faults too; `minor` is without them.
//!
//! The lines are taken apart by hand: procfs-core gives up on the whole file for one odd line and
//! allocates a map of 190 names each round.

use super::number::shorten;
use super::{Collector, Round};
use crate::model::{Kind, Unit};

pub(crate) const VMSTAT: &str = "/proc/vmstat";
const PAGES: Unit = Unit::new("{page}");
/// Names that start with `nr_` are levels, except for these, which only grow (mm/vmstat.c).
const GROWING: [&str; 11] = [
    "nr_dirtied",
    "nr_foll_pin_acquired",
    "nr_foll_pin_released",
    "nr_throttled_written",
    "nr_tlb_local_flush_all",
    "nr_tlb_local_flush_one",
    "nr_tlb_remote_flush",
    "nr_tlb_remote_flush_received",
    "nr_vmscan_immediate_reclaim",
    "nr_vmscan_write",
    "nr_written",
];

/// The collector of `/proc/vmstat`.
#[derive(Debug, Default)]
pub struct VmStat {
    text: String,
}

impl Collector for VmStat {
    fn name(&self) -> &'static str {
        "vmstat"
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        if let Err(error) = round.root.read_into(VMSTAT, &mut self.text) {
            round.lost_file(&error);
            return;
        }
        take_apart(round, &self.text);
    }
}

/// Name and number of `pgfault 123`; the lines of a node's `numastat` look the same.
pub(crate) fn read_line(line: &str) -> Option<(&str, u64)> {
    let (field, word) = line.split_once(' ')?;
    Some((field, word.trim_ascii().parse().ok()?))
}

fn take_apart(round: &mut Round<'_>, text: &str) {
    let (mut faults, mut major) = (None, None);
    for line in text.lines() {
        let Some((field, number)) = read_line(line) else {
            round.lost(format!(
                "{VMSTAT}: {:?} does not read as name and number",
                shorten(line)
            ));
            continue;
        };
        let batch = &mut *round.batch;
        match field {
            "pgfault" => faults = Some(number),
            "pgmajfault" => major = Some(number),
            "pswpin" | "pswpout" => {
                let tags = [("direction", direction(field))];
                batch.counter("system.paging.operations", &tags, PAGES, number);
            }
            "pgpgin" | "pgpgout" => {
                let tags = [("direction", direction(field))];
                let bytes = number.wrapping_mul(1024);
                batch.counter("system.paging.io", &tags, Unit::BYTES, bytes);
            }
            "oom_kill" => {
                let unit = Unit::new("{kill}");
                batch.counter("system.linux.oom_kills", &[], unit, number);
            }
            other => {
                let tags = [("field", other)];
                batch.push(
                    "system.linux.vmstat",
                    &tags,
                    kind(other),
                    Unit::NONE,
                    number,
                );
            }
        }
    }
    let faults_unit = Unit::new("{fault}");
    let name = "system.paging.faults";
    if let Some(major) = major {
        let tags = [("type", "major")];
        round.batch.counter(name, &tags, faults_unit, major);
        if let Some(faults) = faults {
            let tags = [("type", "minor")];
            let minor = faults.saturating_sub(major);
            round.batch.counter(name, &tags, faults_unit, minor);
        }
    }
}

fn direction(field: &str) -> &'static str {
    if field.ends_with("in") { "in" } else { "out" }
}

fn kind(field: &str) -> Kind {
    let level = field == "workingset_nodes"
        || (field.starts_with("nr_") && GROWING.binary_search(&field).is_err());
    if level { Kind::Gauge } else { Kind::Counter }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collect::Root;
    use crate::model::{Batch, Moment};

    fn lines_of(text: &str) -> (Vec<String>, u64) {
        let root = Root::recorded("/nowhere");
        let mut batch = Batch::new();
        let mut round = Round::new(&root, &mut batch, Moment(1));
        take_apart(&mut round, text);
        let lost = round.losses().0;
        let lines = batch
            .iter()
            .map(|sample| {
                format!(
                    "{} {} {}",
                    sample.series.as_str(),
                    sample.kind,
                    sample.value
                )
            })
            .collect();
        (lines, lost)
    }

    #[test]
    fn faults_are_split_and_blocks_are_bytes() {
        let (lines, lost) = lines_of("pgpgout 3\npswpin 4\npgfault 10\npgmajfault 4\n");
        assert_eq!(
            lines,
            [
                "system.paging.io{direction=\"out\"} counter 3072",
                "system.paging.operations{direction=\"in\"} counter 4",
                "system.paging.faults{type=\"major\"} counter 4",
                "system.paging.faults{type=\"minor\"} counter 6",
            ]
        );
        assert_eq!(lost, 0);
    }

    #[test]
    fn levels_are_gauges_and_sums_are_counters() {
        assert!(GROWING.is_sorted());
        for (field, expected) in [
            ("nr_dirty", Kind::Gauge),
            ("nr_written", Kind::Counter),
            ("workingset_nodes", Kind::Gauge),
            ("workingset_refault_file", Kind::Counter),
            ("pgfree", Kind::Counter),
        ] {
            assert_eq!(kind(field), expected, "{field}");
        }
    }

    #[test]
    fn an_odd_line_costs_itself_only() {
        let (lines, lost) = lines_of("odd\nodd_too -1\nnr_dirty 1\n");
        assert_eq!(lines, ["system.linux.vmstat{field=\"nr_dirty\"} gauge 1"]);
        assert_eq!(lost, 2);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            lines_of(&String::from_utf8_lossy(&bytes));
        }
    }
}
