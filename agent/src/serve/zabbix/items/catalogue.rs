//! What there is: the mounts, devices, interfaces, CPUs, NUMA nodes and units of the store's series.
//!
//! Made by scanning the store now and then, never while a request waits. Items find a mount's
//! series here without knowing all of its tags, and discovery documents list it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Glob;
use crate::store::{Reading, Store};

/// A mounted file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// The device or other source.
    pub device: String,
    /// The type, such as `ext4`.
    pub kind: String,
    /// The text of each of its series, by `name/state` without the common `system.filesystem.`:
    /// `usage/used`, `limit/`, `inodes.usage/free`.
    pub series: BTreeMap<String, String>,
}

/// A systemd unit and the series that hold its states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// The part of the name behind the last dot: `service`, `socket`.
    pub kind: String,
}

/// Everything that can be discovered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// By mount point.
    pub mounts: BTreeMap<String, Mount>,
    /// Block devices by kernel name, with their kind (`partition`, `nvme`, `md` ...).
    pub devices: BTreeMap<String, String>,
    /// Network interfaces.
    pub interfaces: BTreeSet<String>,
    /// Logical CPUs, by number.
    pub cpus: BTreeSet<u32>,
    /// NUMA nodes, by number.
    pub nodes: BTreeSet<u32>,
    /// The series that count processes by state, which together are all processes.
    pub process_counts: Vec<String>,
    /// systemd units by name.
    pub units: BTreeMap<String, Unit>,
}

/// The series that tell what there is. Each pattern costs one walk over the store.
const FILE_SYSTEMS: &str = "system.filesystem.*";
const DISKS: &str = "system.disk.io{*";
const DISK_KINDS: &str = "system.disk.info{*";
const INTERFACES: &str = "system.network.io{*";
const CPU_TIMES: &str = "system.cpu.time{*";
const NODES: &str = "*numa*{*";
const PROCESSES: &str = "system.process.count{*";
const UNITS: &str = "systemd.unit.*{*";

impl Catalogue {
    /// Looks through the store.
    pub fn scan(store: &Store) -> Self {
        let mut catalogue = Self::default();
        let each = |pattern| store.scan(&Glob::new(pattern));
        for reading in each(FILE_SYSTEMS) {
            catalogue.add_file_system(&reading);
        }
        for reading in each(DISKS) {
            if let Some(device) = tag(&reading, "device") {
                catalogue.devices.entry(device).or_default();
            }
        }
        for reading in each(DISK_KINDS) {
            if let (Some(device), Some(kind)) = (tag(&reading, "device"), tag(&reading, "kind")) {
                catalogue.devices.insert(device, kind);
            }
        }
        let interfaces = each(INTERFACES);
        let interfaces = interfaces.iter().filter_map(|r| tag(r, "interface"));
        catalogue.interfaces.extend(interfaces);
        catalogue.cpus.extend(
            each(CPU_TIMES)
                .iter()
                .filter_map(|r| tag(r, "cpu")?.parse::<u32>().ok()),
        );
        let processes = each(PROCESSES);
        catalogue.process_counts = processes
            .iter()
            .map(|reading| reading.series.as_str().to_owned())
            .collect();
        for reading in each(NODES) {
            let node = tag(&reading, "node").or_else(|| tag(&reading, "numa.node"));
            catalogue
                .nodes
                .extend(node.and_then(|node| node.parse::<u32>().ok()));
        }
        for reading in each(UNITS) {
            if let Some(unit) = tag(&reading, "unit").or_else(|| tag(&reading, "systemd.unit")) {
                let kind = unit
                    .rsplit_once('.')
                    .map_or("", |(_, kind)| kind)
                    .to_owned();
                catalogue.units.insert(unit, Unit { kind });
            }
        }
        catalogue
    }

    /// A mount's series for `name/state`.
    pub fn file_system_series(&self, mount_point: &str, what: &str) -> Option<&str> {
        self.mounts
            .get(mount_point)?
            .series
            .get(what)
            .map(String::as_str)
    }

    fn add_file_system(&mut self, reading: &Reading) {
        let Some(mount_point) = tag(reading, "mountpoint") else {
            return;
        };
        let mount = self.mounts.entry(mount_point).or_default();
        if let Some(device) = tag(reading, "device") {
            mount.device = device;
        }
        if let Some(kind) = tag(reading, "type") {
            mount.kind = kind;
        }
        let name = reading.series.name();
        let name = name.strip_prefix("system.filesystem.").unwrap_or(name);
        let state = tag(reading, "state").unwrap_or_default();
        mount.series.insert(
            format!("{name}/{state}"),
            reading.series.as_str().to_owned(),
        );
    }
}

fn tag(reading: &Reading, name: &str) -> Option<String> {
    reading.series.tag(name).map(std::borrow::Cow::into_owned)
}
