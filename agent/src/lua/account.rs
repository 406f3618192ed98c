//! What a script may take together with all that it runs by `plugin.new`.
//!
//! Every script has an account. What its state takes is charged to it and to those of the scripts
//! above it, so that the limit of each holds for the sum. ZaLua's first script runs the plugins of
//! its host that way; they stand apart from it, each as a plugin of its own.
//!
//! A state learns what is left when its turn begins and pays when the turn ends: turns that run at
//! the same moment may together go beyond the limit, until the first of them ends. So few of them
//! run at the same moment, which also keeps a script that runs hundreds from taking all threads. Of
//! those that hang a few more may be there, so that their siblings can go on.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mlua::Lua;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::quota::Quota;

/// The most files and connections that a script and what it runs may have open through the library.
const HANDLES_MAX: usize = 128;

/// What the compiled expressions of a script and what it runs may take, in bytes.
const EXPRESSIONS_MAX: usize = 32 * 1_048_576;

/// What the windows and histograms of a script and what it runs may take, in bytes.
const VALUES_MAX: usize = 16 * 1_048_576;

/// How many objects of `plugin.new` a script and what it runs may hold: each has a page.
const PLUGINS_MAX: usize = 1000;

/// How many of the scripts that a script runs, and that those run, have a turn at the same time. The
/// script itself always can, so that it may stop those that hang.
pub(super) const PLACES: usize = 2;

/// How many more turns of theirs may hang without keeping a place from the others. Each has a thread,
/// of which all scripts together have 32.
const HANGING_MAX: usize = 6;

/// The least that a turn begins with, in bytes: a script that has less would fail at the first thing
/// that it does, or somewhere in the engine's own work for it.
const TURN_MIN: usize = 32 * 1024;

/// One script's account.
#[derive(Debug)]
pub(crate) struct Account {
    /// The most memory of its state and of those of all that it runs, in bytes.
    limit: usize,
    /// What they take.
    sum: AtomicUsize,
    /// What its own state takes.
    own: AtomicUsize,
    /// The script that runs it, unless it stands apart.
    above: Option<Arc<Account>>,
    /// Whether what it runs stands apart from it.
    is_first: bool,
    held: Arc<Shared>,
}

/// What all share that are charged to the same script.
#[derive(Debug)]
struct Shared {
    handles: Arc<Quota>,
    expressions: Arc<Quota>,
    values: Arc<Quota>,
    plugins: Arc<Quota>,
    places: Arc<Semaphore>,
    hanging: Arc<Semaphore>,
}

/// What a turn holds for as long as it has a thread: a place, if it needs one.
#[derive(Debug)]
pub(super) struct Place {
    permit: Option<OwnedSemaphorePermit>,
    /// What it holds instead when it hangs.
    hanging: Arc<Semaphore>,
}

/// A state's entry in its account; what it takes is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    account: Arc<Account>,
    /// The limit that is nearest, in bytes.
    nearest: AtomicUsize,
}

