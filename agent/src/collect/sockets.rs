//! Protocol counters and socket numbers of the whole machine.
//!
//! | kernel file | series | kind and unit |
//! |---|---|---|
//! | `/proc/net/snmp`, `/proc/net/snmp6` | `system.network.snmp{field,protocol}` | counter; By where the field counts octets; gauge for settings and levels |
//! | `/proc/net/netstat` | `system.network.netstat{field,protocol}` | counter, as above |
//! | `/proc/net/sockstat`, `/proc/net/sockstat6` | `system.network.sockets{family=ipv4\|ipv6,protocol,state=inuse\|orphan\|tw\|alloc}` | gauge, `{socket}` |
//! | | `system.network.sockets.memory{family,protocol}` | gauge, By |
//! | | `system.network.sockets.used` | gauge, `{socket}` of every kind |
//! | both | `system.network.connection.count{state=established\|time_wait,transport=tcp}` | gauge, `{connection}` |
//!
//! Every field that the kernel has is passed on under the kernel's own name, without a list of
//! known ones: kernels add some with every release. That is why `procfs-core`, which knows a fixed
//! set and fails when one is missing, does not do. The kernel counts a connection in CLOSE-WAIT as
//! established here (RFC 4022). Reads only.

use super::{Collector, Round};
use crate::model::{Batch, Unit};

const SOCKETS: Unit = Unit::new("{socket}");
const CONNECTIONS: Unit = Unit::new("{connection}");

/// The most fields of one protocol; the longest list of today, TcpExt, has some 130.
const FIELDS_MAX: usize = 1024;

/// What in `/proc/net/snmp` and its like is a setting or a level rather than a count.
const LEVELS: [(&str, &str); 8] = [
    ("Ip", "DefaultTTL"),
    ("Ip", "Forwarding"),
    ("MPTcpExt", "MPCurrEstab"),
    ("Tcp", "CurrEstab"),
    ("Tcp", "MaxConn"),
    ("Tcp", "RtoAlgorithm"),
    ("Tcp", "RtoMax"),
    ("Tcp", "RtoMin"),
];

/// The beginnings of the names in `/proc/net/snmp6`, which has no headings.
const PROTOCOLS_6: [&str; 4] = ["Icmp6", "Ip6", "UdpLite6", "Udp6"];

/// Measures protocols and sockets.
#[derive(Debug, Default)]
pub struct Sockets {
    text: String,
}

impl Sockets {
    /// A collector that has read nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file that this machine need not have: without IPv6, half of them are missing.
    fn read(&mut self, round: &mut Round<'_>, path: &str, optional: bool) -> bool {
        match round.root.read_into(path, &mut self.text) {
            Ok(()) => true,
            Err(error) => {
                if !(optional && error.source.kind() == std::io::ErrorKind::NotFound) {
                    round.lost_file(&error);
                }
                false
            }
        }
    }
}

impl Collector for Sockets {
    fn name(&self) -> &'static str {
        "sockets"
    }

    fn collect(&mut self, round: &mut Round<'_>) {
        for (path, series) in [
            ("/proc/net/snmp", "system.network.snmp"),
            ("/proc/net/netstat", "system.network.netstat"),
        ] {
            if !self.read(round, path, false) {
                continue;
            }
            let batch = &mut *round.batch;
            let lost = pairs(&self.text, |protocol, field, value| {
                add_field(batch, series, protocol, field, value);
            });
            note(round, path, lost);
        }
        if self.read(round, "/proc/net/snmp6", true) {
            let batch = &mut *round.batch;
            let lost = fields_6(&self.text, |protocol, field, value| {
                add_field(batch, "system.network.snmp", protocol, field, value);
            });
            note(round, "/proc/net/snmp6", lost);
        }
        for (path, family) in [
            ("/proc/net/sockstat", "ipv4"),
            ("/proc/net/sockstat6", "ipv6"),
        ] {
            if !self.read(round, path, family == "ipv6") {
                continue;
            }
            let batch = &mut *round.batch;
            let lost = sockstat(&self.text, |protocol, state, value| {
                add_sockets(batch, family, protocol, state, value);
            });
            note(round, path, lost);
        }
    }
}

fn note(round: &mut Round<'_>, path: &str, lost: usize) {
    if lost > 0 {
        round.lost(format!("{path} has {lost} fields that cannot be read"));
    }
}

