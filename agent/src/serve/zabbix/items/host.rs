//! `system.uptime`, `system.hostname` and other facts about the host as a whole.

use std::time::Duration;

use super::table::{Items, Outcome, invalid, missing};
use super::text;
use crate::serve::zabbix::item_key::ItemKey;

/// Whole seconds since boot; the store's own series has the fraction.
#[expect(clippy::unnecessary_wraps, reason = "all items have one shape")]
pub(super) fn uptime(items: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    let up = items.store.clock().uptime();
    text::whole(out, up.as_secs());
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "all items have one shape")]
pub(super) fn boot_time(items: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    let clock = items.store.clock();
    let up = clock.uptime();
    let boot = Duration::from_nanos(clock.wall().0).saturating_sub(up);
    text::whole(out, boot.as_secs());
    Ok(())
}

/// `utc` only: the wall clock in the host's zone would need the time zone database.
pub(super) fn local_time(items: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    match key.or(0, "utc") {
        "utc" => text::whole(out, items.store.clock().wall().seconds()),
        "local" => return Err(missing("Only the parameter \"utc\" is supported.")),
        _ => return Err(invalid(1)),
    }
    Ok(())
}

pub(super) fn hostname(_: &Items, key: &ItemKey<'_>, out: &mut String) -> Outcome {
    let uname = rustix::system::uname();
    let node = uname.nodename().to_string_lossy();
    let name = match key.or(0, "host") {
        "host" | "netbios" | "fqdn" => node.as_ref(),
        "shorthost" => node.split('.').next().unwrap_or_default(),
        _ => return Err(invalid(1)),
    };
    match key.or(1, "none") {
        "none" => out.push_str(name),
        "lower" => out.push_str(&name.to_lowercase()),
        _ => return Err(invalid(2)),
    }
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "all items have one shape")]
pub(super) fn uname(_: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    let uname = rustix::system::uname();
    let parts = [
        uname.sysname(),
        uname.nodename(),
        uname.release(),
        uname.version(),
        uname.machine(),
    ];
    let parts = parts.map(|part| part.to_string_lossy());
    out.push_str(&parts.join(" "));
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "all items have one shape")]
pub(super) fn architecture(_: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    out.push_str(&rustix::system::uname().machine().to_string_lossy());
    Ok(())
}

pub(super) fn users(items: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    let count = items.whole("system.users.count");
    text::whole(
        out,
        count.ok_or(missing("Cannot obtain the number of users."))?,
    );
    Ok(())
}
