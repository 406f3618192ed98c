//! Long replies: one text for all who ask at about the same time, and a bound on the bytes of all
//! texts that are under way.
//!
//! A client that reads slowly keeps its reply in memory for as long as the door lets it. Many such
//! clients must not take the memory of the whole service, so whoever asks when there is no room is
//! turned away at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::model::{Clock, Moment};

/// How old a text may be that somebody else is still reading, to be given to another client too.
/// Values are measured every ten seconds, so that nobody sees old ones for it.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// The bytes of all texts that somebody has still to read.
#[derive(Debug)]
pub(super) struct UnderWay {
    bytes: AtomicUsize,
    most: usize,
}

impl UnderWay {
    /// At most this many bytes at one time; a text that is longer is taken when it is alone, or
    /// nobody could ever have it.
    pub(super) fn new(most: usize) -> Arc<Self> {
        let bytes = AtomicUsize::new(0);
        Arc::new(Self { bytes, most })
    }

    /// How many there are now.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The sum with a text of this size, unless there is no room for it.
    fn with(&self, bytes: usize, size: usize) -> Option<usize> {
        let sum = bytes.saturating_add(size);
        (bytes == 0 || sum <= self.most).then_some(sum)
    }

    fn has_room(&self, size: usize) -> bool {
        self.with(self.bytes(), size).is_some()
    }

    fn take(self: &Arc<Self>, size: usize) -> Option<Room> {
        let order = Ordering::Relaxed;
        let taken = self
            .bytes
            .fetch_update(order, order, |bytes| self.with(bytes, size));
        taken.is_ok().then(|| Room {
            under_way: Arc::clone(self),
            size,
        })
    }
}

/// What one text takes; given back when it is dropped.
#[derive(Debug)]
struct Room {
    under_way: Arc<UnderWay>,
    size: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.under_way.bytes.fetch_sub(self.size, Ordering::Relaxed);
    }
}

/// A text under way. Clones are the same bytes, which count until the last is dropped.
#[derive(Clone, Debug)]
pub(super) struct Text(Arc<Whole>);

#[derive(Debug)]
struct Whole {
    bytes: Vec<u8>,
    made: Moment,
    _room: Room,
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

/// There is no room for another text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crowded;

/// One kind of text, which all who ask for it share. It is kept only while somebody reads it.
#[derive(Debug)]
pub(super) struct Shared {
    under_way: Arc<UnderWay>,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    text: Weak<Whole>,
    size: usize,
}

impl Shared {
    /// A kind of text that counts among these.
    pub(super) fn new(under_way: &Arc<UnderWay>) -> Self {
        Self {
            under_way: Arc::clone(under_way),
            last: Mutex::default(),
        }
    }

    /// The text that was made within the last second, if it is still under way; else what `make`
    /// makes, one at a time. Where the last one would have no room, none is made.
    pub(super) fn text(
        &self,
        clock: &Clock,
        make: impl FnOnce() -> Vec<u8>,
    ) -> Result<Text, Crowded> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock.now();
        if let Some(whole) = last.text.upgrade()
            && now.since(whole.made) <= SHARED_FOR
        {
            return Ok(Text(whole));
        }
        if !self.under_way.has_room(last.size) {
            return Err(Crowded);
        }
        let bytes = make();
        // What counts is the memory, not the text in it.
        last.size = bytes.capacity();
        let room = self.under_way.take(last.size).ok_or(Crowded)?;
        let whole = Arc::new(Whole {
            bytes,
            made: now,
            _room: room,
        });
        last.text = Arc::downgrade(&whole);
        Ok(Text(whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(size: usize) -> impl FnOnce() -> Vec<u8> {
        move || vec![b'x'; size]
    }

    #[test]
    fn who_asks_at_the_same_time_reads_the_same_bytes() {
        let (clock, hand) = Clock::manual();
        let under_way = UnderWay::new(100);
        let shared = Shared::new(&under_way);
        let first = shared.text(&clock, of(60)).unwrap();
        hand.advance(SHARED_FOR);
        let second = shared.text(&clock, of(1)).unwrap();
        assert!(std::ptr::eq(first.as_ref(), second.as_ref()));
        assert_eq!(under_way.bytes(), 60);
        drop(first);
        assert_eq!(under_way.bytes(), 60, "the second still reads it");
        drop(second);
        assert_eq!(under_way.bytes(), 0);
        assert_eq!(
            shared.text(&clock, of(7)).unwrap().as_ref(),
            b"xxxxxxx",
            "what nobody reads any more is made anew"
        );
    }

    #[test]
    fn an_older_text_is_made_anew_and_both_count() {
        let (clock, hand) = Clock::manual();
        let under_way = UnderWay::new(100);
        let shared = Shared::new(&under_way);
        let _first = shared.text(&clock, of(60)).unwrap();
        hand.advance(SHARED_FOR + Duration::from_millis(1));
        let made = std::cell::Cell::new(false);
        let refused = shared.text(&clock, || {
            made.set(true);
            Vec::new()
        });
        assert_eq!(refused.err(), Some(Crowded));
        assert!(!made.get(), "there was no room for one like the last");
        let other = Shared::new(&under_way);
        let _second = other.text(&clock, of(40)).unwrap();
        assert_eq!(under_way.bytes(), 100);
        let third = Shared::new(&under_way).text(&clock, of(1));
        assert_eq!(third.err(), Some(Crowded));
        assert_eq!(under_way.bytes(), 100);
    }

    #[test]
    fn a_text_above_the_bound_is_had_alone() {
        let (clock, _hand) = Clock::manual();
        let under_way = UnderWay::new(100);
        let long = Shared::new(&under_way);
        let text = long.text(&clock, of(1_000)).unwrap();
        let short = Shared::new(&under_way);
        assert_eq!(short.text(&clock, of(1)).err(), Some(Crowded));
        drop(text);
        assert!(short.text(&clock, of(1)).is_ok());
    }
}