impl Account {
    /// The account of a script that stands apart; `limit` is in bytes.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Self::made(limit, None, false)
    }

    /// That of ZaLua's first script.
    pub(super) fn first(limit: usize) -> Arc<Self> {
        Self::made(limit, None, true)
    }

    /// That of a script that this one runs.
    pub(super) fn child(self: &Arc<Self>, limit: usize) -> Arc<Self> {
        let above = (!self.is_first).then(|| Arc::clone(self));
        Self::made(limit, above, false)
    }

    fn made(limit: usize, above: Option<Arc<Self>>, is_first: bool) -> Arc<Self> {
        let held = above.as_ref().map(|above| Arc::clone(&above.held));
        let fresh = || {
            Arc::new(Shared {
                handles: Quota::new(HANDLES_MAX),
                expressions: Quota::new(EXPRESSIONS_MAX),
                values: Quota::new(VALUES_MAX),
                plugins: Quota::new(PLUGINS_MAX),
                places: Arc::new(Semaphore::new(PLACES)),
                hanging: Arc::new(Semaphore::new(HANGING_MAX)),
            })
        };
        Arc::new(Self {
            limit,
            sum: AtomicUsize::new(0),
            own: AtomicUsize::new(0),
            held: held.unwrap_or_else(fresh),
            above,
            is_first,
        })
    }

    /// Files and connections.
    pub(super) fn handles(&self) -> Arc<Quota> {
        Arc::clone(&self.held.handles)
    }

    /// Memory of compiled expressions, in bytes.
    pub(super) fn expressions(&self) -> Arc<Quota> {
        Arc::clone(&self.held.expressions)
    }

    /// Memory of windows and histograms, in bytes.
    pub(super) fn values(&self) -> Arc<Quota> {
        Arc::clone(&self.held.values)
    }

    /// Objects of `plugin.new`.
    pub(super) fn plugins(&self) -> &Arc<Quota> {
        &self.held.plugins
    }

    /// Waits for a place among the turns of those that are charged to the same script, to be held
    /// for as long as the turn; that script itself needs none.
    pub(super) async fn place(&self) -> Place {
        let mut place = self.beside();
        if self.above.is_some() {
            // It is never closed.
            place.permit = Arc::clone(&self.held.places).acquire_owned().await.ok();
        }
        place
    }

    /// No place, for a turn that needs none: one in which no Lua runs.
    pub(super) fn beside(&self) -> Place {
        Place {
            permit: None,
            hanging: Arc::clone(&self.held.hanging),
        }
    }

    /// What its state and those of all that it runs take, in bytes.
    pub(super) fn sum(&self) -> usize {
        self.sum.load(Ordering::Relaxed)
    }

    /// What several runs take, in bytes: one that stands apart with all that it runs, any other by
    /// itself, so that nothing is in two of such numbers. A run within another is left out.
    pub(super) fn shown<'a>(accounts: impl Iterator<Item = &'a Arc<Self>> + Clone) -> usize {
        let apart = accounts.clone().filter(|account| account.above.is_none());
        let families: HashSet<*const Shared> =
            apart.map(|account| Arc::as_ptr(&account.held)).collect();
        let shown = accounts.map(|account| {
            if account.above.is_none() {
                account.sum()
            } else if families.contains(&Arc::as_ptr(&account.held)) {
                0
            } else {
                account.own.load(Ordering::Relaxed)
            }
        });
        shown.sum()
    }

    /// Its own account and those above it.
    fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |account| account.above.as_deref())
    }

    /// Notes what its own state takes now.
    fn set(&self, own: usize) {
        let before = self.own.swap(own, Ordering::Relaxed);
        for account in self.chain() {
            if own >= before {
                account.sum.fetch_add(own - before, Ordering::Relaxed);
            } else {
                account.sum.fetch_sub(before - own, Ordering::Relaxed);
            }
        }
    }

    /// How much more there is for it, and the limit that is nearest; both in bytes.
    fn room(&self) -> (usize, usize) {
        let rooms = self
            .chain()
            .map(|account| (account.limit.saturating_sub(account.sum()), account.limit));
        rooms.min_by_key(|(room, _)| *room).unwrap_or((0, 0))
    }

    /// The limit that is passed, in bytes.
    fn passed(&self) -> Option<usize> {
        let passed = |account: &&Self| account.sum() > account.limit;
        self.chain().find(passed).map(|account| account.limit)
    }
}

impl Place {
    /// Lets another turn have the place of one that hangs, as soon as fewer than [`HANGING_MAX`] of
    /// the same script have done so; goes on for ever.
    pub(super) async fn pass_on(&mut self) -> Infallible {
        if self.permit.is_some() {
            // It is never closed; what was held before is given back.
            self.permit = Arc::clone(&self.hanging).acquire_owned().await.ok();
        }
        std::future::pending().await
    }
}

impl Charge {
    /// The charge of a new state, which may take what is left, and enough to be set up.
    ///
    /// # Errors
    /// When the state has an allocator that knows no limit.
    pub(super) fn new(account: &Arc<Account>, lua: &Lua) -> mlua::Result<Self> {
        let own = lua.used_memory();
        account.set(own);
        let charge = Self {
            account: Arc::clone(account),
            nearest: AtomicUsize::new(account.limit),
        };
        let (room, _) = account.room();
        lua.set_memory_limit(own.saturating_add(room.max(TURN_MIN)))?;
        Ok(charge)
    }

    /// Lets the state take what is left. Gives the limit that is nearest, in bytes, when that is too
    /// little for a turn, even when the state has given up what it does not use.
    pub(super) fn begin(&self, lua: &Lua) -> Option<usize> {
        let mut own = self.measure(lua);
        let (mut room, mut nearest) = self.account.room();
        if room < TURN_MIN {
            own = self.collect(lua);
            (room, nearest) = self.account.room();
        }
        self.nearest.store(nearest, Ordering::Relaxed);
        if room < TURN_MIN {
            return Some(nearest);
        }
        // It could be set when the state was new.
        lua.set_memory_limit(own.saturating_add(room)).ok();
        None
    }

    /// Pays for what the state takes. Gives the limit that is passed, in bytes, even when the state
    /// has given up what it does not use: it cannot go on then.
    pub(super) fn settle(&self, lua: &Lua) -> Option<usize> {
        self.measure(lua);
        self.account.passed()?;
        self.collect(lua);
        self.account.passed()
    }

    fn measure(&self, lua: &Lua) -> usize {
        let own = lua.used_memory();
        self.account.set(own);
        own
    }

    fn collect(&self, lua: &Lua) -> usize {
        // Whoever cannot collect stays as large as it is.
        lua.gc_collect().ok();
        self.measure(lua)
    }

    /// The limit that the state met when it could not have more, in bytes.
    pub(super) fn nearest(&self) -> usize {
        self.nearest.load(Ordering::Relaxed)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.set(0);
    }
}

#[cfg(test)]
mod tests;
