//! Memory and page placement per NUMA node.
//!
//! Reads `/sys/devices/system/node/node*/{numastat,meminfo}` (Documentation/admin-guide/numastat.rst
//! and Documentation/ABI/stable/sysfs-devices-node).
//!
//! | series | unit | kind |
//! |---|---|---|
//! | `system.numa.nodes` | {node} | gauge |
//! | `system.numa.allocations{node,type}`, type `hit`, `miss`, `foreign`, `interleave_hit`, `local`, `other` | {page} | counter |
//! | `system.numa.memory.limit{node}` | By | gauge |
//! | `system.numa.memory.usage{node,state}`, state `used`, `free`, `cached` | By | gauge |
//! | `system.numa.memory.info{node,field}`, every other line of `meminfo` under the kernel's name | By, or {page} for `HugePages_*` | gauge |
//!
//! The states add up to the limit: `cached` is the page cache (with buffers) and the slab that can
//! be reclaimed, `used` is what is in no other state.
//!
//! Taken apart by hand: procfs-core does not carry these files.

use super::memory::read_line;
use super::number::{numbered, shorten, whole};
use super::{Collector, Round};
use crate::model::Unit;

pub(crate) const NODES: &str = "/sys/devices/system/node";
const PAGES: Unit = Unit::new("{page}");

/// The collector of the NUMA nodes.
#[derive(Debug, Default)]
pub struct Numa {
    text: String,
}

impl Collector for Numa {
    fn name(&self) -> &'static str {
        "numa"
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        let names = round.root.names(NODES);
        let mut nodes = 0_u64;
        for node in names.iter().filter_map(|name| numbered(name, "node")) {
            nodes += 1;
            let path = format!("{NODES}/node{node}/numastat");
            match round.root.read_into(&path, &mut self.text) {
                Ok(()) => take_allocations(round, node, &path, &self.text),
                Err(error) => round.lost_file(&error),
            }
            let path = format!("{NODES}/node{node}/meminfo");
            match round.root.read_into(&path, &mut self.text) {
                Ok(()) => take_memory(round, node, &path, &self.text),
                Err(error) => round.lost_file(&error),
            }
        }
        if nodes == 0 {
            round.absent(format!("{NODES} has no node: this kernel is without NUMA"));
        } else {
            let unit = Unit::new("{node}");
            round.batch.gauge("system.numa.nodes", &[], unit, nodes);
        }
    }
}

fn take_allocations(round: &mut Round<'_>, node: &str, path: &str, text: &str) {
    for line in text.lines() {
        let (field, word) = line.split_once(' ').unwrap_or((line, ""));
        let kind = match field {
            "numa_hit" => "hit",
            "numa_miss" => "miss",
            "numa_foreign" => "foreign",
            "interleave_hit" => "interleave_hit",
            "local_node" => "local",
            "other_node" => "other",
            // A line of a kernel to come; the values around it still hold.
            _ => continue,
        };
        if let Some(pages) = whole(round, path, word.trim_ascii()) {
            round.batch.counter(
                "system.numa.allocations",
                &[("node", node), ("type", kind)],
                PAGES,
                pages,
            );
        }
    }
}

fn take_memory(round: &mut Round<'_>, node: &str, path: &str, text: &str) {
    let (mut total, mut free, mut file, mut reclaimable) = (None, None, None, None);
    for line in text.lines() {
        // `Node 0 MemTotal:  263921052 kB`
        let field = line.splitn(3, ' ').nth(2).and_then(read_line);
        let Some((field, number, unit)) = field else {
            round.lost(format!(
                "{path}: {:?} does not read as a field",
                shorten(line)
            ));
            continue;
        };
        match field {
            "MemTotal" => total = Some(number),
            "MemFree" => free = Some(number),
            other => {
                if other == "FilePages" {
                    file = Some(number);
                } else if other == "SReclaimable" {
                    reclaimable = Some(number);
                }
                let tags = [("field", other), ("node", node)];
                let name = "system.numa.memory.info";
                round.batch.gauge(name, &tags, unit, number);
            }
        }
    }
    let cached = file.map(|file| file.saturating_add(reclaimable.unwrap_or(0)));
    let used = total.and_then(|total| Some(total.saturating_sub(free?).saturating_sub(cached?)));
    if let Some(total) = total {
        let tags = [("node", node)];
        round
            .batch
            .gauge("system.numa.memory.limit", &tags, Unit::BYTES, total);
    }
    for (state, value) in [("cached", cached), ("free", free), ("used", used)] {
        if let Some(value) = value {
            round.batch.gauge(
                "system.numa.memory.usage",
                &[("node", node), ("state", state)],
                Unit::BYTES,
                value,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collect::Root;
    use crate::model::{Batch, Moment};

    fn lines_of(numastat: &str, meminfo: &str) -> (Vec<String>, u64) {
        let root = Root::recorded("/nowhere");
        let mut batch = Batch::new();
        let mut round = Round::new(&root, &mut batch, Moment(1));
        take_allocations(&mut round, "3", "numastat", numastat);
        take_memory(&mut round, "3", "meminfo", meminfo);
        let lost = round.losses().0;
        let lines = batch
            .iter()
            .map(|sample| format!("{} {}", sample.series.as_str(), sample.value))
            .collect();
        (lines, lost)
    }

    #[test]
    fn a_node_reads_and_an_odd_line_costs_itself() {
        let (lines, lost) = lines_of(
            "numa_hit 5\nnuma_miss x\nnew 3\n",
            "Node 3 MemTotal:   100 kB\nNode 3 MemFree: 10 kB\nNode 3 FilePages: 20 kB\nNode 3 HugePages_Free: 7\nNode\n",
        );
        assert_eq!(
            lines,
            [
                "system.numa.allocations{node=\"3\",type=\"hit\"} 5",
                "system.numa.memory.info{field=\"FilePages\",node=\"3\"} 20480",
                "system.numa.memory.info{field=\"HugePages_Free\",node=\"3\"} 7",
                "system.numa.memory.limit{node=\"3\"} 102400",
                "system.numa.memory.usage{node=\"3\",state=\"cached\"} 20480",
                "system.numa.memory.usage{node=\"3\",state=\"free\"} 10240",
                "system.numa.memory.usage{node=\"3\",state=\"used\"} 71680",
            ]
        );
        assert_eq!(lost, 2);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            start in prop::sample::select(vec!["", "Node 0 MemTotal: ", "numa_hit ", "Node 0 "]),
        ) {
            let text = format!("{start}{}", String::from_utf8_lossy(&bytes));
            lines_of(&text, &text);
        }
    }
}
