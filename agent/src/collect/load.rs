//! Load averages and the number of threads.
//!
//! Reads `/proc/loadavg` (proc_loadavg(5)) with procfs-core.
//!
//! | series | unit | kind |
//! |---|---|---|
//! | `system.cpu.load_average{period}`, period `1m`, `5m`, `15m` | {thread} | gauge |
//! | `system.linux.threads.runnable`, `system.linux.threads.total` | {thread} | gauge |

use procfs_core::{FromRead, LoadAverage};

use super::number::shorten;
use super::{Collector, Round};
use crate::model::Unit;

pub(crate) const LOADAVG: &str = "/proc/loadavg";
const THREADS: Unit = Unit::new("{thread}");

/// The collector of `/proc/loadavg`.
#[derive(Clone, Copy, Debug)]
pub struct Load;

impl Collector for Load {
    fn name(&self) -> &'static str {
        "load"
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        if let Some(text) = round.read(LOADAVG) {
            take_apart(round, &text);
        }
    }
}

/// What `/proc/loadavg` says, with load averages as the kernel writes them: with two digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Averages {
    /// Over one, five and fifteen minutes.
    pub(crate) over: [f64; 3],
    /// Threads that run or could.
    pub(crate) runnable: u32,
    /// Threads in all.
    pub(crate) threads: u32,
    /// The number of the process that was made last.
    pub(crate) last_pid: u32,
}

/// Reads the whole file.
pub(crate) fn read(text: &str) -> Option<Averages> {
    let load = LoadAverage::from_read(text.as_bytes()).ok()?;
    // Widening alone would show the error of the f32.
    let widen = |average: f32| (f64::from(average) * 100.0).round() / 100.0;
    Some(Averages {
        over: [load.one, load.five, load.fifteen].map(widen),
        runnable: load.cur,
        threads: load.max,
        last_pid: load.latest_pid,
    })
}

fn take_apart(round: &mut Round<'_>, text: &str) {
    let Some(load) = read(text) else {
        round.lost(format!(
            "{LOADAVG}: {:?} does not read as load averages",
            shorten(text)
        ));
        return;
    };
    for (period, average) in ["1m", "5m", "15m"].into_iter().zip(load.over) {
        round.batch.gauge(
            "system.cpu.load_average",
            &[("period", period)],
            THREADS,
            average,
        );
    }
    round
        .batch
        .gauge("system.linux.threads.runnable", &[], THREADS, load.runnable);
    round
        .batch
        .gauge("system.linux.threads.total", &[], THREADS, load.threads);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collect::Root;
    use crate::model::{Batch, Moment};

    fn values_of(text: &str) -> Vec<f64> {
        let root = Root::recorded("/nowhere");
        let mut batch = Batch::new();
        take_apart(&mut Round::new(&root, &mut batch, Moment(1)), text);
        batch
            .iter()
            .filter_map(|sample| sample.value.as_f64())
            .collect()
    }

    proptest! {
        #[test]
        fn what_the_kernel_writes_comes_back(hundredths in 0_u32..1_000_000) {
            let written = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            let values = values_of(&format!("{written} 0.00 0.00 1/2 3\n"));
            prop_assert_eq!(format!("{:.2}", values[0]), written);
            prop_assert_eq!(values.len(), 5);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            values_of(&String::from_utf8_lossy(&bytes));
        }
    }
}
