//! Tests of the schedule: by a manual clock where time matters, on the real thread where it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::{Running, Schedule, ScheduleError, Timetable};
use crate::collect::{Collector, Root, Round};
use crate::model::clock::ManualClock;
use crate::model::{Clock, Glob, Moment, Unit};
use crate::store::{Store, StoreLimits};
use crate::telemetry::{PartStatus, Room, StatusBoard};

/// A collector whose rounds are told by a test.
struct Told<F>(&'static str, F);

impl<F: FnMut(&mut Round<'_>) + Send> Collector for Told<F> {
    fn name(&self) -> &'static str {
        self.0
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        (self.1)(round);
    }
}

fn told(
    name: &'static str,
    round: impl FnMut(&mut Round<'_>) + Send + 'static,
) -> Box<dyn Collector> {
    Box::new(Told(name, round))
}

fn sample(round: &mut Round<'_>) {
    round.batch.gauge("seen", &[], Unit::ONE, 1.0);
}

struct House {
    schedule: Schedule,
    store: Store,
    board: StatusBoard,
    hand: Arc<ManualClock>,
}

fn house() -> House {
    let (clock, hand) = Clock::manual();
    hand.advance(Duration::from_secs(1_003));
    let store = Store::new(clock, StoreLimits::default());
    let board = StatusBoard::new();
    let schedule = Schedule::new(
        Root::recorded("/nowhere"),
        store.clone(),
        board.clone(),
        Timetable::default(),
    );
    House {
        schedule,
        store,
        board,
        hand,
    }
}

impl House {
    fn run(&mut self) -> usize {
        self.schedule.run_due(|| false)
    }

    fn status(&self, name: &str) -> PartStatus {
        let statuses = self.board.statuses();
        statuses
            .into_iter()
            .find(|status| status.name == name)
            .unwrap()
    }

    fn value(&self, series: &str) -> Option<f64> {
        self.store.get(series)?.value.as_f64()
    }
}

fn at(seconds: u64) -> Moment {
    Moment::default() + Duration::from_secs(seconds)
}

#[test]
fn rounds_are_at_once_and_then_on_shared_ticks() {
    let mut house = house();
    house.schedule.add(Room::Collector, told("one", sample));
    house.schedule.add(Room::Collector, told("two", sample));
    assert_eq!(house.schedule.next_due(), Some(at(1_003)));
    assert_eq!(house.run(), 2);
    assert_eq!(house.run(), 0);
    assert_eq!(house.schedule.next_due(), Some(at(1_010)));
    house.hand.advance(Duration::from_secs(7));
    assert_eq!(house.run(), 2);
    assert_eq!(house.schedule.next_due(), Some(at(1_020)));
    let status = house.status("one");
    assert_eq!(
        (status.verdict, status.runs, status.samples),
        ("active", 2, 2)
    );
}

#[test]
fn a_late_round_is_skipped_and_counted_and_never_run_twice() {
    let mut house = house();
    let hand = Arc::clone(&house.hand);
    let mut times = [35, 1].into_iter();
    let slow = told("slow", move |round| {
        hand.advance(Duration::from_secs(times.next().unwrap_or(0)));
        sample(round);
    });
    house.schedule.add(Room::Collector, slow);
    assert_eq!(house.run(), 1);
    // From 1,003 to 1,038: the ticks at 1,013, 1,023 and 1,033 were missed.
    let status = house.status("slow");
    assert_eq!(status.verdict, "degraded");
    assert!(status.reason.unwrap().starts_with("3 rounds were skipped"));
    assert_eq!(house.run(), 0);
    assert_eq!(house.schedule.next_due(), Some(at(1_040)));
    house.hand.advance(Duration::from_secs(2));
    assert_eq!(house.run(), 1);
    assert_eq!(house.status("slow").verdict, "active");
    let tags = "{name=\"slow\",room=\"collector\"}";
    let skipped = format!("moonward.collect.rounds.skipped{tags}");
    assert_eq!(house.value(&skipped), Some(3.0));
    let wall = format!("moonward.collect.wall.time{tags}");
    assert_eq!(house.value(&wall), Some(36.0));
}

#[test]
fn verdicts_follow_samples_and_losses() {
    let mut house = house();
    let add = |house: &mut House, name, round: fn(&mut Round<'_>)| {
        house.schedule.add(Room::Collector, told(name, round));
    };
    add(&mut house, "whole", sample);
    add(&mut house, "empty", |_| {});
    add(&mut house, "absent", |round| {
        round.absent("/proc/none is not there");
    });
    add(&mut house, "broken", |round| round.lost("all of it"));
    add(&mut house, "partly", |round| {
        sample(round);
        round.lost("first");
        round.lost("second");
        round.lost("third");
    });
    add(&mut house, "odd", |round| {
        round.batch.gauge("", &[], Unit::ONE, 1.0);
        sample(round);
    });
    house.run();
    for (name, verdict, reason) in [
        ("whole", "active", None),
        ("empty", "active", None),
        ("absent", "unsupported", Some("/proc/none is not there")),
        ("broken", "failed", Some("all of it")),
        ("partly", "degraded", Some("first (and 2 more)")),
        (
            "odd",
            "degraded",
            Some("1 samples had names or tags that make no series"),
        ),
    ] {
        let status = house.status(name);
        assert_eq!(
            (status.verdict, status.reason.as_deref()),
            (verdict, reason),
            "{name}"
        );
    }
    assert_eq!(house.status("partly").errors, 3);
}

#[test]
fn what_vanishes_after_it_gave_samples_has_failed() {
    let mut house = house();
    let mut rounds = 0;
    let leaving = told("leaving", move |round| {
        rounds += 1;
        if rounds == 1 {
            sample(round);
        } else {
            round.absent("gone");
        }
    });
    house.schedule.add(Room::Collector, leaving);
    house.run();
    house.hand.advance(Duration::from_secs(10));
    house.run();
    assert_eq!(house.status("leaving").verdict, "failed");
}

#[test]
fn a_panic_ends_one_collector_and_no_other() {
    let mut house = house();
    house.schedule.add(
        Room::Collector,
        told("wild", |round| {
            sample(round);
            panic!("a bug");
        }),
    );
    house.schedule.add(
        Room::Probe,
        told("calm", |round| {
            round.batch.gauge("calm", &[], Unit::ONE, 1.0);
        }),
    );
    assert_eq!(house.run(), 2);
    assert_eq!(house.status("wild").verdict, "failed");
    assert_eq!(house.value("seen"), None);
    assert_eq!(house.value("calm"), Some(1.0));
    house.hand.advance(Duration::from_secs(10));
    assert_eq!(house.run(), 1);
    house.schedule.replan(Timetable::default());
    house.hand.advance(Duration::from_secs(10));
    assert_eq!(house.run(), 1);
}

#[test]
fn values_hold_for_three_rounds() {
    let mut house = house();
    house.schedule.replan(Timetable {
        interval: Duration::from_secs(40),
        ..Timetable::default()
    });
    house.schedule.add(Room::Collector, told("one", sample));
    house.run();
    house.hand.advance(Duration::from_secs(119));
    assert_eq!(house.value("seen"), Some(1.0));
    house.hand.advance(Duration::from_secs(2));
    assert_eq!(house.value("seen"), None);
}

#[test]
fn a_new_timetable_switches_off_on_and_paces() {
    let mut house = house();
    house.schedule.add(Room::Collector, told("one", sample));
    house.schedule.add(Room::Collector, told("two", sample));
    house.run();
    house.schedule.replan(Timetable {
        off: BTreeSet::from(["one".to_owned()]),
        intervals: BTreeMap::from([("two".to_owned(), Duration::from_secs(5))]),
        ..Timetable::default()
    });
    assert_eq!(house.status("one").verdict, "off");
    // Another interval is taken up at once, and then on its own ticks.
    assert_eq!(house.run(), 1);
    assert_eq!(house.schedule.next_due(), Some(at(1_005)));
    house.schedule.replan(Timetable::default());
    assert_eq!(house.status("one").verdict, "starting");
    assert_eq!(house.run(), 2);
    assert_eq!(house.status("one").verdict, "active");
    // The same again changes no tick.
    house.schedule.replan(Timetable::default());
    assert_eq!(house.schedule.next_due(), Some(at(1_010)));
}

#[test]
fn a_probe_and_a_collector_may_share_a_name() {
    let mut house = house();
    house.schedule.add(Room::Collector, told("tcp", sample));
    house.schedule.add(Room::Probe, told("tcp", |_| {}));
    house.run();
    assert_eq!(house.board.statuses().len(), 2);
    let rounds = house
        .store
        .scan(&Glob::new("moonward.collect.rounds{name=\"tcp\"*"));
    assert_eq!(rounds.len(), 2);
}

#[test]
fn a_stop_is_heard_between_two_collectors() {
    let mut house = house();
    for name in ["one", "two", "three"] {
        house.schedule.add(Room::Collector, told(name, sample));
    }
    let asked = std::cell::Cell::new(0);
    let ran = house.schedule.run_due(|| {
        asked.set(asked.get() + 1);
        asked.get() > 2
    });
    assert_eq!(ran, 2);
}

/// Long enough for any machine, and never waited for when things go right.
const PATIENCE: Duration = Duration::from_secs(30);

fn start(interval: Duration, collector: Box<dyn Collector>) -> Running {
    let store = Store::new(Clock::System, StoreLimits::default());
    let timetable = Timetable {
        interval,
        ..Timetable::default()
    };
    let mut schedule = Schedule::new(Root::machine(), store, StatusBoard::new(), timetable);
    schedule.add(Room::Collector, collector);
    schedule.start().unwrap()
}

fn signal() -> (Box<dyn Collector>, Receiver<Option<String>>) {
    let (sender, receiver) = channel();
    let collector = told("signal", move |_| {
        let name = std::thread::current().name().map(str::to_owned);
        drop(sender.send(name));
    });
    (collector, receiver)
}

#[test]
fn the_thread_runs_rounds_and_stops_at_once() {
    let (collector, rounds) = signal();
    let running = start(Duration::from_millis(100), collector);
    for _ in 0..3 {
        let name = rounds.recv_timeout(PATIENCE).unwrap();
        assert_eq!(name.as_deref(), Some("collect"));
    }
    running.stop(PATIENCE).unwrap();
    // The collector went with the thread.
    while rounds.try_recv().is_ok() {}
    assert!(rounds.recv().is_err());
}

#[test]
fn a_thread_that_waits_for_hours_stops_and_replans_at_once() {
    let (collector, rounds) = signal();
    let running = start(Duration::from_hours(5), collector);
    rounds.recv_timeout(PATIENCE).unwrap();
    running.replan(Timetable::default()).unwrap();
    rounds.recv_timeout(PATIENCE).unwrap();
    running.stop(PATIENCE).unwrap();
}

#[test]
fn a_dropped_handle_ends_the_thread() {
    let (collector, rounds) = signal();
    drop(start(Duration::from_hours(5), collector));
    while rounds.recv_timeout(PATIENCE).is_ok() {}
    assert_eq!(
        rounds.recv_timeout(PATIENCE),
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
    );
}

#[test]
fn a_schedule_beats_for_whoever_watched_the_one_before_it() {
    let (collector, seen, release) = stuck();
    let watched = start(Duration::from_hours(1), told("cpu", |_| {}))
        .heartbeat()
        .clone();
    let store = Store::new(Clock::System, StoreLimits::default());
    let timetable = Timetable {
        interval: Duration::from_hours(1),
        ..Timetable::default()
    };
    let mut schedule = Schedule::new(Root::machine(), store, StatusBoard::new(), timetable)
        .with_heartbeat(watched.clone());
    schedule.add(Room::Collector, collector);
    let running = schedule.start().unwrap();
    seen.recv_timeout(PATIENCE).unwrap();
    assert_eq!(watched.work().unwrap().what, "filesystem");
    drop(release);
    running.stop(PATIENCE).unwrap();
    assert!(watched.work().is_none());
}

/// A collector that says it has begun and then waits to be let go, like a read of a dead mount.
fn stuck() -> (Box<dyn Collector>, Receiver<()>, Sender<()>) {
    let (begun, seen) = channel();
    let (release, released) = channel();
    let collector = told("filesystem", move |_| {
        assert!(begun.send(()).is_ok());
        assert!(released.recv().is_err());
    });
    (collector, seen, release)
}

#[test]
fn a_collector_that_hangs_is_named_by_the_heartbeat_and_left_behind() {
    let (collector, seen, release) = stuck();
    let running = start(Duration::from_hours(1), collector);
    seen.recv_timeout(PATIENCE).unwrap();
    let heartbeat = running.heartbeat().clone();
    assert_eq!(heartbeat.work().unwrap().what, "filesystem");
    let error = running.stop(Duration::from_millis(1)).unwrap_err();
    assert!(
        matches!(
            error,
            ScheduleError::Stuck {
                what: "filesystem",
                ..
            }
        ),
        "{error}"
    );
    drop(release);
}
