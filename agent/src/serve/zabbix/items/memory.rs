//! `vm.memory.size` and `system.swap.*`.

use super::table::{Items, Outcome, invalid};
use super::text;
use crate::serve::zabbix::answer::{NotSupported, Refusal};
use crate::serve::zabbix::item_key::ItemKey;

const NO_MEMORY: NotSupported = NotSupported::because("Cannot obtain memory information.");
const NO_SWAP: NotSupported = NotSupported::because("Cannot obtain swap information.");

/// Answers from the store; what it does not hold comes from `/proc/meminfo`, on a worker.
pub(super) fn size(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    let series = |name: &str| items.whole(name).ok_or(Refusal::Slow);
    let field = |name: &str| series(&format!("system.linux.memory.info{{field=\"{name}\"}}"));
    let state = |state: &str| series(&format!("system.memory.usage{{state=\"{state}\"}}"));
    write_mode(
        key,
        out,
        || series("system.memory.limit"),
        || state("free"),
        || series("system.linux.memory.available"),
        |mode| match mode {
            "buffers" => state("buffers"),
            other => field(meminfo_name(other)),
        },
    )
}

/// The kernel's name of what Zabbix calls otherwise. Its `cached` is the bare page cache.
const fn meminfo_name(mode: &str) -> &'static str {
    match mode.as_bytes() {
        b"buffers" => "Buffers",
        b"cached" => "Cached",
        b"active" => "Active",
        b"inactive" => "Inactive",
        b"anon" => "AnonPages",
        _ => "Slab",
    }
}

pub(super) fn size_from_file(
    items: &Items,
    key: &ItemKey<'_>,
    out: &mut String,
) -> Result<(), NotSupported> {
    let content = items.read_file("/proc/meminfo")?;
    let field = |name: &str| {
        let line = content
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes
            .map(|kibibytes| kibibytes * 1024)
            .ok_or(Refusal::NotSupported(NO_MEMORY))
    };
    let written = write_mode(
        key,
        out,
        || field("MemTotal"),
        || field("MemFree"),
        || field("MemAvailable"),
        |mode| field(meminfo_name(mode)),
    );
    written.map_err(|refusal| match refusal {
        Refusal::NotSupported(reason) => reason,
        Refusal::Slow => NO_MEMORY,
    })
}

/// Zabbix's modes over the four things they are made of. Its `used` is everything that is not free,
/// caches included; its `available` is the kernel's `MemAvailable`.
fn write_mode(
    key: &ItemKey<'_>,
    out: &mut String,
    total: impl Fn() -> Result<u64, Refusal>,
    free: impl Fn() -> Result<u64, Refusal>,
    available: impl Fn() -> Result<u64, Refusal>,
    other: impl Fn(&str) -> Result<u64, Refusal>,
) -> Outcome {
    let used = || Ok::<_, Refusal>(total()?.saturating_sub(free()?));
    match key.or(0, "total") {
        "total" => text::whole(out, total()?),
        "free" => text::whole(out, free()?),
        "used" => text::whole(out, used()?),
        "pused" => text::float(out, text::percent(used()?, total()?, 0.0)),
        "available" => text::whole(out, available()?),
        "pavailable" => text::float(out, text::percent(available()?, total()?, 0.0)),
        mode @ ("buffers" | "cached" | "active" | "inactive" | "anon" | "slab") => {
            text::whole(out, other(mode)?);
        }
        "shared" => {
            return Err(NotSupported::because("Supported for Linux 2.4 only.").into());
        }
        _ => return Err(invalid(1)),
    }
    Ok(())
}

/// From sysinfo(2), which does not block.
pub(super) fn swap_size(_: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    if key.or(0, "all") != "all" {
        return Err(invalid(1));
    }
    let info = rustix::system::sysinfo();
    let unit = u64::from(info.mem_unit.max(1));
    // The fields are `unsigned long`, which is narrower on some machines.
    #[expect(clippy::useless_conversion, reason = "not on 32-bit machines")]
    let (total, free) = (
        u64::from(info.totalswap) * unit,
        u64::from(info.freeswap) * unit,
    );
    let used = total.saturating_sub(free);
    match key.or(1, "free") {
        "free" => text::whole(out, free),
        "total" => text::whole(out, total),
        "used" => text::whole(out, used),
        "pfree" => text::float(out, text::percent(free, total, 100.0)),
        "pused" => text::float(out, text::percent(used, total, 0.0)),
        _ => return Err(invalid(2)),
    }
    Ok(())
}

pub(super) fn swap_in(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    swap_traffic(items, key, "in", out)
}

pub(super) fn swap_out(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    swap_traffic(items, key, "out", out)
}

/// Pages of all devices are in the store; the rest few ask for.
fn swap_traffic(items: &Items, key: &ItemKey<'_>, way: &str, out: &mut String) -> Outcome {
    match key.or(1, "pages") {
        "pages" if key.or(0, "all") == "all" => {
            let series = format!("system.paging.operations{{direction=\"{way}\"}}");
            text::whole(out, items.whole(&series).ok_or(Refusal::Slow)?);
            Ok(())
        }
        "pages" | "count" | "sectors" => Err(Refusal::Slow),
        _ => Err(invalid(2)),
    }
}

/// Pages from `/proc/vmstat`; operations and sectors of the swap partitions from `/proc/diskstats`.
pub(super) fn swap_from_file(
    items: &Items,
    key: &ItemKey<'_>,
    out: &mut String,
) -> Result<(), NotSupported> {
    let into_memory = key.name == "system.swap.in";
    let (device, kind) = (key.or(0, "all"), key.or(1, "pages"));
    if kind == "pages" {
        if device != "all" {
            return Err(NO_SWAP);
        }
        let content = items.read_file("/proc/vmstat")?;
        let name = if into_memory { "pswpin " } else { "pswpout " };
        let pages = content
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        text::whole(out, pages.ok_or(NO_SWAP)?);
        return Ok(());
    }
    let swaps = items.read_file("/proc/swaps")?;
    let partitions: Vec<&str> = swaps
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next()?.strip_prefix("/dev/"))
        .filter(|name| device == "all" || device.strip_prefix("/dev/").unwrap_or(device) == *name)
        .collect();
    if partitions.is_empty() && device != "all" {
        return Err(NO_SWAP);
    }
    // Fields of /proc/diskstats from zero: 3 reads, 5 sectors read, 7 writes, 9 sectors written.
    let field = match (into_memory, kind) {
        (true, "count") => 3,
        (true, _) => 5,
        (false, "count") => 7,
        (false, _) => 9,
    };
    let disks = items.read_file("/proc/diskstats")?;
    let sum = disks
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.get(2).is_some_and(|name| partitions.contains(name)))
        .filter_map(|fields| fields.get(field)?.parse::<u64>().ok())
        .sum();
    text::whole(out, sum);
    Ok(())
}
