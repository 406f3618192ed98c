//! The registry: collectors, their series, and whose each series is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Kind, Options, TTL};
use crate::model::{self, Moment, Series, Unit, Value};
use crate::store::Store;

/// The most collectors. They stay for as long as the host does, so a name made up anew each time
/// would fill the memory.
const COLLECTORS_MAX: usize = 10_000;

/// The most series of all collectors, remembered counters included.
const SERIES_MAX: usize = 100_000;

/// The most series that one run of a script sets, so that none takes the room of all others.
pub(super) const SERIES_OF_ONE_MAX: usize = 10_000;

/// How old a value is when it is put again. What was set a moment ago is not: a counter that is put
/// twice in a row would seem to stand still.
const RENEWED_AFTER: Duration = Duration::from_secs(50);

/// For how long a counter is remembered that nobody counts with.
const REMEMBERED: Duration = Duration::from_hours(24);

/// A registry.
#[derive(Debug)]
pub(crate) struct Registry {
    store: Store,
    next_run: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    collectors: Vec<Collector>,
    by_key: HashMap<(Kind, String), usize>,
    by_name: HashMap<String, usize>,
    /// How many series all collectors have.
    series: usize,
    /// Those who run, and how many series each of them has set.
    running: HashMap<u64, usize>,
}

#[derive(Debug)]
struct Collector {
    kind: Kind,
    options: Options,
    /// By the text of the series.
    values: HashMap<Box<str>, Entry>,
}

#[derive(Debug)]
struct Entry {
    series: Series,
    value: f64,
    /// The run that set it, while that run goes on.
    owner: Option<u64>,
    /// What the store calls the script that set it.
    source: String,
    put_at: Moment,
}

/// What is done to a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Set(f64),
    Add(f64),
}

impl Registry {
    pub(in crate::lua) fn new(store: Store) -> Self {
        Self {
            store,
            next_run: AtomicU64::new(1),
            inner: Mutex::default(),
        }
    }

    /// A run of a script begins; gives the number that it is known by.
    pub(in crate::lua) fn begin(&self) -> u64 {
        let run = self.next_run.fetch_add(1, Ordering::Relaxed);
        self.lock().running.insert(run, 0);
        run
    }

    /// A run has ended: what it set last is taken out of the store.
    pub(in crate::lua) fn end(&self, run: u64) {
        let mut inner = self.lock();
        if inner.running.remove(&run).is_none() {
            return;
        }
        let mut dropped = 0;
        for collector in &mut inner.collectors {
            let is_counter = collector.kind.is_counter();
            collector.values.retain(|_, entry| {
                if entry.owner != Some(run) {
                    return true;
                }
                self.store.remove(entry.series.as_str());
                entry.owner = None;
                dropped += usize::from(!is_counter);
                is_counter
            });
        }
        inner.series -= dropped;
    }

    /// The collector of this kind and name, made when there is none; gives the number that it is
    /// known by.
    ///
    /// # Errors
    /// The message for the script: a wrong name, other labels than before, the same name as another
    /// kind.
    pub(crate) fn register(&self, kind: Kind, mut options: Options) -> Result<usize, String> {
        let checked = options.check();
        let mut inner = self.lock();
        let key = (kind, options.key());
        if let Some(index) = inner.by_key.get(&key) {
            let known = inner.collectors.get(*index);
            if known.is_some_and(|known| known.options.labels == options.labels) {
                return Ok(*index);
            }
            return Err("can't change labels online".to_owned());
        }
        checked?;
        let name = options.full_name();
        if let Some(other) = inner
            .by_name
            .get(&name)
            .and_then(|index| inner.collectors.get(*index))
        {
            let is_same =
                other.options.labels == options.labels && other.options.help == options.help;
            return Err(if is_same {
                "duplicate metrics collector registration attempted".to_owned()
            } else {
                format!(
                    "a previously registered descriptor with the same fully-qualified name as {} \
                     has different label names or a different help string",
                    options.descriptor()
                )
            });
        }
        if inner.collectors.len() >= COLLECTORS_MAX {
            return Err(format!("there are {COLLECTORS_MAX} collectors already"));
        }
        self.store.describe(&name, &options.help);
        let index = inner.collectors.len();
        inner.collectors.push(Collector {
            kind,
            options,
            values: HashMap::new(),
        });
        inner.by_key.insert(key, index);
        inner.by_name.insert(name, index);
        Ok(index)
    }

