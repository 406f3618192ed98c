//! Snapshots: no bytes panic or allocate more than they are; what is damaged is set aside, and what
//! was taken over is written and read back as the same.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use moonward::model::{Clock, Glob};
use moonward::store::{BootId, Loaded, Snapshot, Store, StoreLimits};
use moonward_fuzz::scratch;

static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| scratch("snapshot-read"));

const THIS: &str = "01234567-89ab-cdef-0123-456789abcdef";
const OTHER: &str = "fedcba98-7654-3210-fedc-ba9876543210";

fn shown(store: &Store) -> Vec<String> {
    store
        .scan(&Glob::new("*"))
        .iter()
        .map(|reading| format!("{reading:?}"))
        .collect()
}

// The input is what follows the boot id; mark, version and checksum are made right, or nothing
// behind them would be read. An odd first byte makes it a file of an earlier boot.
fuzz_target!(|input: &[u8]| {
    let Some((first, content)) = input.split_first() else {
        return;
    };
    let mut file = b"MWSTORE\0\x01\0\0\0".to_vec();
    file.extend_from_slice(if first & 1 == 0 { THIS } else { OTHER }.as_bytes());
    file.extend_from_slice(content);
    file.extend_from_slice(&crc32fast::hash(&file).to_le_bytes());

    let (clock, hand) = Clock::manual();
    hand.advance(Duration::from_secs(1000));
    let boot = BootId::parse(THIS).expect("a boot id");
    let snapshot = Snapshot::new(&*DIRECTORY, boot);
    let limits = StoreLimits::default();
    let store = Store::new(clock.clone(), limits);
    std::fs::write(snapshot.path(), &file).expect("written");
    match snapshot.load(&store).expect("it can be read") {
        Loaded::Absent => panic!("it is there"),
        Loaded::Damaged { kept_as, .. } => {
            assert!(
                shown(&store).is_empty(),
                "half of a damaged snapshot came back"
            );
            assert!(kept_as.expect("it was moved").is_file());
            assert!(!snapshot.path().exists());
        }
        Loaded::Restored { restored, .. } => {
            let before = shown(&store);
            assert_eq!(before.len() as u64, restored);
            let written = snapshot.write(&store).expect("written");
            assert_eq!((written.series, written.left_out), (restored, 0));
            let again = Store::new(clock, limits);
            snapshot.load(&again).expect("read");
            assert_eq!(shown(&again), before);
        }
    }
});
