use std::time::Duration;

use crate::collect::Root;
use crate::lua::testing::Stage;
use crate::model::histogram::Bucket;
use crate::model::{Batch, Clock, Histogram, Kind, Unit};
use crate::telemetry::{Room, Verdict};

fn put(stage: &Stage, fast: u64, slow: u64) {
    let bucket = |lower: f64, upper: f64, count| Bucket {
        lower,
        upper,
        count,
    };
    let histogram = Histogram {
        count: fast + slow,
        sum: fast as f64 * 1.5 + slow as f64 * 9.0,
        buckets: vec![bucket(1.0, 2.0, fast), bucket(8.0, 10.0, slow)],
    };
    let mut batch = Batch::new();
    let tags = [("device", "sda")];
    let name = "system.disk.latency";
    batch.push(name, &tags, Kind::Histogram, Unit::SECONDS, histogram);
    batch.counter("system.disk.skipped", &[("reason", "x")], Unit::ONE, fast);
    stage.store.put("probe.block", &batch, None);
}

fn stage() -> (Stage, std::sync::Arc<crate::model::clock::ManualClock>) {
    let (clock, hand) = Clock::manual();
    hand.advance(Duration::from_secs(1_000_000));
    (Stage::with(clock, Root::machine()), hand)
}

const NAME: &str = "local name = 'system.disk.latency{device=\"sda\"}'\n";

#[test]
fn a_histogram_answers_and_its_difference_does() {
    let (stage, hand) = stage();
    put(&stage, 90, 10);
    let script = format!(
        "{NAME}
         local first = probe.histogram(name)
         assert(first:count() == 100 and first:sum() == 225 and first:mean() == 2.25)
         assert(first:quantile(0.5) == 1.5 and first:quantile(0.95) == 9)
         metrics.set('ready', 1)
         while not metrics.get('go') do time.sleep(0) end
         local second = probe.histogram('system.disk.latency', {{device = 'sda'}})
         local between = second:since(first)
         assert(between:count() == 50 and between:quantile(0.5) == 9 and between:sum() == 450)
         assert(first:since(first):count() == 0 and first:since(first):mean() == nil)
         assert(first:since(first):quantile(0.5) == nil)
         local nothing, reason = first:since(second)
         assert(nothing == nil and reason:find('begun anew'))
         assert(not pcall(first.since, first) and not pcall(first.quantile, first, 1.5))
         local nothing, reason = probe.histogram('system.disk.skipped', {{reason = 'x'}})
         assert(nothing == nil and reason:find('no histogram'))
         local nothing, reason = probe.histogram('none')
         assert(nothing == nil and reason:find('no series none'))"
    );
    let run = stage.start("script.lua", script);
    while stage.store.get("ready").is_none() && run.ending().is_none() {
        std::thread::yield_now();
    }
    hand.advance(Duration::from_secs(10));
    put(&stage, 90, 60);
    let go = crate::model::Series::parse("go").unwrap();
    let store = &stage.store;
    store.put_one("test", &go, Kind::Gauge, Unit::ONE, 1.0, None);
    stage.wait(&run).unwrap();
}

#[test]
fn a_quantile_of_the_last_seconds_is_of_those() {
    let (stage, hand) = stage();
    put(&stage, 1000, 0);
    stage.pass(format!(
        "{NAME}
         assert(probe.quantile(name, 0.99) == 1.5)
         local nothing, reason = probe.quantile(name, 0.99, 30)
         assert(nothing == nil and reason:find('begins now'), reason)"
    ));
    for slow in 1..=4 {
        hand.advance(Duration::from_secs(10));
        put(&stage, 1000, slow);
    }
    stage.pass(format!(
        "{NAME}
         assert(probe.quantile(name, 0.99, 30) == 9 and probe.quantile(name, 0.99) == 1.5)
         assert(probe.quantile('system.disk.latency', 0.5, 20, {{device = 'sda'}}) == 9)
         assert(probe.quantile(name, 0.5, 3600) == 9)
         assert(not pcall(probe.quantile, name) and not pcall(probe.quantile, name, 0.5, -1))"
    ));
    hand.advance(Duration::from_secs(10));
    put(&stage, 5, 0);
    stage.pass(format!(
        "{NAME}
         local nothing, reason = probe.quantile(name, 0.99, 30)
         assert(nothing == nil and reason:find('begun anew'), reason)"
    ));
}

#[test]
fn only_what_probes_have_put_is_listed() {
    let (stage, _hand) = stage();
    put(&stage, 7, 1);
    let mut batch = Batch::new();
    batch.counter("other", &[], Unit::ONE, 1_u64);
    stage.store.put("disk", &batch, None);
    let board = &stage.board;
    board.part(Room::Probe, "block", Verdict::Active);
    board.part(Room::Probe, "tcp", Verdict::Unsupported("no BTF".into()));
    board.part(Room::Collector, "cpu", Verdict::Active);
    stage.pass(
        "local counters = probe.counters()
         assert(#counters == 1 and counters[1].value == 7 and counters[1].name == 'system.disk.skipped')
         assert(#probe.counters('*tcp*') == 0)
         local list = probe.list()
         assert(#list == 2 and list[1].kind == 'histogram' and list[1].value == 8)
         local verdicts = {}
         for _, part in ipairs(probe.status()) do verdicts[part.name] = part end
         assert(verdicts.block.verdict == 'active' and verdicts.block.reason == nil)
         assert(verdicts.tcp.verdict == 'unsupported' and verdicts.tcp.reason == 'no BTF')
         assert(verdicts.cpu == nil and verdicts.block.runs == 0)",
    );
}
