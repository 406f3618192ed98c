//! Doors beyond loopback: a token, a certificate, and the doors that plugins open.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use moonward::serve::http::{Access, AccessFiles, OpenError};
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::{X509, X509NameBuilder};

use crate::{House, Reply, ask, connect, counted, loopback, wait_until};

/// Files of a token, and of a certificate that vouches for itself.
pub(crate) struct Guard {
    directory: tempfile::TempDir,
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

impl Guard {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let rsa = openssl::rsa::Rsa::generate(2048).unwrap();
        let key = PKey::from_rsa(rsa).unwrap();
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", "moonward.test").unwrap();
        let name = name.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(&name).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder
            .set_not_before(&Asn1Time::days_from_now(0).unwrap())
            .unwrap();
        builder
            .set_not_after(&Asn1Time::days_from_now(1).unwrap())
            .unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        let certificate = builder.build().to_pem().unwrap();
        let key = key.private_key_to_pem_pkcs8().unwrap();
        let token = directory.path().join("token");
        std::fs::write(&token, TOKEN).unwrap();
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(directory.path().join("certificate"), certificate).unwrap();
        std::fs::write(directory.path().join("key"), key).unwrap();
        Self { directory }
    }

    pub(crate) fn access(&self, token: bool, tls: bool) -> Access {
        let path = |name| self.directory.path().join(name);
        let (token_path, certificate, key) = (path("token"), path("certificate"), path("key"));
        Access::read(AccessFiles {
            token: token.then_some(token_path.as_path()),
            certificate: tls.then_some(certificate.as_path()),
            key: tls.then_some(key.as_path()),
        })
        .unwrap()
    }
}

pub(crate) fn ask_over_tls(address: SocketAddr, headers: &str) -> Reply {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    let connector = builder.build();
    let mut stream = connector
        .connect("moonward.test", connect(address))
        .unwrap();
    let text = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(text.as_bytes()).unwrap();
    Reply::read(stream)
}

#[test]
fn a_token_is_asked_for_before_anything_is_told() {
    let (house, guard) = (House::new(), Guard::new());
    let door = house
        .http
        .open(loopback(), guard.access(true, false))
        .unwrap();
    for request in ["GET /metrics", "GET /health", "GET /nowhere", "POST /"] {
        let reply = ask(door.address(), request, "");
        assert_eq!(reply.status, 401, "{request}");
        assert!(
            reply.head.contains("www-authenticate: bearer"),
            "{}",
            reply.head
        );
    }
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask(door.address(), "GET /metrics", &right).status, 200);
    assert_eq!(counted(&house.http, "unauthorized"), 4);
    // A new token holds from the next connection on.
    door.set_access(Access::default()).unwrap();
    assert_eq!(ask(door.address(), "GET /metrics", "").status, 200);
}

#[test]
fn tls_is_spoken_where_there_is_a_certificate() {
    let (house, guard) = (House::new(), Guard::new());
    let door = house
        .http
        .open(loopback(), guard.access(true, true))
        .unwrap();
    assert_eq!(ask_over_tls(door.address(), "").status, 401);
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    let reply = ask_over_tls(door.address(), &right);
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("system_memory_limit_bytes 42"));
    // In plain it says nothing.
    let mut stream = connect(door.address());
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).ok();
    assert!(!reply.starts_with(b"HTTP"), "{reply:?}");
    // It is counted when the connection is closed, which the peer may see first.
    wait_until("it is counted", || {
        counted(&house.http, "handshake_failed") == 1
    });
}

#[test]
fn beyond_loopback_it_takes_both() {
    let (house, guard) = (House::new(), Guard::new());
    let anywhere = || TcpListener::bind("0.0.0.0:0").unwrap();
    for (token, tls, missing) in [
        (
            false,
            false,
            "set http.token_file, http.certificate and http.key,",
        ),
        (true, false, "set http.certificate and http.key,"),
        (false, true, "set http.token_file,"),
    ] {
        let error = house
            .http
            .open(anywhere(), guard.access(token, tls))
            .unwrap_err();
        assert!(error.to_string().contains(missing), "{error}");
    }
    let door = house
        .http
        .open(anywhere(), guard.access(true, true))
        .unwrap();
    assert!(matches!(
        door.set_access(Access::default()),
        Err(OpenError::Unguarded { .. })
    ));
    let here = SocketAddr::from(([127, 0, 0, 1], door.address().port()));
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask_over_tls(here, &right).status, 200);
}

#[test]
fn a_further_door_is_one_per_address_and_closes_with_its_last_holder() {
    let house = House::new();
    let address = loopback().local_addr().unwrap();
    let first = house.http.listen(address, Access::default()).unwrap();
    let second = house.http.listen(address, Access::default()).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(ask(address, "GET /metrics", "").status, 200);
    drop(first);
    assert_eq!(ask(address, "GET /metrics", "").status, 200);
    drop(second);
    // The thread closes the socket in its own time, and opening it again waits for that.
    let again = house.http.listen(address, Access::default()).unwrap();
    assert_eq!(ask(again.address(), "GET /health", "").status, 200);
    let beyond = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(
        house.http.listen(beyond, Access::default()),
        Err(OpenError::Unguarded { .. })
    ));
    let taken = loopback();
    let error = house
        .http
        .listen(taken.local_addr().unwrap(), Access::default())
        .unwrap_err();
    assert!(matches!(error, OpenError::Bind(..)), "{error}");
}

#[test]
fn a_further_door_beyond_loopback_is_guarded_and_takes_new_guards() {
    let (house, guard) = (House::new(), Guard::new());
    let beyond = SocketAddr::from(([0, 0, 0, 0], 0));
    let error = house.http.listen(beyond, guard.access(true, false));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("set http.certificate and http.key,"),
        "{error}"
    );
    let door = house.http.listen(beyond, guard.access(true, true)).unwrap();
    let here = SocketAddr::from(([127, 0, 0, 1], door.address().port()));
    assert_eq!(ask_over_tls(here, "").status, 401);
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask_over_tls(here, &right).status, 200);
    assert!(Arc::ptr_eq(&house.http.listened()[0], &door));
    let renewed = "fedcba9876543210fedcba9876543210";
    std::fs::write(guard.directory.path().join("token"), renewed).unwrap();
    door.set_access(guard.access(true, true)).unwrap();
    assert_eq!(ask_over_tls(here, &right).status, 401);
    let right = format!("Authorization: Bearer {renewed}\r\n");
    assert_eq!(ask_over_tls(here, &right).status, 200);
    drop(door);
    assert!(house.http.listened().is_empty());
}

#[test]
fn doors_without_end_are_refused() {
    let house = House::new();
    let mut doors = Vec::new();
    for last in 1..=16 {
        let address = SocketAddr::from(([127, 0, 0, last], 0));
        doors.push(house.http.listen(address, Access::default()).unwrap());
    }
    let address = SocketAddr::from(([127, 0, 0, 17], 0));
    assert!(matches!(
        house.http.listen(address, Access::default()),
        Err(OpenError::TooMany(_))
    ));
    doors.pop();
    assert!(house.http.listen(address, Access::default()).is_ok());
}
