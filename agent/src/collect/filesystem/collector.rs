//! The collector for file systems.
//!
//! | series, each with the tags `device`, `mode=rw\|ro`, `mountpoint` and `type` | kind and unit |
//! |---|---|
//! | `system.filesystem.usage{…,state=used\|free\|reserved}` | gauge, By |
//! | `system.filesystem.limit` | gauge, By |
//! | `system.filesystem.utilization` | gauge, ratio of used to used and free, as df(1) |
//! | `system.filesystem.inodes.usage{…,state=used\|free}` | gauge, `{inode}` |
//! | `system.filesystem.inodes.limit` | gauge, `{inode}` |
//! | `system.filesystem.inodes.utilization` | gauge, ratio |
//!
//! | series | kind and unit |
//! |---|---|
//! | `system.filesystem.mounts.skipped` | gauge, `{mount}`: beyond the most that are measured |
//! | `system.filesystem.mounts.stuck` | gauge, `{mount}`: asked and not answered |
//!
//! File systems without inodes of their own (btrfs, vfat) have no inode series; those without
//! blocks have none at all. A mount that does not answer must never hold up a round.

use std::sync::Arc;

use super::answer::{self, Answer, Statvfs};
use super::asking::{self, Asking, Outcome};
use super::selection::{self, Chosen, Ignored};
use crate::collect::mountinfo::{self, Mount};
use crate::collect::{Collector, Root, Round};
use crate::model::{Clock, Unit};

const INODES: Unit = Unit::new("{inode}");
const MOUNTS: Unit = Unit::new("{mount}");

/// Measures file systems.
pub struct Filesystem {
    /// Whom to ask; chosen by the root of the first round unless given.
    source: Option<(Root, Arc<dyn Statvfs>)>,
    given: Option<Arc<dyn Statvfs>>,
    ignored: Ignored,
    asking: Asking,
}

impl Filesystem {
    /// A collector that asks the kernel, or the recording of a recorded tree.
    pub fn new(ignored: Ignored) -> Self {
        Self {
            source: None,
            given: None,
            ignored,
            asking: Asking::new(Clock::System, asking::WAIT),
        }
    }

    /// A collector that asks `source`.
    pub fn with_source(source: Arc<dyn Statvfs>) -> Self {
        Self {
            given: Some(source),
            ..Self::default()
        }
    }

    /// Asks the mounts that are worth measuring, those that answer at once first, and says how many
    /// were left out for their number.
    pub(crate) fn measure(
        &mut self,
        root: &Root,
        mounts: Vec<Mount>,
    ) -> (Vec<(Mount, Outcome)>, usize) {
        let (chosen, beyond) = selection::choose(mounts, &self.ignored);
        let source = self.source(root);
        let (remote, local): (Vec<Chosen>, Vec<Chosen>) =
            chosen.into_iter().partition(|chosen| chosen.remote);
        let mut measured: Vec<(Mount, Outcome)> = local
            .into_iter()
            .map(|chosen| {
                let said = source.ask(&chosen.mount.point);
                (chosen.mount, Outcome::Answered(said))
            })
            .collect();
        let points: Vec<&str> = remote
            .iter()
            .map(|chosen| chosen.mount.point.as_str())
            .collect();
        let outcomes = self.asking.ask(&source, &points);
        measured.extend(remote.into_iter().map(|chosen| chosen.mount).zip(outcomes));
        (measured, beyond)
    }

    fn source(&mut self, root: &Root) -> Arc<dyn Statvfs> {
        if let Some(given) = &self.given {
            return Arc::clone(given);
        }
        match &self.source {
            Some((known, source)) if known == root => Arc::clone(source),
            _ => {
                let source = answer::source(root);
                self.source = Some((root.clone(), Arc::clone(&source)));
                source
            }
        }
    }
}

impl Default for Filesystem {
    fn default() -> Self {
        Self::new(Ignored::default())
    }
}

impl std::fmt::Debug for Filesystem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Filesystem")
            .field("asking", &self.asking)
            .finish_non_exhaustive()
    }
}

impl Collector for Filesystem {
    fn name(&self) -> &'static str {
        "filesystem"
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        let Some((mounts, odd)) = mountinfo::table(round) else {
            return;
        };
        for _ in 0..odd {
            round.lost("the mount table has an odd line");
        }
        let (measured, beyond) = self.measure(round.root, mounts);
        if beyond > 0 {
            round.lost(format!(
                "{beyond} mounts were left out; {} is the most that are measured",
                selection::MOUNTS_MAX
            ));
        }
        for (mount, outcome) in measured {
            let point = &mount.point;
            match outcome {
                Outcome::Answered(said) => add(round, &mount, &said),
                Outcome::Waiting(age) => round.lost(format!(
                    "mount {point} has not answered for {:.0} s",
                    age.as_secs_f64().ceil()
                )),
                Outcome::NotAsked(reason) => {
                    round.lost(format!("mount {point} was not asked: {reason}"));
                }
            }
        }
        let batch = &mut *round.batch;
        batch.gauge(
            "system.filesystem.mounts.skipped",
            &[],
            MOUNTS,
            beyond as u64,
        );
        batch.gauge(
            "system.filesystem.mounts.stuck",
            &[],
            MOUNTS,
            self.asking.pending() as u64,
        );
    }
}

