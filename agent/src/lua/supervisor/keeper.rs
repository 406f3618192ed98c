//! The task of the supervisor: it alone has the plugins.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch as channel;
use tokio::task::{JoinError, JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use super::kept::{Kept, Stand, Then};
use super::scan::{Content, Found, INIT, Place, Scan};
use super::told::Told;
use super::watch::Watch;
use super::{Init, Pace, Plan};
use crate::lua::register::Page;
use crate::lua::{Ending, Host, Run};
use crate::telemetry::Verdict;

/// Changes that come within this time are looked at together.
const SETTLE: Duration = Duration::from_millis(10);

/// How long a file may be away before its plugin is: editors take a file away and put the new one
/// in its place.
const AWAY: Duration = Duration::from_millis(300);

/// How often to look where the system gives no inotify.
const WITHOUT_WATCH: Duration = Duration::from_secs(10);

/// How often a look is repeated because new directories came under watch during it.
const LOOKS_MAX: usize = 8;

/// The plugins and everything that is needed to run them.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) host: Host,
    pub(super) plans: channel::Receiver<Arc<Plan>>,
    pub(super) plan: Arc<Plan>,
    pub(super) init: channel::Sender<Option<Ending>>,
    pub(super) pace: Pace,
    pub(super) watch: Option<Watch>,
    pub(super) plugins: BTreeMap<String, Kept>,
    /// One task for every run: it waits for the end and gives the name of the plugin.
    pub(super) ends: JoinSet<(String, Run)>,
    /// One for every run that was left behind: it waits until that lets go of its thread.
    pub(super) releases: JoinSet<(String, Run)>,
    /// When to look at the files; not before a look that is under way has ended.
    pub(super) look: Option<Instant>,
    /// The look that is under way.
    pub(super) looking: Option<Looking>,
    pub(super) told: Told,
}

/// A look at the files that is under way.
#[derive(Debug)]
pub(super) struct Looking {
    plan: Arc<Plan>,
    round: usize,
    since: Instant,
    /// What it is at.
    place: Place,
    /// Where it is told that it hangs.
    page: Option<Arc<Page>>,
    found: JoinHandle<Found>,
}

impl Keeper {
    pub(super) fn new(
        host: Host,
        plans: channel::Receiver<Arc<Plan>>,
        init: channel::Sender<Option<Ending>>,
        pace: Pace,
    ) -> Self {
        let plan = plans.borrow().clone();
        Self {
            told: Told::new(host.services().store.clone()),
            host,
            plans,
            plan,
            init,
            pace,
            watch: None,
            plugins: BTreeMap::new(),
            ends: JoinSet::new(),
            releases: JoinSet::new(),
            look: None,
            looking: None,
        }
    }

    /// Keeps the plugins until it is told to stop; they have ended then.
    pub(super) async fn run(mut self, mut stop: channel::Receiver<bool>) {
        self.watch = match Watch::new() {
            Ok(watch) => Some(watch),
            Err(error) => {
                tracing::error!(%error, "changes of plugins are seen late: there is no inotify");
                None
            }
        };
        self.settle_plan();
        self.begin_look(1);
        let tick = |period| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let (mut refresh, mut publish) = (tick(self.pace.refresh), tick(self.pace.publish));
        let mut count = tick(self.pace.count);
        loop {
            let due = self.due();
            tokio::select! {
                biased;
                () = told(&mut stop) => break,
                Ok(()) = self.plans.changed() => self.follow(),
                found = looked(&mut self.looking) => self.looked(found),
                Some(ended) = self.ends.join_next(), if !self.ends.is_empty() => {
                    if let Ok((name, run)) = ended {
                        self.ended(&name, &run);
                    }
                }
                Some(released) = self.releases.join_next(), if !self.releases.is_empty() => {
                    if let Ok((name, run)) = released {
                        self.released(&name, &run);
                    }
                }
                () = changed(&mut self.watch) => {
                    self.look.get_or_insert(Instant::now() + SETTLE);
                }
                () = until(due) => self.act(),
                _ = refresh.tick() => {
                    self.host.services().register.refresh();
                    self.tell_of_look();
                }
                _ = publish.tick() => self.host.services().register.publish(),
                _ = count.tick() => self.told.count(self.is_quiet()),
            }
        }
        self.end().await;
    }

