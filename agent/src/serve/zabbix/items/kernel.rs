//! `kernel.*`: the limits of the kernel, from the store, else from the file itself.

use super::table::{Items, Outcome};
use super::text;
use crate::serve::zabbix::answer::{NotSupported, Refusal};
use crate::serve::zabbix::item_key::ItemKey;

pub(super) fn known_max_files(items: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    from_store(items, "system.linux.file_handle.limit", out)
}

pub(super) fn known_max_processes(items: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    from_store(items, "system.process.limit", out)
}

pub(super) fn known_open_files(items: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    from_store(items, "system.linux.file_handle.count", out)
}

fn from_store(items: &Items, series: &str, out: &mut String) -> Outcome {
    text::whole(out, items.whole(series).ok_or(Refusal::Slow)?);
    Ok(())
}

pub(super) fn max_files(
    items: &Items,
    _: &ItemKey<'_>,
    out: &mut String,
) -> Result<(), NotSupported> {
    first_number(items, "/proc/sys/fs/file-max", out)
}

pub(super) fn max_processes(
    items: &Items,
    _: &ItemKey<'_>,
    out: &mut String,
) -> Result<(), NotSupported> {
    first_number(items, "/proc/sys/kernel/pid_max", out)
}

pub(super) fn open_files(
    items: &Items,
    _: &ItemKey<'_>,
    out: &mut String,
) -> Result<(), NotSupported> {
    first_number(items, "/proc/sys/fs/file-nr", out)
}

fn first_number(items: &Items, path: &str, out: &mut String) -> Result<(), NotSupported> {
    let content = items.read_file(path)?;
    let number = content
        .split_whitespace()
        .next()
        .and_then(|word| word.parse::<u64>().ok());
    let number = number.ok_or(NotSupported::because("Cannot obtain kernel information."))?;
    text::whole(out, number);
    Ok(())
}
