//! The thread of the door: accepts, reads, answers and closes.
//!
//! A request that has arrived is answered with four system calls (accept, recv, send, close) and no
//! registration; only a connection that has to wait for its peer or for a worker is parked and
//! watched by epoll, with a deadline. Nothing on this thread blocks, so no peer delays another.
//! Tests: `agent/tests/zabbix_door.rs`.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, acceptfrom_with, recv, send};
use rustix::time::Timespec;

use super::answer::{Answer, NotSupported};
use super::counters::Counters;
use super::door::Shared;
use super::lane::{Job, Lane};
use super::parked::{Parked, State};
use super::refusal_log::{RefusalLog, Refused};
use super::responder::{Responder, Step};
use crate::model::{Clock, Moment};

/// How long a connection may take from accept to close; Zabbix's own default timeout.
pub(super) const DEADLINE: Duration = Duration::from_secs(3);

/// Connections taken over in one go before parked ones get their turn.
const ACCEPT_BATCH: usize = 64;

/// Requests are a few hundred bytes; a longer one is read in several goes.
const READ_CHUNK: usize = 4096;

const LISTENER: u64 = u64::MAX;
const WAKER: u64 = u64::MAX - 1;

pub(super) struct EventLoop {
    listener: TcpListener,
    epoll: OwnedFd,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    clock: Clock,
    responder: Responder,
    lane: Lane,
    parked: Parked,
    log: RefusalLog,
    /// Given up for a moment when no descriptor is left, to take and close a connection that would
    /// otherwise keep the listener readable for ever.
    reserve: Option<OwnedFd>,
    /// Accepted in this turn, not yet read. Reading after the whole batch gives the peers the time
    /// between connecting and sending.
    fresh: Vec<OwnedFd>,
}

