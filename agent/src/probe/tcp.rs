//! The user-space half of the TCP programs: state changes to connections, opened and failed.

use std::io;
use std::os::fd::OwnedFd;

use moonward_ebpf::tcp::{
    CLOSE, ESTABLISHED, FAILURE_ABORTED, FAILURE_NOT_SENT, FAILURE_OTHER, FAILURE_REFUSED,
    FAILURE_TIMED_OUT, FAILURE_UNREACHABLE, Family, LISTEN, Record, SKIPPED_NO_SEGMENTS,
    SKIPPED_NO_START, SKIPPED_TABLE_FULL, SYN_RECV, SYN_SENT,
};

use super::histogram;
use super::map::{Map, MapError};
use crate::model::{Batch, Kind, Unit};

const CONNECTIONS: Unit = Unit::new("{connection}");
const SEGMENTS: Unit = Unit::new("{segment}");
const SAMPLES: Unit = Unit::new("{sample}");

/// Which of the TCP programs run: a series whose program does not is left out instead of 0.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each program")]
pub(super) struct Parts {
    pub(super) states: bool,
    pub(super) retransmits: bool,
    pub(super) resets_sent: bool,
    pub(super) resets_received: bool,
}

/// Reads the TCP counters.
#[derive(Debug)]
pub(super) struct Reader {
    counters: Map<u32, Record>,
    parts: Parts,
    sum: Box<Record>,
}

impl Reader {
    pub(super) fn new(counters: OwnedFd, parts: Parts) -> Result<Self, MapError> {
        Ok(Self {
            counters: Map::new(counters)?,
            parts,
            sum: Box::new(Record::EMPTY),
        })
    }

    /// Adds the samples of now.
    pub(super) fn read(&mut self, batch: &mut Batch) -> io::Result<()> {
        *self.sum = Record::EMPTY;
        if let Some(values) = self.counters.read(&0)? {
            for value in values {
                add(&mut self.sum, value);
            }
        }
        push(batch, &self.sum, self.parts);
        Ok(())
    }
}

fn add(sum: &mut Record, value: &Record) {
    for (sum, value) in sum.families.iter_mut().zip(&value.families) {
        let cells = sum.transitions.as_flattened_mut().iter_mut();
        for (sum, count) in cells.zip(value.transitions.as_flattened()) {
            *sum = sum.wrapping_add(*count);
        }
        for (sum, count) in sum.failures.iter_mut().zip(value.failures) {
            *sum = sum.wrapping_add(count);
        }
        for (sum, count) in [
            (
                &mut sum.retransmitted_segments,
                value.retransmitted_segments,
            ),
            (&mut sum.retransmitted_synacks, value.retransmitted_synacks),
            (&mut sum.resets_sent, value.resets_sent),
            (&mut sum.resets_received, value.resets_received),
        ] {
            *sum = sum.wrapping_add(count);
        }
        sum.connect.add(&value.connect);
    }
    sum.resets_sent_unknown = sum
        .resets_sent_unknown
        .wrapping_add(value.resets_sent_unknown);
    for (sum, count) in sum.skipped.iter_mut().zip(value.skipped) {
        *sum = sum.wrapping_add(count);
    }
}

fn transition(family: &Family, from: usize, to: usize) -> u64 {
    family
        .transitions
        .get(from)
        .and_then(|row| row.get(to))
        .copied()
        .unwrap_or(0)
}

fn failure(family: &Family, kind: usize) -> u64 {
    family.failures.get(kind).copied().unwrap_or(0)
}

fn push(batch: &mut Batch, record: &Record, parts: Parts) {
    for (family, network) in record.families.iter().zip(["ipv4", "ipv6"]) {
        let network = ("family", network);
        if parts.states {
            states(batch, family, network);
        }
        if parts.retransmits {
            for (kind, count) in [
                ("data", family.retransmitted_segments),
                ("synack", family.retransmitted_synacks),
            ] {
                let tags = [network, ("type", kind)];
                batch.counter("system.tcp.retransmits", &tags, SEGMENTS, count);
            }
        }
        for (runs, direction, count) in [
            (parts.resets_sent, "sent", family.resets_sent),
            (parts.resets_received, "received", family.resets_received),
        ] {
            if runs {
                let tags = [("direction", direction), network];
                batch.counter("system.tcp.resets", &tags, SEGMENTS, count);
            }
        }
    }
    if parts.resets_sent {
        batch.counter(
            "system.tcp.resets",
            &[("direction", "sent"), ("family", "unknown")],
            SEGMENTS,
            record.resets_sent_unknown,
        );
    }
    for (reason, count) in record.skipped.into_iter().enumerate() {
        let reason = match reason {
            SKIPPED_NO_START => "no_start_time",
            SKIPPED_TABLE_FULL => "table_full",
            SKIPPED_NO_SEGMENTS => "no_segment_count",
            _ => "other",
        };
        batch.counter("system.tcp.skipped", &[("reason", reason)], SAMPLES, count);
    }
}

