//! `vfs.dev.*`.

use super::catalogue::Catalogue;
use super::history::Window;
use super::table::{Items, Outcome, invalid, missing};
use super::text;
use crate::serve::zabbix::answer::{NotSupported, Refusal};
use crate::serve::zabbix::item_key::ItemKey;

/// The kernel's sector, whatever the disk's own.
const SECTOR: u64 = 512;

const NO_NAME: &str = "Cannot obtain device name used internally by the kernel.";
const NO_DISK: &str = "Cannot obtain disk information.";

const BYTES: &str = "system.disk.io";
const OPERATIONS: &str = "system.disk.operations";

fn series(name: &str, device: &str, direction: &str) -> String {
    format!("{name}{{device=\"{device}\",direction=\"{direction}\"}}")
}

/// The counters whose past the averages need.
pub(super) fn followed(catalogue: &Catalogue) -> impl Iterator<Item = String> {
    catalogue.devices.keys().flat_map(|device| {
        [
            (BYTES, "read"),
            (BYTES, "write"),
            (OPERATIONS, "read"),
            (OPERATIONS, "write"),
        ]
        .map(|(name, direction)| series(name, device, direction))
    })
}

pub(super) fn read(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    answer(items, key, "read", out)
}

pub(super) fn write(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    answer(items, key, "write", out)
}

fn answer(items: &Items, key: &ItemKey<'_>, direction: &str, out: &mut String) -> Outcome {
    let device = key.or(0, "all");
    let device = device.strip_prefix("/dev/").unwrap_or(device);
    let catalogue = items.catalogue();
    if device != "all" && !catalogue.devices.contains_key(device) {
        // Perhaps a link such as /dev/disk/by-id/...; and check the rest before going to look.
        Measure::parse(key)?;
        return Err(Refusal::Slow);
    }
    write_device(items, &catalogue, device, key, direction, out)
}

/// Follows a link below `/dev` to the kernel's name of the device.
pub(super) fn with_link(
    items: &Items,
    key: &ItemKey<'_>,
    out: &mut String,
) -> Result<(), NotSupported> {
    let device = key.or(0, "all");
    let path = items
        .root
        .path("/dev")
        .join(device.strip_prefix("/dev/").unwrap_or(device));
    let catalogue = items.catalogue();
    let target = std::fs::canonicalize(path).ok();
    let name = target
        .as_deref()
        .and_then(|target| target.file_name()?.to_str());
    let direction = if key.name == "vfs.dev.read" {
        "read"
    } else {
        "write"
    };
    match name.filter(|name| catalogue.devices.contains_key(*name)) {
        Some(name) => write_device(items, &catalogue, name, key, direction, out).map_err(reason),
        None if matches!(Measure::parse(key), Ok(Measure::Total(_))) => {
            Err(NotSupported::because(NO_DISK))
        }
        None => Err(NotSupported::because(NO_NAME)),
    }
}

fn reason(refusal: Refusal) -> NotSupported {
    match refusal {
        Refusal::NotSupported(reason) => reason,
        Refusal::Slow => NotSupported::because(NO_DISK),
    }
}

/// What is asked of a device: a counter since boot, or its speed.
enum Measure {
    Total(&'static str),
    PerSecond(&'static str, Window),
}

impl Measure {
    fn parse(key: &ItemKey<'_>) -> Result<Self, Refusal> {
        let speed = |name| {
            let window = Window::parse(key.or(2, "avg1")).ok_or(invalid(3))?;
            Ok(Self::PerSecond(name, window))
        };
        let total = |name| match key.given(2) {
            None => Ok(Self::Total(name)),
            Some(_) => Err(missing("Invalid number of parameters.")),
        };
        match key.or(1, "sps") {
            "sps" => speed(BYTES),
            "ops" => speed(OPERATIONS),
            "sectors" => total(BYTES),
            "operations" => total(OPERATIONS),
            _ => Err(invalid(2)),
        }
    }
}

fn write_device(
    items: &Items,
    catalogue: &Catalogue,
    device: &str,
    key: &ItemKey<'_>,
    direction: &str,
    out: &mut String,
) -> Outcome {
    // All devices together are the whole disks: their partitions are part of them.
    let whole_disks = catalogue
        .devices
        .iter()
        .filter(|(_, kind)| *kind != "partition");
    let devices: Vec<&str> = if device == "all" {
        whole_disks.map(|(device, _)| device.as_str()).collect()
    } else {
        vec![device]
    };
    match Measure::parse(key)? {
        Measure::Total(name) => {
            let values = devices
                .iter()
                .map(|device| items.whole(&series(name, device, direction)));
            let sum = values
                .flatten()
                .reduce(u64::wrapping_add)
                .ok_or(missing(NO_DISK))?;
            text::whole(out, if name == BYTES { sum / SECTOR } else { sum });
        }
        Measure::PerSecond(name, window) => {
            let history = items.history();
            let growth = |device: &&str| history.growth(&series(name, device, direction), window);
            // With one value only there is no speed yet; zabbix_agentd says zero as well.
            let speed = |growth: super::history::Growth| {
                if growth.seconds > 0.0 {
                    growth.by / growth.seconds
                } else {
                    0.0
                }
            };
            let sum = devices
                .iter()
                .filter_map(growth)
                .map(speed)
                .reduce(|a, b| a + b);
            let sum = sum.ok_or(missing(NO_DISK))?;
            text::float(
                out,
                if name == BYTES {
                    sum / SECTOR as f64
                } else {
                    sum
                },
            );
        }
    }
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "all items have one shape")]
pub(super) fn discovery(items: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    let catalogue = items.catalogue();
    let rows = catalogue.devices.iter().map(|(device, kind)| {
        let kind = if kind == "partition" {
            "partition"
        } else {
            "disk"
        };
        [
            ("{#DEVNAME}", device.clone()),
            ("{#DEVTYPE}", kind.to_owned()),
        ]
    });
    text::document(out, rows);
    Ok(())
}
