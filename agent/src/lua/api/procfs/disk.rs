//! Disks, mounts and file systems.

use mlua::{Lua, Table};
use procfs_core::DiskStat;

use super::{Answer, Module, fill, found, missing, unreadable};
use crate::collect::Root;
use crate::collect::disk::device::{directory, word};
use crate::collect::filesystem::Answer as Figures;
use crate::collect::filesystem::asking::Outcome;
use crate::collect::mountinfo::{self, Mount};
use crate::lua::context::Services;

const DISKSTATS: &str = "/proc/diskstats";

/// The most devices below a device that are listed.
const SLAVES_MAX: usize = 256;

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("diskstats", |lua, context, _| {
        let text = match context.services.root.read(DISKSTATS) {
            Ok(text) => text,
            Err(error) => return unreadable(lua, &error),
        };
        let list = lua.create_table()?;
        let mut skipped = 0;
        for line in text.lines().filter(|line| !line.is_empty()) {
            match DiskStat::from_line(line) {
                Ok(line) => list.raw_push(disk(lua, &line)?)?,
                Err(_) => skipped += 1,
            }
        }
        found(lua, list, skipped)
    })?;
    module.function("block", |lua, context, arguments| {
        let name = arguments.text(1)?;
        match block(lua, &context.services.root, &name)? {
            Some(table) => found(lua, table, 0),
            None => missing(lua, &format!("there is no block device {name:?}")),
        }
    })?;
    module.function("mounts", |lua, context, _| {
        mounts(lua, &context.services.root)
    })?;
    module.function("filesystems", |lua, context, _| {
        filesystems(lua, &context.services)
    })
}

fn disk(lua: &Lua, line: &DiskStat) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 20)?;
    table.raw_set("device", line.name.as_str())?;
    table.raw_set("major", line.major)?;
    table.raw_set("minor", line.minor)?;
    fill(
        &table,
        &[
            ("reads", Some(line.reads)),
            ("reads_merged", Some(line.merged)),
            ("sectors_read", Some(line.sectors_read)),
            ("read_ms", Some(line.time_reading)),
            ("writes", Some(line.writes)),
            ("writes_merged", Some(line.writes_merged)),
            ("sectors_written", Some(line.sectors_written)),
            ("write_ms", Some(line.time_writing)),
            ("in_flight", Some(line.in_progress)),
            ("io_ms", Some(line.time_in_progress)),
            ("weighted_ms", Some(line.weighted_time_in_progress)),
            ("discards", line.discards),
            ("discards_merged", line.discards_merged),
            ("sectors_discarded", line.sectors_discarded),
            ("discard_ms", line.time_discarding),
            ("flushes", line.flushes),
            ("flush_ms", line.time_flushing),
        ],
    )?;
    Ok(table)
}

/// What sysfs says of a device; none when there is no such device.
fn block(lua: &Lua, root: &Root, name: &str) -> mlua::Result<Option<Table>> {
    let Some((folder, disk)) = place(root, name) else {
        return Ok(None);
    };
    let table = lua.create_table()?;
    let whole = directory(&disk);
    let size = word(root, &format!("{folder}/size")).and_then(|word| word.parse().ok());
    fill(&table, &[("size", size)])?;
    table.raw_set("dm_name", word(root, &format!("{folder}/dm/name")))?;
    table.raw_set("md_level", word(root, &format!("{folder}/md/level")))?;
    // Partitions have no queue of their own.
    let rotational = word(root, &format!("{whole}/queue/rotational"));
    table.raw_set("rotational", rotational.map(|flag| flag != "0"))?;
    let slaves = root.names(&format!("{folder}/slaves"));
    let slaves = slaves.into_iter().take(SLAVES_MAX);
    let slaves = lua.create_sequence_from(slaves.map(|name| name.replace('!', "/")))?;
    table.raw_set("slaves", slaves)?;
    table.raw_set("partition", disk != name)?;
    table.raw_set("disk", disk)?;
    Ok(Some(table))
}

/// The directory of a device, and the whole disk that it is or is on.
fn place(root: &Root, name: &str) -> Option<(String, String)> {
    // The name becomes part of a path.
    if name.is_empty() || name.starts_with('.') || name.contains(['!', '\0']) || name.len() > 255 {
        return None;
    }
    let is_there = |folder: &str| word(root, &format!("{folder}/size")).is_some();
    let folder = directory(name);
    if is_there(&folder) {
        return Some((folder, name.to_owned()));
    }
    // A partition is a directory in that of its disk, whose name its own begins with.
    let entry = name.replace('/', "!");
    root.names("/sys/block").into_iter().find_map(|disk| {
        let folder = format!("/sys/block/{disk}/{entry}");
        (entry.starts_with(&disk) && is_there(&folder)).then(|| (folder, disk.replace('!', "/")))
    })
}

