//! The schedule without its thread: what is due now, and when something will be.

use std::fmt;

use super::super::{Collector, Root};
use super::Timetable;
use super::job::{House, Job};
use crate::model::{Batch, Clock, Moment};
use crate::store::Store;
use crate::telemetry::{Heartbeat, Room, StatusBoard};

/// The source under which the schedule's own figures are put.
const SOURCE: &str = "schedule";

/// The collectors and probes of one agent, and when each runs.
pub struct Schedule {
    root: Root,
    clock: Clock,
    store: Store,
    board: StatusBoard,
    heartbeat: Heartbeat,
    timetable: Timetable,
    jobs: Vec<Job>,
    batch: Batch,
}

impl fmt::Debug for Schedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.jobs.iter().map(Job::name).collect();
        formatter
            .debug_struct("Schedule")
            .field("root", &self.root)
            .field("timetable", &self.timetable)
            .field("jobs", &names)
            .finish_non_exhaustive()
    }
}

impl Schedule {
    /// An empty schedule that puts samples into `store`, keeps status on `board` and takes its
    /// time from the store's clock.
    pub fn new(root: Root, store: Store, board: StatusBoard, timetable: Timetable) -> Self {
        let clock = store.clock().clone();
        Self {
            root,
            heartbeat: Heartbeat::new("collect", clock.clone()),
            clock,
            store,
            board,
            timetable,
            jobs: Vec::new(),
            batch: Batch::new(),
        }
    }

    /// Adds a collector, or a probe that reads its maps like one. Its page on the board is in
    /// `room`, under its name; it is due at once unless the timetable has it off.
    pub fn add(&mut self, room: Room, collector: Box<dyn Collector>) {
        let mut job = Job::new(room, collector, &self.board);
        job.replan(&self.timetable, self.clock.now());
        self.jobs.push(job);
    }

    /// Takes new intervals and a new set of collectors that are off.
    pub fn replan(&mut self, timetable: Timetable) {
        let now = self.clock.now();
        for job in &mut self.jobs {
            job.replan(&timetable, now);
        }
        self.timetable = timetable;
    }

    /// The sign of life of whoever runs the rounds; it names the collector that is running.
    pub fn heartbeat(&self) -> Heartbeat {
        self.heartbeat.clone()
    }

    /// The same schedule with the sign of life of the one that it replaces, so that whoever watches
    /// that one watches this one too.
    #[must_use]
    pub fn with_heartbeat(mut self, heartbeat: Heartbeat) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// When the next round is due; `None` when nothing runs.
    pub fn next_due(&self) -> Option<Moment> {
        self.jobs.iter().filter_map(Job::due).min()
    }

    /// Runs every collector that is due, each once, until `stopped` says so between two of them.
    /// Returns how many ran.
    pub fn run_due(&mut self, stopped: impl Fn() -> bool) -> usize {
        let now = self.clock.now();
        let house = House {
            root: &self.root,
            clock: &self.clock,
            store: &self.store,
        };
        let mut ran = 0;
        for job in &mut self.jobs {
            if stopped() {
                return ran;
            }
            if job.due().is_none_or(|due| due > now) {
                continue;
            }
            self.heartbeat.begin(job.name());
            job.run(&house, &mut self.batch);
            self.heartbeat.end();
            ran += 1;
        }
        self.heartbeat.beat();
        if ran > 0 {
            self.report();
        }
        ran
    }

    fn report(&mut self) {
        self.batch.clear();
        for job in &self.jobs {
            job.report(&mut self.batch);
        }
        let shortest = self
            .jobs
            .iter()
            .filter_map(|job| self.timetable.interval_of(job.source()))
            .min()
            .unwrap_or(self.timetable.interval);
        self.store
            .put(SOURCE, &self.batch, Some(Timetable::ttl(shortest)));
    }

    /// The clock the schedule runs by.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }
}
