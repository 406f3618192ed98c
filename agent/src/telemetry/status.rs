//! The status of every probe, collector, door and output: its verdict, its work and its cost.
//!
//! Each part holds a [`Part`] and writes to it; the board shows all of them to `moonward status`,
//! to the store (as series of the agent about itself) and to the notification of systemd.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

/// Which room of the house a part lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Room {
    /// A program in the kernel and its user-space half.
    Probe,
    /// A reader of the kernel's files.
    Collector,
    /// The TTL store and its snapshot.
    Store,
    /// Something that answers when asked.
    Door,
    /// Something that sends on its own.
    Output,
    /// A Lua script or an outside program.
    Plugin,
}

impl Room {
    /// The room's name in lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Collector => "collector",
            Self::Store => "store",
            Self::Door => "door",
            Self::Output => "output",
            Self::Plugin => "plugin",
        }
    }
}

/// How a part is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was asked for and has not started yet.
    Starting,
    /// It works.
    Active,
    /// The configuration switches it off.
    Off,
    /// This kernel or machine does not have what it needs.
    Unsupported(String),
    /// It works, but not wholly.
    Degraded(String),
    /// It should work and does not.
    Failed(String),
}

impl Verdict {
    /// Whether it works wholly.
    pub fn is_active(&self) -> bool {
        *self == Self::Active
    }

    /// One word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Active => "active",
            Self::Off => "off",
            Self::Unsupported(_) => "unsupported",
            Self::Degraded(_) => "degraded",
            Self::Failed(_) => "failed",
        }
    }

    /// Why, where there is something to explain.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Starting | Self::Active | Self::Off => None,
            Self::Unsupported(reason) | Self::Degraded(reason) | Self::Failed(reason) => {
                Some(reason)
            }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            None => formatter.write_str(self.as_str()),
            Some(reason) => write!(formatter, "{}: {reason}", self.as_str()),
        }
    }
}

/// The sums of a part that keeps them itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How often it has run.
    pub runs: u64,
    /// How often something went wrong.
    pub errors: u64,
    /// How many samples it gave.
    pub samples: u64,
    /// How long the last run took.
    pub last: Duration,
    /// How long it worked, all together.
    pub total: Duration,
}

/// One part's own page on the board. Cheap to write to: one lock for the verdict, atomics for the
/// rest.
#[derive(Debug)]
pub struct Part {
    room: Room,
    name: String,
    verdict: Mutex<Verdict>,
    runs: AtomicU64,
    errors: AtomicU64,
    samples: AtomicU64,
    last_nanoseconds: AtomicU64,
    total_nanoseconds: AtomicU64,
    details: Mutex<BTreeMap<&'static str, u64>>,
}

/// The detail that tells the memory of a part, in bytes.
pub const MEMORY_BYTES: &str = "memory_bytes";

/// The detail that tells how often a part was started again after a failure.
pub const RESTARTS: &str = "restarts";

impl Part {
    /// The most details that one part has; what is beyond is left out.
    pub const DETAILS_MAX: usize = 16;

    fn new(room: Room, name: &str, verdict: Verdict) -> Self {
        Self {
            room,
            name: name.to_owned(),
            verdict: Mutex::new(verdict),
            runs: AtomicU64::default(),
            errors: AtomicU64::default(),
            samples: AtomicU64::default(),
            last_nanoseconds: AtomicU64::default(),
            total_nanoseconds: AtomicU64::default(),
            details: Mutex::default(),
        }
    }

    /// The room the part lives in.
    pub fn room(&self) -> Room {
        self.room
    }

