//! `net.if.*`.

use super::table::{Items, Outcome, invalid, missing};
use super::text;
use crate::serve::zabbix::answer::{NotSupported, Refusal};
use crate::serve::zabbix::item_key::ItemKey;

const NO_INTERFACE: NotSupported =
    NotSupported::because("Cannot find information for this network interface in /proc/net/dev.");

/// The columns of /proc/net/dev behind the interface's name: first those received, then the sent.
const RECEIVED: [&str; 8] = [
    "bytes",
    "packets",
    "errors",
    "dropped",
    "overruns",
    "frame",
    "compressed",
    "multicast",
];
const TRANSMITTED: [&str; 8] = [
    "bytes",
    "packets",
    "errors",
    "dropped",
    "overruns",
    "collisions",
    "carrier",
    "compressed",
];
/// What `net.if.total` can add up.
const BOTH: [&str; 6] = [
    "bytes",
    "packets",
    "errors",
    "dropped",
    "overruns",
    "compressed",
];

pub(super) fn received(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    answer(items, key, &RECEIVED, &["receive"], out)
}

pub(super) fn transmitted(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    answer(items, key, &TRANSMITTED, &["transmit"], out)
}

pub(super) fn total(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    answer(items, key, &BOTH, &["receive", "transmit"], out)
}

pub(super) fn collisions(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    let series = format!(
        "system.network.collisions{{interface=\"{}\"}}",
        interface(key)?
    );
    text::whole(out, items.whole(&series).ok_or(Refusal::Slow)?);
    Ok(())
}

fn interface<'a>(key: &'a ItemKey<'_>) -> Result<&'a str, Refusal> {
    key.given(0)
        .ok_or(missing("Network interface name cannot be empty."))
}

/// Answers from the store; an interface that it does not know yet, from the file.
fn answer(
    items: &Items,
    key: &ItemKey<'_>,
    modes: &[&str],
    directions: &[&str],
    out: &mut String,
) -> Outcome {
    let interface = interface(key)?;
    let mode = key.or(1, "bytes");
    if !modes.contains(&mode) {
        return Err(invalid(2));
    }
    // The few that the kernel counts in one direction only have no tag for it.
    let (name, has_direction) = match mode {
        "frame" => ("system.network.frame", false),
        "multicast" => ("system.network.multicast", false),
        "collisions" => ("system.network.collisions", false),
        "carrier" => ("system.network.carrier", false),
        "overruns" => ("system.network.fifo", true),
        "compressed" => ("system.network.compressed", true),
        "bytes" => ("system.network.io", true),
        "packets" => ("system.network.packet.count", true),
        "errors" => ("system.network.errors", true),
        _ => ("system.network.packet.dropped", true),
    };
    let mut sum = 0_u64;
    for direction in directions {
        let series = if has_direction {
            format!("{name}{{direction=\"{direction}\",interface=\"{interface}\"}}")
        } else {
            format!("{name}{{interface=\"{interface}\"}}")
        };
        sum = sum.wrapping_add(items.whole(&series).ok_or(Refusal::Slow)?);
    }
    text::whole(out, sum);
    Ok(())
}

/// Reads the interface's line of /proc/net/dev.
pub(super) fn from_file(
    items: &Items,
    key: &ItemKey<'_>,
    out: &mut String,
) -> Result<(), NotSupported> {
    let content = items.read_file("/proc/net/dev")?;
    let line = content.lines().find_map(|line| {
        let (name, numbers) = line.split_once(':')?;
        (name.trim() == key.or(0, "")).then_some(numbers)
    });
    let numbers: Vec<u64> = line
        .ok_or(NO_INTERFACE)?
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    let column = |names: &[&str], mode: &str, from: usize| {
        let at = names.iter().position(|name| *name == mode)?;
        numbers.get(from + at).copied()
    };
    let mode = key.or(1, "bytes");
    let received = || column(&RECEIVED, mode, 0);
    let transmitted = || column(&TRANSMITTED, mode, RECEIVED.len());
    let value = match key.name {
        "net.if.in" => received(),
        "net.if.out" => transmitted(),
        "net.if.total" => received()
            .zip(transmitted())
            .map(|(r, t)| r.wrapping_add(t)),
        _ => column(&TRANSMITTED, "collisions", RECEIVED.len()),
    };
    text::whole(out, value.ok_or(NO_INTERFACE)?);
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "all items have one shape")]
pub(super) fn discovery(items: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    let catalogue = items.catalogue();
    text::document(
        out,
        catalogue
            .interfaces
            .iter()
            .map(|name| [("{#IFNAME}", name.clone())]),
    );
    Ok(())
}
