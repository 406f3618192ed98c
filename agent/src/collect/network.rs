//! Network interfaces.
//!
//! Kernel files: `/proc/net/dev`, `/sys/class/net/*/{carrier,mtu,operstate,speed,type}`. All series
//! have the tag `interface`; those of which there are two have `direction` (`receive` or
//! `transmit`).
//!
//! | series | kind and unit |
//! |---|---|
//! | `system.network.io{…,direction}` | counter, By |
//! | `system.network.packet.count{…,direction}` | counter, `{packet}` |
//! | `system.network.packet.dropped{…,direction}` | counter, `{packet}` |
//! | `system.network.errors{…,direction}` | counter, `{error}` |
//! | `system.network.fifo`, `.compressed` `{…,direction}` | counters, `{error}`, `{packet}` |
//! | `system.network.frame`, `.multicast` (receive), `.collisions`, `.carrier` (transmit) | counters, `{error}`; multicast `{packet}` |
//! | `system.network.up` | gauge, 0 or 1 |
//! | `system.network.speed` | gauge, bit/s; only where the driver knows it |
//! | `system.network.mtu` | gauge, By |
//! | `system.network.interfaces.skipped` | gauge, `{interface}`: beyond the most that are measured |
//! | `system.network.type` | gauge, the number of the link type (1 is Ethernet, 772 loopback) |
//!
//! The table is read by hand: `procfs-core` gives up the whole of it for one odd line. Reads only.

use super::{Collector, Root, Round};
use crate::model::{Batch, Unit};

const PACKETS: Unit = Unit::new("{packet}");
const ERRORS: Unit = Unit::new("{error}");
const BITS_PER_SECOND: Unit = Unit::new("bit/s");

/// The most interfaces that are measured, with some twenty series each; a host of containers has a
/// few hundred.
const INTERFACES_MAX: usize = 512;

/// The columns of `/proc/net/dev` behind the name, first received and then transmitted
/// (`dev_seq_printf_stats` in net/core/net-procfs.c).
const COLUMNS: [(&str, &str, Unit); 16] = [
    ("system.network.io", "receive", Unit::BYTES),
    ("system.network.packet.count", "receive", PACKETS),
    ("system.network.errors", "receive", ERRORS),
    ("system.network.packet.dropped", "receive", PACKETS),
    ("system.network.fifo", "receive", ERRORS),
    ("system.network.frame", "", ERRORS),
    ("system.network.compressed", "receive", PACKETS),
    ("system.network.multicast", "", PACKETS),
    ("system.network.io", "transmit", Unit::BYTES),
    ("system.network.packet.count", "transmit", PACKETS),
    ("system.network.errors", "transmit", ERRORS),
    ("system.network.packet.dropped", "transmit", PACKETS),
    ("system.network.fifo", "transmit", ERRORS),
    ("system.network.collisions", "", ERRORS),
    ("system.network.carrier", "", ERRORS),
    ("system.network.compressed", "transmit", PACKETS),
];

/// Measures network interfaces.
#[derive(Debug, Default)]
pub struct Network {
    text: String,
    word: String,
}

impl Network {
    /// A collector that has read nothing yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Collector for Network {
    fn name(&self) -> &'static str {
        "network"
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        if let Err(error) = round.root.read_into("/proc/net/dev", &mut self.text) {
            round.lost_file(&error);
            return;
        }
        // Two lines of headings.
        let mut lines: Vec<&str> = self.text.lines().skip(2).collect();
        let beyond = lines.len().saturating_sub(INTERFACES_MAX);
        if beyond > 0 {
            round.lost(format!(
                "{beyond} interfaces were left out; {INTERFACES_MAX} is the most that are measured"
            ));
            // The ends of containers come and go by the hundred; those of the machine do not.
            lines.sort_by_key(|line| line.trim_start().starts_with("veth"));
        }
        let unit = Unit::new("{interface}");
        let skipped = "system.network.interfaces.skipped";
        round.batch.gauge(skipped, &[], unit, beyond as u64);
        for line in lines.into_iter().take(INTERFACES_MAX) {
            let Some((name, counters)) = read(line) else {
                round.lost(format!("/proc/net/dev has an odd line: {line:?}"));
                continue;
            };
            let lost = counters.iter().filter(|counter| counter.is_none()).count();
            if lost > 0 {
                round.lost(format!("/proc/net/dev lacks {lost} counters of {name}"));
            }
            add_counters(round.batch, name, &counters);
            add_state(round.root, round.batch, name, &mut self.word);
        }
    }
}

/// Name and columns of one line. A column that is missing or no number is `None`; a line without a
/// name or without any column is none at all.
pub(crate) fn read(line: &str) -> Option<(&str, [Option<u64>; 16])> {
    let (name, numbers) = line.split_once(':')?;
    let name = name.trim();
    // The name becomes part of a path.
    if name.is_empty() || name.contains('/') {
        return None;
    }
    let mut counters = [None; 16];
    for (slot, word) in counters.iter_mut().zip(numbers.split_whitespace()) {
        *slot = word.parse().ok();
    }
    counters
        .iter()
        .any(Option::is_some)
        .then_some((name, counters))
}

fn add_counters(batch: &mut Batch, name: &str, counters: &[Option<u64>; 16]) {
    for ((series, direction, unit), counter) in COLUMNS.iter().zip(counters) {
        let Some(counter) = *counter else {
            continue;
        };
        let tags = [("direction", *direction), ("interface", name)];
        let [_, interface] = tags;
        if direction.is_empty() {
            batch.counter(series, &[interface], *unit, counter);
        } else {
            batch.counter(series, &tags, *unit, counter);
        }
    }
}

