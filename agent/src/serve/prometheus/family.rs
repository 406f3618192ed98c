//! Which series make one family, and which family must give way to another.
//!
//! What a name becomes is worked out once and kept, since the next text has the same names.

use std::collections::HashSet;

use hashbrown::HashMap;

use super::name::{converted, is_name};
use crate::model::{Kind, Unit};

/// The number of a family.
pub(super) type FamilyId = u32;

/// How many names are kept. What plugins make up beyond that is worked out anew each time.
const KEPT_MAX: usize = 20_000;

/// Samples of one name and one type.
#[derive(Debug)]
pub(super) struct Family {
    /// The name of its samples; a histogram's has suffixes.
    pub(super) name: Box<str>,
    /// Counter, gauge or histogram.
    pub(super) kind: Kind,
    /// The unit in words, empty when there is none.
    pub(super) unit: Box<str>,
    /// The name in the store, without tags and brackets.
    pub(super) raw: Box<str>,
    /// Who put the first sample.
    pub(super) source: Box<str>,
    is_native: bool,
    /// Whether a plugin gave the name, and it had to be changed to fit.
    is_derived: bool,
}

/// How a family is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Not at all: another family has its name.
    No,
    /// As what it is.
    Plain,
    /// As what it is, but as *unknown* in OpenMetrics.
    Unknown,
}

/// What one name in the store has become, for each kind, unit and origin that it came with.
type Known = Vec<(Kind, Unit, bool, Option<FamilyId>)>;

/// Every family that was ever seen, until there are too many.
#[derive(Debug, Default)]
pub(super) struct Families {
    by_raw: HashMap<Box<str>, Known>,
    by_name: HashMap<(Box<str>, Kind, bool), FamilyId>,
    list: Vec<Family>,
    /// The families by name, native ones first where two have one name.
    order: Vec<FamilyId>,
    /// Where each family is in `order`.
    ranks: Vec<u32>,
    is_sorted: bool,
    /// For which families being there `shown` is the plan.
    planned: Vec<bool>,
    shown: Vec<Shown>,
}

impl Families {
    /// Forgets everything when there is too much of it; to be called before a text is begun.
    pub(super) fn tidy(&mut self) {
        if self.by_raw.len() > KEPT_MAX || self.list.len() > KEPT_MAX {
            *self = Self::default();
        }
    }

    /// The family of a series; `None` when nothing is left of the name.
    pub(super) fn find(
        &mut self,
        raw: &str,
        kind: Kind,
        unit: Unit,
        source: &str,
    ) -> Option<FamilyId> {
        let from_plugin = source.starts_with("plugin:");
        let same = |known: &Known| {
            known
                .iter()
                .find(|(a, b, c, _)| (*a, *b, *c) == (kind, unit, from_plugin))
                .map(|(_, _, _, id)| *id)
        };
        if let Some(id) = self.by_raw.get(raw).and_then(same) {
            return id;
        }
        let id = self.add(raw, kind, unit, source, from_plugin);
        let known = self.by_raw.entry(raw.into()).or_default();
        known.push((kind, unit, from_plugin, id));
        id
    }

    fn add(
        &mut self,
        raw: &str,
        kind: Kind,
        unit: Unit,
        source: &str,
        from_plugin: bool,
    ) -> Option<FamilyId> {
        let made = converted(raw, kind, unit, from_plugin)?;
        self.is_sorted = false;
        let family = Family {
            name: made.name.into(),
            kind,
            unit: made.unit.into(),
            raw: raw.into(),
            source: source.into(),
            is_native: !from_plugin,
            is_derived: from_plugin && !is_name(raw),
        };
        // The same thing may be there twice, under a plugin's key and as a collector for Prometheus
        // with other labels: a sum over both would count it twice.
        let key = (family.name.clone(), kind, family.is_derived);
        if let Some(id) = self.by_name.get(&key) {
            if let Some(known) = self.list.get_mut(*id as usize)
                && family.is_native
                && !known.is_native
            {
                *known = family;
            }
            return Some(*id);
        }
        let id = FamilyId::try_from(self.list.len()).ok()?;
        self.by_name.insert(key, id);
        self.list.push(family);
        Some(id)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// One family.
    pub(super) fn get(&self, id: FamilyId) -> Option<&Family> {
        self.list.get(id as usize)
    }

    /// Where in the text a family stands.
    pub(super) fn rank(&self, id: FamilyId) -> u32 {
        self.ranks.get(id as usize).copied().unwrap_or(u32::MAX)
    }

    /// How a family is shown, by the last [`Families::plan`].
    pub(super) fn shown(&self, id: FamilyId) -> Shown {
        self.shown.get(id as usize).copied().unwrap_or(Shown::No)
    }

    /// Settles the order, and how each family is shown when those that `present` says are there.
    pub(super) fn plan(&mut self, present: &[bool]) {
        if !self.is_sorted {
            self.sort();
        } else if self.planned == present {
            return;
        }
        present.clone_into(&mut self.planned);
        self.shown.clear();
        self.shown.resize(self.list.len(), Shown::No);
        let mut taken: HashSet<String> = HashSet::new();
        for id in &self.order {
            let index = *id as usize;
            if present.get(index) != Some(&true) {
                continue;
            }
            let Some(family) = self.list.get(index) else {
                continue;
            };
            for (shown, names) in family.ways() {
                if !names.is_empty() && names.iter().all(|name| !taken.contains(name)) {
                    taken.extend(names);
                    if let Some(place) = self.shown.get_mut(index) {
                        *place = shown;
                    }
                    break;
                }
            }
        }
    }

    fn sort(&mut self) {
        let list = &self.list;
        self.order = (0..).take(list.len()).collect();
        self.order.sort_by(|one, other| {
            let key = |id: &FamilyId| {
                list.get(*id as usize).map(|family| {
                    (
                        &*family.name,
                        !family.is_native,
                        family.is_derived,
                        family.kind as u8,
                    )
                })
            };
            key(one).cmp(&key(other))
        });
        self.ranks.clear();
        self.ranks.resize(list.len(), 0);
        for (rank, id) in (0..).zip(&self.order) {
            if let Some(place) = self.ranks.get_mut(*id as usize) {
                *place = rank;
            }
        }
        self.is_sorted = true;
    }
}

impl Family {
    /// The name of the family in OpenMetrics, where a counter is named without its suffix.
    pub(super) fn base(&self) -> &str {
        self.name.strip_suffix("_total").unwrap_or(&self.name)
    }

