//! Which disk is behind which mount point: through partitions, md arrays and device-mapper.
//!
//! Pure: works on the facts of [`super::device`] and the mount table.

use std::collections::{BTreeMap, HashMap};

use super::collector::Known;
use crate::collect::mountinfo::Mount;

/// A mount point of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MountPoint {
    /// Where it is mounted.
    pub(super) point: String,
    /// What is mounted there: the disk, a partition of it, or a device made of either.
    pub(super) via: String,
}

/// The most mount points that are listed of one disk; a host of containers has thousands.
const POINTS_MAX: usize = 16;

/// How deep devices are looked for below devices: LVM on LUKS on md on a partition is four.
const DEPTH_MAX: usize = 8;

/// The mount points of every device, in the order of the mount table, and how many were left out.
///
/// Mounts of a whole file system come first: a bind mount of a directory of it is taken only while
/// there is room.
pub(super) fn of_devices(
    devices: &[Known],
    mounts: &[Mount],
) -> (BTreeMap<String, Vec<MountPoint>>, u64) {
    let names = Names::new(devices);
    let mut points: BTreeMap<String, Vec<MountPoint>> = BTreeMap::new();
    let mut left_out = 0;
    let whole = mounts.iter().filter(|mount| mount.root == "/");
    let parts = mounts.iter().filter(|mount| mount.root != "/");
    for mount in whole.chain(parts) {
        let Some(via) = names.of_mount(mount) else {
            continue;
        };
        let mut disks = Vec::new();
        names.disks_below(via, DEPTH_MAX, &mut disks);
        for disk in disks {
            let points = points.entry(disk.to_owned()).or_default();
            if points.iter().any(|known| known.point == mount.point) {
                continue;
            }
            if points.len() >= POINTS_MAX {
                left_out += 1;
                continue;
            }
            points.push(MountPoint {
                point: mount.point.clone(),
                via: via.to_owned(),
            });
        }
    }
    (points, left_out)
}

/// Every way in which a device may be called.
struct Names<'a> {
    by_numbers: HashMap<(u32, u32), &'a str>,
    by_node: HashMap<String, &'a str>,
    /// The disk of a partition.
    disk_of: HashMap<&'a str, &'a str>,
    devices: HashMap<&'a str, &'a Known>,
}

impl<'a> Names<'a> {
    fn new(devices: &'a [Known]) -> Self {
        let mut names = Self {
            by_numbers: HashMap::new(),
            by_node: HashMap::new(),
            disk_of: HashMap::new(),
            devices: HashMap::new(),
        };
        for known in devices {
            let name = known.name.as_str();
            names.devices.insert(name, known);
            names.by_numbers.insert(known.numbers, name);
            names.by_node.insert(format!("/dev/{name}"), name);
            if let Some(given) = &known.device.name {
                let directory = if known.device.kind == "md" {
                    "md"
                } else {
                    "mapper"
                };
                names
                    .by_node
                    .insert(format!("/dev/{directory}/{given}"), name);
            }
            for (partition, numbers) in &known.device.partitions {
                names.by_numbers.insert(*numbers, partition);
                names.by_node.insert(format!("/dev/{partition}"), partition);
                names.disk_of.insert(partition, name);
            }
        }
        names
    }

    /// The device or partition that is mounted. File systems with a device number of their own
    /// (btrfs, and those on several disks) are known by what was mounted.
    fn of_mount(&self, mount: &Mount) -> Option<&'a str> {
        self.by_numbers
            .get(&mount.device)
            .filter(|_| mount.device.0 != 0)
            .or_else(|| self.by_node.get(&mount.source))
            .copied()
    }

    /// The whole devices that `name` is made of, itself included if it is one.
    fn disks_below(&self, name: &'a str, depth: usize, disks: &mut Vec<&'a str>) {
        if depth == 0 {
            return;
        }
        let disk = self.disk_of.get(name).copied().unwrap_or(name);
        let Some(known) = self.devices.get(disk) else {
            return;
        };
        if disks.contains(&disk) {
            return;
        }
        disks.push(disk);
        for member in &known.device.members {
            self.disks_below(member, depth - 1, disks);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::disk::device::Device;
    use crate::collect::mountinfo;

    fn known(name: &str, numbers: (u32, u32), device: Device) -> Known {
        Known {
            name: name.into(),
            numbers,
            device,
        }
    }

    fn partitions(of: &[(&str, (u32, u32))]) -> Vec<(String, (u32, u32))> {
        of.iter()
            .map(|(name, numbers)| ((*name).to_owned(), *numbers))
            .collect()
    }

    #[test]
    fn lvm_on_an_array_on_partitions_is_resolved() {
        let devices = [
            known(
                "sda",
                (8, 0),
                Device {
                    partitions: partitions(&[("sda1", (8, 1)), ("sda2", (8, 2))]),
                    ..Device::default()
                },
            ),
            known(
                "sdb",
                (8, 16),
                Device {
                    partitions: partitions(&[("sdb2", (8, 18))]),
                    ..Device::default()
                },
            ),
            known(
                "md0",
                (9, 0),
                Device {
                    kind: "md",
                    members: vec!["sda2".into(), "sdb2".into()],
                    ..Device::default()
                },
            ),
            known(
                "dm-0",
                (253, 0),
                Device {
                    kind: "dm",
                    name: Some("vg-root".into()),
                    members: vec!["md0".into()],
                    ..Device::default()
                },
            ),
        ];
        let (mounts, _) = mountinfo::read(
            "1 0 253:0 / / rw - ext4 /dev/mapper/vg-root rw\n\
             2 1 8:1 / /boot rw - ext4 /dev/sda1 rw\n\
             3 1 253:0 /srv /bound rw - ext4 /dev/mapper/vg-root rw\n\
             4 1 0:44 /@home /home rw - btrfs /dev/mapper/vg-root rw\n\
             5 1 0:5 / /proc rw - proc proc rw",
        );
        let (points, left_out) = of_devices(&devices, &mounts);
        let list = |disk: &str| -> Vec<String> {
            points[disk]
                .iter()
                .map(|point| format!("{} via {}", point.point, point.via))
                .collect()
        };
        assert_eq!(
            list("sda"),
            [
                "/ via dm-0",
                "/boot via sda1",
                "/bound via dm-0",
                "/home via dm-0"
            ]
        );
        assert_eq!(
            list("md0"),
            ["/ via dm-0", "/bound via dm-0", "/home via dm-0"]
        );
        assert_eq!(list("sdb"), list("md0"));
        assert_eq!(list("dm-0"), list("md0"));
        assert_eq!(left_out, 0);
    }

    #[test]
    fn a_circle_of_members_ends_and_mount_points_are_bounded() {
        let circle = |other: &str| Device {
            members: vec![other.to_owned()],
            ..Device::default()
        };
        let devices = [
            known("dm-0", (253, 0), circle("dm-1")),
            known("dm-1", (253, 1), circle("dm-0")),
        ];
        let lines: Vec<String> = (0..100)
            .map(|number| format!("{number} 0 253:0 / /m{number} rw - ext4 /dev/dm-0 rw"))
            .collect();
        let (mounts, _) = mountinfo::read(&lines.join("\n"));
        let (points, left_out) = of_devices(&devices, &mounts);
        assert_eq!(points["dm-0"].len(), POINTS_MAX);
        assert_eq!(left_out, 2 * (100 - 16));
    }
}
