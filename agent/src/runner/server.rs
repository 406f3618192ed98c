//! Takes connections, judges requests, and has at most [`PLACES`] commands run at a time.
//!
//! Every connection is a task of its own. A command keeps its place until its reply has been read,
//! which bounds the memory that outputs take, and until the processes of its group are gone. Those that
//! have left it go with it in a process that adopts them ([`Server::adopt`]), unless a command that
//! still runs may have started them: then they go with that one. How many processes a command may
//! have is not bounded here but by the runner's unit. Every command that was executed or refused is
//! logged.

use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustix::process::Signal;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::child::{self, Ended, Patience};
use super::conversation::{Conversation, ConversationError};
use super::door::{Door, Entrance};
use super::group::Group;
use super::orphans::Orphans;
use super::outcome::{Ending, Outcome};
use super::peer::{Peer, log};
use super::policy::Policy;
use super::request::Request;
use super::signal::catch_ignored;
use crate::model::Clock;
use crate::telemetry::events::Events;
use crate::telemetry::log::chain;

/// How many commands run at a time; others wait within their time limit.
pub const PLACES: usize = 16;

/// The most connections at a time; more would use up the descriptors, of which a command takes four.
pub(super) const CONNECTIONS_MAX: usize = 256;

/// How long to wait when accepting fails: most likely there is no descriptor left, and that does not
/// pass at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Text for those that SIGKILL has not ended yet, or that started others faster than they were killed.
const STRAYS: &str = "processes that have left the group of their command are not gone yet";

/// How long those are waited for in one go.
const STRAYS_ROUND: Duration = Duration::from_secs(1);

/// How long somebody who may not ask may take to do so.
const STRANGER_TIME: Duration = Duration::from_secs(1);

/// The runner.
#[derive(Debug)]
pub struct Server {
    policy: RwLock<Arc<Policy>>,
    /// A user who may ask whatever the policy says.
    own: Option<u32>,
    home: OsString,
    places: Arc<Semaphore>,
    patience: Patience,
    /// Who waits for processes that were killed and are not gone yet.
    remains: Mutex<JoinSet<()>>,
    orphans: Arc<Orphans>,
    events: Events,
}

impl Server {
    /// A runner for others: root and the policy's user may ask. `home` is what commands find in
    /// `HOME`.
    pub fn new(policy: Policy, home: impl Into<OsString>) -> Self {
        Self {
            policy: RwLock::new(Arc::new(policy)),
            own: None,
            home: home.into(),
            places: Arc::new(Semaphore::new(PLACES)),
            patience: Patience::DEFAULT,
            remains: Mutex::default(),
            orphans: Arc::default(),
            events: Events::new(Clock::System),
        }
    }

    /// A runner that somebody has started for themselves: its own user may ask as well.
    #[must_use]
    pub fn for_own_user(mut self) -> Self {
        self.own = Some(rustix::process::geteuid().as_raw());
        self
    }

    /// Has this process adopt what commands leave behind outside of their groups, so that it ends with
    /// them. For a process that has no other children: what is not known here is taken for a command's.
    ///
    /// # Errors
    /// When the kernel is without what this takes; such processes outlive their commands then.
    pub fn adopt(&mut self) -> io::Result<()> {
        self.orphans = Arc::new(Orphans::adopt()?);
        Ok(())
    }