fn add(round: &mut Round<'_>, mount: &Mount, said: &std::io::Result<Answer>) {
    let answer = match said {
        Ok(answer) if answer.blocks == 0 => return,
        Ok(answer) => answer,
        Err(error) => {
            round.lost(format!("mount {} cannot be asked: {error}", mount.point));
            return;
        }
    };
    let batch = &mut *round.batch;
    let mode = if mount.read_only { "ro" } else { "rw" };
    let tags = |state: &'static str| {
        [
            ("device", mount.source.as_str()),
            ("mode", mode),
            ("mountpoint", mount.point.as_str()),
            ("state", state),
            ("type", mount.kind.as_str()),
        ]
    };
    let [device, mode, point, _, kind] = tags("");
    let plain = [device, mode, point, kind];
    for (state, bytes) in [
        ("used", answer.used()),
        ("free", answer.free()),
        ("reserved", answer.reserved()),
    ] {
        batch.gauge("system.filesystem.usage", &tags(state), Unit::BYTES, bytes);
    }
    batch.gauge(
        "system.filesystem.limit",
        &plain,
        Unit::BYTES,
        answer.limit(),
    );
    if let Some(ratio) = answer.utilization() {
        batch.gauge("system.filesystem.utilization", &plain, Unit::ONE, ratio);
    }
    if answer.inodes == 0 {
        return;
    }
    for (state, inodes) in [("used", answer.inodes_used()), ("free", answer.inodes_free)] {
        batch.gauge(
            "system.filesystem.inodes.usage",
            &tags(state),
            INODES,
            inodes,
        );
    }
    batch.gauge(
        "system.filesystem.inodes.limit",
        &plain,
        INODES,
        answer.inodes,
    );
    if let Some(ratio) = answer.inodes_utilization() {
        batch.gauge(
            "system.filesystem.inodes.utilization",
            &plain,
            Unit::ONE,
            ratio,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Batch, Moment};

    /// Whether the text of a series occurs in the batch with a value between two bounds.
    fn within(batch: &Batch, series: &str, low: f64, high: f64) -> bool {
        batch
            .iter()
            .filter(|sample| sample.series.as_str() == series)
            .filter_map(|sample| sample.value.as_f64())
            .any(|value| (low.min(high)..=low.max(high)).contains(&value))
    }

    #[test]
    fn the_running_machine_says_what_statvfs_says() {
        let root = Root::machine();
        let ask = || rustix::fs::statvfs("/").unwrap();
        // Others write to the disk meanwhile: allow what was written around the round, and try
        // again should the level have gone up and down within it.
        let agreed = (0..20).any(|_| {
            let before = ask();
            let mut batch = Batch::new();
            let mut round = Round::new(&root, &mut batch, Moment(0));
            Filesystem::default().collect(&mut round);
            let after = ask();
            let used = |said: &rustix::fs::StatVfs| {
                ((said.f_blocks - said.f_bfree) * said.f_frsize) as f64
            };
            let sample = batch
                .iter()
                .find(|sample| {
                    sample.series.name() == "system.filesystem.usage"
                        && sample.series.tag("mountpoint").as_deref() == Some("/")
                        && sample.series.tag("state").as_deref() == Some("used")
                })
                .expect("there is always a root");
            within(&batch, sample.series.as_str(), used(&before), used(&after))
        });
        assert!(agreed);
    }

    #[derive(Debug)]
    struct Refusing;

    impl Statvfs for Refusing {
        fn ask(&self, point: &str) -> std::io::Result<Answer> {
            match point {
                "/" => Ok(Answer {
                    block_bytes: 1024,
                    blocks: 10,
                    blocks_free: 5,
                    blocks_available: 4,
                    ..Answer::default()
                }),
                "/empty" => Ok(Answer::default()),
                _ => Err(std::io::Error::from(std::io::ErrorKind::PermissionDenied)),
            }
        }
    }

    #[test]
    fn a_mount_that_refuses_costs_itself_only() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("proc/self")).unwrap();
        std::fs::write(
            directory.path().join("proc/self/mountinfo"),
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
             2 1 8:2 / /secret rw - ext4 /dev/sda2 rw\n\
             4 1 0:9 / /remote rw - nfs4 server:/ rw\n\
             nonsense\n\
             3 1 0:8 / /empty rw - tmpfs tmpfs rw\n",
        )
        .unwrap();
        let root = Root::recorded(directory.path());
        let mut batch = Batch::new();
        let mut round = Round::new(&root, &mut batch, Moment(0));
        Filesystem::with_source(Arc::new(Refusing)).collect(&mut round);
        let (lost, words) = round.losses();
        assert_eq!(lost, 3, "{words:?}");
        assert!(words[1].starts_with("mount /secret cannot be asked"));
        let lines: Vec<String> = batch
            .iter()
            .map(|sample| format!("{} {}", sample.series.as_str(), sample.value))
            .collect();
        let tags = "device=\"/dev/sda1\",mode=\"rw\",mountpoint=\"/\"";
        assert_eq!(
            lines[..5],
            [
                format!("system.filesystem.usage{{{tags},state=\"used\",type=\"ext4\"}} 5120"),
                format!("system.filesystem.usage{{{tags},state=\"free\",type=\"ext4\"}} 4096"),
                format!("system.filesystem.usage{{{tags},state=\"reserved\",type=\"ext4\"}} 1024"),
                format!("system.filesystem.limit{{{tags},type=\"ext4\"}} 10240"),
                format!(
                    "system.filesystem.utilization{{{tags},type=\"ext4\"}} {}",
                    5.0 / 9.0
                ),
            ]
        );
        assert_eq!(lines.len(), 7, "{lines:?}");
    }
}
