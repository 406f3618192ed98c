//! Which mounts are asked, and which of them with care. Pure.

use std::collections::HashSet;

use crate::collect::mountinfo::{self, Mount};
use crate::model::Glob;

/// The most mounts that are measured; hosts of containers have tens of thousands.
pub(super) const MOUNTS_MAX: usize = 512;

/// Patterns of the types that are not measured unless something else is configured: file systems
/// that hold no files of anybody, and read-only images, which are always full. `overlay` and
/// `squashfs` are here because every container and every package mounts one. What is mounted on `/`
/// is measured whatever its type. `tmpfs` is not here: a full `/run` or `/tmp` hurts.
pub const IGNORED_TYPES: [&str; 38] = [
    "autofs",
    "binder",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "cpuset",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fuse.snapfuse",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nfsd",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "ramfs",
    "resctrl",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "squashfs",
    "sysfs",
    "tracefs",
    "virtual",
];

/// Patterns of the mount points that are not measured unless something else is configured: the
/// layers of containers, which show the size of the file system below them once more, and the
/// credentials of units.
pub const IGNORED_MOUNTPOINTS: [&str; 5] = [
    "/run/containerd/*",
    "/run/credentials/*",
    "/var/lib/containers/*",
    "/var/lib/docker/*",
    "/var/lib/kubelet/*",
];

/// Which mounts are left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// By type.
    pub types: Vec<Glob>,
    /// By mount point.
    pub mountpoints: Vec<Glob>,
}

impl Ignored {
    /// Reads the patterns.
    pub fn new(
        types: impl IntoIterator<Item = impl AsRef<str>>,
        mountpoints: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        Self {
            types: types
                .into_iter()
                .map(|text| Glob::new(text.as_ref()))
                .collect(),
            mountpoints: mountpoints
                .into_iter()
                .map(|text| Glob::new(text.as_ref()))
                .collect(),
        }
    }

    fn has(&self, mount: &Mount) -> bool {
        let fits = |patterns: &[Glob], text: &str| patterns.iter().any(|glob| glob.matches(text));
        mount.point != "/"
            && (fits(&self.types, &mount.kind) || fits(&self.mountpoints, &mount.point))
    }
}

impl Default for Ignored {
    fn default() -> Self {
        Self::new(IGNORED_TYPES, IGNORED_MOUNTPOINTS)
    }
}

/// Which file systems ask somebody else before they answer, and so may never answer. All of FUSE
/// is among them: a program answers there.
const REMOTE: [&str; 18] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "fuse",
    "fuseblk",
    "gfs2",
    "glusterfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
    "smbfs",
    "virtiofs",
];

/// A mount that is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) mount: Mount,
    /// Whether it, or a mount on the way to it, may never answer.
    pub(super) remote: bool,
}

/// Chooses among the mounts those that can be reached and hold files, one for every mount point,
/// disks before file systems in memory. Also says how many were left out for their number.
pub(super) fn choose(mounts: Vec<Mount>, ignored: &Ignored) -> (Vec<Chosen>, usize) {
    let visible = mountinfo::visible(&mounts);
    let remote_points: HashSet<String> = mounts
        .iter()
        .filter(|mount| is_remote(&mount.kind))
        .map(|mount| mount.point.clone())
        .collect();
    let mut chosen: Vec<Chosen> = mounts
        .into_iter()
        .zip(visible)
        .filter(|(mount, visible)| *visible && !ignored.has(mount))
        .map(|(mount, _)| {
            let remote = mountinfo::directories(&mount.point)
                .any(|directory| remote_points.contains(directory));
            Chosen { mount, remote }
        })
        .collect();
    // Stable: within each of the two the order of the table stays.
    chosen.sort_by_key(|chosen| chosen.mount.kind == "tmpfs");
    let beyond = chosen.len().saturating_sub(MOUNTS_MAX);
    chosen.truncate(MOUNTS_MAX);
    (chosen, beyond)
}

fn is_remote(kind: &str) -> bool {
    REMOTE.binary_search(&kind).is_ok() || kind.starts_with("fuse.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_can_be_searched() {
        assert!(REMOTE.is_sorted());
    }

    #[test]
    fn what_lies_behind_a_remote_mount_is_asked_with_care() {
        let (mounts, _) = mountinfo::read(
            "1 0 0:30 / / rw - overlay overlay rw\n\
             2 1 0:3 / /proc rw - proc proc rw\n\
             3 1 0:4 / /run rw - tmpfs tmpfs rw\n\
             4 1 0:5 / /net rw - nfs4 server:/x rw\n\
             5 4 8:1 / /net/local rw - ext4 /dev/sda1 rw\n\
             6 1 0:6 / /mnt/f rw - fuse.sshfs host: rw\n\
             7 1 8:2 / /network rw - xfs /dev/sda2 ro\n\
             8 1 0:7 / /var/lib/c rw - overlay overlay rw",
        );
        let (chosen, beyond) = choose(mounts, &Ignored::default());
        let seen: Vec<(&str, bool)> = chosen
            .iter()
            .map(|chosen| (chosen.mount.point.as_str(), chosen.remote))
            .collect();
        assert_eq!(
            seen,
            [
                ("/", false),
                ("/net", true),
                ("/net/local", true),
                ("/mnt/f", true),
                ("/network", false),
                ("/run", false),
            ]
        );
        assert_eq!(beyond, 0);
        assert!(chosen[4].mount.read_only);
    }

    #[test]
    fn too_many_mounts_are_left_out_and_counted() {
        let lines: Vec<String> = (1..=600)
            .map(|number| format!("{number} 0 8:{number} / /m{number} rw - ext4 /dev/x rw"))
            .collect();
        let (chosen, beyond) = choose(mountinfo::read(&lines.join("\n")).0, &Ignored::default());
        assert_eq!((chosen.len(), beyond), (MOUNTS_MAX, 600 - MOUNTS_MAX));
    }
}