/// What sysfs says; interfaces of another kind, or that are down, lack most of it.
fn add_state(root: &Root, batch: &mut Batch, name: &str, word: &mut String) {
    let mut ask = |file: &str| -> Option<String> {
        let path = format!("/sys/class/net/{name}/{file}");
        root.read_into(&path, word).ok()?;
        Some(word.trim().to_owned()).filter(|word| !word.is_empty())
    };
    let tags = [("interface", name)];
    let Some(state) = ask("operstate") else {
        return;
    };
    // Drivers without operational states, loopback among them, say "unknown" and have a carrier.
    let up = match state.as_str() {
        "up" => true,
        "unknown" => ask("carrier").as_deref() == Some("1"),
        _ => false,
    };
    batch.gauge("system.network.up", &tags, Unit::ONE, u64::from(up));
    if let Some(bytes) = ask("mtu").and_then(|word| word.parse::<u64>().ok()) {
        batch.gauge("system.network.mtu", &tags, Unit::BYTES, bytes);
    }
    if let Some(kind) = ask("type").and_then(|word| word.parse::<u64>().ok()) {
        batch.gauge("system.network.type", &tags, Unit::NONE, kind);
    }
    if !up {
        return;
    }
    // In Mbit/s; -1 where the driver does not know, an error where it has no notion of it.
    if let Some(speed) = ask("speed").and_then(|word| word.parse::<i64>().ok())
        && let Ok(speed @ 1..) = u64::try_from(speed)
    {
        batch.gauge(
            "system.network.speed",
            &tags,
            BITS_PER_SECOND,
            speed.saturating_mul(1_000_000),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{Moment, Value};

    #[test]
    fn of_too_many_interfaces_those_of_containers_are_left_out() {
        let tree = tempfile::tempdir().unwrap();
        let mut text = "headings\nheadings\n".to_owned();
        for number in 0..INTERFACES_MAX + 3 {
            writeln!(text, "veth{number}: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16").unwrap();
        }
        text.push_str(" eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
        std::fs::create_dir_all(tree.path().join("proc/net")).unwrap();
        std::fs::write(tree.path().join("proc/net/dev"), text).unwrap();
        let root = Root::recorded(tree.path());
        let mut batch = Batch::new();
        let mut round = Round::new(&root, &mut batch, Moment(0));
        Network::new().collect(&mut round);
        assert_eq!(round.losses().0, 1);
        let series: HashMap<&str, &Value> = batch
            .iter()
            .map(|sample| (sample.series.as_str(), sample.value))
            .collect();
        assert_eq!(
            series["system.network.interfaces.skipped"],
            &Value::Unsigned(4)
        );
        assert_eq!(
            series["system.network.multicast{interface=\"eth0\"}"],
            &Value::Unsigned(8)
        );
        assert_eq!(series.len(), INTERFACES_MAX * 16 + 1);
    }

    #[test]
    fn odd_lines_and_columns_cost_themselves() {
        let (name, counters) = read("  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16").unwrap();
        assert_eq!(name, "eth0");
        assert_eq!(counters[0], Some(1));
        assert_eq!(counters[15], Some(16));
        // Old kernels leave no space behind the colon.
        assert_eq!(read("eth0:12345 2").unwrap().1[0], Some(12_345));
        let (_, counters) = read("eth0: 1 x 3").unwrap();
        assert_eq!(counters[..4], [Some(1), None, Some(3), None]);
        assert_eq!(read("eth0 1 2 3"), None);
        assert_eq!(read(" : 1 2 3"), None);
        assert_eq!(read("eth0: a b"), None);
    }

    fn counters() -> HashMap<String, [u64; 16]> {
        let text = std::fs::read_to_string("/proc/net/dev").unwrap();
        text.lines()
            .skip(2)
            .filter_map(|line| {
                let (name, numbers) = line.split_once(':')?;
                let numbers: Vec<u64> = numbers
                    .split_whitespace()
                    .map(|word| word.parse().unwrap())
                    .collect();
                Some((name.trim().to_owned(), numbers.try_into().ok()?))
            })
            .collect()
    }

    #[test]
    fn the_running_machine_counts_between_two_reads() {
        let before = counters();
        let root = Root::machine();
        let mut batch = Batch::new();
        let mut round = Round::new(&root, &mut batch, Moment(0));
        Network::new().collect(&mut round);
        assert_eq!(round.losses().0, 0);
        let after = counters();
        for (name, before) in before {
            for (column, (series, direction, _)) in COLUMNS.iter().enumerate() {
                let value = batch
                    .iter()
                    .find(|sample| {
                        sample.series.name() == *series
                            && sample.series.tag("interface").as_deref() == Some(name.as_str())
                            && sample
                                .series
                                .tag("direction")
                                .is_none_or(|seen| seen == *direction)
                    })
                    .and_then(|sample| sample.value.as_f64())
                    .unwrap_or_else(|| panic!("{series} of {name}"));
                let bracket = before[column] as f64..=after[&name][column] as f64;
                assert!(
                    bracket.contains(&value),
                    "{series} of {name}: {value} not in {bracket:?}"
                );
            }
        }
        let up = batch
            .iter()
            .find(|sample| sample.series.as_str() == "system.network.up{interface=\"lo\"}")
            .map(|sample| sample.value.to_string());
        assert_eq!(up.as_deref(), Some("1"));
    }

    proptest! {
        #[test]
        fn every_table_comes_back(name in "[a-z][a-z0-9.@-]{0,14}", numbers: [u64; 16]) {
            let words = numbers.map(|number| number.to_string());
            let line = format!("{name:>6}: {}", words.join("   "));
            let (seen, counters) = read(&line).unwrap();
            prop_assert_eq!(seen, name.as_str());
            prop_assert_eq!(counters, numbers.map(Some));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,80}") {
            let _ = read(&text);
        }
    }
}
