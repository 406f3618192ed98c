//! The `Server` allow-list: who may ask.
//!
//! Addresses, networks and DNS names as Zabbix's `Server=` takes them. Checking an address does no
//! I/O: names are resolved by [`AllowList::resolve`], which blocks; [`super::resolver`] runs it on a
//! thread of its own. A name that does not resolve keeps its last addresses; an empty list denies everybody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::sync::{Arc, PoisonError, RwLock};

use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;

/// An entry of the list that is neither an address, a network, nor a DNS name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{entry:?} is neither an IP address, a network such as 10.0.0.0/8, nor a DNS name")]
pub struct AccessError {
    /// The entry as written.
    pub entry: String,
}

/// Who may ask. Cheap to check; clones share what their names resolved to.
#[derive(Clone, Debug, Default)]
pub struct AllowList {
    networks: Vec<IpNet>,
    names: Vec<Name>,
}

#[derive(Clone, Debug)]
struct Name {
    text: String,
    addresses: Arc<RwLock<Arc<[IpAddr]>>>,
}

impl AllowList {
    /// Reads a comma-separated list; spaces around an entry do not count. Every bad entry is
    /// reported, not only the first. Names match nothing until [`Self::resolve`] has run.
    pub fn parse(list: &str) -> Result<Self, Vec<AccessError>> {
        Self::from_entries(list.split(','))
    }

    /// The same from separate entries; empty ones are skipped.
    pub fn from_entries<'a>(
        entries: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Vec<AccessError>> {
        let mut allowed = Self::default();
        let mut errors = Vec::new();
        for entry in entries
            .into_iter()
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
        {
            if let Some(network) = parse_network(entry) {
                allowed.networks.push(network);
            } else if is_dns_name(entry) {
                allowed.names.push(Name {
                    text: entry.to_owned(),
                    addresses: Arc::new(RwLock::new(Arc::from([]))),
                });
            } else {
                errors.push(AccessError {
                    entry: entry.to_owned(),
                });
            }
        }
        if errors.is_empty() {
            Ok(allowed)
        } else {
            Err(errors)
        }
    }

    /// Whether the list holds names, so that [`Self::resolve`] is worth a thread.
    pub fn has_names(&self) -> bool {
        !self.names.is_empty()
    }

    /// Whether `peer` may ask.
    pub fn allows(&self, peer: IpAddr) -> bool {
        let peer = canonical(peer);
        // `::/0` and mapped networks are meant for IPv4 peers as well.
        let mapped = match peer {
            IpAddr::V4(v4) => Some(IpAddr::V6(v4.to_ipv6_mapped())),
            IpAddr::V6(_) => None,
        };
        self.networks
            .iter()
            .any(|net| net.contains(&peer) || mapped.is_some_and(|peer| net.contains(&peer)))
            || self.names.iter().any(|name| name.current().contains(&peer))
    }

    /// Looks all names up with the system's resolver. Blocks as long as that does.
    ///
    /// Returns the names that could not be looked up, with the reason; they keep what they had.
    pub fn resolve(&self) -> Vec<(String, std::io::Error)> {
        self.resolve_with(|name| Ok((name, 0).to_socket_addrs()?.map(|a| a.ip()).collect()))
    }

    fn resolve_with(
        &self,
        lookup: impl Fn(&str) -> std::io::Result<Vec<IpAddr>>,
    ) -> Vec<(String, std::io::Error)> {
        let mut failed = Vec::new();
        for name in &self.names {
            match lookup(&name.text) {
                Ok(found) => {
                    let found: Arc<[IpAddr]> = found.into_iter().map(canonical).collect();
                    *name
                        .addresses
                        .write()
                        .unwrap_or_else(PoisonError::into_inner) = found;
                }
                Err(error) => failed.push((name.text.clone(), error)),
            }
        }
        failed
    }
}

impl Name {
    fn current(&self) -> Arc<[IpAddr]> {
        Arc::clone(
            &self
                .addresses
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

/// IPv4 in its IPv6 clothes (`::ffff:a.b.c.d`, and the old `::a.b.c.d`) becomes IPv4.
fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => v6
            .to_ipv4_mapped()
            .or_else(|| compatible(v6))
            .map_or(address, IpAddr::V4),
    }
}

/// `::a.b.c.d`, but neither `::` nor `::1`, nor any other small number that only looks like one.
fn compatible(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = address.to_bits();
    let low = u32::try_from(bits).ok()?;
    (low > 0xffff).then(|| Ipv4Addr::from_bits(low))
}

fn parse_network(entry: &str) -> Option<IpNet> {
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(IpNet::from(canonical(address)));
    }
    let network = entry.parse::<IpNet>().ok()?;
    // `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
    if let IpNet::V6(v6) = network
        && let (Some(v4), Some(prefix)) =
            (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96))
    {
        return Ipv4Net::new(v4, prefix).ok().map(IpNet::V4);
    }
    Some(network)
}

/// RFC 1123 host names; a text of digits and dots only is a mistyped address, not a name.
fn is_dns_name(text: &str) -> bool {
    let labels_are_fine = text.trim_end_matches('.').split('.').all(|label| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
    });
    labels_are_fine && text.len() <= 253 && text.bytes().any(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use std::io;

    use proptest::prelude::*;

    use super::*;

    fn allows(list: &str, peer: &str) -> bool {
        AllowList::parse(list)
            .unwrap()
            .allows(peer.parse().unwrap())
    }

    #[test]
    fn addresses_and_networks_match_as_zabbix_matches_them() {
        for (list, peer, want) in [
            ("", "127.0.0.1", false),
            (" , ,", "127.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("::127.0.0.1", "127.0.0.1", true),
            ("::ffff:127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("10.0.0.0/8, 192.0.2.7", "10.255.1.2", true),
            ("10.0.0.0/8, 192.0.2.7", "11.0.0.0", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "203.0.113.9", true),
            ("::/0", "2001:db8::1", true),
            ("::ffff:10.0.0.0/104", "10.2.3.4", true),
            ("::ffff:10.0.0.0/104", "11.2.3.4", false),
            ("2001:db8::/32", "2001:db8:1::5", true),
            ("::1", "::1", true),
            ("::1", "0.0.0.1", false),
        ] {
            assert_eq!(allows(list, peer), want, "{list:?} with {peer}");
        }
    }

    #[test]
    fn every_bad_entry_is_reported() {
        let errors = AllowList::parse("10.0.0.0/33, fine.example, 300.1.1.1, a b, ok").unwrap_err();
        let entries: Vec<_> = errors.iter().map(|error| error.entry.as_str()).collect();
        assert_eq!(entries, ["10.0.0.0/33", "300.1.1.1", "a b"]);
    }

    #[test]
    fn names_match_what_they_last_resolved_to() {
        let list = AllowList::parse("monitor.example").unwrap();
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(list.has_names() && !list.allows(peer));
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        assert!(list.resolve_with(|_| Ok(vec![mapped])).is_empty());
        assert!(list.allows(peer));
        let failed = list.resolve_with(|_| Err(io::Error::other("no answer")));
        assert_eq!(failed[0].0, "monitor.example");
        assert!(
            list.allows(peer),
            "a dead resolver must not lock the server out"
        );
        assert!(list.resolve_with(|_| Ok(vec![])).is_empty());
        assert!(!list.allows(peer));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_an_address_allows_itself(text in ".{0,60}", bits in any::<u128>()) {
            drop(AllowList::parse(&text));
            let peer = IpAddr::V6(Ipv6Addr::from_bits(bits));
            let list = AllowList::parse(&peer.to_string()).unwrap();
            prop_assert!(list.allows(peer));
        }
    }
}
