//! Which series a key means that a person or an old script has typed.

use crate::model::Series;
use crate::store::{Reading, Store};

/// The value that `key` means: the text of a series as it stands; else name and tags in any order,
/// with or without quotes; else ZaLua's `name tag=value tag=value`.
pub fn find(store: &Store, key: &str) -> Option<Reading> {
    if let Some(reading) = store.get(key) {
        return Some(reading);
    }
    let key = key.trim();
    if let Ok(series) = Series::parse(key)
        && let Some(reading) = store.get(series.as_str())
    {
        return Some(reading);
    }
    store.get(words(key)?.as_str())
}

/// `name tag=value tag=value` as a series; `None` when it is not of that shape.
fn words(key: &str) -> Option<Series> {
    let mut words = key.split_ascii_whitespace();
    let name = words.next()?;
    let tags = words
        .map(|word| word.split_once('='))
        .collect::<Option<Vec<_>>>()?;
    (!tags.is_empty()).then_some(())?;
    Series::new(name, &tags).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Batch, Clock, Unit};
    use crate::store::StoreLimits;

    fn store() -> Store {
        let store = Store::new(Clock::default(), StoreLimits::default());
        let mut batch = Batch::new();
        batch.gauge(
            "disk",
            &[("device", "vda"), ("mode", "r w")],
            Unit::ONE,
            1.0,
        );
        batch.gauge("disk", &[("device", "vda")], Unit::ONE, 2.0);
        batch.gauge("disk", &[], Unit::ONE, 3.0);
        batch.gauge("key with spaces", &[], Unit::ONE, 4.0);
        batch.gauge("used[/]", &[], Unit::ONE, 5.0);
        batch.gauge("odd a=b", &[], Unit::ONE, 6.0);
        store.put("test", &batch, None);
        store
    }

    #[test]
    fn every_way_to_type_a_key_finds_its_series() {
        let store = store();
        for (key, expected) in [
            ("disk{device=\"vda\",mode=\"r w\"}", Some("1")),
            ("disk{mode=r w, device=vda}", Some("1")),
            ("disk device=vda", Some("2")),
            (" disk  device=vda ", Some("2")),
            ("disk", Some("3")),
            ("key with spaces", Some("4")),
            ("used[/]", Some("5")),
            ("odd a=b", Some("6")),
            ("disk device=vdb", None),
            ("disk device", None),
            ("", None),
            (" ", None),
        ] {
            let found = find(&store, key).map(|reading| reading.value.to_string());
            assert_eq!(found.as_deref(), expected, "{key}");
        }
    }
}