    /// The part's name, unique in its room.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the part is doing.
    pub fn verdict(&self) -> Verdict {
        self.verdict
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Says how the part is doing; returns whether that is news.
    pub fn set(&self, verdict: Verdict) -> bool {
        let mut current = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *current != verdict;
        *current = verdict;
        news
    }

    /// Counts one run: the time it took and the samples or answers it gave.
    pub fn ran(&self, took: Duration, samples: u64) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.samples.fetch_add(samples, Ordering::Relaxed);
        self.last_nanoseconds.store(nanoseconds, Ordering::Relaxed);
        self.total_nanoseconds
            .fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Takes over what the part itself keeps: all sums, and how long the last run took.
    pub fn is_at(&self, sums: Sums) {
        let nanoseconds =
            |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.runs.store(sums.runs, Ordering::Relaxed);
        self.errors.store(sums.errors, Ordering::Relaxed);
        self.samples.store(sums.samples, Ordering::Relaxed);
        self.last_nanoseconds
            .store(nanoseconds(sums.last), Ordering::Relaxed);
        self.total_nanoseconds
            .store(nanoseconds(sums.total), Ordering::Relaxed);
    }

    /// Takes over sums that the part itself keeps: answers given, requests that went wrong.
    pub fn counted(&self, answers: u64, errors: u64) {
        self.runs.store(answers, Ordering::Relaxed);
        self.samples.store(answers, Ordering::Relaxed);
        self.errors.store(errors, Ordering::Relaxed);
    }

    /// Counts errors: values that could not be read, requests that could not be answered.
    pub fn erred(&self, errors: u64) {
        self.errors.fetch_add(errors, Ordering::Relaxed);
    }

    /// Says a number that only parts of this kind have, such as [`MEMORY_BYTES`]; the name ends in
    /// the number's unit where it has one. A later number of the same name replaces it.
    pub fn detail(&self, name: &'static str, number: u64) {
        let mut details = self.details.lock().unwrap_or_else(PoisonError::into_inner);
        if details.len() < Self::DETAILS_MAX || details.contains_key(name) {
            details.insert(name, number);
        }
    }

    /// The page as it stands.
    pub fn status(&self) -> PartStatus {
        let verdict = self.verdict();
        PartStatus {
            room: self.room,
            name: self.name.clone(),
            verdict: verdict.as_str(),
            reason: verdict.reason().map(str::to_owned),
            runs: self.runs.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            samples: self.samples.load(Ordering::Relaxed),
            last_seconds: seconds(&self.last_nanoseconds),
            total_seconds: seconds(&self.total_nanoseconds),
            details: self
                .details
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}

fn seconds(nanoseconds: &AtomicU64) -> f64 {
    nanoseconds.load(Ordering::Relaxed) as f64 / 1e9
}

/// What the board shows of one part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartStatus {
    /// The room the part lives in.
    pub room: Room,
    /// The part's name.
    pub name: String,
    /// One word: starting, active, off, unsupported, degraded, failed.
    pub verdict: &'static str,
    /// Why, where there is something to explain.
    pub reason: Option<String>,
    /// How often it has run or was asked.
    pub runs: u64,
    /// How many values or requests went wrong.
    pub errors: u64,
    /// How many samples or answers it gave.
    pub samples: u64,
    /// Seconds of CPU or wall time that the last run took.
    pub last_seconds: f64,
    /// Seconds that all runs took together.
    pub total_seconds: f64,
    /// Numbers that only parts of this kind have, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<&'static str, u64>,
}

/// All parts of the agent.
#[derive(Clone, Debug, Default)]
pub struct StatusBoard {
    parts: Arc<Mutex<Vec<Arc<Part>>>>,
}

impl StatusBoard {
    /// An empty board.
    pub fn new() -> Self {
        Self::default()
    }

    /// The page of a part, made with `verdict` if there is none yet; an existing page gets the
    /// verdict too.
    pub fn part(&self, room: Room, name: &str, verdict: Verdict) -> Arc<Part> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = parts
            .iter()
            .find(|part| part.room == room && part.name == name)
        {
            part.set(verdict);
            return Arc::clone(part);
        }
        let part = Arc::new(Part::new(room, name, verdict));
        parts.push(Arc::clone(&part));
        part
    }

    /// The page of a part, as it is or new and starting.
    pub fn part_as_it_is(&self, room: Room, name: &str) -> Arc<Part> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = parts
            .iter()
            .find(|part| part.room == room && part.name == name)
            .map(Arc::clone);
        drop(parts);
        known.unwrap_or_else(|| self.part(room, name, Verdict::Starting))
    }

    /// Takes a page off the board, as when a plugin's file is deleted. Whoever holds the part may
    /// write to it still; nobody sees it.
    pub fn remove(&self, room: Room, name: &str) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.retain(|part| part.room != room || part.name != name);
    }

    /// Every part, by room and name.
    pub fn statuses(&self) -> Vec<PartStatus> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut statuses: Vec<PartStatus> = parts.iter().map(|part| part.status()).collect();
        statuses.sort_by(|one, two| (one.room, &one.name).cmp(&(two.room, &two.name)));
        statuses
    }

    /// How many parts have the verdict word.
    pub fn count(&self, word: &str) -> usize {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts
            .iter()
            .filter(|part| part.verdict().as_str() == word)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_board_shows_what_the_parts_wrote() {
        let board = StatusBoard::new();
        let part = board.part(Room::Collector, "cpu", Verdict::Starting);
        assert!(part.set(Verdict::Active));
        assert!(!part.set(Verdict::Active));
        part.ran(Duration::from_millis(2), 40);
        part.erred(1);
        board.part(Room::Probe, "block", Verdict::Unsupported("no BTF".into()));
        let statuses = board.statuses();
        assert_eq!(statuses[0].name, "block");
        assert_eq!(statuses[0].reason.as_deref(), Some("no BTF"));
        assert_eq!(
            (statuses[1].runs, statuses[1].samples, statuses[1].errors),
            (1, 40, 1)
        );
        assert!((statuses[1].last_seconds - 0.002).abs() < 1e-9);
        assert_eq!(board.count("active"), 1);
    }

    #[test]
    fn a_page_goes_with_its_part() {
        let board = StatusBoard::new();
        let part = board.part(Room::Plugin, "cpu", Verdict::Active);
        board.part(Room::Collector, "cpu", Verdict::Active);
        let sums = Sums {
            runs: 3,
            errors: 1,
            samples: 7,
            last: Duration::from_millis(2),
            total: Duration::from_millis(5),
        };
        part.is_at(sums);
        let status = part.status();
        assert_eq!((status.runs, status.errors, status.samples), (3, 1, 7));
        board.remove(Room::Plugin, "cpu");
        let left = board.statuses();
        assert_eq!((left.len(), left[0].room), (1, Room::Collector));
    }

    #[test]
    fn one_name_in_one_room_is_one_part() {
        let board = StatusBoard::new();
        let first = board.part(Room::Door, "zabbix", Verdict::Starting);
        let second = board.part(Room::Door, "zabbix", Verdict::Active);
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(first.verdict(), Verdict::Active);
    }

    #[test]
    fn details_are_replaced_and_bounded() {
        const NAMES: [&str; 17] = [
            "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q",
        ];
        let board = StatusBoard::new();
        let part = board.part(Room::Plugin, "cpu", Verdict::Active);
        let json = serde_json::to_string(&part.status()).unwrap();
        assert!(!json.contains("details"), "{json}");
        for name in NAMES {
            part.detail(name, 1);
        }
        part.detail("a", 2);
        let details = part.status().details;
        assert_eq!((details.len(), details["a"]), (Part::DETAILS_MAX, 2));
        assert!(!details.contains_key("q"));
    }
}
