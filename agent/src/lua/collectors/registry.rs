//! The registry: collectors, their series, and whose each series is.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Kind, Options, TTL};
use crate::model::{self, Series, Unit, Value};
use crate::store::Store;

/// The most collectors. They stay for as long as the host does, so a name made up anew each time
/// would fill the memory.
const COLLECTORS_MAX: usize = 10_000;

/// The most series of all collectors, remembered counters included.
const SERIES_MAX: usize = 100_000;

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
    /// Those who run.
    running: HashSet<u64>,
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
        self.lock().running.insert(run);
        run
    }

    /// A run has ended: what it set last is taken out of the store.
    pub(in crate::lua) fn end(&self, run: u64) {
        let mut inner = self.lock();
        if !inner.running.remove(&run) {
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
        let is_running = inner.running.contains(&run);
        let is_full = inner.series >= SERIES_MAX;
        let collector = inner
            .collectors
            .get_mut(collector)
            .ok_or_else(|| "there is no such collector".to_owned())?;
        let kind = collector.kind;
        if let (true, Change::Add(by)) = (kind.is_counter(), change)
            && (by.is_nan() || by < 0.0)
        {
            return Err("counter cannot decrease in value".to_owned());
        }
        let series = series(&collector.options, labels)?;
        let is_new = !collector.values.contains_key(series.as_str());
        if is_new && is_full {
            return Err(format!("there are {SERIES_MAX} series already"));
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
            });
        match change {
            Change::Set(value) => entry.value = value,
            Change::Add(by) => entry.value += by,
        }
        entry.owner = is_running.then_some(run);
        source.clone_into(&mut entry.source);
        let value = entry.value;
        put(&self.store, kind, entry, ttl);
        inner.series += usize::from(is_new);
        Ok((series, value, ttl))
    }

    /// Puts the series of all who run into the store again, those aside that say themselves how long
    /// they hold.
    pub(in crate::lua) fn renew(&self) {
        let mut inner = self.lock();
        let mut dropped = 0;
        for collector in &mut inner.collectors {
            let kind = collector.kind;
            if collector.options.ttl.is_none() {
                for entry in collector
                    .values
                    .values()
                    .filter(|entry| entry.owner.is_some())
                {
                    put(&self.store, kind, entry, TTL);
                }
            } else if !kind.is_counter() {
                // What has come to the end of its time is forgotten here too.
                let before = collector.values.len();
                let store = &self.store;
                collector
                    .values
                    .retain(|series, _| store.with(series, |_| ()).is_some());
                dropped += before - collector.values.len();
            }
        }
        inner.series -= dropped;
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
