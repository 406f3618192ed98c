//! Memory and swap space.
//!
//! Reads `/proc/meminfo` (proc_meminfo(5)).
//!
//! | series | unit | kind |
//! |---|---|---|
//! | `system.memory.limit` (`MemTotal`) | By | gauge |
//! | `system.memory.usage{state}`, state `used`, `free`, `cached`, `buffers` | By | gauge |
//! | `system.linux.memory.available` (`MemAvailable`) | By | gauge |
//! | `system.linux.memory.slab.usage{state}`, state `reclaimable`, `unreclaimable` | By | gauge |
//! | `system.linux.memory.info{field}`, every other line under the kernel's name | By, or {page} for `HugePages_*` | gauge |
//! | `system.paging.limit` (`SwapTotal`), `system.paging.usage{state}`, state `used`, `free` | By | gauge |
//! | `system.paging.utilization` (used share, where there is swap) | 1 | gauge |
//!
//! The four states add up to the limit: `cached` is the page cache with the slab that can be
//! reclaimed, as `free(1)` counts it, and `used` is what is in no other state. The kernel's bare
//! `Cached` is `system.linux.memory.info{field="Cached"}`.
//!
//! The lines are taken apart by hand: procfs-core gives up on the whole file for one odd line and
//! drops the fields it does not know.

use super::number::shorten;
use super::{Collector, Round};
use crate::model::Unit;

pub(crate) const MEMINFO: &str = "/proc/meminfo";
const PAGES: Unit = Unit::new("{page}");

/// The collector of `/proc/meminfo`.
#[derive(Debug, Default)]
pub struct Memory {
    text: String,
}

/// What the derived series are made of, in bytes.
#[derive(Debug, Default)]
struct Totals {
    total: Option<u64>,
    free: Option<u64>,
    buffers: Option<u64>,
    cached: Option<u64>,
    reclaimable: Option<u64>,
    swap_total: Option<u64>,
    swap_free: Option<u64>,
}

impl Collector for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        if let Err(error) = round.root.read_into(MEMINFO, &mut self.text) {
            round.lost_file(&error);
            return;
        }
        take_apart(round, &self.text);
    }
}

fn take_apart(round: &mut Round<'_>, text: &str) {
    let mut totals = Totals::default();
    for line in text.lines() {
        let Some((field, number, unit)) = read_line(line) else {
            round.lost(format!(
                "{MEMINFO}: {:?} does not read as a field",
                shorten(line)
            ));
            continue;
        };
        let known = match field {
            "MemTotal" => &mut totals.total,
            "MemFree" => &mut totals.free,
            "Buffers" => &mut totals.buffers,
            "SReclaimable" => &mut totals.reclaimable,
            "SwapTotal" => &mut totals.swap_total,
            "SwapFree" => &mut totals.swap_free,
            "MemAvailable" => {
                bytes(round, "system.linux.memory.available", &[], number);
                continue;
            }
            "SUnreclaim" => {
                let tags = [("state", "unreclaimable")];
                bytes(round, "system.linux.memory.slab.usage", &tags, number);
                continue;
            }
            other => {
                if other == "Cached" {
                    totals.cached = Some(number);
                }
                let tags = [("field", other)];
                round
                    .batch
                    .gauge("system.linux.memory.info", &tags, unit, number);
                continue;
            }
        };
        *known = Some(number);
    }
    emit_totals(round, &totals);
}

/// Field, value and unit of `Dirty:   3992 kB`; sizes come in bytes. The kernel's kB is 1,024.
pub(crate) fn read_line(line: &str) -> Option<(&str, u64, Unit)> {
    let (field, rest) = line.split_once(':')?;
    let mut words = rest.split_ascii_whitespace();
    let number: u64 = words.next()?.parse().ok()?;
    match words.next() {
        Some("kB") => Some((field, number.checked_mul(1024)?, Unit::BYTES)),
        None if field.starts_with("HugePages_") => Some((field, number, PAGES)),
        None => Some((field, number, Unit::NONE)),
        Some(_) => None,
    }
}

