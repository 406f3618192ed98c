//! Tests of the snapshot with real files.

use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::clock::ManualClock;
use crate::model::histogram::Bucket;
use crate::model::{Batch, Clock, Glob, Histogram, Kind, Moment, Rate, Unit, Value, Wall};
use crate::store::codec::{Head, Saved};
use crate::store::restore::Restore;

const THIS: &str = "01234567-89ab-cdef-0123-456789abcdef";
const HOUR: Duration = Duration::from_hours(1);
const OTHER: &str = "fedcba98-7654-3210-fedc-ba9876543210";

fn boot(text: &str) -> BootId {
    BootId::parse(text).unwrap()
}

fn snapshot(directory: &Path) -> Snapshot {
    Snapshot::new(directory, boot(THIS))
}

fn clock(seconds: u64) -> (Clock, Arc<ManualClock>) {
    let (clock, hand) = Clock::manual();
    hand.advance(Duration::from_secs(seconds));
    (clock, hand)
}

/// A store with one of everything: a counter with the rate 10/s, a level, words, a distribution.
fn full(seconds: u64) -> (Store, Arc<ManualClock>) {
    let (clock, hand) = clock(seconds);
    let store = Store::new(clock, StoreLimits::default());
    for value in [100_u64, 200] {
        let mut batch = Batch::new();
        batch.counter(
            "packets",
            &[("device", "é\"0")],
            Unit::new("{packet}"),
            value,
        );
        batch.gauge("level", &[], Unit::CELSIUS, 36.6);
        batch.text("words", &[], "über\nall");
        let histogram = Histogram {
            count: 3,
            sum: 4.5,
            buckets: vec![
                Bucket {
                    lower: 1.0,
                    upper: 2.0,
                    count: 2,
                },
                Bucket {
                    lower: 2.0,
                    upper: f64::INFINITY,
                    count: 1,
                },
            ],
        };
        batch.push("latency", &[], Kind::Histogram, Unit::SECONDS, histogram);
        store.put("probe", &batch, Some(Duration::from_secs(100)));
        hand.advance(Duration::from_secs(10));
    }
    let mut batch = Batch::new();
    batch.gauge("short", &[], Unit::ONE, u64::MAX);
    store.put("other", &batch, Some(Duration::from_secs(5)));
    (store, hand)
}

fn shown(store: &Store) -> Vec<String> {
    store
        .scan(&Glob::new("*"))
        .iter()
        .map(|reading| format!("{reading:?}"))
        .collect()
}

#[test]
fn within_one_boot_everything_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let snapshot = snapshot(directory.path());
    let (store, _hand) = full(1000);
    let written = snapshot.write(&store).unwrap();
    assert_eq!((written.series, written.left_out), (5, 0));
    let status = std::fs::metadata(snapshot.path()).unwrap();
    assert_eq!(status.len(), written.bytes);
    assert_eq!(status.mode() & 0o7777, 0o600);
    let names: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["store.snapshot"]);

    let again = Store::new(store.clock().clone(), StoreLimits::default());
    let loaded = snapshot.load(&again).unwrap();
    assert_eq!(
        loaded,
        Loaded::Restored {
            same_boot: true,
            restored: 5,
            expired: 0,
            restarted: 0,
            refused: 0
        }
    );
    assert_eq!(shown(&again), shown(&store));
    let source = again.with("level", |reading| reading.source.to_owned());
    assert_eq!(source.as_deref(), Some("probe"));
}

#[test]
fn what_is_left_of_a_ttl_goes_on_and_so_does_a_rate() {
    let directory = tempfile::tempdir().unwrap();
    let snapshot = snapshot(directory.path());
    let (store, hand) = full(1000);
    snapshot.write(&store).unwrap();
    hand.advance(Duration::from_secs(30));
    let again = Store::new(store.clock().clone(), StoreLimits::default());
    let Loaded::Restored {
        restored, expired, ..
    } = snapshot.load(&again).unwrap()
    else {
        panic!("not restored");
    };
    assert_eq!((restored, expired), (4, 1), "short is over");
    let packets = "packets{device=\"é\\\"0\"}";
    assert_eq!(again.rate(packets), Some(Rate::PerSecond(10.0)));
    let mut batch = Batch::new();
    batch.counter(
        "packets",
        &[("device", "é\"0")],
        Unit::new("{packet}"),
        1000_u64,
    );
    again.put("probe", &batch, None);
    assert_eq!(
        again.rate(packets),
        Some(Rate::PerSecond(20.0)),
        "800 in 40 s"
    );
    hand.advance(Duration::from_secs(59));
    assert!(again.get("level").is_some());
    hand.advance(Duration::from_secs(1));
    assert!(again.get("level").is_none(), "100 s after it was put");
}

