//! Servers for tests, each on a port of its own on loopback.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509Name};

/// Makes the answer to a request, which is given with its body.
type Answer = dyn Fn(&str) -> Vec<u8> + Send + Sync;

/// Answers HTTP.
pub(super) struct HttpServer {
    pub(super) address: SocketAddr,
}

impl HttpServer {
    pub(super) fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer: Arc<Answer> = Arc::new(answer);
        // It ends with the tests.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || serve(stream.unwrap(), &*answer));
            }
        });
        Self { address }
    }
}

fn serve(mut stream: impl Read + Write, answer: &Answer) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                // The client may have had enough of it.
                stream.write_all(&answer(&text)).ok();
                return;
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&piece[..count]),
        }
    }
}

/// An answer with a body.
pub(super) fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    text.into_bytes()
}

/// Answers HTTP behind TLS, with a certificate that it signed itself.
pub(super) struct TlsServer {
    pub(super) address: SocketAddr,
    /// When the certificate ends, in Unix time.
    pub(super) ends: i64,
    /// The certificate.
    pub(super) pem: Vec<u8>,
}

impl TlsServer {
    /// A certificate for `name` that is valid from and to these seconds from now.
    pub(super) fn start(name: &str, from: i64, to: i64, answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let now = i64::try_from(crate::model::Clock::System.wall().seconds()).unwrap();
        let key = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&key).unwrap()).unwrap();
        let mut subject = X509Name::builder().unwrap();
        subject.append_entry_by_text("CN", name).unwrap();
        let subject = subject.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        let serial = BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap();
        builder.set_serial_number(&serial).unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder.set_issuer_name(&subject).unwrap();
        builder.set_pubkey(&key).unwrap();
        let time = |offset: i64| Asn1Time::from_unix(now + offset).unwrap();
        builder.set_not_before(&time(from)).unwrap();
        builder.set_not_after(&time(to)).unwrap();
        let mut names = SubjectAlternativeName::new();
        let names = names.dns(name).build(&builder.x509v3_context(None, None));
        builder.append_extension(names.unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        let certificate = builder.build();
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_private_key(&key).unwrap();
        acceptor.set_certificate(&certificate).unwrap();
        let acceptor = acceptor.build();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that does not trust it hangs up.
                let stream: TcpStream = stream.unwrap();
                if let Ok(stream) = acceptor.accept(stream) {
                    let answer = answer.clone();
                    serve(stream, &move |_: &str| answer.clone());
                }
            }
        });
        Self {
            address,
            ends: now + to,
            pem: certificate.to_pem().unwrap(),
        }
    }
}
