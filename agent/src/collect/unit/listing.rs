//! Samples out of the list of units. Pure.
//!
//! | series | kind and unit |
//! |---|---|
//! | `systemd.unit.state{unit}` | text: `active`, `inactive`, `failed`, `activating`, … |
//! | `systemd.unit.active{unit}` | gauge, 0 or 1 (also while reloading) |
//! | `systemd.units{state}` | gauge, `{unit}`: all that are loaded, chosen or not |
//! | `systemd.units.skipped` | gauge, `{unit}`: chosen, and beyond the most that are shown |
//! | `systemd.system.state` | text: `running`, `degraded`, `starting`, … |
//!
//! How often a service was restarted is not among them: it costs a call for every unit.

use crate::bus::systemd::ListedUnit;
use crate::model::{Batch, Glob, Unit};

const UNITS: Unit = Unit::new("{unit}");

/// The active states in org.freedesktop.systemd1(5).
const STATES: [&str; 8] = [
    "active",
    "reloading",
    "inactive",
    "failed",
    "activating",
    "deactivating",
    "maintenance",
    "refreshing",
];

/// Which units are shown one by one.
#[derive(Clone, Debug)]
pub struct Selection {
    /// A unit is shown if one of these fits its name.
    pub patterns: Vec<Glob>,
    /// The most units that are shown; failed ones go first.
    pub units_max: usize,
}

impl Default for Selection {
    /// At most 500 services, as the configuration has it unless told otherwise.
    fn default() -> Self {
        Self {
            patterns: ["*.service"].map(Glob::new).into(),
            units_max: 500,
        }
    }
}

impl Selection {
    fn fits(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(name))
    }

    /// Adds the samples of one listing.
    pub fn add(&self, batch: &mut Batch, units: &[ListedUnit]) {
        let mut counts = [0_u64; STATES.len()];
        let mut chosen: Vec<(&str, &str)> = Vec::new();
        for (name, _, load, active, ..) in units {
            // Units that others name and nobody has are loaded only to say so.
            if load == "not-found" {
                continue;
            }
            let state = STATES.iter().position(|state| state == active);
            if let Some(count) = state.and_then(|state| counts.get_mut(state)) {
                *count += 1;
            }
            if self.fits(name) {
                chosen.push((name, active));
            }
        }
        chosen.sort_unstable_by_key(|(name, state)| (*state != "failed", *name));
        let beyond = chosen.len().saturating_sub(self.units_max);
        for (name, state) in chosen.iter().take(self.units_max) {
            let tags = [("unit", *name)];
            let active = matches!(*state, "active" | "reloading" | "refreshing");
            batch.text("systemd.unit.state", &tags, state);
            batch.gauge("systemd.unit.active", &tags, Unit::ONE, u64::from(active));
        }
        for (state, count) in STATES.iter().zip(counts) {
            batch.gauge("systemd.units", &[("state", state)], UNITS, count);
        }
        batch.gauge("systemd.units.skipped", &[], UNITS, beyond as u64);
    }
}

#[cfg(test)]
mod tests {
    use zbus::OwnedObjectPath;

    use super::*;

    fn unit(name: &str, load: &str, active: &str) -> ListedUnit {
        let path = OwnedObjectPath::try_from("/").unwrap();
        (
            name.into(),
            String::new(),
            load.into(),
            active.into(),
            String::new(),
            String::new(),
            path.clone(),
            0,
            String::new(),
            path,
        )
    }

    #[test]
    fn the_chosen_are_shown_and_all_are_counted() {
        let units = [
            unit("b.service", "loaded", "active"),
            unit("z.service", "loaded", "failed"),
            unit("c.timer", "loaded", "reloading"),
            unit("a.mount", "loaded", "active"),
            unit("gone.service", "not-found", "inactive"),
            unit("d.socket", "loaded", "a new state"),
        ];
        let selection = Selection {
            patterns: ["*.service", "*.timer", "*.socket"].map(Glob::new).into(),
            units_max: 3,
        };
        let mut batch = Batch::new();
        selection.add(&mut batch, &units);
        let lines: Vec<String> = batch
            .iter()
            .map(|sample| format!("{} {}", sample.series.as_str(), sample.value))
            .collect();
        assert_eq!(
            lines,
            [
                "systemd.unit.state{unit=\"z.service\"} failed",
                "systemd.unit.active{unit=\"z.service\"} 0",
                "systemd.unit.state{unit=\"b.service\"} active",
                "systemd.unit.active{unit=\"b.service\"} 1",
                "systemd.unit.state{unit=\"c.timer\"} reloading",
                "systemd.unit.active{unit=\"c.timer\"} 1",
                "systemd.units{state=\"active\"} 2",
                "systemd.units{state=\"reloading\"} 1",
                "systemd.units{state=\"inactive\"} 0",
                "systemd.units{state=\"failed\"} 1",
                "systemd.units{state=\"activating\"} 0",
                "systemd.units{state=\"deactivating\"} 0",
                "systemd.units{state=\"maintenance\"} 0",
                "systemd.units{state=\"refreshing\"} 0",
                "systemd.units.skipped 1",
            ]
        );
    }
}
