//! The collector for processes.
//!
//! | series | kind and unit |
//! |---|---|
//! | `system.process.count{state=running\|sleeping\|disk_sleep\|stopped\|traced\|zombie\|idle\|dead}` | gauge, `{process}` |
//! | `system.thread.count` | gauge, `{thread}` |
//! | `system.process.skipped` | gauge, `{process}`: beyond the most that are looked at |
//! | `system.process.io…` | see [`super::io`] |
//!
//! The files with the IO of others are closed to whoever has neither root's identity nor
//! CAP_SYS_PTRACE. If most are, no IO series are given at all, for a sum over a few would be taken
//! for the whole. Reads only.

use std::time::Duration;

use super::io::{self, Monotone};
use super::sum::{Objection, Seen};
use super::walk::{PROCESSES_MAX, Walk, state_and_threads};
use crate::collect::{Collector, Round};
use crate::model::{Moment, Unit};

const PROCESSES: Unit = Unit::new("{process}");
const THREADS: Unit = Unit::new("{thread}");

/// How long it takes until closed files are tried again.
const TRY_AGAIN: Duration = Duration::from_mins(10);

/// The states in proc_pid_stat(5), in the order in which they are shown.
const STATES: [(&str, &[u8]); 8] = [
    ("running", b"R"),
    ("sleeping", b"S"),
    ("disk_sleep", b"D"),
    ("stopped", b"T"),
    ("traced", b"t"),
    ("zombie", b"Z"),
    ("idle", b"I"),
    ("dead", b"Xx"),
];

/// Measures processes.
#[derive(Debug, Default)]
pub struct Process {
    pids: Vec<u32>,
    io: Option<Monotone>,
    objection: Option<(Moment, Objection)>,
}

impl Process {
    /// A collector that also sums up the IO of all processes.
    pub fn new() -> Self {
        Self {
            io: Some(Monotone::default()),
            ..Self::default()
        }
    }

    /// A collector that leaves the IO to somebody who knows it without reading every process.
    pub fn without_io() -> Self {
        Self::default()
    }
}

impl Collector for Process {
    fn name(&self) -> &'static str {
        "process"
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        let mut walk = match Walk::open(round.root) {
            Ok(walk) => walk,
            Err(error) => {
                let what = format!("/proc cannot be opened: {error}");
                match error.kind() {
                    std::io::ErrorKind::NotFound => round.absent(what),
                    _ => round.lost(what),
                }
                return;
            }
        };
        let beyond = match walk.pids(&mut self.pids) {
            Ok(beyond) => beyond,
            Err(error) => {
                round.lost(format!("/proc cannot be listed: {error}"));
                return;
            }
        };
        if beyond > 0 {
            round.lost(format!(
                "{beyond} processes were left out; {PROCESSES_MAX} is the most that are looked at"
            ));
        }
        let mut seen = match &self.objection {
            Some((since, objection)) if round.now.since(*since) < TRY_AGAIN => {
                objection.note(round);
                None
            }
            _ => self.io.is_some().then(Seen::default),
        };
        let mut states = [0_u64; STATES.len()];
        let mut threads = 0;
        for pid in &self.pids {
            // One that has ended since is neither counted nor lost.
            let Ok(stat) = walk.read(*pid, "stat") else {
                continue;
            };
            let Some((state, its_threads)) = state_and_threads(stat) else {
                round.lost(format!("/proc/{pid}/stat cannot be understood"));
                continue;
            };
            let known = STATES.iter().position(|(_, bytes)| bytes.contains(&state));
            // States of very old kernels ("W", "K", "P") are kinds of sleep.
            if let Some(count) = states.get_mut(known.unwrap_or(1)) {
                *count += 1;
            }
            threads += its_threads;
            if let Some(seen) = &mut seen
                && !seen.is_hopeless()
            {
                seen.look(&mut walk, *pid);
            }
        }
        for ((state, _), count) in STATES.iter().zip(states) {
            let tags = [("state", *state)];
            round
                .batch
                .gauge("system.process.count", &tags, PROCESSES, count);
        }
        round
            .batch
            .gauge("system.thread.count", &[], THREADS, threads);
        round
            .batch
            .gauge("system.process.skipped", &[], PROCESSES, beyond as u64);
        if let Some(seen) = seen {
            self.add_io(round, &seen);
        }
    }
}

impl Objection {
    /// One loss in every round without the series, so that the status keeps saying why.
    fn note(self, round: &mut Round<'_>) {
        match self {
            Self::Closed => round.lost(
                "the IO of other processes cannot be read; \
                 it needs CAP_SYS_PTRACE or the process probe",
            ),
            Self::Missing => {
                round.absent("this kernel keeps no account of the IO of processes (/proc/PID/io)");
            }
        }
    }
}

