//! Tests of the whole way of a value into the file and back.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::model::clock::ManualClock;
use crate::model::{Batch, Clock, Histogram};
use crate::store::StoreLimits;

const START: u64 = 1_541_000_000;

fn store() -> (Store, Arc<ManualClock>) {
    let (clock, hand) = Clock::manual();
    hand.advance(Duration::from_millis(START * 1000 + 900));
    (Store::new(clock, StoreLimits::default()), hand)
}

fn storage(content: Option<&str>) -> (Storage, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::new(directory.path().join("zalua-storage.json"));
    if let Some(content) = content {
        std::fs::write(storage.path(), content).unwrap();
    }
    (storage, directory)
}

fn shown(store: &Store, series: &str) -> Option<String> {
    let reading = store.get(series)?;
    Some(format::value(&reading.value, reading.unit))
}

fn put(store: &Store, source: &str, name: &str, unit: Unit, value: impl Into<Value>) {
    let series = Series::new(name, &[]).unwrap();
    assert!(store.put_one(source, &series, Kind::Gauge, unit, value, None));
}

#[test]
fn zalua_39_plugins_values_are_written_sorted_and_nothing_else() {
    let (store, _hand) = store();
    put(&store, "plugin:a", "b", Unit::ONE, 0.001);
    put(&store, "plugin:a", "a", SPEED, 0.0);
    put(&store, "cpu", "system.cpu.time", Unit::SECONDS, 1.0);
    let mut batch = Batch::new();
    batch.text("cpu", &[("mode", "<idle>"), ("core", "0")], "words & more");
    batch.push(
        "h",
        &[],
        Kind::Histogram,
        Unit::ONE,
        Histogram {
            count: 0,
            sum: 0.0,
            buckets: Vec::new(),
        },
    );
    store.put("plugin:b", &batch, Some(Duration::from_millis(9_500)));
    let (storage, directory) = storage(None);
    let saved = storage.save(&store).unwrap();
    assert_eq!((saved.items, saved.left_out), (3, 0));
    let content = std::fs::read_to_string(storage.path()).unwrap();
    assert_eq!(
        content,
        [
            r#"{"a":{"metric":"a","value":"0.0000","tags":{},"created_at":1541000000,"ttl":300},"#,
            r#""b":{"metric":"b","value":"0.001000","tags":{},"created_at":1541000000,"ttl":300},"#,
            r#""cpu{\"core\":\"0\",\"mode\":\"\\u003cidle\\u003e\"}":{"metric":"cpu","#,
            r#""value":"words \u0026 more","tags":{"core":"0","mode":"\u003cidle\u003e"},"#,
            r#""created_at":1541000000,"ttl":10}}"#,
        ]
        .concat()
    );
    let mode = std::fs::metadata(storage.path()).unwrap().permissions();
    assert_eq!(mode.mode() & 0o7777, 0o644);
    let names: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "no temporary file stays");
}

#[test]
fn zalua_39_values_come_back_with_their_age_and_print_the_same() {
    let (first, _hand) = store();
    put(&first, "plugin:a", "number", Unit::BYTES, 1.25);
    put(&first, "plugin:a", "small", Unit::ONE, 0.001);
    put(&first, "plugin:a", "idle", SPEED, 0.0);
    put(&first, "plugin:a", "large", Unit::ONE, u64::MAX);
    put(&first, "plugin:a", "words", Unit::NONE, "7 apples");
    put(&first, "plugin:a", "digits", Unit::NONE, "007");
    put(&first, "plugin:a", "not", Unit::ONE, f64::NAN);
    put(&first, "plugin:a", "endless", Unit::ONE, f64::NEG_INFINITY);
    let (storage, _directory) = storage(None);
    storage.save(&first).unwrap();
    let content = std::fs::read(storage.path()).unwrap();

    let (second, hand) = store();
    hand.advance(Duration::from_millis(100_500));
    let loaded = storage.load(&second).unwrap().unwrap();
    assert_eq!(loaded.restored, 8, "{loaded}");
    for series in [
        "number", "small", "idle", "large", "words", "digits", "not", "endless",
    ] {
        assert_eq!(shown(&second, series), shown(&first, series), "{series}");
    }
    assert!(matches!(
        second.get("number").unwrap().value,
        Value::Float(_)
    ));
    assert!(matches!(
        second.get("digits").unwrap().value,
        Value::Text(_)
    ));
    // Written again, nothing has changed, the times least of all.
    storage.save(&second).unwrap();
    assert_eq!(std::fs::read(storage.path()).unwrap(), content);
    // 101 seconds were over in whole seconds, so 199 are left.
    hand.advance(Duration::from_secs(199));
    assert!(second.get("number").is_none());
}

