//! Sources and units, each kept once; a series holds two small numbers for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::model::Unit;

/// One source of series and what it has used.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: Arc<str>,
    pub(super) series: AtomicUsize,
    pub(super) refused: AtomicU64,
}

/// Number of a source.
pub(super) type SourceId = u16;
/// Number of a unit.
pub(super) type UnitId = u16;

/// The most sources that are told apart. A host has some dozens of collectors and plugins; beyond
/// this they share one name, and with it one limit.
const SOURCES_MAX: usize = 4096;
/// What they share.
const OVERFLOW: &str = "(other sources)";

/// All sources and units that were ever seen.
#[derive(Debug)]
pub(super) struct Names {
    by_name: HashMap<Arc<str>, SourceId>,
    known: Known,
}

/// The same at one time, for use without a lock.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) sources: Arc<Vec<Arc<Source>>>,
    pub(super) units: Arc<Vec<Unit>>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            by_name: HashMap::new(),
            known: Known {
                sources: Arc::default(),
                units: Arc::new(vec![Unit::NONE]),
            },
        }
    }
}

impl Names {
    /// As it stands.
    pub(super) fn now(&self) -> &Known {
        &self.known
    }

    /// The source of a name, if it was ever seen.
    pub(super) fn source(&self, name: &str) -> Option<(SourceId, Arc<Source>)> {
        let id = *self.by_name.get(name)?;
        Some((id, Arc::clone(self.known.sources.get(usize::from(id))?)))
    }

    /// The source of a name, made when it is new.
    pub(super) fn add_source(&mut self, name: &str) -> (SourceId, Arc<Source>) {
        if let Some(known) = self.source(name) {
            return known;
        }
        let full = self.known.sources.len() >= SOURCES_MAX;
        if full && let Some(known) = self.source(OVERFLOW) {
            return known;
        }
        let name: Arc<str> = if full { OVERFLOW } else { name }.into();
        let source = Arc::new(Source {
            name: Arc::clone(&name),
            series: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
        });
        // Cannot be cut: there are at most SOURCES_MAX + 1.
        let id = SourceId::try_from(self.known.sources.len()).unwrap_or(SourceId::MAX);
        Arc::make_mut(&mut self.known.sources).push(Arc::clone(&source));
        self.by_name.insert(name, id);
        (id, source)
    }

    /// The number of a unit, made when it is new. There are at most 256 that are made at run time
    /// and some dozens in the code; should the numbers run out, it is no unit.
    pub(super) fn add_unit(&mut self, unit: Unit) -> UnitId {
        if let Some(id) = unit_id(&self.known.units, unit) {
            return id;
        }
        let Ok(id) = UnitId::try_from(self.known.units.len()) else {
            return 0;
        };
        Arc::make_mut(&mut self.known.units).push(unit);
        id
    }
}

impl Known {
    pub(super) fn unit(&self, id: UnitId) -> Unit {
        self.units
            .get(usize::from(id))
            .copied()
            .unwrap_or(Unit::NONE)
    }

    pub(super) fn source_name(&self, id: SourceId) -> &str {
        self.sources
            .get(usize::from(id))
            .map_or("", |source| &source.name)
    }

    pub(super) fn unit_id(&self, unit: Unit) -> Option<UnitId> {
        unit_id(&self.units, unit)
    }

    /// Counts a series of a source less.
    pub(super) fn release(&self, id: SourceId) {
        if let Some(source) = self.sources.get(usize::from(id)) {
            source.series.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn unit_id(units: &[Unit], unit: Unit) -> Option<UnitId> {
    let at = units.iter().position(|known| *known == unit)?;
    UnitId::try_from(at).ok()
}
