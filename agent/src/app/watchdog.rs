//! The watchdog: tells systemd that the agent is alive, but only when every task has been heard of.
//!
//! A timer that fires says nothing about the agent. So WATCHDOG=1 goes out only after each
//! supervised task has beaten within its own limit; the first late one is named in the log and in
//! `systemctl status`, and if it stays late, systemd restarts the agent.

use std::sync::Arc;
use std::time::Duration;

use super::notify::Notifier;
use crate::model::clock::{Clock, Moment};
use crate::telemetry::heartbeat::Heartbeat;

/// Whose remark it is behind the status that systemd shows.
const REMARK: &str = "watchdog";

/// A task that says from time to time that it is alive.
pub trait Alive: Send + Sync {
    /// The task's name, for the log.
    fn name(&self) -> &str;
    /// When it was last heard of.
    fn last_beat(&self) -> Moment;
    /// How long it may stay silent.
    fn limit(&self) -> Duration;
    /// What it was doing when it was last heard of, where that is known.
    fn work(&self) -> Option<&'static str> {
        None
    }
}

/// A heartbeat, and how long its owner may stay silent.
#[derive(Clone, Debug)]
pub struct Supervised {
    /// The sign of life.
    pub heartbeat: Heartbeat,
    /// The longest silence.
    pub limit: Duration,
}

impl Alive for Supervised {
    fn name(&self) -> &str {
        self.heartbeat.name()
    }

    fn last_beat(&self) -> Moment {
        self.heartbeat.last()
    }

    fn limit(&self) -> Duration {
        self.limit
    }

    fn work(&self) -> Option<&'static str> {
        self.heartbeat.work().map(|work| work.what)
    }
}

/// A task that has been silent for too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    /// The task's name.
    pub name: String,
    /// For how long it has been silent.
    pub silent: Duration,
    /// For how long it may be.
    pub limit: Duration,
    /// What it was doing, where that is known.
    pub work: Option<&'static str>,
}

/// Watches over the tasks that it was given.
pub struct Watchdog {
    clock: Clock,
    interval: Duration,
    tasks: Vec<Arc<dyn Alive>>,
    /// No task is late for time before this.
    grace: Moment,
    looked: Moment,
    late: Vec<Late>,
}

impl Watchdog {
    /// A watchdog that looks three times within `timeout`, systemd's `WatchdogSec=`.
    pub fn new(clock: Clock, timeout: Duration, tasks: Vec<Arc<dyn Alive>>) -> Self {
        let now = clock.now();
        Self {
            clock,
            interval: timeout / 3,
            tasks,
            grace: now,
            looked: now,
            late: Vec::new(),
        }
    }

    /// How long it sleeps between two looks.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Looks at every task once; returns those that are late.
    pub fn look(&mut self) -> &[Late] {
        let now = self.clock.now();
        // The boot clock goes on in suspend while timers stand still. After a sleep of the machine
        // (or of this very task) nobody could beat, so everybody starts anew.
        if now.since(self.looked) > self.interval * 2 {
            self.grace = now;
        }
        self.looked = now;
        self.late = self
            .tasks
            .iter()
            .filter_map(|task| {
                let silent = now.since(task.last_beat().max(self.grace));
                (silent > task.limit()).then(|| Late {
                    name: task.name().to_owned(),
                    silent,
                    limit: task.limit(),
                    work: task.work(),
                })
            })
            .collect();
        &self.late
    }

    /// One look, and what follows from it: systemd is fed, or told who is late.
    pub fn turn(&mut self, notifier: &Notifier) {
        let before: Vec<String> = self.late.iter().map(|late| late.name.clone()).collect();
        self.look();
        for late in &self.late {
            if !before.contains(&late.name) {
                tracing::error!(
                    task = late.name,
                    work = late.work.unwrap_or("nothing known"),
                    silent_seconds = late.silent.as_secs_f64(),
                    limit_seconds = late.limit.as_secs_f64(),
                    "a task has stopped beating; systemd will restart the agent unless it comes back"
                );
            }
        }
        for name in &before {
            if !self.late.iter().any(|late| late.name == *name) {
                tracing::info!(task = name, "the task beats again");
            }
        }
        if self.late.is_empty() {
            notifier.watchdog();
            if !before.is_empty() {
                notifier.remark(REMARK, "");
            }
        } else {
            notifier.remark(REMARK, &remark(&self.late));
        }
    }

    /// Looks for ever. To be spawned on the runtime whose tasks it watches, so that a runtime that
    /// hangs is not fed either.
    pub async fn run(mut self, notifier: Arc<Notifier>) {
        loop {
            self.turn(&notifier);
            tokio::time::sleep(self.interval).await;
        }
    }
}

