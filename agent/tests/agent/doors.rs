//! The doors: who answers where, and what happens when an address is taken.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::place::{Agent, Place, eventually};

#[test]
fn zabbix_is_answered_on_the_configured_address() {
    let place = Place::new("[zabbix]\nlisten = \"127.0.0.1:0\"\nhostname = \"db1\"\n");
    // Port 0 cannot be asked for by a server, but the door says in the log where it is.
    let port = free_port();
    place.configure(&format!(
        "[zabbix]\nlisten = \"127.0.0.1:{port}\"\nhostname = \"db1\"\n"
    ));
    let agent = place.start();
    assert_eq!(zabbix(port, "agent.hostname"), "db1");
    assert_eq!(zabbix(port, "agent.ping"), "1");
    let total: u64 = zabbix(port, "vm.memory.size[total]").parse().unwrap();
    assert_eq!(place.get("system.memory.limit"), total.to_string());
    let discovery: serde_json::Value =
        serde_json::from_str(&zabbix(port, "net.if.discovery")).unwrap();
    assert!(
        discovery
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["{#IFNAME}"] == "lo")
    );
    let series = "system.memory.limit";
    assert_eq!(
        zabbix(port, series),
        total.to_string(),
        "a series is an item key"
    );
    assert!(zabbix(port, "no.such.key").starts_with("ZBX_NOTSUPPORTED\0Unsupported item key."));
    assert_eq!(place.verdict("door", "zabbix").0, "active");
    agent.end();
}

#[test]
fn a_taken_port_is_shown_and_costs_only_that_door() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let place = Place::new(&format!("[zabbix]\nlisten = \"{address}\"\n"));
    let agent = place.start();
    let (verdict, reason) = place.verdict("door", "zabbix");
    assert_eq!(verdict, "failed");
    assert!(reason.contains(&address.to_string()), "{reason}");
    assert!(place.get("system.memory.limit").parse::<u64>().is_ok());
    agent.end();
}

#[test]
fn what_is_off_is_not_opened_by_hand_either() {
    let place = Place::new("[zabbix]\nlisten = \"off\"\n[http]\nlisten = \"off\"\n");
    let child = place.command().env_remove("NOTIFY_SOCKET").spawn().unwrap();
    let _agent = Agent {
        place: &place,
        child,
    };
    assert!(eventually(|| place.ask(&["ping"]).status.success()));
    for door in ["zabbix", "http"] {
        assert_eq!(place.verdict("door", door).0, "off", "{door}");
    }
}

#[test]
fn two_agents_cannot_have_one_socket() {
    let place = Place::new("");
    let agent = place.start();
    let output = place
        .command()
        .env_remove("NOTIFY_SOCKET")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("another process answers at"), "{text}");
    assert_eq!(place.status()["pid"], agent.child.id());
    agent.end();
}

#[test]
fn the_socket_of_a_killed_agent_is_taken_over() {
    let place = Place::new("");
    let agent = place.start();
    drop(agent);
    assert!(place.path("run/control.sock").exists());
    let agent = place.start();
    assert!(place.ask(&["ping"]).status.success());
    let output = place.ask(&["stop"]);
    assert!(output.status.success(), "{output:?}");
    agent.wait_for("STOPPING=1");
}

pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Asks as a Zabbix server before 7.0 does; gives the body of the reply.
fn zabbix(port: u16, key: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut request = b"ZBXD\x01".to_vec();
    request.extend_from_slice(&(key.len() as u64).to_le_bytes());
    request.extend_from_slice(key.as_bytes());
    stream.write_all(&request).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    assert_eq!(&reply[..5], b"ZBXD\x01");
    String::from_utf8(reply[13..].to_vec()).unwrap()
}