impl EventLoop {
    pub(super) fn new(
        listener: TcpListener,
        shared: Arc<Shared>,
        answer: Arc<dyn Answer>,
        clock: Clock,
    ) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &listener,
            EventData::new_u64(LISTENER),
            EventFlags::IN,
        )?;
        epoll::add(
            &epoll,
            &shared.waker,
            EventData::new_u64(WAKER),
            EventFlags::IN,
        )?;
        let counters = Arc::clone(&shared.counters);
        Ok(Self {
            listener,
            epoll,
            clock,
            responder: Responder::new(Arc::clone(&answer), Arc::clone(&counters)),
            lane: Lane::new(answer, Arc::clone(&counters), shared.waker.clone()),
            parked: Parked::default(),
            log: RefusalLog::default(),
            reserve: open_reserve(),
            fresh: Vec::with_capacity(ACCEPT_BATCH),
            counters,
            shared,
        })
    }

    pub(super) fn run(mut self) {
        let mut events: Vec<Event> = Vec::with_capacity(64);
        while !self.shared.stop.load(Ordering::Acquire) {
            events.clear();
            let timeout = self.timeout();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::error!(%error, "the Zabbix door cannot wait for events and closes");
                    return;
                }
            }
            self.shared.turns.fetch_add(1, Ordering::Relaxed);
            let now = self.clock.now();
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept_batch(now),
                    WAKER => {
                        self.shared.waker.clear();
                        self.deliver_slow();
                    }
                    token => self.resume(token),
                }
            }
            self.expire(now);
        }
    }

    fn timeout(&mut self) -> Option<Timespec> {
        let left = self.parked.next_deadline()?.since(self.clock.now());
        // One millisecond more, because epoll counts in whole ones and cuts.
        let left = left + Duration::from_millis(1);
        Timespec::try_from(left).ok()
    }

    fn accept_batch(&mut self, now: Moment) {
        for _ in 0..ACCEPT_BATCH {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match acceptfrom_with(&self.listener, flags) {
                Ok((fd, peer)) => {
                    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                    match peer.map(|peer| peer.ip()) {
                        Some(ip) if self.shared.allows(ip) => self.fresh.push(fd),
                        other => self.deny(other, now),
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::MFILE | Errno::NFILE) => {
                    self.counters.accept_errors.add_one();
                    self.make_descriptor(now);
                    break;
                }
                // The peer has gone already, or the kernel passes on a network error of that peer.
                Err(_) => self.counters.accept_errors.add_one(),
            }
        }
        let mut fresh = std::mem::take(&mut self.fresh);
        for fd in fresh.drain(..) {
            self.serve(fd, now);
        }
        self.fresh = fresh;
    }

    /// Serves a connection whose request is probably there already.
    fn serve(&mut self, fd: OwnedFd, now: Moment) {
        let mut chunk = [0; READ_CHUNK];
        let input = match recv(&fd, &mut chunk[..], RecvFlags::DONTWAIT) {
            Ok((_, read)) if read > 0 => chunk.get(..read).unwrap_or_default(),
            Err(Errno::AGAIN | Errno::INTR) => &[],
            Ok(_) | Err(_) => {
                self.counters.unfinished.add_one();
                return;
            }
        };
        match self.responder.step(input) {
            Step::Replied => self.send_fresh(fd, now),
            Step::NeedsMore => {
                self.park(fd, State::Reading(input.to_vec()), now);
            }
            Step::Slow { form, key } => {
                if let Some(token) = self.park(fd, State::Working(form), now) {
                    self.submit(token, key);
                }
            }
            Step::Malformed(_) => self.malformed(&fd, now),
        }
    }

    /// Sends the reply; nearly always the whole of it fits into the socket at once.
    fn send_fresh(&mut self, fd: OwnedFd, now: Moment) {
        let reply = self.responder.reply();
        // MORE holds the data back until the descriptor is closed a moment later, so that reply and
        // end of connection travel in one segment: one packet and one wake-up of the peer less.
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL | SendFlags::MORE;
        let sent = match send(&fd, reply, flags) {
            Ok(sent) => sent,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_) => {
                self.counters.unfinished.add_one();
                return;
            }
        };
        if sent < reply.len() {
            let rest = reply.get(sent..).unwrap_or_default().to_vec();
            self.park(fd, State::Writing(rest, 0), now);
        }
    }

    /// Goes on with a parked connection that has something to read, or room to write.
    fn resume(&mut self, token: u64) {
        loop {
            let Some(connection) = self.parked.get(token) else {
                return;
            };
            match &mut connection.state {
                State::Working(_) => return,
                State::Writing(..) => return self.send_parked(token),
                State::Reading(input) => {
                    let mut chunk = [0; READ_CHUNK];
                    match recv(&connection.fd, &mut chunk[..], RecvFlags::DONTWAIT) {
                        Ok((_, read)) if read > 0 => {
                            input.extend_from_slice(chunk.get(..read).unwrap_or_default());
                        }
                        Err(Errno::AGAIN) => return,
                        Err(Errno::INTR) => continue,
                        Ok(_) | Err(_) => return self.abandon(token),
                    }
                    match self.responder.step(input) {
                        Step::NeedsMore => {}
                        Step::Replied => return self.reply_parked(token),
                        Step::Slow { form, key } => {
                            connection.state = State::Working(form);
                            return self.submit(token, key);
                        }
                        Step::Malformed(_) => {
                            if let Some(gone) = self.parked.remove(token) {
                                self.malformed(&gone.fd, self.clock.now());
                            }
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Sends the responder's reply on a parked connection.
    fn reply_parked(&mut self, token: u64) {
        if let Some(connection) = self.parked.get(token) {
            connection.state = State::Writing(self.responder.reply().to_vec(), 0);
            self.send_parked(token);
        }
    }

    fn send_parked(&mut self, token: u64) {
        loop {
            let Some(connection) = self.parked.get(token) else {
                return;
            };
            let State::Writing(reply, at) = &mut connection.state else {
                return;
            };
            let rest = reply.get(*at..).unwrap_or_default();
            match send(
                &connection.fd,
                rest,
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            ) {
                Ok(sent) if sent == rest.len() => {
                    self.parked.remove(token);
                    return;
                }
                Ok(sent) => *at += sent,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let watched = EventData::new_u64(token);
                    let flags = EventFlags::OUT | EventFlags::ET;
                    if epoll::modify(&self.epoll, &connection.fd, watched, flags).is_ok() {
                        return;
                    }
                    return self.abandon(token);
                }
                Err(_) => return self.abandon(token),
            }
        }
    }

    /// Puts a connection aside. When the place is full, the one that waited longest makes room: a
    /// crowd of stalled peers costs itself, not a newcomer.
    fn park(&mut self, fd: OwnedFd, state: State, now: Moment) -> Option<u64> {
        if self.parked.is_full() {
            self.evict_oldest();
        }
        let token = self.parked.reserve()?;
        let readiness = match &state {
            State::Writing(..) => EventFlags::OUT,
            State::Reading(_) | State::Working(_) => EventFlags::IN,
        };
        let watched = EventData::new_u64(token);
        if epoll::add(&self.epoll, &fd, watched, readiness | EventFlags::ET).is_err() {
            self.parked.release(token);
            self.counters.unfinished.add_one();
            return None;
        }
        self.parked.put(token, fd, state, now + DEADLINE);
        Some(token)
    }

    fn submit(&mut self, token: u64, key: String) {
        if let Err(reason) = self.lane.submit(Job { token, key }) {
            self.finish_slow(token, Err(reason));
        }
    }

    fn deliver_slow(&mut self) {
        for done in self.lane.take_done() {
            self.finish_slow(done.token, done.result);
        }
    }

    fn finish_slow(&mut self, token: u64, result: Result<String, NotSupported>) {
        // Gone if the deadline came first; its peer has been told.
        if let Some(connection) = self.parked.get(token)
            && let State::Working(form) = connection.state
        {
            self.responder.finish_slow(form, result);
            self.reply_parked(token);
        }
    }

    fn expire(&mut self, now: Moment) {
        while let Some(token) = self.parked.expired(now) {
            let state = self.parked.get(token).map(|connection| &connection.state);
            if let Some(State::Working(_)) = state {
                self.counters.slow_given_up.add_one();
                let reason = "Timeout while waiting for a slow check.";
                self.finish_slow(token, Err(NotSupported::because(reason)));
                // Whatever did not fit into the socket at once is not waited for.
                self.parked.remove(token);
            } else {
                self.abandon(token);
            }
        }
    }

    fn evict_oldest(&mut self) {
        if let Some(oldest) = self.parked.oldest() {
            self.parked.remove(oldest);
            self.counters.evicted.add_one();
        }
    }

    fn abandon(&mut self, token: u64) {
        if self.parked.remove(token).is_some() {
            self.counters.unfinished.add_one();
        }
    }

    fn deny(&mut self, peer: Option<IpAddr>, now: Moment) {
        self.counters.denied.add_one();
        self.log.refused(Refused::Denied, peer, now);
    }

    fn malformed(&mut self, fd: &OwnedFd, now: Moment) {
        self.counters.malformed.add_one();
        self.log.refused_lazily(Refused::Malformed, now, || {
            let peer = rustix::net::getpeername(fd).ok()??;
            Some(SocketAddr::try_from(peer).ok()?.ip())
        });
    }

    /// Frees a descriptor, so that the listener does not stay readable in vain.
    fn make_descriptor(&mut self, now: Moment) {
        self.log.refused(Refused::NoDescriptor, None, now);
        if self.parked.oldest().is_some() {
            self.evict_oldest();
        } else if self.reserve.take().is_some() {
            let flags = SocketFlags::CLOEXEC;
            drop(rustix::net::accept_with(&self.listener, flags));
            self.reserve = open_reserve();
        } else {
            self.reserve = open_reserve();
            // Nothing of ours is left to give: let others move before the next attempt.
            std::thread::yield_now();
        }
    }
}

fn open_reserve() -> Option<OwnedFd> {
    std::fs::File::open("/dev/null").ok().map(OwnedFd::from)
}
