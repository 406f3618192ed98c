//! The task of the supervisor: it alone has the plugins.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch as channel;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use super::kept::{Kept, Stand, Then};
use super::scan::{Content, Found, INIT, Scan};
use super::told::Told;
use super::watch::Watch;
use super::{Init, Pace, Plan};
use crate::lua::{Ending, Host, Run};

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
    /// When to look at the files.
    pub(super) look: Option<Instant>,
    pub(super) told: Told,
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
        self.look().await;
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
                Ok(()) = self.plans.changed() => self.follow().await,
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
                () = until(due) => self.act().await,
                _ = refresh.tick() => self.host.services().register.refresh(),
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
        plugins.chain(self.look).min()
    }

    async fn act(&mut self) {
        let now = Instant::now();
        if self.look.is_some_and(|at| at <= now) {
            self.look().await;
        }
        let is_away = |plugin: &Kept| plugin.missing.is_some_and(|since| since + AWAY <= now);
        let away: Vec<String> = self.names(is_away);
        for name in away {
            self.forget(&name);
        }
        let is_due = |plugin: &Kept| matches!(plugin.stand, Stand::Waiting(at) if at <= now);
        for name in self.names(is_due) {
            self.start(&name).await;
        }
    }

    fn names(&self, which: impl Fn(&Kept) -> bool) -> Vec<String> {
        let plugins = self.plugins.iter();
        plugins
            .filter(|(_, plugin)| which(plugin))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Looks at all files, and again when more directories came under watch meanwhile.
    pub(super) async fn look(&mut self) {
        self.look = match self.watch {
            Some(_) => None,
            None => Some(Instant::now() + WITHOUT_WATCH),
        };
        for _ in 0..LOOKS_MAX {
            self.take_events();
            let scan = Scan {
                plan: Arc::clone(&self.plan),
                library: self.host.services().library.clone(),
                open: self.watch.as_mut().map(Watch::begin).unwrap_or_default(),
                known: self
                    .plugins
                    .iter()
                    .map(|(name, plugin)| (name.clone(), plugin.path.clone()))
                    .collect(),
            };
            let Ok(mut found) = spawn_blocking(move || scan.look()).await else {
                tracing::error!("looking for plugins failed");
                return;
            };
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
                Some(Ok(true)) => {}
                Some(Err(error)) => {
                    tracing::error!(%error, "changes of plugins are seen late: inotify refuses");
                    self.watch = None;
                    self.look = Some(Instant::now() + WITHOUT_WATCH);
                    return;
                }
                Some(Ok(false)) | None => return,
            }
        }
        // The tree changes under the look; once more, and not at once.
        self.look = Some(Instant::now() + AWAY);
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
    async fn follow(&mut self) {
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
        self.look().await;
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
