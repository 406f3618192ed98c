//! One collector on the schedule: its round, its verdict and its figures.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::super::{Collector, Root, Round};
use super::Timetable;
use crate::model::{Batch, Clock, Moment, Unit};
use crate::store::Store;
use crate::telemetry::{Part, Room, StatusBoard, Verdict};

/// The longest reason that is shown; a collector on a broken machine may have long paths.
const REASON_MAX: usize = 300;

/// A collector with its place in the schedule.
pub(super) struct Job {
    collector: Box<dyn Collector>,
    source: String,
    part: Arc<Part>,
    plan: Plan,
    figures: Figures,
    gave_samples: bool,
}

/// Whether and when a collector runs.
#[derive(Clone, Copy, Debug)]
enum Plan {
    Off,
    /// It panicked; it may have left anything behind, so it does not run again.
    Broken,
    Every {
        interval: Duration,
        due: Moment,
    },
}

/// Sums since the collector was added.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    rounds: u64,
    skipped: u64,
    losses: u64,
    cpu: Duration,
    wall: Duration,
}

/// What the rounds need from the house.
pub(super) struct House<'a> {
    pub(super) root: &'a Root,
    pub(super) clock: &'a Clock,
    pub(super) store: &'a Store,
}

/// How a round ended.
struct Outcome {
    lost: u64,
    absent: u64,
    reason: String,
}

impl Job {
    pub(super) fn new(room: Room, collector: Box<dyn Collector>, board: &StatusBoard) -> Self {
        let name = collector.name();
        // A probe and a collector may have one name; their samples are counted apart.
        let source = match room {
            Room::Collector => name.to_owned(),
            other => format!("{}.{name}", other.as_str()),
        };
        Self {
            source,
            part: board.part(room, name, Verdict::Off),
            collector,
            plan: Plan::Off,
            figures: Figures::default(),
            gave_samples: false,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.collector.name()
    }

    /// What the timetable and the store know it by: `cpu`, `probe.block`.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Takes a new timetable. A collector that is switched on or gets another interval is due at
    /// once; one whose interval stays keeps its tick.
    pub(super) fn replan(&mut self, timetable: &Timetable, now: Moment) {
        self.plan = match (self.plan, timetable.interval_of(&self.source)) {
            (Plan::Broken, _) => Plan::Broken,
            (_, None) => {
                self.part.set(Verdict::Off);
                Plan::Off
            }
            (Plan::Every { interval, due }, Some(same)) if interval == same => {
                Plan::Every { interval, due }
            }
            (before, Some(interval)) => {
                if matches!(before, Plan::Off) {
                    self.part.set(Verdict::Starting);
                }
                Plan::Every { interval, due: now }
            }
        };
    }

    /// When the collector is due; `None` when it does not run.
    pub(super) fn due(&self) -> Option<Moment> {
        match self.plan {
            Plan::Every { due, .. } => Some(due),
            Plan::Off | Plan::Broken => None,
        }
    }

    /// Runs one round and plans the next.
    pub(super) fn run(&mut self, house: &House<'_>, batch: &mut Batch) {
        let Plan::Every { interval, due } = self.plan else {
            return;
        };
        let (began, cpu) = (house.clock.now(), thread_cpu());
        batch.clear();
        let outcome = self.round(house, batch, began);
        let (ended, cpu) = (house.clock.now(), thread_cpu().saturating_sub(cpu));
        let wall = ended.since(began);
        let skipped = Timetable::ticks_missed(due, ended, interval);
        self.plan = Plan::Every {
            interval,
            due: Timetable::tick_after(ended, interval),
        };
        self.figures.rounds += 1;
        self.figures.skipped += skipped;
        self.figures.cpu += cpu;
        self.figures.wall += wall;
        let samples = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        self.part.ran(cpu, samples);
        let Some(outcome) = outcome else {
            self.plan = Plan::Broken;
            self.part.erred(1);
            self.part.set(Verdict::Failed(
                "it panicked and is off until the service restarts; please report it".into(),
            ));
            return;
        };
        let lost = outcome.lost + batch.refused();
        self.figures.losses += lost;
        self.part.erred(lost);
        self.part.set(self.verdict(&outcome, batch, skipped, wall));
        self.gave_samples |= samples > 0;
        if samples > 0 {
            house
                .store
                .put(&self.source, batch, Some(Timetable::ttl(interval)));
        }
    }

    /// `None` when the collector panicked.
    fn round(&mut self, house: &House<'_>, batch: &mut Batch, now: Moment) -> Option<Outcome> {
        let collector = &mut self.collector;
        // After a panic the collector never runs again and the batch is cleared before its next
        // use, so that neither is seen in the state in which it was left.
        catch_unwind(AssertUnwindSafe(|| {
            let mut round = Round::new(house.root, batch, now);
            collector.collect(&mut round);
            let (lost, words) = round.losses();
            Outcome {
                lost,
                absent: round.absences(),
                reason: reason(lost, words),
            }
        }))
        .ok()
    }

    fn verdict(&self, outcome: &Outcome, batch: &Batch, skipped: u64, wall: Duration) -> Verdict {
        if batch.is_empty() && outcome.lost > 0 {
            let only_absent = outcome.lost == outcome.absent;
            return if only_absent && !self.gave_samples {
                Verdict::Unsupported(outcome.reason.clone())
            } else {
                Verdict::Failed(outcome.reason.clone())
            };
        }
        if outcome.lost > 0 {
            return Verdict::Degraded(outcome.reason.clone());
        }
        if batch.refused() > 0 {
            return Verdict::Degraded(format!(
                "{} samples had names or tags that make no series",
                batch.refused()
            ));
        }
        if skipped > 0 {
            return Verdict::Degraded(format!(
                "{skipped} rounds were skipped; the last one took {:.1} s and was late or too slow for its interval",
                wall.as_secs_f64()
            ));
        }
        Verdict::Active
    }

    /// Adds the figures as series of the agent about itself.
    pub(super) fn report(&self, batch: &mut Batch) {
        let tags = [("name", self.name()), ("room", self.part.room().as_str())];
        let Figures {
            rounds,
            skipped,
            losses,
            cpu,
            wall,
        } = self.figures;
        let round = Unit::new("{round}");
        batch.counter("moonward.collect.rounds", &tags, round, rounds);
        batch.counter("moonward.collect.rounds.skipped", &tags, round, skipped);
        batch.counter(
            "moonward.collect.losses",
            &tags,
            Unit::new("{loss}"),
            losses,
        );
        for (name, time) in [
            ("moonward.collect.cpu.time", cpu),
            ("moonward.collect.wall.time", wall),
        ] {
            batch.counter(name, &tags, Unit::SECONDS, time.as_secs_f64());
        }
    }
}

/// The first loss, and how many more there were.
fn reason(lost: u64, words: &[String]) -> String {
    let first = words.first().map_or("", String::as_str);
    let first = first
        .char_indices()
        .nth(REASON_MAX)
        .and_then(|(end, _)| first.get(..end))
        .unwrap_or(first);
    match lost {
        0 | 1 => first.to_owned(),
        more => format!("{first} (and {} more)", more - 1),
    }
}

/// CPU time of this thread (`CLOCK_THREAD_CPUTIME_ID`, clock_gettime(2)).
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
