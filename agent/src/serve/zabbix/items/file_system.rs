//! `vfs.fs.*`.

use std::fmt::Write as _;

use rustix::io::Errno;

use super::catalogue::Catalogue;
use super::table::{Items, Outcome, invalid, missing};
use super::text;
use crate::serve::zabbix::answer::{NotSupported, Refusal};
use crate::serve::zabbix::item_key::ItemKey;

/// Space or inodes of one file system. `free` is what an ordinary user may take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Amounts {
    total: u64,
    free: u64,
    used: u64,
}

impl Amounts {
    fn of(items: &Items, catalogue: &Catalogue, mount: &str, what: &str) -> Option<Self> {
        let amount = |kind: &str| {
            items.whole(catalogue.file_system_series(mount, &format!("{what}{kind}"))?)
        };
        let (free, used) = (amount("usage/free")?, amount("usage/used")?);
        let total =
            amount("limit/").unwrap_or_else(|| free + used + amount("usage/reserved").unwrap_or(0));
        Some(Self { total, free, used })
    }

    /// Space: what is reserved for root is neither free nor used, so the percentages leave it out.
    fn percent_of_space(self, part: u64) -> f64 {
        text::percent(part, self.free + self.used, 0.0)
    }

    fn write(self, mode: &str, percent: impl Fn(u64) -> f64, out: &mut String) -> Outcome {
        match mode {
            "total" => text::whole(out, self.total),
            "free" => text::whole(out, self.free),
            "used" => text::whole(out, self.used),
            "pfree" => text::float(out, percent(self.free)),
            "pused" => text::float(out, percent(self.used)),
            _ => return Err(invalid(2)),
        }
        Ok(())
    }

    fn write_space(self, mode: &str, out: &mut String) -> Outcome {
        self.write(mode, |part| self.percent_of_space(part), out)
    }

    /// A file system without inodes has none used and all free.
    fn write_inodes(self, mode: &str, out: &mut String) -> Outcome {
        let of_nothing = if mode == "pfree" { 100.0 } else { 0.0 };
        self.write(
            mode,
            |part| text::percent(part, self.total, of_nothing),
            out,
        )
    }
}

pub(super) fn size(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    let path = key
        .given(0)
        .ok_or(missing("Filesystem name cannot be empty."))?;
    let mode = checked_mode(key)?;
    let space = Amounts::of(items, &items.catalogue(), path, "");
    space.ok_or(Refusal::Slow)?.write_space(mode, out)
}

pub(super) fn inode(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    let path = key.given(0).ok_or(invalid(1))?;
    let mode = checked_mode(key)?;
    let inodes = Amounts::of(items, &items.catalogue(), path, "inodes.");
    inodes.ok_or(Refusal::Slow)?.write_inodes(mode, out)
}

/// Any path, as `zabbix_agentd` takes it: the file system below it. May hang, so on a worker.
pub(super) fn size_of_path(
    items: &Items,
    key: &ItemKey<'_>,
    out: &mut String,
) -> Result<(), NotSupported> {
    let status = stat(items, key.or(0, ""))?;
    let space = Amounts {
        total: status.f_blocks.saturating_mul(status.f_frsize),
        free: status.f_bavail.saturating_mul(status.f_frsize),
        used: status
            .f_blocks
            .saturating_sub(status.f_bfree)
            .saturating_mul(status.f_frsize),
    };
    space
        .write_space(key.or(1, "total"), out)
        .map_err(only_reason)
}

pub(super) fn inode_of_path(
    items: &Items,
    key: &ItemKey<'_>,
    out: &mut String,
) -> Result<(), NotSupported> {
    let status = stat(items, key.or(0, ""))?;
    let inodes = Amounts {
        total: status.f_files,
        free: status.f_ffree,
        used: status.f_files.saturating_sub(status.f_ffree),
    };
    inodes
        .write_inodes(key.or(1, "total"), out)
        .map_err(only_reason)
}

fn stat(items: &Items, path: &str) -> Result<rustix::fs::StatVfs, NotSupported> {
    rustix::fs::statvfs(items.root.path(path)).map_err(|error: Errno| {
        let text = std::io::Error::from(error).to_string();
        let text = text.split(" (os error").next().unwrap_or_default();
        let number = error.raw_os_error();
        NotSupported(format!("Cannot obtain filesystem information: [{number}] {text}").into())
    })
}

fn only_reason(refusal: Refusal) -> NotSupported {
    match refusal {
        Refusal::NotSupported(reason) => reason,
        Refusal::Slow => NotSupported::UNKNOWN_KEY,
    }
}

fn checked_mode<'a>(key: &'a ItemKey<'_>) -> Result<&'a str, Refusal> {
    match key.or(1, "total") {
        mode @ ("total" | "free" | "used" | "pfree" | "pused") => Ok(mode),
        _ => Err(invalid(2)),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "all items have one shape")]
pub(super) fn discovery(items: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    let catalogue = items.catalogue();
    let rows = catalogue.mounts.iter().map(|(mount_point, mount)| {
        [
            ("{#FSNAME}", mount_point.clone()),
            ("{#FSTYPE}", mount.kind.clone()),
        ]
    });
    text::document(out, rows);
    Ok(())
}

/// Every file system with its numbers in one document.
#[expect(clippy::unnecessary_wraps, reason = "all items have one shape")]
pub(super) fn get(items: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    let catalogue = items.catalogue();
    out.push('[');
    for (mount_point, mount) in &catalogue.mounts {
        // One that stopped answering has lost its values; the others stay.
        let Some(space) = Amounts::of(items, &catalogue, mount_point, "") else {
            continue;
        };
        let inodes = Amounts::of(items, &catalogue, mount_point, "inodes.").unwrap_or_default();
        out.push_str(if out.ends_with('[') {
            "{\"fsname\":"
        } else {
            ",{\"fsname\":"
        });
        text::json(out, mount_point);
        out.push_str(",\"fstype\":");
        text::json(out, &mount.kind);
        let space_percent = |part| space.percent_of_space(part);
        push_amounts(
            out,
            "bytes",
            space,
            space_percent(space.free),
            space_percent(space.used),
        );
        let inodes_free = text::percent(inodes.free, inodes.total, 100.0);
        let inodes_used = text::percent(inodes.used, inodes.total, 0.0);
        push_amounts(out, "inodes", inodes, inodes_free, inodes_used);
        out.push('}');
    }
    out.push(']');
    Ok(())
}

fn push_amounts(out: &mut String, name: &str, amounts: Amounts, free: f64, used: f64) {
    let Amounts {
        total,
        free: free_amount,
        used: used_amount,
    } = amounts;
    write!(
        out,
        ",\"{name}\":{{\"total\":{total},\"free\":{free_amount},\"used\":{used_amount},\
         \"pfree\":{free:.6},\"pused\":{used:.6}}}"
    )
    .unwrap_or_default();
}
