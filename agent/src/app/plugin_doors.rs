//! The doors for `/metrics` that plugins ask for with `prometheus.listen`.
//!
//! On loopback they are plain and without a token. Beyond it they are guarded by the token and the
//! TLS of `[http]`, or stay closed.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use rustix::io::Errno;
use thiserror::Error;

use super::http::access;
use crate::config::HttpConfig;
use crate::lua::{HeldDoor, Listen, ListenAddress};
use crate::serve::http::access::is_loopback;
use crate::serve::http::{Access, AccessError, Door, Http, OpenError};
use crate::telemetry::log::chain;

/// Opens the doors that plugins ask for. Clones are the same.
#[derive(Clone, Debug)]
pub struct PluginDoors {
    http: Http,
    guard: Guard,
}

/// What is to guard doors that are reached from beyond this machine.
#[derive(Clone, Debug)]
enum Guard {
    /// There are none.
    Loopback,
    /// The files that the configuration names now. It is held while a door is opened, so that a
    /// reload finds the door or the door finds the reload.
    Files(Arc<RwLock<HttpConfig>>),
}

/// Why a door stays closed.
#[derive(Debug, Error)]
enum RefusedError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("a door beyond loopback cannot be guarded")]
    Access(#[from] AccessError),
    #[error(
        "{0} is reached from beyond this machine, which only the service can guard; \
         listen on 127.0.0.1 or [::1]"
    )]
    Beyond(SocketAddr),
}

impl PluginDoors {
    /// Doors of the service.
    pub(super) fn guarded(http: Http, config: &HttpConfig) -> Self {
        let guard = Guard::Files(Arc::new(RwLock::new(config.clone())));
        Self { http, guard }
    }

    /// Doors where there is no configuration: nothing beyond loopback.
    pub fn on_this_machine(http: Http) -> Self {
        let guard = Guard::Loopback;
        Self { http, guard }
    }

    /// What the library of plugins calls.
    pub fn listen(self) -> Listen {
        Listen(Arc::new(move |address| {
            let opened = match address {
                ListenAddress::At(address) => self.at(address),
                ListenAddress::Everywhere(port) => self.everywhere(port),
            };
            opened.map_err(|error| chain(&error).to_string())
        }))
    }

    /// Takes over a new configuration. Returns the doors that it is to guard.
    pub(super) fn follow(&self, config: &HttpConfig) -> Vec<Arc<Door>> {
        if let Guard::Files(files) = &self.guard {
            let mut files = files.write().unwrap_or_else(PoisonError::into_inner);
            files.clone_from(config);
        }
        let mut doors = self.http.listened();
        doors.retain(|door| !is_loopback(door.address().ip()));
        doors
    }

    fn at(&self, address: SocketAddr) -> Result<HeldDoor, RefusedError> {
        if is_loopback(address.ip()) {
            return Ok(held(self.http.listen(address, Access::default())?));
        }
        let Guard::Files(files) = &self.guard else {
            return Err(RefusedError::Beyond(address));
        };
        let files = files.read().unwrap_or_else(PoisonError::into_inner);
        Ok(held(self.http.listen(address, access(&files)?)?))
    }

    /// Opens a port on all interfaces where that can be guarded, else on loopback.
    fn everywhere(&self, port: u16) -> Result<HeldDoor, RefusedError> {
        if let Guard::Files(files) = &self.guard {
            let files = files.read().unwrap_or_else(PoisonError::into_inner);
            let access = access(&files)?;
            if access.missing().is_none() {
                return self.all_interfaces(port, &access);
            }
        }
        let plain = |address: SocketAddr| self.http.listen(address, Access::default());
        let four = plain((Ipv4Addr::LOCALHOST, port).into())?;
        let six = if_there_is_ipv6(plain((Ipv6Addr::LOCALHOST, port).into()))?;
        if matches!(self.guard, Guard::Files(_)) {
            tracing::info!(
                port,
                "a plugin listens for Prometheus on loopback; token_file, certificate and key in \
                 [http] open all interfaces to it"
            );
        }
        Ok(Box::new((four, six)))
    }

    fn all_interfaces(&self, port: u16, access: &Access) -> Result<HeldDoor, RefusedError> {
        let six = (Ipv6Addr::UNSPECIFIED, port).into();
        let six = if_there_is_ipv6(self.http.listen(six, access.clone()))?;
        let four = (Ipv4Addr::UNSPECIFIED, port).into();
        let four = match self.http.listen(four, access.clone()) {
            // A socket for IPv6 takes IPv4 too, unless net.ipv6.bindv6only forbids it.
            Err(OpenError::Bind(_, error))
                if six.is_some() && error.kind() == ErrorKind::AddrInUse =>
            {
                None
            }
            four => Some(four?),
        };
        Ok(Box::new((four, six)))
    }
}

fn held(door: Arc<Door>) -> HeldDoor {
    Box::new(door)
}

