//! Time since boot.
//!
//! Reads `/proc/uptime` (proc_uptime(5)) with procfs-core. Suspended time is included.
//!
//! | series | unit | kind |
//! |---|---|---|
//! | `system.uptime` | s | gauge |

use procfs_core::FromRead;

use super::number::shorten;
use super::{Collector, Round};
use crate::model::Unit;

pub(crate) const UPTIME: &str = "/proc/uptime";

/// The collector of `/proc/uptime`.
#[derive(Clone, Copy, Debug)]
pub struct Uptime;

impl Collector for Uptime {
    fn name(&self) -> &'static str {
        "uptime"
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        let Some(text) = round.read(UPTIME) else {
            return;
        };
        match read(&text) {
            Some(seconds) => round
                .batch
                .gauge("system.uptime", &[], Unit::SECONDS, seconds),
            None => round.lost(format!(
                "{UPTIME}: {:?} does not read as seconds since boot",
                shorten(&text)
            )),
        }
    }
}

/// Seconds since boot out of the whole file.
pub(crate) fn read(text: &str) -> Option<f64> {
    let read = procfs_core::Uptime::from_read(text.as_bytes()).ok()?;
    (read.uptime.is_finite() && read.uptime >= 0.0).then_some(read.uptime)
}
