//! A few connections of one handle, kept open between statements.
//!
//! A connection is lent to one statement at a time. It comes back only when the statement left it
//! in order; in every other case, a caller that went away included, it is dropped and the next
//! statement opens another. (The driver's own pool reads on in a broken-off result before it lends
//! the connection again, and hides the reason why it could not connect behind a time-out.)

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::database::Driver;

/// A connection that nobody used for so long is closed: more than the minute at which most plugins
/// ask, so that those keep theirs.
pub const IDLE_AFTER: Duration = Duration::from_secs(90);

/// The connections of one handle.
pub(super) struct Pool<D: Driver> {
    shelf: Arc<Mutex<Shelf<D>>>,
    slots: Arc<Semaphore>,
}

struct Shelf<D: Driver> {
    /// Those in nobody's hands, longest idle first.
    idle: Vec<(D::Session, Instant)>,
    closed: bool,
    /// A task is there that closes what is idle for too long.
    swept: bool,
}

/// Why nothing was lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotLent {
    /// None became free in time.
    Busy,
    /// The pool was closed.
    Closed,
}

/// The right to hold one connection.
pub(super) struct Lease<D: Driver> {
    shelf: Arc<Mutex<Shelf<D>>>,
    _slot: OwnedSemaphorePermit,
}

impl<D: Driver> Pool<D> {
    pub(super) fn new(max: usize) -> Self {
        let shelf = Shelf {
            idle: Vec::new(),
            closed: false,
            swept: false,
        };
        Self {
            shelf: Arc::new(Mutex::new(shelf)),
            slots: Arc::new(Semaphore::new(max)),
        }
    }

    /// Waits for a slot; with it comes the connection that was used last, if one is open.
    ///
    /// # Errors
    /// When none is free within `patience`, and when the pool is closed.
    pub(super) async fn lend(
        &self,
        patience: Duration,
    ) -> Result<(Lease<D>, Option<D::Session>), NotLent> {
        let slots = Arc::clone(&self.slots);
        let slot = match tokio::time::timeout(patience, slots.acquire_owned()).await {
            Ok(Ok(slot)) => slot,
            Ok(Err(_closed)) => return Err(NotLent::Closed),
            Err(_elapsed) => return Err(NotLent::Busy),
        };
        let session = locked(&self.shelf).idle.pop().map(|(session, _)| session);
        let lease = Lease {
            shelf: Arc::clone(&self.shelf),
            _slot: slot,
        };
        Ok((lease, session))
    }

    /// Closes what is idle, and everything else as soon as it comes back.
    pub(super) async fn close(&self) {
        self.slots.close();
        let idle = {
            let mut shelf = locked(&self.shelf);
            shelf.closed = true;
            std::mem::take(&mut shelf.idle)
        };
        for (session, _) in idle {
            D::close(session).await;
        }
    }
}

impl<D: Driver> Lease<D> {
    /// Gives a connection back that is in order.
    pub(super) fn put_back(self, session: D::Session) {
        let mut shelf = locked(&self.shelf);
        if shelf.closed {
            drop(shelf);
            tokio::spawn(D::close(session));
            return;
        }
        shelf.idle.push((session, Instant::now()));
        if !shelf.swept {
            shelf.swept = true;
            tokio::spawn(sweep(Arc::downgrade(&self.shelf)));
        }
    }
}

/// Closes connections that nobody used for [`IDLE_AFTER`], until none is left.
async fn sweep<D: Driver>(shelf: Weak<Mutex<Shelf<D>>>) {
    loop {
        let due = {
            let Some(shelf) = shelf.upgrade() else { return };
            let mut shelf = locked(&shelf);
            let Some((_, since)) = shelf.idle.first() else {
                shelf.swept = false;
                return;
            };
            *since + IDLE_AFTER
        };
        tokio::time::sleep_until(due).await;
        let stale: Vec<_> = {
            let Some(shelf) = shelf.upgrade() else { return };
            let mut shelf = locked(&shelf);
            let now = Instant::now();
            // Lent from the back, so the front is what was idle longest.
            let count = shelf
                .idle
                .iter()
                .take_while(|(_, since)| *since + IDLE_AFTER <= now)
                .count();
            shelf.idle.drain(..count).collect()
        };
        for (session, _) in stale {
            D::close(session).await;
        }
    }
}

fn locked<D: Driver>(shelf: &Mutex<Shelf<D>>) -> std::sync::MutexGuard<'_, Shelf<D>> {
    // Nothing under this lock can panic half-way through a change.
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::{Cell, SqlError, gather::Gather};
    use super::*;

    use std::sync::atomic::{AtomicUsize, Ordering};

    static CLOSED: AtomicUsize = AtomicUsize::new(0);

    /// A driver whose sessions are numbers; those above 100 are counted when they are closed.
    struct Numbers;

    impl Driver for Numbers {
        type Session = usize;

        async fn connect(&self) -> Result<usize, SqlError> {
            Ok(0)
        }

        async fn is_alive(&self, _: &mut usize) -> bool {
            true
        }

        async fn run(
            &self,
            _: &mut usize,
            _: &str,
            _: &[Cell],
            _: &mut Gather,
        ) -> Result<(), SqlError> {
            Ok(())
        }

        async fn close(session: usize) {
            if session > 100 {
                CLOSED.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn one_slot_is_lent_to_one_at_a_time() {
        let pool = Pool::<Numbers>::new(1);
        let (lease, session) = pool.lend(PATIENCE).await.unwrap();
        assert_eq!(session, None);
        assert_eq!(pool.lend(PATIENCE).await.err(), Some(NotLent::Busy));
        lease.put_back(7);
        let (lease, session) = pool.lend(PATIENCE).await.unwrap();
        assert_eq!(session, Some(7));
        // Dropped without its connection: the slot is free, the connection is gone.
        drop(lease);
        let (_lease, session) = pool.lend(PATIENCE).await.unwrap();
        assert_eq!(session, None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_after_its_time() {
        let pool = Pool::<Numbers>::new(2);
        let (lease, _) = pool.lend(PATIENCE).await.unwrap();
        lease.put_back(101);
        tokio::time::sleep(IDLE_AFTER / 2).await;
        let (lease, session) = pool.lend(PATIENCE).await.unwrap();
        assert_eq!(session, Some(101));
        lease.put_back(101);
        let before = CLOSED.load(Ordering::Relaxed);
        tokio::time::sleep(IDLE_AFTER * 9 / 10).await;
        assert_eq!(CLOSED.load(Ordering::Relaxed), before);
        tokio::time::sleep(IDLE_AFTER / 5).await;
        assert_eq!(CLOSED.load(Ordering::Relaxed), before + 1);
        // A new one is swept as well.
        let (lease, session) = pool.lend(PATIENCE).await.unwrap();
        assert_eq!(session, None);
        lease.put_back(102);
        tokio::time::sleep(IDLE_AFTER + Duration::from_secs(1)).await;
        assert_eq!(CLOSED.load(Ordering::Relaxed), before + 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_pool_lends_nothing_and_keeps_nothing() {
        let pool = Pool::<Numbers>::new(2);
        let (lease, _) = pool.lend(PATIENCE).await.unwrap();
        pool.close().await;
        assert_eq!(pool.lend(PATIENCE).await.err(), Some(NotLent::Closed));
        lease.put_back(1);
        assert!(locked(&pool.shelf).idle.is_empty());
    }
}