#[test]
fn zalua_39_expired_odd_and_known_items_are_left_out() {
    let (store, _hand) = store();
    put(&store, "plugin:a", "known", Unit::ONE, 1.0);
    let (storage, _directory) = storage(Some(
        r#"{"old":{"value":"1.00","created_at":1540999990,"ttl":300},
            "gone":{"metric":"gone","value":"1.00","tags":{},"created_at":1540999700,"ttl":300},
            "known":{"metric":"known","value":"2.00","tags":{},"created_at":1541000000,"ttl":300},
            "null":null,
            "tag":{"metric":"tag","value":"x","tags":{"a b":"c"},"created_at":1541000000,"ttl":9},
            "t{\"a\":\"b\"}":{"metric":"t","value":"x","tags":{"a":"b"},"created_at":1541000000,"ttl":9}}"#,
    ));
    let loaded = storage.load(&store).unwrap().unwrap();
    assert_eq!(
        loaded,
        Loaded {
            restored: 2,
            expired: 1,
            known: 1,
            odd: 2,
            refused: 0
        }
    );
    assert_eq!(shown(&store, "known").unwrap(), "1.00");
    assert_eq!(shown(&store, "old").unwrap(), "1.00");
    assert_eq!(shown(&store, "t{a=\"b\"}").unwrap(), "x");
}

#[test]
fn zalua_39_a_damaged_file_is_left_alone_until_it_is_moved_away() {
    let (store, _hand) = store();
    put(&store, "plugin:a", "a", Unit::ONE, 1.0);
    let (storage, directory) = storage(Some("{\"a\":{\"value\":\"1.00\""));
    let error = storage.load(&store).unwrap_err();
    assert!(matches!(error, StorageError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("EOF while parsing"), "{error}");
    let error = storage.save(&store).unwrap_err();
    assert!(matches!(error, StorageError::InTheWay { .. }), "{error}");
    let content = std::fs::read_to_string(storage.path()).unwrap();
    assert_eq!(content, "{\"a\":{\"value\":\"1.00\"");
    std::fs::rename(storage.path(), directory.path().join("away")).unwrap();
    assert_eq!(storage.save(&store).unwrap().items, 1);
    assert_eq!(storage.save(&store).unwrap().items, 1);
}

#[test]
fn zalua_39_null_and_no_file_are_nothing() {
    let (store, _hand) = store();
    let (storage, _directory) = storage(None);
    assert_eq!(storage.load(&store).unwrap(), None);
    for empty in ["null", ""] {
        std::fs::write(storage.path(), empty).unwrap();
        assert_eq!(storage.load(&store).unwrap(), Some(Loaded::default()));
    }
    assert_eq!(storage.save(&store).unwrap(), Saved::default());
    assert_eq!(std::fs::read_to_string(storage.path()).unwrap(), "{}");
}

#[test]
fn zalua_39_links_are_not_followed() {
    let (store, _hand) = store();
    let (storage, directory) = storage(None);
    let target = directory.path().join("target");
    std::fs::write(&target, "{}").unwrap();
    std::os::unix::fs::symlink(&target, directory.path().join("zalua-storage.json.tmp")).unwrap();
    put(&store, "plugin:a", "a", Unit::ONE, 1.0);
    storage.save(&store).unwrap();
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "{}");
    std::fs::remove_file(storage.path()).unwrap();
    std::os::unix::fs::symlink(&target, storage.path()).unwrap();
    assert!(storage.load(&store).is_err());
    assert!(storage.save(&store).is_err());
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "{}");
}

#[test]
fn zalua_39_more_than_the_file_may_hold_is_left_out_and_counted() {
    let (store, _hand) = store();
    for index in 0..10 {
        put(&store, "plugin:a", &format!("k{index}"), Unit::ONE, 1.0);
    }
    let (mut storage, _directory) = storage(None);
    storage.max = 400;
    let saved = storage.save(&store).unwrap();
    assert_eq!((saved.items, saved.left_out), (4, 6));
    let size = std::fs::metadata(storage.path()).unwrap().len();
    assert!(size <= 400, "{size}");
    std::fs::write(storage.path(), " ".repeat(401)).unwrap();
    let error = storage.load(&store).unwrap_err();
    assert!(error.to_string().contains("larger than 400"), "{error}");
}

#[test]
fn where_nothing_can_be_written_the_error_names_the_file() {
    let (store, _hand) = store();
    let error = Storage::new("/nonexistent/storage.json")
        .save(&store)
        .unwrap_err();
    assert!(error.to_string().contains("/nonexistent/storage.json"));
}

proptest! {
    #[test]
    fn zalua_39_every_text_prints_the_same_when_it_comes_back(
        text in prop_oneof![
            any::<String>(),
            any::<f64>().prop_map(format::number),
            any::<f64>().prop_map(format::speed),
            (-0.02_f64..0.02).prop_map(format::speed),
            any::<u64>().prop_map(|whole| format!("{whole}.00")),
            "[+-]?[0-9]{0,3}[.]?[0-9]{0,7}",
        ]
    ) {
        let (_, unit, value) = value(&text);
        prop_assert_eq!(format::value(&value, unit), text);
    }
}
