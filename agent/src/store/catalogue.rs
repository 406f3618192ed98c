//! What names mean, in words: one description per name, for whoever shows values to people.
//!
//! Collectors need none of it (their descriptions are part of the program); plugins describe what
//! they make up.

use std::collections::HashMap;
use std::sync::Arc;

use super::memory::{Store, read, write};
use crate::model::Series;

/// The most names with a description. A host has a few hundred; beyond this a plugin makes them up
/// without end.
const NAMES_MAX: usize = 10_000;

/// The longest description in bytes; it is one line in a list.
const TEXT_MAX: usize = 1024;

/// All descriptions.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    by_name: HashMap<Box<str>, Arc<str>>,
    refused: u64,
}

impl Catalogue {
    /// How many there are, and how many were refused.
    pub(super) fn figures(&self) -> (u64, u64) {
        (self.by_name.len() as u64, self.refused)
    }
}

impl Store {
    /// Says what a name (without tags) means; a later description takes the place of an earlier
    /// one. What is longer than 1 KiB is cut at a character. Returns whether it was taken: a name
    /// that no series can have, and a new one beyond 10,000, are refused and counted.
    pub fn describe(&self, name: &str, help: &str) -> bool {
        let help = help
            .get(..help.floor_char_boundary(TEXT_MAX))
            .unwrap_or_default();
        let mut catalogue = write(&self.inner.catalogue);
        if let Some(known) = catalogue.by_name.get_mut(name) {
            if **known != *help {
                *known = help.into();
            }
            return true;
        }
        let fits = (1..=Series::TEXT_MAX).contains(&name.len());
        if !fits || catalogue.by_name.len() >= NAMES_MAX {
            catalogue.refused += 1;
            return false;
        }
        catalogue.by_name.insert(name.into(), help.into());
        true
    }

    /// What a name means, where somebody has said it.
    pub fn description(&self, name: &str) -> Option<Arc<str>> {
        read(&self.inner.catalogue).by_name.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Batch, Clock};
    use crate::store::StoreLimits;

    fn store() -> Store {
        Store::new(Clock::System, StoreLimits::default())
    }

    #[test]
    fn the_last_description_holds() {
        let store = store();
        assert_eq!(store.description("a"), None);
        assert!(store.describe("a", "first"));
        assert!(store.describe("a", "second"));
        assert_eq!(store.description("a").as_deref(), Some("second"));
    }

    #[test]
    fn descriptions_are_bounded_in_length_and_number() {
        let store = store();
        // 1 KiB is in the middle of a character.
        assert!(store.describe("long", &format!("x{}", "é".repeat(600))));
        assert_eq!(store.description("long").unwrap().len(), 1023);
        assert!(!store.describe("", "nothing"));
        assert!(!store.describe(&"n".repeat(2000), "too long a name"));
        let taken = (0..NAMES_MAX)
            .filter(|number| store.describe(&number.to_string(), "x"))
            .count();
        assert_eq!(taken, NAMES_MAX - 1);
        assert!(store.describe("0", "a known one can still be changed"));
        let mut batch = Batch::new();
        store.observe(&mut batch);
        let refused = batch
            .iter()
            .find(|sample| sample.series.as_str() == "moonward.store.descriptions.refused")
            .and_then(|sample| sample.value.as_f64());
        assert_eq!(refused, Some(3.0));
    }
}