impl Process {
    fn add_io(&mut self, round: &mut Round<'_>, seen: &Seen) {
        if let Some(objection) = seen.objection() {
            objection.note(round);
            self.objection = Some((round.now, objection));
            return;
        }
        self.objection = None;
        if let Some(monotone) = &mut self.io {
            io::emit(&monotone.next(seen.sums), true, round.batch);
            io::emit_corrections("held", monotone.corrections(), round.batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use moonward_ebpf::process::Io;

    use super::*;
    use crate::collect::Root;
    use crate::model::Batch;

    fn value(batch: &Batch, series: &str) -> Option<f64> {
        batch
            .iter()
            .find(|sample| sample.series.as_str() == series)
            .and_then(|sample| sample.value.as_f64())
    }

    fn collect(process: &mut Process) -> Batch {
        let root = Root::machine();
        let mut batch = Batch::new();
        process.collect(&mut Round::new(&root, &mut batch, Moment(0)));
        batch
    }

    const READ: &str = "system.process.io{direction=\"read\",layer=\"syscall\"}";

    /// Runs a program that reads so many MiB and waits for its end.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test needs a process that ends between two rounds"
    )]
    fn read_and_end(mebibytes: u64) {
        let status = std::process::Command::new("dd")
            .args(["if=/dev/zero", "of=/dev/null", "bs=1M"])
            .arg(format!("count={mebibytes}"))
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    }

    fn own_io() -> Io {
        io::read(&std::fs::read("/proc/self/io").unwrap()).unwrap()
    }

    #[test]
    fn a_child_that_has_ended_is_in_its_parents_numbers() {
        const MEBIBYTES: u64 = 64;
        let before = own_io();
        read_and_end(MEBIBYTES);
        let after = own_io();
        assert!(after.read_called_bytes - before.read_called_bytes >= MEBIBYTES << 20);
        assert!(after.read_calls - before.read_calls >= MEBIBYTES);
        assert!(after.write_called_bytes - before.write_called_bytes >= MEBIBYTES << 20);
    }

    #[test]
    fn what_a_process_read_between_two_rounds_is_not_lost() {
        const MEBIBYTES: u64 = 512;
        let mut process = Process::new();
        // Others on this machine may vanish unwaited-for at the same time and take their sums
        // with them, which only ever hides growth: then it is tried again.
        if value(&collect(&mut process), READ).is_none() {
            assert!(!rustix::process::geteuid().is_root());
            return;
        }
        let counted = (0..5).any(|_| {
            let before = value(&collect(&mut process), READ).unwrap();
            read_and_end(MEBIBYTES);
            let after = value(&collect(&mut process), READ).unwrap();
            after - before >= (MEBIBYTES << 20) as f64
        });
        assert!(counted);
    }

    #[test]
    fn the_processes_of_the_running_machine_are_counted() {
        let batch = collect(&mut Process::without_io());
        assert_eq!(value(&batch, READ), None);
        let total: f64 = STATES
            .iter()
            .map(|(state, _)| {
                value(
                    &batch,
                    &format!("system.process.count{{state=\"{state}\"}}"),
                )
                .unwrap()
            })
            .sum();
        assert!(total >= 2.0, "{total}");
        assert!(value(&batch, "system.thread.count").unwrap() >= total);
    }

    #[test]
    fn closed_files_give_no_sum_and_one_loss_a_round() {
        let mut process = Process::new();
        let root = Root::machine();
        let seen = |open, closed| Seen {
            open,
            closed,
            ..Seen::default()
        };
        for (seen, samples, loss) in [
            (seen(1, 9), false, "CAP_SYS_PTRACE"),
            (seen(9, 1), true, ""),
            (seen(0, 0), false, "keeps no account"),
        ] {
            let mut batch = Batch::new();
            let mut round = Round::new(&root, &mut batch, Moment(0));
            process.add_io(&mut round, &seen);
            let words = round.losses().1.join("\n");
            assert!(words.contains(loss), "{words}");
            assert_eq!(words.is_empty(), loss.is_empty());
            assert_eq!(!batch.is_empty(), samples, "{seen:?}");
        }
        // Until it is time to try again, the files are left alone and the loss still told.
        let mut batch = Batch::new();
        let mut round = Round::new(&root, &mut batch, Moment(0) + TRY_AGAIN / 2);
        process.collect(&mut round);
        assert_eq!((round.losses().0, round.absences()), (1, 1));
        assert_eq!(value(&batch, READ), None);
        let mut batch = Batch::new();
        let mut round = Round::new(&root, &mut batch, Moment(0) + TRY_AGAIN);
        process.collect(&mut round);
        assert_eq!(
            value(&batch, READ).is_some(),
            rustix::process::geteuid().is_root()
        );
    }
}
