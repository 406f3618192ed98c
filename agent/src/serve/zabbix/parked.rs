//! The connections that could not be answered at once: slow senders, slow readers, slow checks.
//!
//! At most [`Parked::CAPACITY`]; each has the same time to live, so the oldest is always the next to
//! expire, and it is the one that makes room when the place is full.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use super::request::Form;
use crate::model::Moment;

/// What a parked connection is waiting for.
#[derive(Debug)]
pub(super) enum State {
    /// The rest of the request; what is there so far.
    Reading(Vec<u8>),
    /// A worker's answer, awaited in this form.
    Working(Form),
    /// Room in the socket for the rest of the reply, from this position on.
    Writing(Vec<u8>, usize),
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) fd: OwnedFd,
    pub(super) state: State,
    deadline: Moment,
}

/// The place where they wait. A token names one connection and is never used again.
#[derive(Debug, Default)]
pub(super) struct Parked {
    slots: Vec<Slot>,
    free: Vec<u32>,
    order: VecDeque<(Moment, u64)>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    connection: Option<Connection>,
}

impl Parked {
    /// A Zabbix server keeps a few connections open at once; this many are slow by intent.
    pub(super) const CAPACITY: usize = 1024;

    pub(super) fn is_full(&self) -> bool {
        self.free.is_empty() && self.slots.len() >= Self::CAPACITY
    }

    /// Reserves a token, so that the connection can be registered under it before it is put.
    pub(super) fn reserve(&mut self) -> Option<u64> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.slots.len() < Self::CAPACITY => {
                self.slots.push(Slot::default());
                u32::try_from(self.slots.len() - 1).ok()?
            }
            None => return None,
        };
        let slot = self.slot(u64::from(index))?;
        Some(u64::from(slot.generation) << 32 | u64::from(index))
    }

    /// Puts a connection under a token from [`Self::reserve`].
    pub(super) fn put(&mut self, token: u64, fd: OwnedFd, state: State, deadline: Moment) {
        if let Some(slot) = self.slot(token) {
            slot.connection = Some(Connection {
                fd,
                state,
                deadline,
            });
            self.order.push_back((deadline, token));
        }
        // Those that were answered leave the order when they come to its front; one stalled peer at
        // the front must not let the rest pile up behind it.
        if self.order.len() > 4 * Self::CAPACITY {
            let mut order = std::mem::take(&mut self.order);
            order.retain(|(_, token)| self.get(*token).is_some());
            self.order = order;
        }
    }

    /// The connection behind a token, unless it is gone.
    pub(super) fn get(&mut self, token: u64) -> Option<&mut Connection> {
        let slot = self.slot(token)?;
        if u64::from(slot.generation) != token >> 32 {
            return None;
        }
        slot.connection.as_mut()
    }

    /// Takes a connection out; its token is void from now on.
    pub(super) fn remove(&mut self, token: u64) -> Option<Connection> {
        self.get(token)?;
        let index = u32::try_from(token & u64::from(u32::MAX)).ok()?;
        let slot = self.slot(token)?;
        slot.generation = slot.generation.wrapping_add(1);
        let connection = slot.connection.take();
        self.free.push(index);
        connection
    }

    /// Gives a reserved token back unused.
    pub(super) fn release(&mut self, token: u64) {
        if let Ok(index) = u32::try_from(token & u64::from(u32::MAX)) {
            self.free.push(index);
        }
    }

    /// When the next connection expires.
    pub(super) fn next_deadline(&mut self) -> Option<Moment> {
        self.skip_gone();
        self.order.front().map(|(deadline, _)| *deadline)
    }

    /// The token of a connection whose time is up.
    pub(super) fn expired(&mut self, now: Moment) -> Option<u64> {
        self.oldest().filter(|_| {
            self.order
                .front()
                .is_some_and(|(deadline, _)| *deadline <= now)
        })
    }

    /// The token of the connection that has waited longest.
    pub(super) fn oldest(&mut self) -> Option<u64> {
        self.skip_gone();
        self.order.front().map(|(_, token)| *token)
    }

    fn skip_gone(&mut self) {
        while let Some(&(deadline, token)) = self.order.front() {
            if self
                .get(token)
                .is_some_and(|connection| connection.deadline == deadline)
            {
                return;
            }
            self.order.pop_front();
        }
    }

    fn slot(&mut self, token: u64) -> Option<&mut Slot> {
        let index = usize::try_from(token & u64::from(u32::MAX)).ok()?;
        self.slots.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    fn fd() -> OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    fn park(parked: &mut Parked, deadline: u64) -> u64 {
        let token = parked.reserve().unwrap();
        parked.put(token, fd(), State::Reading(Vec::new()), at(deadline));
        token
    }

    #[test]
    fn a_token_is_void_once_its_connection_is_gone() {
        let mut parked = Parked::default();
        let first = park(&mut parked, 1);
        assert!(parked.remove(first).is_some());
        let second = park(&mut parked, 2);
        assert_ne!(first, second);
        assert!(parked.get(first).is_none() && parked.remove(first).is_none());
        assert!(parked.get(second).is_some());
    }

    #[test]
    fn the_oldest_expires_first_and_the_answered_are_skipped() {
        let mut parked = Parked::default();
        let (one, two, three) = (
            park(&mut parked, 1),
            park(&mut parked, 2),
            park(&mut parked, 3),
        );
        parked.remove(one);
        assert_eq!(parked.next_deadline(), Some(at(2)));
        assert_eq!(parked.expired(at(1)), None);
        assert_eq!(parked.expired(at(2)), Some(two));
        parked.remove(two);
        assert_eq!(parked.oldest(), Some(three));
        parked.remove(three);
        assert_eq!((parked.oldest(), parked.next_deadline()), (None, None));
    }

    #[test]
    fn the_place_has_an_end() {
        let mut parked = Parked::default();
        while let Some(token) = parked.reserve() {
            parked.put(token, fd(), State::Working(Form::Plain), at(1));
            assert!(token < 1 << 32);
            if parked.slots.len() == Parked::CAPACITY {
                break;
            }
        }
        assert!(parked.is_full() && parked.reserve().is_none());
        let oldest = parked.oldest().unwrap();
        parked.remove(oldest);
        assert!(!parked.is_full());
    }
}
