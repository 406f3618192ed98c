//! Which mounts are asked, and which of them with care. Pure.

use std::collections::HashSet;

use crate::collect::mountinfo::{self, Mount};

/// The most mounts that are measured; hosts of containers have tens of thousands.
pub(super) const MOUNTS_MAX: usize = 512;

/// File systems that hold no files of anybody. `overlay` and `squashfs` are here because every
/// container and every package mounts one; an `overlay` on `/` is measured nevertheless.
const PSEUDO: [&str; 36] = [
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
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fuse.snapfuse",
    "fusectl",
    "hugetlbfs",
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
pub(super) fn choose(mounts: Vec<Mount>) -> (Vec<Chosen>, usize) {
    let visible = mountinfo::visible(&mounts);
    let remote_points: HashSet<String> = mounts
        .iter()
        .filter(|mount| is_remote(&mount.kind))
        .map(|mount| mount.point.clone())
        .collect();
    let mut chosen: Vec<Chosen> = mounts
        .into_iter()
        .zip(visible)
        .filter(|(mount, visible)| *visible && !is_pseudo(mount))
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

fn is_pseudo(mount: &Mount) -> bool {
    PSEUDO.binary_search(&mount.kind.as_str()).is_ok() && mount.point != "/"
}

fn is_remote(kind: &str) -> bool {
    REMOTE.binary_search(&kind).is_ok() || kind.starts_with("fuse.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_can_be_searched() {
        assert!(PSEUDO.is_sorted());
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
        let (chosen, beyond) = choose(mounts);
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
        let (chosen, beyond) = choose(mountinfo::read(&lines.join("\n")).0);
        assert_eq!((chosen.len(), beyond), (MOUNTS_MAX, 600 - MOUNTS_MAX));
    }
}