/// Reads pairs of lines, `Tcp: ActiveOpens …` over `Tcp: 5 …`; gives each value to `found` and
/// returns how many could not be read.
pub(crate) fn pairs(text: &str, mut found: impl FnMut(&str, &str, i128)) -> usize {
    let mut lost = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((protocol, fields)) = line.split_once(':') else {
            lost += usize::from(!line.trim().is_empty());
            continue;
        };
        let values = lines
            .peek()
            .and_then(|line| line.split_once(':'))
            .filter(|(same, _)| *same == protocol);
        let Some((_, values)) = values else {
            lost += 1;
            continue;
        };
        let mut values = values.split_whitespace();
        for field in fields.split_whitespace().take(FIELDS_MAX) {
            match values.next().and_then(|value| value.parse().ok()) {
                Some(value) => found(protocol, field, value),
                None => lost += 1,
            }
        }
        lines.next();
    }
    lost
}

/// Reads `Ip6InReceives  17`.
fn fields_6(text: &str, mut found: impl FnMut(&str, &str, i128)) -> usize {
    let mut lost = 0;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let field = words.next().and_then(|name| {
            PROTOCOLS_6
                .iter()
                .find_map(|protocol| Some((*protocol, name.strip_prefix(protocol)?)))
        });
        let value = words.next().and_then(|value| value.parse().ok());
        match (field, value) {
            (Some((protocol, field)), Some(value)) if !field.is_empty() => {
                found(protocol, field, value);
            }
            _ => lost += 1,
        }
    }
    lost
}

/// Reads `TCP: inuse 3 orphan 0 tw 1 alloc 3 mem 297`.
pub(crate) fn sockstat(text: &str, mut found: impl FnMut(&str, &str, u64)) -> usize {
    let mut lost = 0;
    for line in text.lines() {
        let Some((protocol, rest)) = line.split_once(':') else {
            lost += 1;
            continue;
        };
        let mut words = rest.split_whitespace();
        while let Some(state) = words.next() {
            match words.next().and_then(|value| value.parse().ok()) {
                Some(value) => found(protocol, state, value),
                None => lost += 1,
            }
        }
    }
    lost
}

fn add_field(batch: &mut Batch, series: &str, protocol: &str, field: &str, value: i128) {
    if (protocol, field) == ("Tcp", "CurrEstab")
        && let Ok(connections) = u64::try_from(value)
    {
        add_connections(batch, "established", connections);
    }
    let tags = [("field", field), ("protocol", protocol)];
    let unit = if field.ends_with("Octets") {
        Unit::BYTES
    } else {
        Unit::NONE
    };
    let level = LEVELS.contains(&(protocol, field));
    match u64::try_from(value) {
        Ok(value) if level => batch.gauge(series, &tags, unit, value),
        Ok(value) => batch.counter(series, &tags, unit, value),
        // Only settings can be negative: MaxConn is -1 where there is no bound.
        Err(_) => batch.gauge(series, &tags, unit, value as f64),
    }
}

fn add_sockets(batch: &mut Batch, family: &str, protocol: &str, state: &str, value: u64) {
    match (protocol, state) {
        ("sockets", "used") => batch.gauge("system.network.sockets.used", &[], SOCKETS, value),
        (_, "mem" | "memory") => {
            // TCP and UDP count pages, the reassembly of fragments counts bytes.
            let scale = match state {
                "mem" => rustix::param::page_size() as u64,
                _ => 1,
            };
            batch.gauge(
                "system.network.sockets.memory",
                &[("family", family), ("protocol", protocol)],
                Unit::BYTES,
                value.saturating_mul(scale),
            );
        }
        _ => {
            if (family, protocol, state) == ("ipv4", "TCP", "tw") {
                add_connections(batch, "time_wait", value);
            }
            batch.gauge(
                "system.network.sockets",
                &[("family", family), ("protocol", protocol), ("state", state)],
                SOCKETS,
                value,
            );
        }
    }
}

