//! `agent.*`: who answers.

use super::table::{Items, Outcome};
use super::text;
use crate::serve::zabbix::item_key::ItemKey;
use crate::serve::zabbix::request::VARIANT;

#[expect(clippy::unnecessary_wraps, reason = "all items have one shape")]
pub(super) fn ping(_: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    out.push('1');
    Ok(())
}

/// Moonward's own version: an inventory should show what really runs.
#[expect(clippy::unnecessary_wraps, reason = "all items have one shape")]
pub(super) fn version(_: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    out.push_str(env!("CARGO_PKG_VERSION"));
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "all items have one shape")]
pub(super) fn hostname(items: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    if items.identity.hostname.is_empty() {
        out.push_str(&rustix::system::uname().nodename().to_string_lossy());
    } else {
        out.push_str(&items.identity.hostname);
    }
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "all items have one shape")]
pub(super) fn metadata(items: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    out.push_str(&items.identity.metadata);
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "all items have one shape")]
pub(super) fn variant(_: &Items, _: &ItemKey<'_>, out: &mut String) -> Outcome {
    text::whole(out, u64::from(VARIANT));
    Ok(())
}
