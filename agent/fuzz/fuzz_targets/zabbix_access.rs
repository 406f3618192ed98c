//! Allow-lists: no text panics, and a list that parses can be asked.
#![no_main]

use std::net::{IpAddr, Ipv6Addr};

use libfuzzer_sys::fuzz_target;
use moonward::serve::zabbix::access::AllowList;

fuzz_target!(|input: (&str, u128)| {
    let (text, bits) = input;
    if let Ok(list) = AllowList::parse(text) {
        let peer = IpAddr::V6(Ipv6Addr::from_bits(bits));
        let anybody = text.split(',').any(|entry| entry.trim() == "::/0");
        assert!(!anybody || list.allows(peer));
    }
});