#[test]
fn after_a_reboot_levels_and_words_come_back_by_the_wall_clock() {
    let directory = tempfile::tempdir().unwrap();
    let (store, hand) = full(1000);
    Snapshot::new(directory.path(), boot(OTHER))
        .write(&store)
        .unwrap();
    // The hand moves both clocks; the boot clock plays no part in this.
    hand.advance(Duration::from_secs(30));
    let snapshot = snapshot(directory.path());
    let again = Store::new(store.clock().clone(), StoreLimits::default());
    let loaded = snapshot.load(&again).unwrap();
    assert_eq!(
        loaded,
        Loaded::Restored {
            same_boot: false,
            restored: 2,
            expired: 1,
            restarted: 2,
            refused: 0
        }
    );
    assert!(again.get("latency").is_none());
    assert_eq!(again.get("words").unwrap().value, Value::from("über\nall"));
    hand.advance(Duration::from_secs(59));
    assert!(again.get("level").is_some());
    hand.advance(Duration::from_secs(1));
    assert!(again.get("level").is_none());

    // By the machine's clocks a value is older than this boot, and says so.
    let system = Store::new(Clock::System, StoreLimits::default());
    let age = Clock::System.uptime() + HOUR;
    let put = Clock::System.wall().0 - u64::try_from(age.as_nanos()).unwrap();
    let mut restore = Restore::new(&system, THIS.as_bytes().try_into().unwrap());
    let at = Moment(500_000_000_000);
    restore.take(
        &Head {
            boot: OTHER.as_bytes().try_into().unwrap(),
            at,
            wall: Wall(put),
        },
        Saved {
            series: "level",
            source: "plugin",
            kind: Kind::Gauge,
            unit: Unit::NONE,
            value: Value::from(1.0),
            at,
            expires: at + age + HOUR,
            rate: None,
        },
    );
    let shown = Clock::System.wall_at(system.get("level").unwrap().at);
    assert!(shown.0.abs_diff(put) < 1_000_000_000, "{shown:?} {put}");

    // A wall clock that is behind says nothing about an age.
    let (behind, _hand) = clock(500);
    let again = Store::new(behind, StoreLimits::default());
    let Loaded::Restored {
        restored, expired, ..
    } = snapshot.load(&again).unwrap()
    else {
        panic!("not restored");
    };
    assert_eq!((restored, expired), (0, 3));
}

#[test]
fn fresh_values_and_limits_stand_above_old_ones() {
    let directory = tempfile::tempdir().unwrap();
    let snapshot = snapshot(directory.path());
    let (store, _hand) = full(1000);
    snapshot.write(&store).unwrap();
    let limits = StoreLimits {
        series: 3,
        ..StoreLimits::default()
    };
    let again = Store::new(store.clock().clone(), limits);
    let mut batch = Batch::new();
    batch.gauge("level", &[], Unit::CELSIUS, 40.0);
    again.put("probe", &batch, None);
    let Loaded::Restored {
        restored, refused, ..
    } = snapshot.load(&again).unwrap()
    else {
        panic!("not restored");
    };
    assert_eq!((restored, refused), (2, 2));
    assert_eq!(again.get("level").unwrap().value, Value::Float(40.0));
}

#[test]
fn none_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _hand) = full(1000);
    assert_eq!(
        snapshot(directory.path()).load(&store).unwrap(),
        Loaded::Absent
    );
    assert_eq!(Loaded::Absent.to_string(), "there is no snapshot");
    let nowhere = snapshot(&directory.path().join("nowhere"));
    assert_eq!(nowhere.load(&store).unwrap(), Loaded::Absent);
    let error = nowhere.write(&store).unwrap_err();
    assert!(
        matches!(error, SnapshotError::Directory { .. }),
        "{error:?}"
    );
}

#[test]
fn a_damaged_snapshot_is_set_aside_and_three_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let snapshot = snapshot(directory.path());
    let (store, hand) = full(1000);
    snapshot.write(&store).unwrap();
    let good = std::fs::read(snapshot.path()).unwrap();
    let mut version = good.clone();
    version[8] = 9;
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let mut long = good.clone();
    long.push(0);
    let cases: [(&[u8], Damage); 7] = [
        (b"", Damage::Empty),
        (b"MWSTO", Damage::Mark),
        (b"MWSTORE\0\x01\0\0\0", Damage::Checksum),
        (b"not a snapshot at all", Damage::Mark),
        (&good[..good.len() - 1], Damage::Checksum),
        (&version, Damage::Version(9)),
        (&flipped, Damage::Checksum),
    ];
    for (content, expected) in cases.into_iter().chain([(&long[..], Damage::Checksum)]) {
        std::fs::write(snapshot.path(), content).unwrap();
        hand.advance(Duration::from_secs(1));
        let again = Store::new(store.clock().clone(), StoreLimits::default());
        let seconds = store.clock().wall().seconds();
        let kept = directory
            .path()
            .join(format!("store.snapshot.corrupt-{seconds}"));
        assert_eq!(
            snapshot.load(&again).unwrap(),
            Loaded::Damaged {
                damage: expected,
                kept_as: Some(kept.clone())
            }
        );
        assert_eq!(std::fs::read(kept).unwrap(), content);
        assert_eq!(again.status().series, 0);
        assert!(!snapshot.path().exists());
    }
    let mut names: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "store.snapshot.corrupt-1026",
            "store.snapshot.corrupt-1027",
            "store.snapshot.corrupt-1028"
        ]
    );
}

