//! Places, of which there are so many and no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many connections may be something at one time.
#[derive(Debug)]
pub(super) struct Places {
    taken: AtomicUsize,
    most: usize,
}

impl Places {
    /// So many.
    pub(super) fn new(most: usize) -> Arc<Self> {
        let taken = AtomicUsize::new(0);
        Arc::new(Self { taken, most })
    }
}

/// One of the places; given back when it is dropped.
pub(super) struct Place(Arc<Places>);

impl Place {
    /// One more, if there is one.
    pub(super) fn take(places: &Arc<Places>) -> Option<Self> {
        let place = Self(Arc::clone(places));
        let taken = places.taken.fetch_add(1, Ordering::Relaxed);
        (taken < places.most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
