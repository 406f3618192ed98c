//! The queue between the threads that log and the one that writes: bounded, never waited for.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A bounded queue whose producers never wait.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    dropped: u64,
    closed: bool,
    ended: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                dropped: 0,
                closed: false,
                ended: false,
            }),
            changed: Condvar::new(),
            capacity,
        }
    }

    /// Adds an item, or drops and counts it when the queue is full or closed.
    pub(super) fn push(&self, item: T) {
        let mut state = self.lock();
        if state.closed || state.waiting.len() >= self.capacity {
            state.dropped += 1;
        } else {
            state.waiting.push_back(item);
            self.changed.notify_all();
        }
    }

    /// The next item; waits for one, and ends with `None` once the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.waiting.pop_front() {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How many items were dropped since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Takes no more items; what waits is still handed out.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Said by the consumer when it has written everything.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Waits until the consumer has ended; returns whether it has.
    pub(super) fn wait_for_end(&self, patience: Duration) -> bool {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), patience, |state| !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        state.ended
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_and_counts() {
        let queue = Queue::new(2);
        for item in 0..5 {
            queue.push(item);
        }
        assert_eq!(queue.dropped(), 3);
        assert_eq!(queue.pop(), Some(0));
        queue.push(9);
        queue.close();
        queue.push(10);
        assert_eq!(
            (queue.pop(), queue.pop(), queue.pop()),
            (Some(1), Some(9), None)
        );
        assert_eq!(queue.dropped(), 4);
        assert!(!queue.wait_for_end(Duration::ZERO));
        queue.end();
        assert!(queue.wait_for_end(Duration::ZERO));
    }
}