fn remark(late: &[Late]) -> String {
    let names: Vec<String> = late
        .iter()
        .map(|late| {
            let work = late.work.map(|work| format!(" in {work}"));
            let (work, seconds) = (work.unwrap_or_default(), late.silent.as_secs());
            format!("{}{work} ({seconds} s)", late.name)
        })
        .collect();
    format!("late: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::sync::Mutex;

    use super::*;
    use crate::model::clock::ManualClock;

    struct Task {
        name: &'static str,
        beat: Mutex<Moment>,
    }

    impl Alive for Task {
        fn name(&self) -> &str {
            self.name
        }
        fn last_beat(&self) -> Moment {
            *self.beat.lock().unwrap()
        }
        fn limit(&self) -> Duration {
            Duration::from_secs(20)
        }
    }

    struct Scene {
        clock: Clock,
        hand: Arc<ManualClock>,
        tasks: [Arc<Task>; 2],
        dog: Watchdog,
    }

    fn scene() -> Scene {
        let (clock, hand) = Clock::manual();
        hand.advance(Duration::from_secs(1000));
        let task = |name| {
            Arc::new(Task {
                name,
                beat: Mutex::new(clock.now()),
            })
        };
        let tasks = [task("rounds"), task("store")];
        let alive = tasks
            .iter()
            .map(|task| Arc::clone(task) as Arc<dyn Alive>)
            .collect();
        let dog = Watchdog::new(clock.clone(), Duration::from_secs(30), alive);
        Scene {
            clock,
            hand,
            tasks,
            dog,
        }
    }

    impl Scene {
        fn beat(&self, task: usize) {
            *self.tasks[task].beat.lock().unwrap() = self.clock.now();
        }
        /// Ten seconds in which the given tasks beat, then a look.
        fn ten_seconds(&mut self, beating: &[usize]) -> Vec<String> {
            self.hand.advance(Duration::from_secs(10));
            for task in beating {
                self.beat(*task);
            }
            let late = self.dog.look();
            late.iter().map(|late| late.name.clone()).collect()
        }
    }

    #[test]
    fn a_heartbeat_names_the_work_that_hangs() {
        let (clock, hand) = Clock::manual();
        let heartbeat = Heartbeat::new("rounds", clock.clone());
        let supervised = Supervised {
            heartbeat: heartbeat.clone(),
            limit: Duration::from_secs(5),
        };
        let timeout = Duration::from_secs(30);
        let mut dog = Watchdog::new(clock, timeout, vec![Arc::new(supervised)]);
        heartbeat.begin("filesystem");
        hand.advance(Duration::from_secs(10));
        assert_eq!(remark(dog.look()), "late: rounds in filesystem (10 s)");
        heartbeat.end();
        assert!(dog.look().is_empty());
    }

    #[test]
    fn it_looks_three_times_within_the_timeout() {
        assert_eq!(scene().dog.interval(), Duration::from_secs(10));
    }

    #[test]
    fn only_a_task_that_is_silent_beyond_its_limit_is_late() {
        let mut scene = scene();
        assert!(scene.ten_seconds(&[0]).is_empty());
        assert!(scene.ten_seconds(&[0]).is_empty(), "20 s is within 20 s");
        assert_eq!(scene.ten_seconds(&[0]), ["store"]);
        assert_eq!(scene.ten_seconds(&[]), ["store"]);
        assert!(scene.ten_seconds(&[0, 1]).is_empty());
    }

    #[test]
    fn a_task_that_never_beat_is_late_too() {
        let mut scene = scene();
        *scene.tasks[1].beat.lock().unwrap() = Moment(0);
        assert!(scene.ten_seconds(&[0]).is_empty(), "it may start first");
        scene.ten_seconds(&[0]);
        assert_eq!(scene.ten_seconds(&[0]), ["store"]);
    }

    #[test]
    fn nobody_is_late_for_the_sleep_of_the_machine() {
        let mut scene = scene();
        scene.ten_seconds(&[0, 1]);
        scene.hand.advance(Duration::from_hours(8));
        assert!(scene.dog.look().is_empty());
        assert!(scene.ten_seconds(&[]).is_empty());
        assert!(scene.ten_seconds(&[]).is_empty());
        assert_eq!(scene.ten_seconds(&[0]), ["store"]);
    }

    #[test]
    fn systemd_is_fed_only_while_nobody_is_late_and_told_who_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        systemd.set_nonblocking(true).unwrap();
        let notifier = Notifier::to(path.as_os_str()).unwrap();
        let hears = || {
            let mut buffer = [0; 512];
            let length = systemd.recv(&mut buffer).unwrap_or(0);
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };

        let mut scene = scene();
        scene.dog.turn(&notifier);
        assert_eq!(hears(), "WATCHDOG=1");
        for _ in 0..3 {
            scene.hand.advance(Duration::from_secs(10));
            scene.beat(0);
            scene.dog.turn(&notifier);
        }
        assert_eq!(hears(), "WATCHDOG=1");
        assert_eq!(hears(), "WATCHDOG=1");
        assert_eq!(hears(), "STATUS=late: store (30 s)");
        assert_eq!(hears(), "", "no food while somebody is late");
        scene.beat(1);
        scene.dog.turn(&notifier);
        assert_eq!(hears(), "WATCHDOG=1");
        assert_eq!(hears(), "STATUS=");
    }
}