fn add_connections(batch: &mut Batch, state: &str, connections: u64) {
    batch.gauge(
        "system.network.connection.count",
        &[("state", state), ("transport", "tcp")],
        CONNECTIONS,
        connections,
    );
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use proptest::prelude::*;

    use super::*;
    use crate::collect::Root;
    use crate::model::{Kind, Moment};

    #[test]
    fn pairs_of_lines_are_read_whatever_they_hold() {
        let mut seen = Vec::new();
        let lost = pairs(
            "Tcp: MaxConn New\nTcp: -1 5\n\nAlone: a b\nIp: A B C\nIp: 1 x\nrubbish\n",
            |protocol, field, value| seen.push(format!("{protocol}.{field}={value}")),
        );
        assert_eq!(seen, ["Tcp.MaxConn=-1", "Tcp.New=5", "Ip.A=1"]);
        // The pair without values, B, C and the rubbish.
        assert_eq!(lost, 4);
    }

    #[test]
    fn fields_of_version_6_are_split_by_protocol() {
        let mut seen = Vec::new();
        let lost = fields_6(
            "Ip6InReceives 3\nUdpLite6InErrors\t4\nIcmp6OutType133 5\nWhat 6\nIp6 7\n",
            |protocol, field, value| seen.push(format!("{protocol}.{field}={value}")),
        );
        assert_eq!(
            seen,
            [
                "Ip6.InReceives=3",
                "UdpLite6.InErrors=4",
                "Icmp6.OutType133=5"
            ]
        );
        assert_eq!(lost, 2);
    }

    #[test]
    fn memory_is_in_bytes_and_levels_are_gauges() {
        let mut batch = Batch::new();
        let lost = sockstat(
            "sockets: used 21\nTCP: inuse 3 tw 1 mem 2 odd\nFRAG: inuse 0 memory 77\n",
            |protocol, state, value| add_sockets(&mut batch, "ipv4", protocol, state, value),
        );
        assert_eq!(lost, 1);
        add_field(&mut batch, "system.network.snmp", "Tcp", "MaxConn", -1);
        add_field(&mut batch, "system.network.snmp", "Tcp", "CurrEstab", 4);
        add_field(&mut batch, "system.network.netstat", "IpExt", "InOctets", 9);
        let page = rustix::param::page_size();
        let seen: Vec<String> = batch
            .iter()
            .map(|sample| {
                format!(
                    "{} {} {} {}",
                    sample.series.as_str(),
                    sample.kind,
                    sample.unit,
                    sample.value
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                "system.network.sockets.used gauge {socket} 21".to_owned(),
                "system.network.sockets{family=\"ipv4\",protocol=\"TCP\",state=\"inuse\"} gauge {socket} 3".into(),
                "system.network.connection.count{state=\"time_wait\",transport=\"tcp\"} gauge {connection} 1".into(),
                "system.network.sockets{family=\"ipv4\",protocol=\"TCP\",state=\"tw\"} gauge {socket} 1".into(),
                format!("system.network.sockets.memory{{family=\"ipv4\",protocol=\"TCP\"}} gauge By {}", 2 * page),
                "system.network.sockets{family=\"ipv4\",protocol=\"FRAG\",state=\"inuse\"} gauge {socket} 0".into(),
                "system.network.sockets.memory{family=\"ipv4\",protocol=\"FRAG\"} gauge By 77".into(),
                "system.network.snmp{field=\"MaxConn\",protocol=\"Tcp\"} gauge  -1".into(),
                "system.network.connection.count{state=\"established\",transport=\"tcp\"} gauge {connection} 4".into(),
                "system.network.snmp{field=\"CurrEstab\",protocol=\"Tcp\"} gauge  4".into(),
                "system.network.netstat{field=\"InOctets\",protocol=\"IpExt\"} counter By 9".into(),
            ]
        );
    }

    fn snmp(field: &str) -> (f64, Kind) {
        let root = Root::machine();
        let mut batch = Batch::new();
        let mut round = Round::new(&root, &mut batch, Moment(0));
        Sockets::new().collect(&mut round);
        assert_eq!(round.losses(), (0, [].as_slice()));
        let series = format!("system.network.snmp{{field=\"{field}\",protocol=\"Tcp\"}}");
        batch
            .iter()
            .find(|sample| sample.series.as_str() == series)
            .map(|sample| (sample.value.as_f64().unwrap(), sample.kind))
            .unwrap()
    }

    #[test]
    fn connections_of_the_running_machine_are_counted() {
        let (before, kind) = snmp("ActiveOpens");
        assert_eq!(kind, Kind::Counter);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut held = Vec::new();
        for _ in 0..25 {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            client.write_all(b"x").unwrap();
            let mut byte = [0];
            server.read_exact(&mut byte).unwrap();
            held.push((client, server));
        }
        let (after, _) = snmp("ActiveOpens");
        assert!(after - before >= 25.0, "{before} {after}");
        let (established, kind) = snmp("CurrEstab");
        assert_eq!(kind, Kind::Gauge);
        assert!(established >= 50.0, "{established}");
    }

    proptest! {
        #[test]
        fn every_table_comes_back(values in proptest::collection::vec(any::<u64>(), 1..60)) {
            let names: Vec<String> = (0..values.len()).map(|index| format!("F{index}")).collect();
            let words: Vec<String> = values.iter().map(u64::to_string).collect();
            let text = format!("TcpExt: {}\nTcpExt: {}\n", names.join(" "), words.join(" "));
            let mut seen = Vec::new();
            let lost = pairs(&text, |_, _, value| seen.push(value));
            prop_assert_eq!(lost, 0);
            prop_assert_eq!(seen, values.into_iter().map(i128::from).collect::<Vec<_>>());
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in "[A-Za-z6:\\n 0-9-]{0,200}") {
            let _ = pairs(&text, |_, _, _| {});
            let _ = fields_6(&text, |_, _, _| {});
            let _ = sockstat(&text, |_, _, _| {});
        }
    }
}
