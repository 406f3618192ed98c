//! What a file system says of itself, and where the answer comes from: the kernel or a recording.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use crate::collect::Root;
use crate::collect::mountinfo::unescape;

/// The figures of `statvfs(3)` that are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Bytes in a block.
    pub block_bytes: u64,
    /// Blocks in all.
    pub blocks: u64,
    /// Blocks that hold nothing.
    pub blocks_free: u64,
    /// Free blocks that are not kept for root.
    pub blocks_available: u64,
    /// Inodes in all; 0 where there is no fixed number.
    pub inodes: u64,
    /// Inodes that are free.
    pub inodes_free: u64,
}

impl Answer {
    /// Bytes that hold something.
    pub fn used(&self) -> u64 {
        self.bytes(self.blocks.saturating_sub(self.blocks_free))
    }

    /// Bytes that anybody can fill.
    pub fn free(&self) -> u64 {
        self.bytes(self.blocks_available)
    }

    /// Bytes that only root can fill.
    pub fn reserved(&self) -> u64 {
        self.bytes(self.blocks_free.saturating_sub(self.blocks_available))
    }

    /// Bytes in all.
    pub fn limit(&self) -> u64 {
        self.bytes(self.blocks)
    }

    /// The used share of what people without privileges can use, 0 to 1, as df(1) has it.
    pub fn utilization(&self) -> Option<f64> {
        ratio(self.used(), self.free())
    }

    /// Inodes in use.
    pub fn inodes_used(&self) -> u64 {
        self.inodes.saturating_sub(self.inodes_free)
    }

    /// The used share of the inodes, 0 to 1.
    pub fn inodes_utilization(&self) -> Option<f64> {
        ratio(self.inodes_used(), self.inodes_free)
    }

    fn bytes(&self, blocks: u64) -> u64 {
        blocks.saturating_mul(self.block_bytes)
    }
}

fn ratio(used: u64, free: u64) -> Option<f64> {
    let all = used as f64 + free as f64;
    (all > 0.0).then(|| used as f64 / all)
}

/// Something that can be asked about a mount point. An answer may take forever.
pub trait Statvfs: Send + Sync {
    /// Asks about the file system mounted on `point`.
    fn ask(&self, point: &str) -> io::Result<Answer>;
}

/// Asks the running kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kernel;

impl Statvfs for Kernel {
    fn ask(&self, point: &str) -> io::Result<Answer> {
        let said = rustix::fs::statvfs(point)?;
        Ok(Answer {
            block_bytes: said.f_frsize,
            blocks: said.f_blocks,
            blocks_free: said.f_bfree,
            blocks_available: said.f_bavail,
            inodes: said.f_files,
            inodes_free: said.f_ffree,
        })
    }
}

/// Answers that were recorded with a tree: a file `statvfs` at its top, with a line
/// `MOUNT-POINT BLOCK-BYTES BLOCKS FREE AVAILABLE INODES INODES-FREE` for every mount point, in
/// which spaces are written as in the mount table.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    answers: HashMap<String, Answer>,
}

impl Recorded {
    /// Reads the recording of a tree; a tree without one answers nothing.
    pub fn read(root: &Root) -> Self {
        let text = root.read("/statvfs").unwrap_or_default();
        Self {
            answers: text.lines().filter_map(recorded).collect(),
        }
    }
}

impl Statvfs for Recorded {
    fn ask(&self, point: &str) -> io::Result<Answer> {
        self.answers
            .get(point)
            .copied()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

fn recorded(line: &str) -> Option<(String, Answer)> {
    let mut words = line.split_whitespace();
    let point = unescape(words.next()?);
    let mut number = || words.next()?.parse().ok();
    let answer = Answer {
        block_bytes: number()?,
        blocks: number()?,
        blocks_free: number()?,
        blocks_available: number()?,
        inodes: number()?,
        inodes_free: number()?,
    };
    Some((point, answer))
}

/// Whoever answers for the tree: the kernel for the running machine, else the recording.
pub(super) fn source(root: &Root) -> Arc<dyn Statvfs> {
    if root.is_machine() {
        Arc::new(Kernel)
    } else {
        Arc::new(Recorded::read(root))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_recording_answers_for_its_mount_points() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("statvfs"),
            "/ 4096 100 40 35 1000 900\nrubbish\n/a\\040b 512 8 8 8 0 0\n",
        )
        .unwrap();
        let source = source(&Root::recorded(directory.path()));
        let answer = source.ask("/").unwrap();
        assert_eq!(answer.used(), 60 * 4096);
        assert_eq!(answer.free(), 35 * 4096);
        assert_eq!(answer.reserved(), 5 * 4096);
        assert_eq!(answer.utilization(), Some(60.0 / 95.0));
        assert_eq!(answer.inodes_used(), 100);
        assert_eq!(source.ask("/a b").unwrap().limit(), 4096);
        assert!(source.ask("/gone").is_err());
    }

    proptest! {
        #[test]
        fn no_figures_make_it_panic(
            block_bytes: u64, blocks: u64, blocks_free: u64, blocks_available: u64,
            inodes: u64, inodes_free: u64,
        ) {
            let answer = Answer {
                block_bytes, blocks, blocks_free, blocks_available, inodes, inodes_free,
            };
            for ratio in [answer.utilization(), answer.inodes_utilization()].into_iter().flatten() {
                prop_assert!((0.0..=1.0).contains(&ratio));
            }
            let _ = (answer.used(), answer.reserved(), answer.limit());
        }
    }
}
