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

const LOADAVG: &str = "/proc/loadavg";
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

fn take_apart(round: &mut Round<'_>, text: &str) {
    let Ok(load) = LoadAverage::from_read(text.as_bytes()) else {
        round.lost(format!(
            "{LOADAVG}: {:?} does not read as load averages",
            shorten(text)
        ));
        return;
    };
    for (period, average) in [("1m", load.one), ("5m", load.five), ("15m", load.fifteen)] {
        // The kernel writes two digits; widening alone would show the error of the f32.
        let average = (f64::from(average) * 100.0).round() / 100.0;
        round.batch.gauge(
            "system.cpu.load_average",
            &[("period", period)],
            THREADS,
            average,
        );
    }
    round
        .batch
        .gauge("system.linux.threads.runnable", &[], THREADS, load.cur);
    round
        .batch
        .gauge("system.linux.threads.total", &[], THREADS, load.max);
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