#[test]
fn what_is_no_file_is_not_followed_and_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let snapshot = snapshot(directory.path());
    let (store, hand) = full(1000);
    let outside = directory.path().join("outside");
    std::fs::write(&outside, "precious").unwrap();
    for make in [
        |path: &Path| symlink("outside", path).unwrap(),
        |path: &Path| std::fs::create_dir(path).unwrap(),
        |path: &Path| {
            let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
        },
    ] {
        make(&snapshot.path());
        hand.advance(Duration::from_secs(1));
        let loaded = snapshot.load(&store).unwrap();
        let Loaded::Damaged {
            damage: Damage::NotAFile,
            kept_as: Some(_),
        } = loaded
        else {
            panic!("{loaded:?}");
        };
    }
    // A link in the way of the new file is replaced, not written through.
    symlink("outside", directory.path().join("store.snapshot.new")).unwrap();
    snapshot.write(&store).unwrap();
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "precious");
    assert!(
        std::fs::symlink_metadata(snapshot.path())
            .unwrap()
            .is_file()
    );
}

#[test]
fn a_huge_file_is_refused_before_memory_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let snapshot = snapshot(directory.path());
    let file = std::fs::File::create(snapshot.path()).unwrap();
    file.set_len(1 << 40).unwrap();
    let (store, _hand) = full(1000);
    let Loaded::Damaged { damage, .. } = snapshot.load(&store).unwrap() else {
        panic!("accepted");
    };
    assert_eq!(damage, Damage::TooLarge(1 << 40));
    let damaged = Loaded::Damaged {
        damage: Damage::Empty,
        kept_as: None,
    };
    assert_eq!(
        damaged.to_string(),
        "the snapshot was not taken over: it is empty; it could not be moved aside"
    );
}

#[test]
fn what_cannot_be_written_is_an_error_and_keeps_the_earlier_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    let snapshot = snapshot(directory.path());
    let (store, _hand) = full(1000);
    snapshot.write(&store).unwrap();
    let before = std::fs::read(snapshot.path()).unwrap();
    // A directory in the way of the new file stops root too, which permissions would not.
    std::fs::create_dir(directory.path().join("store.snapshot.new")).unwrap();
    let error = snapshot.write(&store).unwrap_err();
    assert!(matches!(error, SnapshotError::Write { .. }), "{error:?}");
    assert_eq!(std::fs::read(snapshot.path()).unwrap(), before);
    // A file system that takes no files, from anybody.
    let error = super::snapshot_tests::snapshot(Path::new("/proc/self"))
        .write(&store)
        .unwrap_err();
    assert!(matches!(error, SnapshotError::Write { .. }), "{error:?}");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn the_boot_id_of_this_machine_reads() {
    assert!(BootId::current().is_ok());
    for text in ["", "short", "01234567-89ab-cdef-0123-456789abcdeg"] {
        assert_eq!(BootId::parse(text), None);
    }
    assert_eq!(BootId::parse(&format!("{THIS}\n")), Some(boot(THIS)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_flipped_byte_is_taken_for_a_value(place: prop::sample::Index, bits in 1_u8..) {
        let directory = tempfile::tempdir().unwrap();
        let snapshot = snapshot(directory.path());
        let (store, _hand) = full(1000);
        snapshot.write(&store).unwrap();
        let mut bytes = std::fs::read(snapshot.path()).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= bits;
        std::fs::write(snapshot.path(), &bytes).unwrap();
        let again = Store::new(store.clock().clone(), StoreLimits::default());
        let loaded = snapshot.load(&again).unwrap();
        prop_assert!(matches!(loaded, Loaded::Damaged { kept_as: Some(_), .. }), "{:?}", loaded);
        prop_assert_eq!(again.status().series, 0);
    }

    /// As above with a right checksum: the content may then say anything but never panics or takes
    /// memory that is not there, and what does not read to its end shows nothing.
    #[test]
    fn no_content_makes_the_reader_panic(
        places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut: prop::sample::Index,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let snapshot = snapshot(directory.path());
        let (store, _hand) = full(1000);
        snapshot.write(&store).unwrap();
        let mut bytes = std::fs::read(snapshot.path()).unwrap();
        bytes.truncate(bytes.len() - 4 - cut.index(2) * cut.index(bytes.len() - 60));
        for (place, byte) in places {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        std::fs::write(snapshot.path(), &bytes).unwrap();
        let again = Store::new(store.clock().clone(), StoreLimits::default());
        if let Loaded::Damaged { .. } = snapshot.load(&again).unwrap() {
            prop_assert_eq!(again.status().series, 0);
        }
    }
}