fn mounts(lua: &Lua, root: &Root) -> Answer {
    let list = lua.create_table()?;
    let mut skipped = 0;
    match mountinfo::text(root) {
        Ok((text, ..)) => {
            for line in text.lines().filter(|line| !line.is_empty()) {
                match Mount::read(line) {
                    Some(mount) => list.raw_push(mount_of(lua, line, &mount)?)?,
                    None => skipped += 1,
                }
            }
        }
        Err(error) => {
            // Kernels before 2.6.26, and trees that somebody made, have only this.
            let Ok(text) = root.read("/proc/mounts") else {
                return unreadable(lua, &error);
            };
            for line in text.lines().filter(|line| !line.is_empty()) {
                let mut words = line.split(' ');
                let mut next = || words.next();
                let (Some(device), Some(point), Some(kind), Some(options)) =
                    (next(), next(), next(), next())
                else {
                    skipped += 1;
                    continue;
                };
                let device = mountinfo::unescape(device);
                let kind = mountinfo::unescape(kind);
                // This file has no numbers of devices.
                list.raw_push(mount_table(lua, &device, point, &kind, options)?)?;
            }
        }
    }
    found(lua, list, skipped)
}

fn mount_of(lua: &Lua, line: &str, mount: &Mount) -> mlua::Result<Table> {
    let mut words = line.split(' ').skip(4);
    let point = words.next().unwrap_or_default();
    let own = words.next().unwrap_or_default();
    let of_all = words
        .skip_while(|word| *word != "-")
        .nth(3)
        .unwrap_or_default();
    // As in /proc/mounts: the mount's own options, and those of the file system behind them.
    let mut options = if mount.read_only { "ro" } else { "rw" }.to_owned();
    for option in own.split(',').chain(of_all.split(',')) {
        if !matches!(option, "" | "ro" | "rw") {
            options.push(',');
            options.push_str(option);
        }
    }
    let table = mount_table(lua, &mount.source, point, &mount.kind, &options)?;
    let (major, minor) = mount.device;
    table.raw_set("major", major)?;
    table.raw_set("minor", minor)?;
    Ok(table)
}

fn mount_table(
    lua: &Lua,
    device: &str,
    point: &str,
    kind: &str,
    options: &str,
) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 7)?;
    table.raw_set("device", device)?;
    table.raw_set("mountpoint", mountinfo::unescape(point))?;
    table.raw_set("raw_mountpoint", point)?;
    table.raw_set("type", kind)?;
    table.raw_set("options", mountinfo::unescape(options))?;
    Ok(table)
}

fn filesystems(lua: &Lua, services: &Services) -> Answer {
    let (mounts, mut skipped) = match mountinfo::text(&services.root) {
        Ok((_, mounts, lost)) => (mounts, lost),
        Err(error) => return unreadable(lua, &error),
    };
    let (measured, beyond) = services.measure_filesystems(mounts);
    skipped = skipped.saturating_add(beyond as u64);
    let list = lua.create_table()?;
    for (mount, outcome) in measured {
        match outcome {
            Outcome::Answered(Ok(figures)) if figures.blocks == 0 => {}
            Outcome::Answered(Ok(figures)) => list.raw_push(filesystem(lua, &mount, &figures)?)?,
            _ => skipped += 1,
        }
    }
    found(lua, list, skipped)
}

fn filesystem(lua: &Lua, mount: &Mount, figures: &Figures) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 13)?;
    table.raw_set("device", mount.source.as_str())?;
    table.raw_set("mountpoint", mount.point.as_str())?;
    table.raw_set("type", mount.kind.as_str())?;
    table.raw_set("read_only", mount.read_only)?;
    let has_inodes = figures.inodes > 0;
    fill(
        &table,
        &[
            ("size", Some(figures.limit())),
            ("used", Some(figures.used())),
            (
                "free",
                Some(figures.free().saturating_add(figures.reserved())),
            ),
            ("available", Some(figures.free())),
            ("inodes", has_inodes.then_some(figures.inodes)),
            ("inodes_free", has_inodes.then_some(figures.inodes_free)),
            ("inodes_used", has_inodes.then(|| figures.inodes_used())),
        ],
    )?;
    table.raw_set("utilization", figures.utilization())?;
    if has_inodes {
        table.raw_set("inodes_utilization", figures.inodes_utilization())?;
    }
    Ok(table)
}
