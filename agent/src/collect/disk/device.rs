//! What a block device is, from `/sys/block/NAME`: kind, names, size, members.
//!
//! These facts change rarely and cost a dozen reads per device, so [`super::collector`] keeps them
//! for a minute. Reads files; must not fail when one is missing, since no two drivers have the same.

use crate::collect::Root;

/// The most members of one md or device-mapper device that are listed.
const MEMBERS_MAX: usize = 64;

/// What is known of one whole device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    /// The driver's family: `nvme`, `scsi`, `virtio`, `dm`, `md`, ….
    pub(super) kind: &'static str,
    /// The name a person gave it: of the device-mapper device or the md array.
    pub(super) name: Option<String>,
    /// The maker's name of the model.
    pub(super) model: Option<String>,
    /// The RAID level of an md array.
    pub(super) level: Option<String>,
    /// Whether it is a spinning disk.
    pub(super) rotational: Option<bool>,
    /// Whether it cannot be written to.
    pub(super) read_only: bool,
    /// Bytes it holds, unless it does not say.
    pub(super) bytes: Option<u64>,
    /// Whether it is one path of a device that is listed under another name.
    pub(super) hidden: bool,
    /// The devices it is made of.
    pub(super) members: Vec<String>,
    /// Its partitions, by major and minor number.
    pub(super) partitions: Vec<(String, (u32, u32))>,
}

impl Device {
    /// Reads what `/sys/block/NAME` says.
    pub(super) fn read(root: &Root, name: &str) -> Self {
        let directory = directory(name);
        let word = |file: &str| word(root, &format!("{directory}/{file}"));
        let kind = kind(name);
        let named = match kind {
            "dm" => word("dm/name"),
            "md" => array_name(root, &directory),
            _ => None,
        };
        let mut members = root.names(&format!("{directory}/slaves"));
        members.truncate(MEMBERS_MAX);
        Self {
            kind,
            name: named,
            model: word("device/model"),
            level: (kind == "md").then(|| word("md/level")).flatten(),
            rotational: word("queue/rotational").map(|flag| flag != "0"),
            read_only: word("ro").is_some_and(|flag| flag != "0"),
            bytes: word("size")
                .and_then(|sectors| sectors.parse::<u64>().ok())
                .map(|sectors| sectors.saturating_mul(512)),
            hidden: word("hidden").is_some_and(|flag| flag != "0"),
            members,
            partitions: partitions(root, name, &directory),
        }
    }
}

/// Where sysfs has the device: a `/` in a name (`cciss/c0d0`) is a `!` there.
pub(crate) fn directory(name: &str) -> String {
    format!("/sys/block/{}", name.replace('/', "!"))
}

/// The one word of a file; none when the file is missing or empty.
pub(crate) fn word(root: &Root, path: &str) -> Option<String> {
    let text = root.read(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// `/sys/block/NAME/NAMEp1/dev` and its like; a partition is a directory with a file `partition`.
fn partitions(root: &Root, name: &str, directory: &str) -> Vec<(String, (u32, u32))> {
    let sysfs_name = name.replace('/', "!");
    root.names(directory)
        .into_iter()
        .filter(|entry| entry.starts_with(&sysfs_name))
        .filter_map(|entry| {
            let path = format!("{directory}/{entry}");
            word(root, &format!("{path}/partition"))?;
            let numbers = word(root, &format!("{path}/dev"))?;
            let (major, minor) = numbers.split_once(':')?;
            let numbers = (major.parse().ok()?, minor.parse().ok()?);
            Some((entry.replace('!', "/"), numbers))
        })
        .collect()
}

/// The name an administrator gave an array lives in its metadata; `md/name` is not in every
/// kernel, so its absence is normal.
fn array_name(root: &Root, directory: &str) -> Option<String> {
    word(root, &format!("{directory}/md/name"))
}

/// The family of the driver, by the name it gives to its devices.
pub(super) fn kind(name: &str) -> &'static str {
    const PREFIXES: [(&str, &str); 16] = [
        ("cciss", "raid"),
        ("dasd", "dasd"),
        ("dm-", "dm"),
        ("drbd", "drbd"),
        ("fd", "floppy"),
        ("loop", "loop"),
        ("md", "md"),
        ("mmcblk", "mmc"),
        ("nbd", "nbd"),
        ("nvme", "nvme"),
        ("pmem", "pmem"),
        ("ram", "ram"),
        ("rbd", "rbd"),
        ("sd", "scsi"),
        ("sr", "optical"),
        ("zram", "zram"),
    ];
    const VIRTUAL: [(&str, &str); 3] = [("vd", "virtio"), ("xvd", "xen"), ("ubd", "uml")];
    PREFIXES
        .iter()
        .chain(&VIRTUAL)
        .find(|(prefix, _)| name.starts_with(prefix))
        .map_or("other", |(_, kind)| kind)
}

/// Whether a name looks like a partition's, for where `/sys/block` cannot be read: letters and a
/// number (`sda1`), or `p` and a number behind a number (`nvme0n1p2`).
pub(super) fn looks_like_partition(name: &str) -> bool {
    let disk = name.trim_end_matches(|character: char| character.is_ascii_digit());
    if disk.len() == name.len() {
        return false;
    }
    match disk.strip_suffix('p') {
        Some(disk) if disk.ends_with(|character: char| character.is_ascii_digit()) => true,
        _ => matches!(kind(name), "scsi" | "virtio" | "xen"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_driver() {
        for (name, expected) in [
            ("nvme0n1", "nvme"),
            ("sda", "scsi"),
            ("sr0", "optical"),
            ("vdb", "virtio"),
            ("xvda1", "xen"),
            ("dm-3", "dm"),
            ("md127", "md"),
            ("mmcblk0boot0", "mmc"),
            ("zram0", "zram"),
            ("weird", "other"),
        ] {
            assert_eq!(kind(name), expected, "{name}");
        }
    }

    #[test]
    fn partitions_are_known_by_name() {
        for partition in [
            "sda1",
            "vdb12",
            "xvda2",
            "nvme0n1p1",
            "mmcblk0p2",
            "md0p1",
            "loop0p1",
        ] {
            assert!(looks_like_partition(partition), "{partition}");
        }
        for whole in [
            "sda", "nvme0n1", "dm-0", "md127", "mmcblk0", "loop7", "zram0", "sr0", "p1",
        ] {
            assert!(!looks_like_partition(whole), "{whole}");
        }
    }

    #[test]
    fn sysfs_tells_the_rest_and_may_lack_any_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("sys/block/cciss!c0d0/size", "2048\n");
        put("sys/block/cciss!c0d0/queue/rotational", "1\n");
        put("sys/block/cciss!c0d0/cciss!c0d0p1/partition", "1\n");
        put("sys/block/cciss!c0d0/cciss!c0d0p1/dev", "104:1\n");
        put("sys/block/cciss!c0d0/device/model", "LOGICAL VOLUME  \n");
        let root = Root::recorded(directory.path());
        let device = Device::read(&root, "cciss/c0d0");
        assert_eq!(device.bytes, Some(1 << 20));
        assert_eq!(device.rotational, Some(true));
        assert_eq!(device.model.as_deref(), Some("LOGICAL VOLUME"));
        assert_eq!(device.partitions, [("cciss/c0d0p1".to_owned(), (104, 1))]);
        let bare = Device::read(&root, "sdz");
        assert_eq!((bare.kind, bare.bytes), ("scsi", None));
    }
}