    /// When something is to be done without anybody saying so.
    fn due(&self) -> Option<Instant> {
        let plugins = self.plugins.values().filter_map(|plugin| {
            let start = match plugin.stand {
                Stand::Waiting(at) => Some(at),
                _ => None,
            };
            let forget = plugin.missing.map(|since| since + AWAY);
            start.into_iter().chain(forget).min()
        });
        let look = self.look.filter(|_| self.looking.is_none());
        plugins.chain(look).min()
    }

    fn act(&mut self) {
        let now = Instant::now();
        if self.looking.is_none() && self.look.is_some_and(|at| at <= now) {
            self.begin_look(1);
        }
        let is_away = |plugin: &Kept| plugin.missing.is_some_and(|since| since + AWAY <= now);
        let away: Vec<String> = self.names(is_away);
        for name in away {
            self.forget(&name);
        }
        let is_due = |plugin: &Kept| matches!(plugin.stand, Stand::Waiting(at) if at <= now);
        for name in self.names(is_due) {
            self.start(&name);
        }
    }

    fn names(&self, which: impl Fn(&Kept) -> bool) -> Vec<String> {
        let plugins = self.plugins.iter();
        plugins
            .filter(|(_, plugin)| which(plugin))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Has all files looked at as soon as that can be.
    pub(super) fn look_soon(&mut self) {
        self.look = Some(Instant::now());
    }

    /// Begins a look at all files, on a thread of its own: a directory on a server that is gone may
    /// keep it for ever. `round` counts those that follow each other since more directories came
    /// under watch.
    fn begin_look(&mut self, round: usize) {
        self.look = match self.watch {
            Some(_) => None,
            None => Some(Instant::now() + WITHOUT_WATCH),
        };
        self.take_events();
        let plugins = self.plugins.iter();
        let known = plugins.map(|(name, plugin)| (name.clone(), plugin.path.clone()));
        let scan = Scan {
            plan: Arc::clone(&self.plan),
            library: self.host.services().library.clone(),
            open: self.watch.as_mut().map(Watch::begin).unwrap_or_default(),
            known: known.collect(),
            place: Place::default(),
        };
        self.looking = Some(Looking {
            plan: Arc::clone(&self.plan),
            round,
            since: Instant::now(),
            place: scan.place.clone(),
            page: None,
            found: spawn_blocking(move || scan.look()),
        });
    }

    /// A look has ended.
    fn looked(&mut self, found: Result<Found, JoinError>) {
        let Some(looking) = self.looking.take() else {
            return;
        };
        let Ok(mut found) = found else {
            tracing::error!("looking for plugins failed");
            self.look = Some(Instant::now() + WITHOUT_WATCH);
            return;
        };
        if looking.page.is_some() {
            tracing::info!("looking for plugins has come to its end");
        }
        if !Arc::ptr_eq(&looking.plan, &self.plan) {
            // It looked for what was to run before.
            return self.look_soon();
        }
        if self.take_events() {
            self.look.get_or_insert(Instant::now() + SETTLE);
        }
        if let Some(watch) = &self.watch {
            found.leave_out(&watch.changing());
        }
        let again = self
            .watch
            .as_mut()
            .map(|watch| watch.watch(&found.interests));
        self.meet(found);
        match again {
            Some(Ok(true)) if looking.round < LOOKS_MAX => self.begin_look(looking.round + 1),
            // The tree changes under the look; once more, and not at once.
            Some(Ok(true)) => self.look = Some(Instant::now() + AWAY),
            Some(Err(error)) => {
                tracing::error!(%error, "changes of plugins are seen late: inotify refuses");
                self.watch = None;
                self.look = Some(Instant::now() + WITHOUT_WATCH);
            }
            Some(Ok(false)) | None => {}
        }
    }

    /// Tells once of a look that does not come to its end, on a page by the name of what it is at.
    fn tell_of_look(&mut self) {
        let Some(looking) = &mut self.looking else {
            return;
        };
        if looking.page.is_some() || looking.since.elapsed() < self.pace.hanging {
            return;
        }
        let place = looking.place.get().display().to_string();
        let page = self.host.services().register.page(&place);
        page.set(Verdict::Degraded(
            "reading it hangs; changes of plugins are not seen before that ends".to_owned(),
        ));
        tracing::warn!(
            place,
            "reading hangs; changes of plugins are not seen before that ends"
        );
        looking.page = Some(page);
    }

    /// Takes note of what has happened to the files so far; whether that is a reason to look.
    fn take_events(&mut self) -> bool {
        match self.watch.as_mut().map(Watch::take) {
            Some(Ok(changed)) => changed,
            Some(Err(error)) => {
                tracing::error!(%error, "changes of plugins cannot be read");
                true
            }
            None => false,
        }
    }

    /// Brings the plugins in line with what was found.
    fn meet(&mut self, found: Found) {
        let now = Instant::now();
        for (name, plugin) in &mut self.plugins {
            if !found.plugins.contains_key(name) && !plugin.forgets() {
                plugin.missing.get_or_insert(now);
            }
        }
        for (name, seen) in found.plugins {
            match self.plugins.get_mut(&name) {
                None => self.add(&name, seen),
                Some(plugin) => {
                    plugin.missing = None;
                    if seen.content == Content::BeingWritten
                        || (seen.path == plugin.path
                            && seen.content == plugin.content
                            && !plugin.forgets())
                    {
                        continue;
                    }
                    if !matches!(plugin.content, Content::BeingWritten | Content::Closed(_)) {
                        tracing::info!(plugin = name, file = %seen.path.display(), "a plugin has changed");
                        plugin.backoff.reset();
                    }
                    plugin.path = seen.path;
                    plugin.content = seen.content;
                    self.restart(&name);
                }
            }
        }
    }

    /// Whether ZaLua's first script puts `zalua.error.*` itself.
    pub(super) fn is_quiet(&self) -> bool {
        let init = self.plan.init.as_ref();
        let runs = |name| {
            let plugin: Option<&Kept> = self.plugins.get(name);
            plugin.is_some_and(|plugin| plugin.running().is_some())
        };
        Init::is_alone(init) || (init.is_some() && runs(INIT))
    }

    /// Follows a new plan: what differs, and nothing else.
    fn follow(&mut self) {
        let old = Arc::clone(&self.plan);
        self.plan = self.plans.borrow_and_update().clone();
        self.settle_plan();
        let modules = old.config.modules != self.plan.config.modules;
        for name in self.names(|_| true) {
            let settings = self.plan.config.settings(&name);
            let Some(plugin) = self.plugins.get_mut(&name) else {
                continue;
            };
            if plugin.settings != settings || modules {
                plugin.settings = settings;
                plugin.backoff.reset();
                self.restart(&name);
            }
        }
        self.look_soon();
    }

    /// Tells the library what the plan has for it.
    fn settle_plan(&self) {
        let (services, config) = (self.host.services(), &self.plan.config);
        let modules = &mut *services
            .modules
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        modules.clone_from(&config.modules);
        let mut plugins = services
            .plugins
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *plugins = Some(Arc::new(config.clone()));
    }

    /// Stops every plugin and waits until all have ended. What was left behind is not waited for.
    async fn end(&mut self) {
        for plugin in self.plugins.values_mut() {
            plugin.end(Then::Off);
        }
        while self.ends.join_next().await.is_some() {}
    }
}

/// Returns when the supervisor is to end.
async fn told(stop: &mut channel::Receiver<bool>) {
    // An error means that whoever could say so is gone, which is as good as being told.
    if stop.wait_for(|stop| *stop).await.is_err() {}
}

/// Returns when the look that is under way has ended; never without one.
async fn looked(looking: &mut Option<Looking>) -> Result<Found, JoinError> {
    match looking {
        Some(looking) => (&mut looking.found).await,
        None => std::future::pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Returns when something has changed; never without a watch.
async fn changed(watch: &mut Option<Watch>) {
    let Some(found) = watch else {
        return std::future::pending().await;
    };
    if let Err(error) = found.changed().await {
        tracing::error!(%error, "changes of plugins cannot be read");
        // Not in a tight ring, and the next look is one at all files.
        sleep(WITHOUT_WATCH).await;
    }
}
