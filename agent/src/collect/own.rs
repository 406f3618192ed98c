//! The agent about itself: what every part does and costs, and what the process uses.
//!
//! Reads `/proc/self/stat` (proc(5)) and the status board.
//!
//! | series | unit | |
//! |---|---|---|
//! | `moonward.part.verdict{room,name}` | | words: active, off, unsupported, degraded, failed |
//! | `moonward.part.active{room,name}` | 1 | 1 when the part works, else 0 |
//! | `moonward.part.runs{room,name}` | `{run}` | counter |
//! | `moonward.part.errors{room,name}` | `{error}` | counter |
//! | `moonward.part.samples{room,name}` | `{sample}` | counter |
//! | `moonward.part.time{room,name}` | s | counter, time spent in runs |
//! | `moonward.process.cpu.time{mode}` | s | counter, user and system |
//! | `moonward.process.memory.usage` | By | resident memory |
//! | `moonward.process.threads` | `{thread}` | |
//! | `moonward.process.start_time` | s | seconds since boot |
//!
//! And what [`Store::observe`] says of the store.

use procfs_core::FromRead;
use procfs_core::process::Stat;

use super::round::{Collector, Round};
use crate::model::Unit;
use crate::store::Store;
use crate::telemetry::StatusBoard;

const RUNS: Unit = Unit::new("{run}");
const ERRORS: Unit = Unit::new("{error}");
const SAMPLES: Unit = Unit::new("{sample}");
const THREADS: Unit = Unit::new("{thread}");

/// The collector that looks at the agent itself.
#[derive(Debug)]
pub struct Own {
    board: StatusBoard,
    store: Store,
    ticks_per_second: f64,
    page_bytes: u64,
}

impl Own {
    /// Looks at what `board` and `store` say.
    pub fn new(board: StatusBoard, store: Store) -> Self {
        Self {
            board,
            store,
            ticks_per_second: rustix::param::clock_ticks_per_second() as f64,
            page_bytes: rustix::param::page_size() as u64,
        }
    }

    fn parts(&self, round: &mut Round<'_>) {
        for part in self.board.statuses() {
            let tags = [("name", part.name.as_str()), ("room", part.room.as_str())];
            let active = f64::from(u8::from(matches!(part.verdict, "active" | "degraded")));
            let batch = &mut *round.batch;
            batch.text("moonward.part.verdict", &tags, part.verdict);
            batch.gauge("moonward.part.active", &tags, Unit::ONE, active);
            batch.counter("moonward.part.runs", &tags, RUNS, part.runs);
            batch.counter("moonward.part.errors", &tags, ERRORS, part.errors);
            batch.counter("moonward.part.samples", &tags, SAMPLES, part.samples);
            batch.counter(
                "moonward.part.time",
                &tags,
                Unit::SECONDS,
                part.total_seconds,
            );
        }
    }

    fn process(&self, round: &mut Round<'_>) {
        let Some(text) = round.read("/proc/self/stat") else {
            return;
        };
        let stat = match Stat::from_read(text.as_bytes()) {
            Ok(stat) => stat,
            Err(error) => return round.lost(format!("/proc/self/stat: {error}")),
        };
        let seconds = |ticks: u64| ticks as f64 / self.ticks_per_second;
        let batch = &mut *round.batch;
        for (mode, ticks) in [("user", stat.utime), ("system", stat.stime)] {
            let name = "moonward.process.cpu.time";
            batch.counter(name, &[("mode", mode)], Unit::SECONDS, seconds(ticks));
        }
        let resident = stat.rss.saturating_mul(self.page_bytes);
        batch.gauge("moonward.process.memory.usage", &[], Unit::BYTES, resident);
        let threads = u64::try_from(stat.num_threads).unwrap_or(0);
        batch.gauge("moonward.process.threads", &[], THREADS, threads);
        let name = "moonward.process.start_time";
        batch.gauge(name, &[], Unit::SECONDS, seconds(stat.starttime));
    }
}

impl Collector for Own {
    fn name(&self) -> &'static str {
        "own"
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        self.parts(round);
        self.process(round);
        self.store.observe(round.batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::Root;
    use crate::model::{Batch, Clock, Kind};
    use crate::store::StoreLimits;
    use crate::telemetry::{Room, Verdict};

    #[test]
    fn the_agent_sees_itself() {
        let board = StatusBoard::new();
        board
            .part(Room::Probe, "block", Verdict::Unsupported("no BTF".into()))
            .erred(2);
        let store = Store::new(Clock::System, StoreLimits::default());
        let too_long = crate::model::Histogram {
            buckets: vec![
                crate::model::histogram::Bucket {
                    lower: 0.0,
                    upper: 1.0,
                    count: 0
                };
                10_000
            ],
            ..Default::default()
        };
        let mut refused = Batch::new();
        refused.push("h", &[], Kind::Histogram, Unit::ONE, too_long);
        store.put("other", &refused, None);
        let (root, mut batch) = (Root::machine(), Batch::new());
        let mut round = Round::new(&root, &mut batch, Clock::System.now());
        Own::new(board, store.clone()).collect(&mut round);
        assert_eq!(round.losses().0, 0, "{:?}", round.losses().1);
        store.put("own", &batch, None);
        let value = |series: &str| store.get(series).map(|reading| reading.value.to_string());
        let block = |name: &str| {
            value(&format!(
                "moonward.part.{name}{{name=\"block\",room=\"probe\"}}"
            ))
        };
        assert_eq!(block("verdict").as_deref(), Some("unsupported"));
        assert_eq!(block("active").as_deref(), Some("0"));
        assert_eq!(block("errors").as_deref(), Some("2"));
        // Who was refused what is told by source.
        let refused = value("moonward.store.refused{source=\"other\"}");
        assert_eq!(refused.as_deref(), Some("1"));
        let resident: u64 = value("moonward.process.memory.usage")
            .unwrap()
            .parse()
            .unwrap();
        assert!(resident > 1_000_000, "{resident}");
    }
}