/// Nothing where the kernel knows no IPv6, or has no such address.
fn if_there_is_ipv6(door: Result<Arc<Door>, OpenError>) -> Result<Option<Arc<Door>>, OpenError> {
    match door {
        Err(OpenError::Bind(_, error))
            if error.kind() == ErrorKind::AddrNotAvailable
                || error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error()) =>
        {
            Ok(None)
        }
        door => door.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use openssl::asn1::Asn1Time;
    use openssl::hash::MessageDigest;
    use openssl::pkey::PKey;
    use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
    use openssl::x509::{X509, X509Name};

    use super::super::http::renew;
    use super::super::listeners::Inherited;
    use super::*;
    use crate::config::DoorAddress;
    use crate::model::Clock;
    use crate::store::{Store, StoreLimits};
    use crate::telemetry::{Room, StatusBoard, Verdict};

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn http() -> Http {
        let store = Store::new(Clock::System, StoreLimits::default());
        Http::new(store, StatusBoard::new())
    }

    fn free_port() -> u16 {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    }

    /// Writes token, certificate (with the name) and key.
    fn write_guard(directory: &Path, name: &str) -> HttpConfig {
        let key = PKey::from_rsa(openssl::rsa::Rsa::generate(2048).unwrap()).unwrap();
        let mut subject = X509Name::builder().unwrap();
        subject.append_entry_by_text("CN", name).unwrap();
        let subject = subject.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder.set_issuer_name(&subject).unwrap();
        builder.set_pubkey(&key).unwrap();
        let (begin, end) = (Asn1Time::days_from_now(0), Asn1Time::days_from_now(1));
        builder.set_not_before(&begin.unwrap()).unwrap();
        builder.set_not_after(&end.unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        let write = |name: &str, content: &[u8]| {
            let path = directory.join(name);
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            Some(path)
        };
        HttpConfig {
            listen: DoorAddress::Auto,
            token_file: write("token", TOKEN.as_bytes()),
            certificate: write("certificate", &builder.build().to_pem().unwrap()),
            key: write("key", &key.private_key_to_pem_pkcs8().unwrap()),
        }
    }

    /// The name in the certificate at a port, and the first line of the answer to the token.
    fn ask_over_tls(port: u16) -> (String, String) {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
        builder.set_verify(SslVerifyMode::NONE);
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut stream = builder.build().connect("door.test", stream).unwrap();
        let request = format!("GET /metrics HTTP/1.0\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let certificate = stream.ssl().peer_certificate().unwrap();
        let name = certificate.subject_name().entries().next().unwrap();
        let name = name.data().to_string().unwrap();
        (name, reply.lines().next().unwrap().to_owned())
    }

    fn ask(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply.lines().next().unwrap().to_owned()
    }

    #[test]
    fn without_a_guard_everywhere_is_this_machine() {
        let http = http();
        for doors in [
            PluginDoors::guarded(http.clone(), &HttpConfig::default()),
            PluginDoors::on_this_machine(http.clone()),
        ] {
            let listen = doors.listen().0;
            let port = free_port();
            let door = listen(ListenAddress::Everywhere(port)).unwrap();
            let opened: Vec<SocketAddr> =
                http.listened().iter().map(|door| door.address()).collect();
            assert!(!opened.is_empty());
            for address in opened {
                assert!(is_loopback(address.ip()), "{address}");
                assert_eq!(ask(address), "HTTP/1.0 200 OK");
            }
            drop(door);
            assert!(http.listened().is_empty());
        }
    }

    #[test]
    fn beyond_loopback_it_is_refused_with_what_is_missing() {
        let everybody = ListenAddress::At("0.0.0.0:2345".parse().unwrap());
        let listen = PluginDoors::guarded(http(), &HttpConfig::default()).listen();
        let error = listen.0(everybody).err().unwrap();
        let keys = "set http.token_file, http.certificate and http.key,";
        assert!(error.contains(keys), "{error}");
        let listen = PluginDoors::on_this_machine(http()).listen();
        let error = listen.0(everybody).err().unwrap();
        assert!(error.contains("only the service can guard"), "{error}");
        let directory = tempfile::tempdir().unwrap();
        let mut config = write_guard(directory.path(), "first");
        config.key = None;
        let listen = PluginDoors::guarded(http(), &config).listen();
        for address in [everybody, ListenAddress::Everywhere(2345)] {
            let error = listen.0(address).err().unwrap();
            assert!(error.contains("http.certificate and http.key"), "{error}");
        }
    }

    #[test]
    fn guarded_doors_open_all_interfaces_and_follow_a_renewed_certificate() {
        let directory = tempfile::tempdir().unwrap();
        let config = write_guard(directory.path(), "first");
        let store = Store::new(Clock::System, StoreLimits::default());
        let board = StatusBoard::new();
        let mut nothing = Inherited::new(Vec::new());
        let doors = super::super::http::open(&config, &mut nothing, false, &store, &board);
        let http = doors.http.clone();
        let listen = doors.plugins.clone().listen().0;
        let port = free_port();
        let _door = listen(ListenAddress::Everywhere(port)).unwrap();
        let plain = free_port();
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, plain));
        let _plain = listen(ListenAddress::At(loopback)).unwrap();
        let ok = "HTTP/1.0 200 OK".to_owned();
        assert_eq!(ask_over_tls(port), ("first".to_owned(), ok.clone()));
        for door in http.listened() {
            let ip = door.address().ip();
            assert!(ip.is_unspecified() || ip.is_loopback(), "{ip}");
        }
        let renewed = write_guard(directory.path(), "second");
        renew(&doors, &renewed, &board);
        assert_eq!(ask_over_tls(port), ("second".to_owned(), ok.clone()));
        // What guards less is not taken, and shown until it is put right.
        let verdict = || board.part_as_it_is(Room::Door, "http").verdict();
        renew(&doors, &HttpConfig::default(), &board);
        assert!(matches!(verdict(), Verdict::Degraded(_)), "{:?}", verdict());
        assert_eq!(ask_over_tls(port), ("second".to_owned(), ok.clone()));
        renew(&doors, &renewed, &board);
        assert_eq!(verdict(), Verdict::Off);
        assert_eq!(ask(loopback), ok, "a door on loopback stays plain");
    }
}
