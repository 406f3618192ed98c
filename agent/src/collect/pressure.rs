//! Pressure stall information: how long tasks waited for a resource.
//!
//! Reads `/proc/pressure/{cpu,memory,io,irq}` (Documentation/accounting/psi.rst). `irq` is there
//! from Linux 6.1 on where interrupt time is accounted, `full` of `cpu` from 5.13 on; neither is
//! missed.
//!
//! | series | unit | kind |
//! |---|---|---|
//! | `system.linux.pressure.time{resource,type}`, type `some`, `full` | s | counter |
//! | `system.linux.pressure.ratio{resource,type,window}`, window `10s`, `60s`, `300s` | 1 | gauge |
//!
//! The lines are taken apart by hand: procfs-core 0.18 wants both lines, panics on a line that ends
//! after its first word, and keeps ratios as f32.

use std::io::ErrorKind;

use super::number::shorten;
use super::{Collector, Round};
use crate::model::Unit;

/// Resource and file, and whether a kernel with pressure stall information may lack it.
pub(crate) const FILES: [(&str, &str, bool); 4] = [
    ("cpu", "/proc/pressure/cpu", false),
    ("memory", "/proc/pressure/memory", false),
    ("io", "/proc/pressure/io", false),
    ("irq", "/proc/pressure/irq", true),
];

/// The collector of `/proc/pressure`.
#[derive(Debug, Default)]
pub struct Pressure {
    text: String,
}

impl Collector for Pressure {
    fn name(&self) -> &'static str {
        "pressure"
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        for (resource, path, optional) in FILES {
            match round.root.read_into(path, &mut self.text) {
                Ok(()) => take_apart(round, resource, path, &self.text),
                Err(error) if optional && error.source.kind() == ErrorKind::NotFound => {}
                Err(error) => round.lost_file(&error),
            }
        }
    }
}

fn take_apart(round: &mut Round<'_>, resource: &str, path: &str, text: &str) {
    let mut losses = Vec::new();
    let found = |kind: &str, name: &str, number| emit(round, resource, kind, name, number);
    read(text, found, |what| losses.push(what));
    for loss in losses {
        round.lost(format!("{path}: {loss}"));
    }
}

/// Gives kind (`some` or `full`), name (`avg10`, `total`) and number of every word to `found`:
/// percent, of `total` microseconds. What does not read goes to `lost`, in words; a word with a name
/// of its own is of a kernel to come and passes.
pub(crate) fn read(
    text: &str,
    mut found: impl FnMut(&str, &str, f64),
    mut lost: impl FnMut(String),
) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(kind @ ("some" | "full")) = words.next() else {
            lost(format!("{:?} is no known line", shorten(line)));
            continue;
        };
        for word in words {
            let Some((name @ ("avg10" | "avg60" | "avg300" | "total"), value)) =
                word.split_once('=')
            else {
                if !word.contains('=') {
                    lost(format!("{kind} {:?} does not read", shorten(word)));
                }
                continue;
            };
            match number(name, value) {
                Some(number) => found(kind, name, number),
                None => lost(format!("{kind} {:?} does not read", shorten(word))),
            }
        }
    }
}

fn number(name: &str, value: &str) -> Option<f64> {
    if name == "total" {
        return value.parse().ok().map(|total: u64| total as f64);
    }
    let percent = value.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent)
}

/// Adds the sample of one number.
fn emit(round: &mut Round<'_>, resource: &str, kind: &str, name: &str, number: f64) {
    let window = match name {
        "avg10" => "10s",
        "avg60" => "60s",
        "avg300" => "300s",
        _ => {
            round.batch.counter(
                "system.linux.pressure.time",
                &[("resource", resource), ("type", kind)],
                Unit::SECONDS,
                number / 1e6,
            );
            return;
        }
    };
    round.batch.gauge(
        "system.linux.pressure.ratio",
        &[("resource", resource), ("type", kind), ("window", window)],
        Unit::ONE,
        // The kernel writes two digits; this way a ratio has no more than four.
        (number * 100.0).round() / 10_000.0,
    );
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
        take_apart(&mut round, "io", "/proc/pressure/io", text);
        let lost = round.losses().0;
        let lines = batch
            .iter()
            .map(|sample| format!("{} {}", sample.series.as_str(), sample.value))
            .collect();
        (lines, lost)
    }

    #[test]
    fn percent_becomes_a_ratio_and_microseconds_become_seconds() {
        let (lines, lost) = lines_of("some avg10=4.50 avg60=0.00 new=1 total=1500000\n");
        assert_eq!(
            lines,
            [
                "system.linux.pressure.ratio{resource=\"io\",type=\"some\",window=\"10s\"} 0.045",
                "system.linux.pressure.ratio{resource=\"io\",type=\"some\",window=\"60s\"} 0",
                "system.linux.pressure.time{resource=\"io\",type=\"some\"} 1.5",
            ]
        );
        assert_eq!(lost, 0);
    }

    #[test]
    fn an_odd_word_costs_itself_only() {
        let (lines, lost) = lines_of("some\nhalf avg10=1\nfull avg10=NaN avg60=101 total=x 5\n");
        assert_eq!((lines.len(), lost), (0, 5));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            start in prop::sample::select(vec!["", "some", "some ", "full avg10=", "full total="]),
        ) {
            lines_of(&format!("{start}{}", String::from_utf8_lossy(&bytes)));
        }
    }
}