    /// Changes a value and puts it into the store. Gives what the store was given, for those who
    /// want to hear of it.
    ///
    /// # Errors
    /// The message for the script.
    pub(crate) fn change(
        &self,
        (run, source): (u64, &str),
        collector: usize,
        labels: &[(String, String)],
        change: Change,
    ) -> Result<(Series, f64, Duration), String> {
        let mut inner = self.lock();
        let now = self.store.clock().now();
        let Inner {
            collectors,
            series: count,
            running,
            ..
        } = &mut *inner;
        let collector = collectors
            .get_mut(collector)
            .ok_or_else(|| "there is no such collector".to_owned())?;
        let kind = collector.kind;
        if let (true, Change::Add(by)) = (kind.is_counter(), change) {
            if by.is_nan() || by < 0.0 {
                return Err("counter cannot decrease in value".to_owned());
            }
            if by.is_infinite() {
                return Err("counter cannot be increased without end".to_owned());
            }
        }
        let series = series(&collector.options, labels)?;
        let known = collector.values.get(series.as_str());
        let (is_new, owner) = (known.is_none(), known.and_then(|entry| entry.owner));
        if is_new && *count >= SERIES_MAX {
            return Err(format!("there are {SERIES_MAX} series already"));
        }
        let is_running = running.contains_key(&run);
        if let Some(own) = running.get_mut(&run)
            && owner != Some(run)
        {
            if *own >= SERIES_OF_ONE_MAX {
                return Err(format!(
                    "the plugin has {SERIES_OF_ONE_MAX} series already; use fewer label values"
                ));
            }
            *own += 1;
            if let Some(before) = owner.and_then(|owner| running.get_mut(&owner)) {
                *before -= 1;
            }
        }
        let ttl = collector.options.ttl.unwrap_or(TTL);
        let entry = collector
            .values
            .entry(series.as_str().into())
            .or_insert_with(|| Entry {
                series: series.clone(),
                value: 0.0,
                owner: None,
                source: String::new(),
                put_at: now,
            });
        match change {
            Change::Set(value) => entry.value = value,
            Change::Add(by) => entry.value += by,
        }
        entry.owner = is_running.then_some(run);
        source.clone_into(&mut entry.source);
        let value = entry.value;
        entry.put_at = now;
        put(&self.store, kind, entry, ttl);
        *count += usize::from(is_new);
        Ok((series, value, ttl))
    }

    /// Puts the series of all who run into the store again, those aside that say themselves how long
    /// they hold, and forgets what has come to the end of its time.
    pub(in crate::lua) fn renew(&self) {
        let now = self.store.clock().now();
        let mut inner = self.lock();
        let Inner {
            collectors,
            series: count,
            running,
            ..
        } = &mut *inner;
        for collector in collectors {
            let (kind, ttl) = (collector.kind, collector.options.ttl);
            collector.values.retain(|_, entry| {
                let age = now.since(entry.put_at);
                let stays = match (ttl, entry.owner) {
                    (Some(ttl), _) => age < ttl,
                    (None, Some(_)) => true,
                    (None, None) => age < REMEMBERED,
                };
                if !stays {
                    *count -= 1;
                    if let Some(own) = entry.owner.and_then(|owner| running.get_mut(&owner)) {
                        *own -= 1;
                    }
                } else if ttl.is_none() && entry.owner.is_some() && age >= RENEWED_AFTER {
                    entry.put_at = now;
                    put(&self.store, kind, entry, TTL);
                }
                stays
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn put(store: &Store, kind: Kind, entry: &Entry, ttl: Duration) {
    let kind = if kind.is_counter() {
        model::Kind::Counter
    } else {
        model::Kind::Gauge
    };
    // What a limit refuses is counted by the store, for this script.
    store.put_one(
        &entry.source,
        &entry.series,
        kind,
        Unit::NONE,
        Value::Float(entry.value),
        Some(ttl),
    );
}

/// The series for these label values, which must be those of the collector's labels.
fn series(options: &Options, labels: &[(String, String)]) -> Result<Series, String> {
    if labels.len() != options.labels.len() {
        return Err(format!(
            "inconsistent label cardinality: expected {} label values but got {}",
            options.labels.len(),
            labels.len()
        ));
    }
    let mut tags = Vec::with_capacity(labels.len());
    for name in &options.labels {
        let given = labels.iter().find(|(given, _)| given == name);
        let Some((name, value)) = given else {
            return Err(format!("label name {name:?} missing in label map"));
        };
        // To Prometheus an empty value is the same as none.
        if !value.is_empty() {
            tags.push((name.as_str(), value.as_str()));
        }
    }
    Series::new(&options.full_name(), &tags).map_err(|error| error.to_string())
}