fn states(batch: &mut Batch, family: &Family, network: (&str, &str)) {
    // A connect that ended before its SYN was sent is none for the kernel's ActiveOpens.
    let connects =
        transition(family, CLOSE, SYN_SENT).saturating_sub(failure(family, FAILURE_NOT_SENT));
    let accepts = transition(family, LISTEN, SYN_RECV);
    for (kind, count) in [("connect", connects), ("accept", accepts)] {
        let tags = [network, ("type", kind)];
        batch.counter("system.tcp.connections.opened", &tags, CONNECTIONS, count);
    }
    let established = [
        ("connect", transition(family, SYN_SENT, ESTABLISHED)),
        ("accept", transition(family, SYN_RECV, ESTABLISHED)),
    ];
    for (kind, count) in established {
        let tags = [network, ("type", kind)];
        batch.counter(
            "system.tcp.connections.established",
            &tags,
            CONNECTIONS,
            count,
        );
    }
    for (kind, name) in [
        (FAILURE_ABORTED, "aborted"),
        (FAILURE_NOT_SENT, "not_sent"),
        (FAILURE_REFUSED, "refused"),
        (FAILURE_TIMED_OUT, "timeout"),
        (FAILURE_UNREACHABLE, "unreachable"),
        (FAILURE_OTHER, "other"),
    ] {
        batch.counter(
            "system.tcp.connect.failures",
            &[("type", name), network],
            CONNECTIONS,
            failure(family, kind),
        );
    }
    if family.connect.count > 0 {
        batch.push(
            "system.tcp.connect.latency",
            &[network],
            Kind::Histogram,
            Unit::SECONDS,
            histogram::in_seconds(&family.connect),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_follow_the_kernels_own_counters() {
        let mut record = Record::EMPTY;
        let family = &mut record.families[0];
        family.transitions[CLOSE][SYN_SENT] = 5;
        family.transitions[SYN_SENT][ESTABLISHED] = 2;
        family.transitions[LISTEN][SYN_RECV] = 7;
        family.failures[FAILURE_REFUSED] = 1;
        family.failures[FAILURE_NOT_SENT] = 2;
        family.connect.record(50_000);
        let mut batch = Batch::new();
        push(
            &mut batch,
            &record,
            Parts {
                states: true,
                ..Parts::default()
            },
        );
        let lines: Vec<String> = batch
            .iter()
            .map(|sample| format!("{} {}\n", sample.series.as_str(), sample.value))
            .collect();
        let text = lines.concat();
        for line in [
            "system.tcp.connections.opened{family=\"ipv4\",type=\"connect\"} 3\n",
            "system.tcp.connections.opened{family=\"ipv4\",type=\"accept\"} 7\n",
            "system.tcp.connections.established{family=\"ipv4\",type=\"connect\"} 2\n",
            "system.tcp.connect.failures{family=\"ipv4\",type=\"refused\"} 1\n",
            "system.tcp.connect.latency{family=\"ipv4\"} count=1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert!(!text.contains("retransmits"), "{text}");
        assert!(!text.contains("resets"), "{text}");
    }

    #[test]
    fn the_values_of_all_cpus_are_added() {
        let mut one = Record::EMPTY;
        one.families[1].transitions[3][1] = 4;
        one.families[1].resets_sent = 1;
        one.skipped[0] = 2;
        let mut sum = Record::EMPTY;
        add(&mut sum, &one);
        add(&mut sum, &one);
        assert_eq!(sum.families[1].transitions[3][1], 8);
        assert_eq!(sum.families[1].resets_sent, 2);
        assert_eq!(sum.skipped[0], 4);
    }
}