    /// The ways to show it, the better one first, with the names that nobody else may have then
    /// (OpenMetrics 1.0, "MetricFamily": names and suffixes must not clash).
    fn ways(&self) -> [(Shown, Vec<String>); 2] {
        let name = &*self.name;
        let alone = vec![name.to_owned()];
        let with = |base: &str, suffixes: &[&str]| {
            let suffixed = suffixes.iter().map(|suffix| format!("{base}{suffix}"));
            suffixed.collect::<Vec<_>>()
        };
        match self.kind {
            Kind::Counter if name.ends_with("_total") => {
                let names = with(self.base(), &["", "_total", "_created"]);
                [(Shown::Plain, names), (Shown::Unknown, alone)]
            }
            Kind::Counter => [(Shown::Unknown, alone), (Shown::No, Vec::new())],
            Kind::Histogram => {
                let names = with(name, &["", "_bucket", "_count", "_sum", "_created"]);
                [(Shown::Plain, names), (Shown::No, Vec::new())]
            }
            Kind::Gauge | Kind::Text => [(Shown::Plain, alone), (Shown::No, Vec::new())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NATIVE: &str = "cpu";
    const PLUGIN: &str = "plugin:x";

    /// How each of these is shown when all of them are there.
    fn shown(series: &[(&str, Kind, &str)]) -> Vec<(String, Shown)> {
        let mut families = Families::default();
        let ids: Vec<FamilyId> = series
            .iter()
            .map(|(name, kind, source)| families.find(name, *kind, Unit::NONE, source).unwrap())
            .collect();
        families.plan(&vec![true; families.len()]);
        ids.iter()
            .map(|id| {
                (
                    families.get(*id).unwrap().name.to_string(),
                    families.shown(*id),
                )
            })
            .collect()
    }

    #[test]
    fn the_native_one_of_two_types_wins() {
        let seen = shown(&[
            ("a_b", Kind::Gauge, PLUGIN),
            ("a.b", Kind::Histogram, NATIVE),
        ]);
        assert_eq!(seen[0], ("a_b".into(), Shown::No));
        assert_eq!(seen[1], ("a_b".into(), Shown::Plain));
    }

    #[test]
    fn what_a_plugin_made_for_prometheus_goes_before_its_key() {
        let both = [
            ("system.disk.await[/]", Kind::Gauge, PLUGIN),
            ("system_disk_await", Kind::Gauge, PLUGIN),
        ];
        let name = "system_disk_await".to_owned();
        assert_eq!(
            shown(&both),
            [(name.clone(), Shown::No), (name.clone(), Shown::Plain)]
        );
        assert_eq!(shown(&both[..1]), [(name, Shown::Plain)]);
    }

    #[test]
    fn counters_that_openmetrics_does_not_take_keep_their_names() {
        let seen = shown(&[
            ("a.b", Kind::Gauge, NATIVE),
            ("a.b", Kind::Counter, NATIVE),
            ("mine", Kind::Counter, PLUGIN),
            ("mine_too_total", Kind::Counter, PLUGIN),
        ]);
        assert_eq!(seen[0], ("a_b".into(), Shown::Plain));
        assert_eq!(seen[1], ("a_b_total".into(), Shown::Unknown));
        assert_eq!(seen[2], ("mine".into(), Shown::Unknown));
        assert_eq!(seen[3], ("mine_too_total".into(), Shown::Plain));
    }

    #[test]
    fn the_parts_of_a_histogram_are_nobody_elses() {
        let seen = shown(&[
            ("h", Kind::Histogram, NATIVE),
            ("h.count", Kind::Gauge, NATIVE),
            ("h.count", Kind::Counter, NATIVE),
        ]);
        assert_eq!(seen[0].1, Shown::Plain);
        assert_eq!(seen[1], ("h_count".into(), Shown::No));
        assert_eq!(seen[2], ("h_count_total".into(), Shown::Unknown));
    }

    #[test]
    fn who_has_gone_is_in_nobodys_way() {
        let mut families = Families::default();
        let old = families.find("a", Kind::Gauge, Unit::NONE, PLUGIN).unwrap();
        let new = families
            .find("a", Kind::Histogram, Unit::NONE, PLUGIN)
            .unwrap();
        families.plan(&[true, true]);
        assert_eq!(
            (families.shown(old), families.shown(new)),
            (Shown::Plain, Shown::No)
        );
        families.plan(&[false, true]);
        assert_eq!(families.shown(new), Shown::Plain);
    }

    #[test]
    fn too_many_names_are_forgotten() {
        let mut families = Families::default();
        for number in 0..=KEPT_MAX {
            families.find(&format!("n{number}"), Kind::Gauge, Unit::NONE, PLUGIN);
        }
        families.tidy();
        assert_eq!(families.len(), 0);
    }
}
