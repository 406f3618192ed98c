//! Logins: any utmp gives the number of its whole records of logins, and says what is cut.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use moonward::collect::Root;
use moonward::model::Value;
use moonward_fuzz::{collector, round, scratch, write};

static TREE: LazyLock<PathBuf> = LazyLock::new(|| scratch("utmp"));

const RECORD: usize = if cfg!(target_arch = "x86_64") {
    384
} else {
    400
};

fuzz_target!(|bytes: &[u8]| {
    write(&TREE, "run/utmp", bytes);
    let (batch, lost) = round(collector("users").as_mut(), &Root::recorded(&*TREE), 1);
    let logins = bytes
        .chunks_exact(RECORD)
        .filter(|record| record[..2] == 7_i16.to_ne_bytes() && record[44] != 0)
        .count();
    let values: Vec<&Value> = batch.iter().map(|sample| sample.value).collect();
    assert_eq!(values.len(), 1);
    assert_eq!(values[0].as_f64(), Some(logins as f64));
    assert_eq!(lost, u64::from(bytes.len() % RECORD != 0));
});