fn emit_totals(round: &mut Round<'_>, totals: &Totals) {
    let usage = "system.memory.usage";
    // A kernel without slab accounting (or an odd line) has the bare page cache only.
    let cached = totals
        .cached
        .map(|cached| cached.saturating_add(totals.reclaimable.unwrap_or(0)));
    for (state, value) in [
        ("free", totals.free),
        ("buffers", totals.buffers),
        ("cached", cached),
    ] {
        if let Some(value) = value {
            bytes(round, usage, &[("state", state)], value);
        }
    }
    if let Some(total) = totals.total {
        bytes(round, "system.memory.limit", &[], total);
        if let (Some(free), Some(buffers), Some(cached)) = (totals.free, totals.buffers, cached) {
            let used = total
                .saturating_sub(free)
                .saturating_sub(buffers)
                .saturating_sub(cached);
            bytes(round, usage, &[("state", "used")], used);
        }
    }
    if let Some(reclaimable) = totals.reclaimable {
        let tags = [("state", "reclaimable")];
        bytes(round, "system.linux.memory.slab.usage", &tags, reclaimable);
    }
    emit_swap(round, totals);
}

fn emit_swap(round: &mut Round<'_>, totals: &Totals) {
    let usage = "system.paging.usage";
    if let Some(total) = totals.swap_total {
        bytes(round, "system.paging.limit", &[], total);
    }
    if let Some(free) = totals.swap_free {
        bytes(round, usage, &[("state", "free")], free);
    }
    if let (Some(total), Some(free)) = (totals.swap_total, totals.swap_free) {
        let used = total.saturating_sub(free);
        bytes(round, usage, &[("state", "used")], used);
        if total > 0 {
            let share = used as f64 / total as f64;
            round
                .batch
                .gauge("system.paging.utilization", &[], Unit::ONE, share);
        }
    }
}

fn bytes(round: &mut Round<'_>, name: &str, tags: &[(&str, &str)], value: u64) {
    round.batch.gauge(name, tags, Unit::BYTES, value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collect::Root;
    use crate::model::{Batch, Moment};

    fn batch_of(text: &str) -> (Batch, u64) {
        let root = Root::recorded("/nowhere");
        let mut batch = Batch::new();
        let mut round = Round::new(&root, &mut batch, Moment(1));
        take_apart(&mut round, text);
        let lost = round.losses().0;
        (batch, lost)
    }

    fn value(batch: &Batch, series: &str) -> Option<f64> {
        batch
            .iter()
            .find(|sample| sample.series.as_str() == series)
            .and_then(|sample| sample.value.as_f64())
    }

    #[test]
    fn the_states_add_up_to_the_limit() {
        let (batch, lost) = batch_of(
            "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 300 kB\nSReclaimable: 20 kB\n",
        );
        assert_eq!(lost, 0);
        let sum: f64 = ["used", "free", "cached", "buffers"]
            .iter()
            .filter_map(|state| value(&batch, &format!("system.memory.usage{{state=\"{state}\"}}")))
            .sum();
        assert_eq!(Some(sum), value(&batch, "system.memory.limit"));
        assert_eq!(
            value(&batch, "system.linux.memory.info{field=\"Cached\"}"),
            Some(307_200.0)
        );
    }

    #[test]
    fn no_swap_has_no_utilization() {
        let (batch, _) = batch_of("SwapTotal: 0 kB\nSwapFree: 0 kB\n");
        assert_eq!(value(&batch, "system.paging.limit"), Some(0.0));
        assert_eq!(value(&batch, "system.paging.utilization"), None);
    }

    #[test]
    fn sizes_that_overflow_and_unknown_units_are_lost() {
        assert_eq!(read_line("A: 18446744073709551615 kB"), None);
        assert_eq!(read_line("A: 3 MB"), None);
        assert_eq!(read_line("A: 3 kB"), Some(("A", 3072, Unit::BYTES)));
        assert_eq!(
            read_line("HugePages_Free: 3"),
            Some(("HugePages_Free", 3, PAGES))
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            batch_of(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn no_numbers_make_it_panic(
            lines in proptest::collection::vec(
                (prop::sample::select(vec![
                    "MemTotal", "MemFree", "Buffers", "Cached", "SReclaimable", "SwapTotal", "SwapFree",
                ]), any::<u64>()),
                0..12,
            ),
        ) {
            let lines: Vec<String> = lines
                .iter()
                .map(|(field, number)| format!("{field}: {number} kB"))
                .collect();
            batch_of(&lines.join("\n"));
        }
    }
}
