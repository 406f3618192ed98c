//! The thread of the HTTP doors, and the doors as their owners hold them.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use thiserror::Error;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::access::{Access, is_loopback};
use super::answer::Answers;
use super::connection;
use super::places::{Place, Places};
use super::refusal::refuse;
use crate::store::Store;
use crate::telemetry::{Heartbeat, StatusBoard};

/// The most connections of all doors at one time; more would use up the service's descriptors.
const CONNECTIONS_MAX: usize = 64;

/// The most connections beyond that which are told so; more are closed without a word.
const REFUSALS_MAX: usize = 64;

/// The most doors that can be opened by address; what asks for more is a loop.
const DOORS_MAX: usize = 16;

/// How long to wait when accepting fails: most likely there is no file descriptor left, and that
/// does not pass at once.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a door that was let go may take to close, for whoever opens it again.
const CLOSING: Duration = Duration::from_millis(500);

/// How often to look whether it has closed.
const LOOK: Duration = Duration::from_millis(5);

/// How often the thread says that it is alive.
const BEAT: Duration = Duration::from_secs(2);

/// How long answers that are under way may still take when everything ends.
const END: Duration = Duration::from_secs(2);

/// Why a door stays closed.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Others could come in without being asked anything.
    #[error(
        "{address} is reached from beyond this machine, which takes a token and TLS; \
         set {missing}, or listen on 127.0.0.1 or [::1]"
    )]
    Unguarded {
        /// Where it was to listen.
        address: SocketAddr,
        /// The keys of the configuration that are not set.
        missing: &'static str,
    },
    /// Too many doors.
    #[error("{0} is one address too many; {DOORS_MAX} are listened on already")]
    TooMany(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen at {0}")]
    Bind(SocketAddr, #[source] io::Error),
    /// The kernel gives no thread, or the socket is none.
    #[error("the HTTP door cannot be opened")]
    Start(#[from] io::Error),
}

/// All HTTP doors of the agent and their thread, which starts with the first of them. Clones are
/// the same; when the last is dropped the doors close, and the thread has ended.
#[derive(Clone, Debug)]
pub struct Http {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
    by_address: Mutex<HashMap<SocketAddr, Weak<Door>>>,
}

/// What owner, thread and connections have in common.
#[derive(Debug)]
struct Shared {
    answers: Arc<Answers>,
    heart: Heartbeat,
    connections: Arc<Places>,
    refusals: Arc<Places>,
}

/// The thread.
#[derive(Debug)]
struct Running {
    runtime: Handle,
    /// Held by whoever the end has to wait for.
    busy: mpsc::Sender<()>,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An open door. Dropping it closes the door; answers under way are finished.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    access: Arc<RwLock<Arc<Access>>>,
    /// Its end is the order to close.
    _open: watch::Sender<()>,
}

impl Http {
    /// Doors that answer from a store and a board. None is open yet.
    pub fn new(store: Store, board: StatusBoard) -> Self {
        let heart = Heartbeat::new("http", store.clock().clone());
        let shared = Shared {
            answers: Arc::new(Answers::new(store, board)),
            heart,
            connections: Places::new(CONNECTIONS_MAX),
            refusals: Places::new(REFUSALS_MAX),
        };
        Self {
            inner: Arc::new(Inner {
                shared: Arc::new(shared),
                running: Mutex::default(),
                by_address: Mutex::default(),
            }),
        }
    }

    /// What is answered, with its counters.
    pub fn answers(&self) -> &Answers {
        &self.inner.shared.answers
    }

    /// Whether a door was ever opened.
    pub fn is_running(&self) -> bool {
        lock(&self.inner.running).is_some()
    }

    /// The sign of life of the thread; it beats from the first door on.
    pub fn heart(&self) -> Heartbeat {
        self.inner.shared.heart.clone()
    }

    /// Opens a door on a listening socket, from socket activation or bound by the caller. Beyond
    /// loopback that takes a token and TLS.
    pub fn open(&self, listener: TcpListener, access: Access) -> Result<Door, OpenError> {
        let address = listener.local_addr()?;
        check_guard(address, &access)?;
        self.serve(listener, access)
    }

    /// Opens a door on an address, as plugins ask for one; where one is open already, it is that
    /// one, guarded as it is. It closes when the last who holds it lets go. Beyond loopback that
    /// takes a token and TLS.
    pub fn listen(&self, address: SocketAddr, access: Access) -> Result<Arc<Door>, OpenError> {
        check_guard(address, &access)?;
        let mut doors = lock(&self.inner.by_address);
        if let Some(door) = doors.get(&address).and_then(Weak::upgrade) {
            return Ok(door);
        }
        // The thread closes a door in its own time, and whoever comes right after finds it closing.
        let mut patience = if doors.contains_key(&address) {
            CLOSING
        } else {
            Duration::ZERO
        };
        doors.retain(|_, door| door.strong_count() > 0);
        if doors.len() >= DOORS_MAX {
            return Err(OpenError::TooMany(address));
        }
        let listener = loop {
            match TcpListener::bind(address) {
                Ok(listener) => break listener,
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && !patience.is_zero() => {
                    thread::sleep(LOOK);
                    patience = patience.saturating_sub(LOOK);
                }
                Err(error) => return Err(OpenError::Bind(address, error)),
            }
        };
        let door = Arc::new(self.serve(listener, access)?);
        doors.insert(address, Arc::downgrade(&door));
        Ok(door)
    }

    /// The doors that [`Http::listen`] has opened and somebody holds.
    pub fn listened(&self) -> Vec<Arc<Door>> {
        let doors = lock(&self.inner.by_address);
        doors.values().filter_map(Weak::upgrade).collect()
    }

    fn serve(&self, listener: TcpListener, access: Access) -> Result<Door, OpenError> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let access = Arc::new(RwLock::new(Arc::new(access)));
        let (open, closing) = watch::channel(());
        let mut running = lock(&self.inner.running);
        let running = match &mut *running {
            Some(running) => running,
            none => none.insert(Running::start(&self.inner.shared)?),
        };
        let listener = {
            let _entered = running.runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let work = Listening {
            listener,
            shared: Arc::clone(&self.inner.shared),
            access: Arc::clone(&access),
            closing,
            _busy: running.busy.clone(),
        };
        running.runtime.spawn(work.run());
        Ok(Door {
            address,
            access,
            _open: open,
        })
    }
}

impl Door {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces token and certificate; holds from the next connection on. Beyond loopback nothing
    /// less than both is taken.
    pub fn set_access(&self, access: Access) -> Result<(), OpenError> {
        check_guard(self.address, &access)?;
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
        Ok(())
    }
}

/// Whether an address may be opened with this guard.
fn check_guard(address: SocketAddr, access: &Access) -> Result<(), OpenError> {
    match access.missing() {
        Some(missing) if !is_loopback(address.ip()) => {
            Err(OpenError::Unguarded { address, missing })
        }
        _ => Ok(()),
    }
}

impl Running {
    fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (busy, mut idle) = mpsc::channel(1);
        let (stop, stopped) = oneshot::channel::<()>();
        let heart = shared.heart.clone();
        let thread = thread::Builder::new().name("http".into()).spawn(move || {
            runtime.block_on(async move {
                let beating = async {
                    let mut beats = tokio::time::interval(BEAT);
                    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
                    loop {
                        beats.tick().await;
                        heart.beat();
                    }
                };
                tokio::select! {
                    () = beating => {}
                    // Nothing is ever sent: the other end is dropped.
                    _ = stopped => {}
                }
                // Nothing comes here either but the end of the last door.
                let ended = tokio::time::timeout(END, idle.recv()).await;
                if ended.is_err() {
                    tracing::warn!("HTTP connections were given up in the middle of an answer");
                }
            });
        })?;
        Ok(Self {
            runtime: handle,
            busy,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop = None;
        // So that the end waits for the doors alone.
        self.busy = mpsc::channel(1).0;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the HTTP doors ended in a panic");
        }
    }
}

/// The work of one door.
struct Listening {
    listener: tokio::net::TcpListener,
    shared: Arc<Shared>,
    access: Arc<RwLock<Arc<Access>>>,
    closing: watch::Receiver<()>,
    _busy: mpsc::Sender<()>,
}

impl Listening {
    async fn run(self) {
        let Self {
            listener,
            shared,
            access,
            mut closing,
            _busy,
        } = self;
        let counters = shared.answers.counters();
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = closing.changed() => break,
            };
            while let Some(ended) = connections.try_join_next() {
                if ended.is_err() {
                    // It panicked, which its client saw as a closed connection.
                    counters.broken.add_one();
                }
            }
            let Ok((stream, _)) = accepted else {
                counters.accept_errors.add_one();
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let access = Arc::clone(&access.read().unwrap_or_else(PoisonError::into_inner));
            let Some(place) = Place::take(&shared.connections) else {
                counters.refused.add_one();
                // Over TLS even a word would take a handshake.
                if access.tls().is_none()
                    && let Some(place) = Place::take(&shared.refusals)
                {
                    connections.spawn(async move {
                        let _place = place;
                        refuse(stream).await;
                    });
                }
                continue;
            };
            let (answers, mut closing) = (Arc::clone(&shared.answers), closing.clone());
            connections.spawn(async move {
                let _place = place;
                let closing = async move { while closing.changed().await.is_ok() {} };
                connection::serve(stream, answers, access, closing).await;
            });
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
