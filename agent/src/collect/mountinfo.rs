//! The mount table, as proc_pid_mountinfo(5) describes it.
//!
//! Shared by the collectors for disks and for file systems. The machine's table is that of process
//! 1: systemd gives a sandboxed service a name space of its own, in which every mount is read-only
//! and some are there twice. It is read by hand
//! because `procfs-core` leaves the octal escapes in (a mount point with a space would never be
//! found again) and builds two maps of options for every mount of every round.

use std::collections::HashMap;

use super::{ReadError, Root, Round};

/// The table of the process itself.
const OWN: &str = "/proc/self/mountinfo";

/// The table of process 1.
const FIRST: &str = "/proc/1/mountinfo";

/// Reads the machine's table; also gives the number of lines that could not be read.
///
/// That of process 1 is taken when it has the same file system on `/`: otherwise this process is in
/// a container or a chroot, and the paths of the machine lead nowhere here.
pub(super) fn table(round: &mut Round<'_>) -> Option<(Vec<Mount>, u64)> {
    match text(round.root) {
        Ok((_, mounts, lost)) => Some((mounts, lost)),
        Err(error) => {
            round.lost_file(&error);
            None
        }
    }
}

/// The same with the text it was read from.
pub(crate) fn text(tree: &Root) -> Result<(String, Vec<Mount>, u64), ReadError> {
    let own_text = tree.read(OWN)?;
    let own = read(&own_text);
    let Ok(first_text) = tree.read(FIRST) else {
        return Ok((own_text, own.0, own.1));
    };
    let first = read(&first_text);
    let same = root(&own.0).is_some_and(|own| Some(own) == root(&first.0));
    Ok(if same {
        (first_text, first.0, first.1)
    } else {
        (own_text, own.0, own.1)
    })
}

/// What is mounted on `/`.
fn root(mounts: &[Mount]) -> Option<((u32, u32), &str)> {
    let mount = mounts.iter().rev().find(|mount| mount.point == "/")?;
    Some((mount.device, mount.root.as_str()))
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The mount's number in its name space.
    pub(crate) id: u32,
    /// The number of the mount it hangs on.
    pub(crate) parent: u32,
    /// Major and minor number of the file system, as `stat(2)` gives them for its files. The major
    /// is 0 for file systems without a block device of their own, btrfs among them.
    pub(crate) device: (u32, u32),
    /// Which directory of the file system is mounted; `/` unless it is a bind mount or a subvolume.
    pub(crate) root: String,
    /// Where it is mounted.
    pub(crate) point: String,
    /// Whether mount or file system are read-only.
    pub(crate) read_only: bool,
    /// The type: `ext4`, `nfs4`, `fuse.sshfs`.
    pub(crate) kind: String,
    /// What was mounted: `/dev/vda`, `server:/export`.
    pub(crate) source: String,
}

impl Mount {
    /// Reads one line; `None` when it is not of the documented shape.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let id = words.next()?.parse().ok()?;
        let parent = words.next()?.parse().ok()?;
        let (major, minor) = words.next()?.split_once(':')?;
        let device = (major.parse().ok()?, minor.parse().ok()?);
        let root = unescape(words.next()?);
        let point = unescape(words.next()?);
        let options = words.next()?;
        // Any number of optional fields, of which new kernels may have new ones.
        words.find(|word| *word == "-")?;
        let kind = unescape(words.next()?);
        let source = unescape(words.next()?);
        let read_only = is_read_only(options) || words.next().is_some_and(is_read_only);
        point.starts_with('/').then_some(Self {
            id,
            parent,
            device,
            root,
            point,
            read_only,
            kind,
            source,
        })
    }
}

/// Reads the whole table; also gives the number of lines that could not be read.
pub(super) fn read(text: &str) -> (Vec<Mount>, u64) {
    let mut mounts = Vec::new();
    let mut lost = 0;
    for line in text.lines().filter(|line| !line.is_empty()) {
        match Mount::read(line) {
            Some(mount) => mounts.push(mount),
            None => lost += 1,
        }
    }
    (mounts, lost)
}

/// Which mounts can be reached by their path: neither hidden by a later mount on the same point
/// nor by a later one on a directory above.
pub(super) fn visible(mounts: &[Mount]) -> Vec<bool> {
    let mut last: HashMap<&str, usize> = HashMap::with_capacity(mounts.len());
    let mut by_id: HashMap<u32, &Mount> = HashMap::with_capacity(mounts.len());
    for (index, mount) in mounts.iter().enumerate() {
        last.insert(&mount.point, index);
        by_id.insert(mount.id, mount);
    }
    let hidden = |index: usize, mount: &Mount| {
        directories(&mount.point).any(|directory| {
            let Some(top) = last.get(directory).copied().filter(|top| *top > index) else {
                return false;
            };
            mounts
                .get(top)
                .is_some_and(|top| !hangs_on(mount, top.id, &by_id))
        })
    };
    mounts
        .iter()
        .enumerate()
        .map(|(index, mount)| !hidden(index, mount))
        .collect()
}

