//! `moonward.discovery[...]`: what there is, for low-level discovery rules.

use super::table::{Items, Outcome, invalid};
use super::text;
use crate::serve::zabbix::item_key::ItemKey;

pub(super) fn document(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    let catalogue = items.catalogue();
    match key.or(0, "") {
        "devices" => text::document(
            out,
            catalogue
                .devices
                .iter()
                .map(|(name, kind)| [("{#DEVICE}", name.clone()), ("{#KIND}", kind.clone())]),
        ),
        "mounts" => text::document(
            out,
            catalogue.mounts.iter().map(|(mount_point, mount)| {
                [
                    ("{#MOUNTPOINT}", mount_point.clone()),
                    ("{#DEVICE}", mount.device.clone()),
                    ("{#FSTYPE}", mount.kind.clone()),
                ]
            }),
        ),
        "interfaces" => {
            let names = catalogue.interfaces.iter();
            text::document(out, names.map(|name| [("{#IFNAME}", name.clone())]));
        }
        "nodes" => {
            let nodes = catalogue.nodes.iter();
            text::document(out, nodes.map(|node| [("{#NUMA_NODE}", node.to_string())]));
        }
        "units" => text::document(
            out,
            catalogue.units.iter().map(|(name, unit)| {
                [
                    ("{#UNIT}", name.clone()),
                    ("{#UNIT.TYPE}", unit.kind.clone()),
                ]
            }),
        ),
        _ => return Err(invalid(1)),
    }
    Ok(())
}
