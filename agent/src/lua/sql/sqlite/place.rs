//! How many threads of SQLite there may be, those included that nobody waits for any more.
//!
//! SQLite asks whether it shall go on between the steps of its machine, never inside a function, and
//! a row can have many of them. So a statement that was given up can run on for a while. Its place
//! comes back when its connection is really closed: the connection's progress handler holds it, which
//! SQLite's thread drops then.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most threads of one database at one time.
const OF_DATABASE: usize = 4;

/// The most threads of all databases at one time.
pub(super) const OF_PROCESS: usize = 64;

/// How long a new connection waits for a place: a statement that is no long call of a function has
/// ended well before.
const PATIENCE: Duration = Duration::from_secs(1);

static PROCESS: LazyLock<Arc<Room>> = LazyLock::new(|| Room::new(OF_PROCESS));

/// Places that are given out together.
struct Room {
    max: usize,
    free: Arc<Semaphore>,
    /// How many of those given out are a statement's that nobody waits for.
    given_up: AtomicUsize,
}

impl Room {
    fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            free: Arc::new(Semaphore::new(max)),
            given_up: AtomicUsize::new(0),
        })
    }

    async fn take(&self, patience: Duration) -> Option<OwnedSemaphorePermit> {
        let free = Arc::clone(&self.free);
        let taken = tokio::time::timeout(patience, free.acquire_owned()).await;
        taken.ok()?.ok()
    }

    fn still_run(&self) -> String {
        match self.given_up.load(Ordering::Relaxed) {
            1 => "1 statement that was given up still runs".to_owned(),
            count => format!("{count} statements that were given up still run"),
        }
    }
}

/// The places of one database.
pub(super) struct Places {
    database: Arc<Room>,
    process: Arc<Room>,
}

impl Places {
    pub(super) fn new() -> Self {
        Self {
            database: Room::new(OF_DATABASE),
            process: Arc::clone(&PROCESS),
        }
    }

    /// Takes a place for a connection, and what its user keeps.
    ///
    /// # Errors
    /// When none came free for a second, or for half of `time`: what holds them.
    pub(super) async fn take(&self, time: Duration) -> Result<(Place, User), String> {
        let patience = PATIENCE.min(time / 2);
        let Some(of_database) = self.database.take(patience).await else {
            let Room { max, .. } = *self.database;
            return Err(format!(
                "{}, and a database has at most {max} threads of SQLite; try again when they have \
                 ended, and leave out the functions of SQL that take them so long",
                self.database.still_run()
            ));
        };
        let Some(of_process) = self.process.take(patience).await else {
            let Room { max, .. } = *self.process;
            return Err(format!(
                "all plugins together have at most {max} threads of SQLite, and they are in use: \
                 {}; try again later, and close what is not needed",
                self.process.still_run()
            ));
        };
        let fate = Arc::new(Fate {
            is_left: AtomicBool::new(false),
            is_given_up: AtomicBool::new(false),
            rooms: [Arc::clone(&self.database), Arc::clone(&self.process)],
        });
        let place = Place {
            fate: Arc::clone(&fate),
            _permits: [of_database, of_process],
        };
        let user = User {
            fate,
            is_running: false,
        };
        Ok((place, user))
    }
}

/// What both sides of a connection know of it.
struct Fate {
    /// Nobody will use the connection any more.
    is_left: AtomicBool,
    /// It was left while a statement ran.
    is_given_up: AtomicBool,
    rooms: [Arc<Room>; 2],
}

/// The right to have a thread; the connection keeps it to its end.
pub(super) struct Place {
    fate: Arc<Fate>,
    _permits: [OwnedSemaphorePermit; 2],
}

impl Place {
    /// Whether what runs there is of use to nobody.
    pub(super) fn is_left(&self) -> bool {
        self.fate.is_left.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.fate.is_given_up.load(Ordering::Acquire) {
            for room in &self.fate.rooms {
                room.given_up.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// Who uses the connection; to be dropped before it.
pub(super) struct User {
    fate: Arc<Fate>,
    /// A statement is under way.
    pub(super) is_running: bool,
}

impl Drop for User {
    fn drop(&mut self) {
        if self.is_running {
            for room in &self.fate.rooms {
                room.given_up.fetch_add(1, Ordering::Relaxed);
            }
            self.fate.is_given_up.store(true, Ordering::Release);
        }
        self.fate.is_left.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(5);

    fn alone() -> Places {
        Places {
            database: Room::new(2),
            process: Room::new(3),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_comes_back_with_its_thread_and_not_with_its_user() {
        let places = alone();
        let (first, mut user) = places.take(TIME).await.unwrap();
        let (_second, _other) = places.take(TIME).await.unwrap();
        user.is_running = true;
        drop(user);
        assert!(first.is_left());
        let complaint = places.take(TIME).await.err().unwrap();
        assert!(
            complaint.starts_with(
                "1 statement that was given up still runs, and a database has at most 2"
            ),
            "{complaint}"
        );
        drop(first);
        let (third, user) = places.take(TIME).await.unwrap();
        // One that is closed in order is no statement that was given up.
        drop(user);
        assert!(third.is_left());
        let complaint = places.take(TIME).await.err().unwrap();
        assert!(complaint.starts_with("0 statements"), "{complaint}");
    }

    #[tokio::test(start_paused = true)]
    async fn all_databases_together_have_a_bound() {
        let one = alone();
        let other = Places {
            database: Room::new(2),
            process: Arc::clone(&one.process),
        };
        let mut taken = Vec::new();
        for places in [&one, &one, &other] {
            let (place, mut user) = places.take(TIME).await.unwrap();
            user.is_running = true;
            taken.push(place);
        }
        let complaint = other.take(TIME).await.err().unwrap();
        assert!(
            complaint.contains("at most 3 threads of SQLite")
                && complaint.contains("3 statements that were given up"),
            "{complaint}"
        );
        taken.pop();
        assert!(other.take(TIME).await.is_ok());
    }
}
