//! The IO of processes that have ended, and the series that probe and collector share.

use moonward::collect::process::Process;
use moonward::collect::{Collector, Root, Round};
use moonward::model::{Batch, Kind, Moment, Unit};
use moonward::probe::Object;

use super::{alone, load, only, samples, sum};

#[test]
fn short_lived_processes_are_counted() {
    let _alone = alone();
    let Some(mut probes) = load(only(Object::Process)) else {
        return;
    };
    let before = samples(&mut probes, Object::Process);
    let size: usize = 1 << 20;
    for _ in 0..20 {
        assert!(shell(&format!(
            "head -c {size} /dev/zero | cat > /dev/null"
        )));
    }
    let after = samples(&mut probes, Object::Process);
    let delta = |parts: &[&str]| sum(&after, parts) - sum(&before, parts);
    let bytes = 20.0 * size as f64;
    let read = delta(&["process.io{", "\"read\"", "\"syscall\""]);
    let written = delta(&["process.io{", "\"write\"", "\"syscall\""]);
    let exited = delta(&["threads.exited"]);
    println!("read {read}, written {written} of {bytes}, {exited} threads exited");
    // Each byte is read and written by head and by cat.
    assert!(read >= 2.0 * bytes && written >= 2.0 * bytes);
    assert!(exited >= 40.0);
    let mut last = sum(&after, &["process.io{"]);
    for _ in 0..50 {
        let now = sum(&samples(&mut probes, Object::Process), &["process.io{"]);
        assert!(now >= last);
        last = now;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test needs processes that live for a moment"
)]
fn shell(command: &str) -> bool {
    std::process::Command::new("sh")
        .args(["-c", command])
        .status()
        .is_ok_and(|status| status.success())
}

/// Name, kind and unit of every series under `system.process.io`.
fn series(batch: &Batch) -> Vec<(String, Kind, Unit)> {
    batch
        .iter()
        .filter(|sample| sample.series.as_str().starts_with("system.process.io"))
        .map(|sample| (sample.series.as_str().to_owned(), sample.kind, sample.unit))
        .collect()
}

/// Where the probe runs the collector leaves the IO to it: nobody must notice which of them it is.
#[test]
fn probe_and_collector_give_the_same_series() {
    let _alone = alone();
    let Some(mut probes) = load(only(Object::Process)) else {
        return;
    };
    let mut batch = Batch::new();
    probes.read(Object::Process, &mut batch).unwrap();
    let probe = series(&batch);
    batch.clear();
    let root = Root::machine();
    Process::new().collect(&mut Round::new(&root, &mut batch, Moment(0)));
    let collector = series(&batch);
    assert_eq!(collector.len(), 8, "{collector:?}");
    for one in &collector {
        assert!(probe.contains(one), "{one:?} is not among {probe:?}");
    }
    // Only the probe walks over threads and so can be disturbed in it.
    assert_eq!(probe.len(), collector.len() + 1, "{probe:?}");
}
