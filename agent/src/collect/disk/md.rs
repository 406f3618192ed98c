//! The state of md arrays, from `/sys/block/mdN/md` (Documentation/admin-guide/md.rst).
//!
//! - `system.md.state{device}` text: `clean`, `active`, `readonly`, …
//! - `system.md.disks{device}` `{disk}`: how many disks the array has when whole
//! - `system.md.degraded{device}` `{disk}`: how many of them are missing
//! - `system.md.mismatches{device}` By: what the last check found to differ
//! - `system.md.sync.action{device}` text: `idle`, `check`, `resync`, `recover`, …
//! - `system.md.sync.progress{device}` ratio, only while one runs
//! - `system.md.member.state{device,member}` text: `in_sync`, `faulty`, `spare`, …
//! - `system.md.member.errors{device,member}` `{error}`: reads corrected without loss
//!
//! Arrays without redundancy lack most of the files; that is no loss.

use super::device::{directory, word};
use crate::collect::Round;
use crate::model::Unit;

const DISKS: Unit = Unit::new("{disk}");
const ERRORS: Unit = Unit::new("{error}");

/// Adds what one array says of itself.
pub(super) fn collect(round: &mut Round<'_>, device: &str, members: &[String]) {
    let root = round.root;
    let directory = format!("{}/md", directory(device));
    let word = |file: &str| word(root, &format!("{directory}/{file}"));
    let tags = [("device", device)];
    if let Some(state) = word("array_state") {
        round.batch.text("system.md.state", &tags, &state);
    }
    // "4 (2)" while the array changes its shape.
    if let Some(disks) = word("raid_disks").as_deref().and_then(first_number) {
        round.batch.gauge("system.md.disks", &tags, DISKS, disks);
    }
    if let Some(missing) = word("degraded").as_deref().and_then(first_number) {
        round
            .batch
            .gauge("system.md.degraded", &tags, DISKS, missing);
    }
    if let Some(sectors) = word("mismatch_cnt").as_deref().and_then(first_number) {
        let bytes = sectors.saturating_mul(512);
        round
            .batch
            .gauge("system.md.mismatches", &tags, Unit::BYTES, bytes);
    }
    if let Some(action) = word("sync_action") {
        round.batch.text("system.md.sync.action", &tags, &action);
    }
    if let Some(progress) = word("sync_completed").as_deref().and_then(progress) {
        round
            .batch
            .gauge("system.md.sync.progress", &tags, Unit::ONE, progress);
    }
    for member in members {
        let tags = [("device", device), ("member", member.as_str())];
        if let Some(state) = word(&format!("dev-{member}/state")) {
            round.batch.text("system.md.member.state", &tags, &state);
        }
        if let Some(errors) = word(&format!("dev-{member}/errors"))
            .as_deref()
            .and_then(first_number)
        {
            round
                .batch
                .counter("system.md.member.errors", &tags, ERRORS, errors);
        }
    }
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// `"1024 / 4096"`; `none` and `delayed` are no progress.
fn progress(text: &str) -> Option<f64> {
    let (done, all) = text.split_once('/')?;
    let (done, all): (u64, u64) = (done.trim().parse().ok()?, all.trim().parse().ok()?);
    (all > 0).then(|| (done as f64 / all as f64).min(1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn progress_is_a_ratio_or_nothing() {
        assert_eq!(progress("1024 / 4096"), Some(0.25));
        assert_eq!(progress("none"), None);
        assert_eq!(progress("delayed"), None);
        assert_eq!(progress("0 / 0"), None);
        assert_eq!(first_number("4 (2)"), Some(4));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(text in "\\PC{0,20}", numbers in "[0-9]{0,25} ?/ ?[0-9]{0,25}") {
            let _ = (progress(&text), first_number(&text));
            if let Some(ratio) = progress(&numbers) {
                prop_assert!((0.0..=1.0).contains(&ratio));
            }
        }
    }
}
