//! `net.tcp.listen` and `net.udp.listen`.

use super::table::Items;
use super::text;
use crate::serve::zabbix::answer::NotSupported;
use crate::serve::zabbix::item_key::ItemKey;

pub(super) fn tcp_listen(
    items: &Items,
    key: &ItemKey<'_>,
    out: &mut String,
) -> Result<(), NotSupported> {
    // 0A is TCP_LISTEN.
    listens(items, key, ["/proc/net/tcp", "/proc/net/tcp6"], "0A", out)
}

pub(super) fn udp_listen(
    items: &Items,
    key: &ItemKey<'_>,
    out: &mut String,
) -> Result<(), NotSupported> {
    // 07 is TCP_CLOSE: a UDP socket that is bound and not connected.
    listens(items, key, ["/proc/net/udp", "/proc/net/udp6"], "07", out)
}

fn listens(
    items: &Items,
    key: &ItemKey<'_>,
    files: [&str; 2],
    state: &str,
    out: &mut String,
) -> Result<(), NotSupported> {
    let port = key.given(0).and_then(|port| port.parse::<u16>().ok());
    let port = port.ok_or(NotSupported::because("Invalid first parameter."))?;
    let mut found = false;
    for file in files {
        // A kernel without IPv6 has no second file.
        let content = items.root.read(file).unwrap_or_default();
        found |= content
            .lines()
            .skip(1)
            .any(|line| is_bound(line, port, state).unwrap_or(false));
    }
    text::whole(out, u64::from(found));
    Ok(())
}

/// `sl local_address rem_address st ...`, with addresses as `hex:hex`.
fn is_bound(line: &str, port: u16, state: &str) -> Option<bool> {
    let mut fields = line.split_whitespace().skip(1);
    let (_, local_port) = fields.next()?.rsplit_once(':')?;
    let line_state = fields.nth(1)?;
    Some(line_state == state && u16::from_str_radix(local_port, 16) == Ok(port))
}