    /// Other limits to waiting.
    #[cfg(test)]
    pub(super) fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Takes another policy for every request from now on.
    pub fn set_policy(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Serves until there will be no other connection and the last one is over, or until `shutdown`
    /// is ready; commands that run then are ended.
    ///
    /// # Errors
    /// When the door cannot be waited at.
    pub async fn serve(
        self: &Arc<Self>,
        door: Door,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        if let Err(error) = catch_ignored() {
            tracing::warn!(%error, "commands may ignore signals that they should not");
        }
        let mut entrance = Entrance::open(door)?;
        let (end, ending) = watch::channel(false);
        let mut connections = JoinSet::new();
        let orphans = Arc::clone(&self.orphans);
        let mut reaping = JoinSet::new();
        reaping.spawn(async move { orphans.reap().await });
        tokio::pin!(shutdown);
        let told = loop {
            let next = tokio::select! {
                biased;
                () = &mut shutdown => break true,
                next = entrance.next() => next,
            };
            while let Some(ended) = connections.try_join_next() {
                if ended.is_err() {
                    tracing::error!("a connection ended by a panic, which is a bug");
                }
            }
            match next {
                Ok(Some(stream)) if connections.len() < CONNECTIONS_MAX => {
                    let connection = Arc::clone(self).connection(stream, ending.clone());
                    connections.spawn(connection);
                }
                Ok(Some(_)) => {
                    if let Some(suppressed) = self.events.admit("runner.crowded", "") {
                        tracing::warn!(suppressed, "more than {CONNECTIONS_MAX} connections");
                    }
                }
                Ok(None) => break false,
                Err(error) => {
                    if let Some(suppressed) = self.events.admit("runner.accept", "") {
                        tracing::warn!(%error, suppressed, "a connection cannot be taken");
                    }
                    sleep(PAUSE).await;
                }
            }
        };
        drop(entrance);
        if !told {
            tokio::select! {
                () = drain(&mut connections) => {}
                () = &mut shutdown => {}
            }
        }
        end.send_replace(true);
        // Those that are still there then are dropped, which kills what they run.
        let patience = self.patience.end() + Duration::from_secs(1);
        let _late = timeout(patience, drain(&mut connections)).await;
        connections.shutdown().await;
        if !self.orphans.end(None, self.patience.kill).await {
            tracing::warn!("{STRAYS}; they run on without the runner");
        }
        Ok(())
    }

    async fn connection(self: Arc<Self>, stream: UnixStream, ending: watch::Receiver<bool>) {
        let peer = match stream.peer_cred() {
            Ok(peer) => Peer {
                uid: peer.uid(),
                pid: peer.pid(),
            },
            Err(error) => {
                tracing::warn!(%error, "nobody knows who has connected, so nobody is served");
                return;
            }
        };
        let mut conversation = Conversation::new(stream);
        let result = if self.own == Some(peer.uid) || self.policy().may_ask(peer.uid) {
            self.converse(peer, &mut conversation, ending).await
        } else {
            turn_away(peer, &mut conversation).await
        };
        match result {
            Ok(()) => {}
            // A client may leave at any time.
            Err(ConversationError::Io(error)) => {
                tracing::debug!(%peer, %error, "a connection broke");
            }
            Err(error) => {
                tracing::warn!(%peer, error = %chain(&error), "a connection was given up");
            }
        }
    }

    /// Answers one request after the other.
    async fn converse(
        &self,
        peer: Peer,
        conversation: &mut Conversation,
        mut ending: watch::Receiver<bool>,
    ) -> Result<(), ConversationError> {
        loop {
            let content = tokio::select! {
                biased;
                // The sender outlives every connection.
                _ = ending.wait_for(|ending| *ending) => return Ok(()),
                content = conversation.next() => content,
            };
            let content = match content {
                Ok(Some(content)) => content,
                Ok(None) => return Ok(()),
                Err(error @ ConversationError::TooLong) => {
                    refuse(conversation, error.to_string()).await?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            };
            let begun = Instant::now();
            let request = match Request::decode(&content) {
                Ok(request) => request,
                Err(error) => {
                    tracing::warn!(%peer, reason = %error, "a request was refused");
                    refuse(conversation, error.to_string()).await?;
                    continue;
                }
            };
            let unwanted = async {
                tokio::select! {
                    () = conversation.gone() => {}
                    _ = ending.wait_for(|ending| *ending) => {}
                }
            };
            let carried_out = self.carry_out(&request, begun, unwanted).await;
            log(peer, &request.command, begun, carried_out.outcome.as_ref());
            if let Some(outcome) = carried_out.outcome {
                conversation.reply(&outcome.encode()).await?;
            } else {
                return Ok(());
            }
        }
    }

    /// Judges the request, waits for a place and runs the command.
    async fn carry_out(
        &self,
        request: &Request,
        begun: Instant,
        unwanted: impl Future<Output = ()>,
    ) -> CarriedOut {
        let bare = |ending| CarriedOut {
            outcome: Some(Outcome::bare(ending, begun.elapsed())),
            place: None,
        };
        let limit = match self.policy().judge(&request.command) {
            Ok(most) => request.timeout.min(most),
            Err(reason) => return bare(Ending::Refused(reason)),
        };
        let deadline = begun + limit;
        tokio::pin!(unwanted);
        let place = tokio::select! {
            biased;
            () = &mut unwanted => return CarriedOut::default(),
            place = Arc::clone(&self.places).acquire_owned() => place,
            () = sleep_until(deadline) => {
                return bare(Ending::NotStarted(format!(
                    "{PLACES} other commands were running for all of its {} seconds",
                    limit.as_secs_f64()
                )));
            }
        };
        let Ok(place) = place else {
            // Nobody closes the semaphore.
            return bare(Ending::NotStarted("the runner is ending".to_owned()));
        };
        let place = Arc::new(place);
        let time = (deadline, limit);
        let Ended {
            ending,
            stdout,
            stderr,
            remains,
            strays,
        } = child::run(
            request,
            &self.home,
            &self.orphans,
            time,
            self.patience,
            unwanted,
        )
        .await;
        if strays && let Some(suppressed) = self.events.admit("runner.strays", "") {
            tracing::warn!(suppressed, "{STRAYS}; they keep a place until they are");
        }
        if strays || remains.is_some() {
            self.bury(remains, strays, Arc::clone(&place));
        }
        let outcome = ending.map(|ending| Outcome {
            ending,
            stdout,
            stderr,
            duration: begun.elapsed(),
        });
        CarriedOut {
            outcome,
            place: Some(place),
        }
    }

    /// Waits for processes that were killed; until they are gone they keep their command's place.
    fn bury(&self, group: Option<Group>, strays: bool, place: Arc<OwnedSemaphorePermit>) {
        let orphans = Arc::clone(&self.orphans);
        let mut remains = self.remains.lock().unwrap_or_else(PoisonError::into_inner);
        while remains.try_join_next().is_some() {}
        remains.spawn(async move {
            if let Some(mut group) = group {
                group.ended().await;
                group.signal(Signal::KILL);
                group.reap();
            }
            if strays {
                while !orphans.end(None, STRAYS_ROUND).await {}
            }
            drop(place);
        });
    }
}

/// What came of a request.
#[derive(Debug, Default)]
struct CarriedOut {
    /// `None` when nobody wants to know any more.
    outcome: Option<Outcome>,
    /// The place of a command, until the reply was read.
    #[expect(dead_code, reason = "it is held, and given back by its drop")]
    place: Option<Arc<OwnedSemaphorePermit>>,
}

async fn drain(connections: &mut JoinSet<()>) {
    while connections.join_next().await.is_some() {}
}

/// Tells somebody who may not ask so, once they have asked: what is closed before its input was
/// read loses the reply.
async fn turn_away(peer: Peer, conversation: &mut Conversation) -> Result<(), ConversationError> {
    let asked = timeout(STRANGER_TIME, conversation.next()).await;
    let request = match asked {
        Ok(Ok(Some(content))) => Request::decode(&content).ok(),
        _ => None,
    };
    let command = request.map(|request| request.command.to_string());
    tracing::warn!(
        %peer,
        command = command.unwrap_or_default(),
        "refused: this user may not ask the runner"
    );
    let reason = format!(
        "user {} may not ask the runner; root may, and the user of its allow-list",
        peer.uid
    );
    refuse(conversation, reason).await
}

async fn refuse(conversation: &mut Conversation, reason: String) -> Result<(), ConversationError> {
    let outcome = Outcome::bare(Ending::Refused(reason), Duration::ZERO);
    conversation.reply(&outcome.encode()).await
}
