//! The door as its owner holds it: open, counters, allow-list, close.
//! Tests: `agent/tests/zabbix_door.rs`.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use super::access::AllowList;
use super::answer::Answer;
use super::counters::Counters;
use super::event_loop::EventLoop;
use super::resolver::Resolver;
use super::wake::Waker;
use crate::model::Clock;

/// A running door. Dropping it closes the door and waits for its thread.
#[derive(Debug)]
pub struct Door {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
    resolver: Mutex<Option<Resolver>>,
}

/// What the owner and the thread of the door have in common.
#[derive(Debug)]
pub(super) struct Shared {
    allowed: RwLock<Arc<AllowList>>,
    pub(super) counters: Arc<Counters>,
    pub(super) waker: Waker,
    pub(super) stop: AtomicBool,
    pub(super) turns: AtomicU64,
}

impl Door {
    /// Opens the door on a listening socket, from socket activation or bound by the caller.
    ///
    /// Fails when the kernel gives no epoll instance, event counter or thread.
    pub fn open(
        listener: TcpListener,
        allowed: AllowList,
        answer: Arc<dyn Answer>,
        clock: Clock,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let resolver = Mutex::new(Resolver::start(&allowed));
        let shared = Arc::new(Shared {
            allowed: RwLock::new(Arc::new(allowed)),
            counters: Arc::default(),
            waker: Waker::new()?,
            stop: AtomicBool::new(false),
            turns: AtomicU64::new(0),
        });
        let work = EventLoop::new(listener, Arc::clone(&shared), answer, clock)?;
        let thread = thread::Builder::new()
            .name("zabbix".into())
            .spawn(move || work.run())?;
        Ok(Self {
            shared,
            address,
            thread: Some(thread),
            resolver,
        })
    }

    /// Where the door listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the door has counted.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Replaces the allow-list; holds from the next connection on.
    pub fn set_allowed(&self, allowed: AllowList) {
        *self.resolver.lock().unwrap_or_else(PoisonError::into_inner) = Resolver::start(&allowed);
        let mut current = self
            .shared
            .allowed
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(allowed);
    }

    /// The allow-list in force.
    pub fn allowed(&self) -> Arc<AllowList> {
        self.shared.allowed()
    }

    /// How often the thread has gone round, for the watchdog: [`Self::nudge`], then expect a rise.
    pub fn turns(&self) -> u64 {
        self.shared.turns.load(Ordering::Relaxed)
    }

    /// Makes the thread go round once.
    pub fn nudge(&self) {
        self.shared.waker.wake();
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.waker.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the Zabbix door ended in a panic");
        }
    }
}

impl Shared {
    /// Whether a peer may ask, by the list that holds now.
    pub(super) fn allows(&self, peer: IpAddr) -> bool {
        self.allowed
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .allows(peer)
    }

    fn allowed(&self) -> Arc<AllowList> {
        Arc::clone(&self.allowed.read().unwrap_or_else(PoisonError::into_inner))
    }
}