/// Whether `mount` is below the mount `ancestor` in the tree of mounts.
fn hangs_on(mount: &Mount, ancestor: u32, by_id: &HashMap<u32, &Mount>) -> bool {
    let mut parent = mount.parent;
    // A chain longer than the table would be a circle.
    for _ in 0..=by_id.len() {
        if parent == ancestor {
            return true;
        }
        match by_id.get(&parent) {
            Some(above) if above.parent != parent => parent = above.parent,
            _ => return false,
        }
    }
    false
}

/// The path itself and every directory above it, up to `/`.
pub(super) fn directories(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| match path.rsplit_once('/')? {
        ("", "") => None,
        ("", _) => Some("/"),
        (above, _) => Some(above),
    })
}

fn is_read_only(options: &str) -> bool {
    options.split(',').any(|option| option == "ro")
}

/// Turns `\040` back into a space, and likewise every other octal escape. A backslash that begins
/// no escape stays.
pub(crate) fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if let (b'\\', Some((code, after))) = (first, after.split_first_chunk::<3>())
            && let Some(byte) = octal(*code)
        {
            bytes.push(byte);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn octal(code: [u8; 3]) -> Option<u8> {
    code.iter().try_fold(0_u8, |sum, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        sum.checked_mul(8)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_with_everything_in_it_is_read() {
        let line = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime shared:1 master:2 new - ext3 /dev/ro\\134ot ro,errors=continue";
        assert_eq!(
            Mount::read(line).unwrap(),
            Mount {
                id: 36,
                parent: 35,
                device: (98, 0),
                root: "/mnt1".into(),
                point: "/mnt 2".into(),
                read_only: true,
                kind: "ext3".into(),
                source: "/dev/ro\\ot".into(),
            }
        );
        // A tmpfs may be mounted with an empty source.
        assert_eq!(
            Mount::read("1 2 0:5 / /t rw - tmpfs  rw").unwrap().source,
            ""
        );
    }

    #[test]
    fn odd_lines_cost_themselves() {
        let (mounts, lost) =
            read("1 0 8:1 / / rw - ext4 /dev/sda1 rw\nrubbish\n2 1 0:3 / /proc rw - proc proc rw");
        assert_eq!((mounts.len(), lost), (2, 1));
    }

    #[test]
    fn what_lies_below_a_later_mount_is_hidden() {
        let text = "\
1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 0:3 / /dev rw - tmpfs first rw
3 2 0:4 / /dev/shm rw - tmpfs hidden rw
4 1 0:5 / /dev rw - tmpfs second rw
5 4 0:6 / /dev/shm rw - tmpfs seen rw
6 1 8:2 / /data rw - ext4 /dev/sda2 rw
7 6 8:3 / /data rw - ext4 /dev/sda3 rw
8 7 8:4 / /data/deep/er rw - ext4 /dev/sda4 rw";
        let (mounts, _) = read(text);
        assert_eq!(
            visible(&mounts),
            [true, false, false, true, true, false, true, true]
        );
    }

    #[test]
    fn a_circle_of_parents_ends() {
        let (mounts, _) =
            read("1 2 8:1 / /a/b rw - x x rw\n2 1 8:1 / /c rw - x x rw\n3 3 8:1 / /a rw - x x rw");
        assert_eq!(visible(&mounts), [false, true, true]);
    }

    #[test]
    fn every_directory_above_a_path() {
        let above: Vec<&str> = directories("/a/b c/d").collect();
        assert_eq!(above, ["/a/b c/d", "/a/b c", "/a", "/"]);
        assert_eq!(directories("/").collect::<Vec<_>>(), ["/"]);
    }

    /// What the kernel does to a path before it prints it (`mangle_path` in fs/d_path.c).
    fn escape(text: &str) -> String {
        let mut escaped = String::new();
        for character in text.chars() {
            match character {
                ' ' | '\t' | '\n' | '\\' | '#' => {
                    write!(escaped, "\\{:03o}", u32::from(character)).unwrap();
                }
                plain => escaped.push(plain),
            }
        }
        escaped
    }

    proptest! {
        #[test]
        fn what_the_kernel_escapes_comes_back(path in "[ \\t\\n\\\\#a-z0-9/é]{0,30}") {
            prop_assert_eq!(unescape(&escape(&path)), path.clone());
            let line = format!(
                "7 1 8:3 / /{} rw,relatime shared:4 - xfs {} rw",
                escape(&path), escape(&path)
            );
            let mount = Mount::read(&line).unwrap();
            prop_assert_eq!(mount.point, format!("/{path}"));
            prop_assert_eq!(mount.source, path);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,80}", line in "[0-9:/ \\\\a-]{0,60}") {
            let _ = read(&text);
            let (mounts, _) = read(&line);
            let _ = visible(&mounts);
            let _ = unescape(&text);
        }
    }
}
