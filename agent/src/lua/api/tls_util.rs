//! `tls_util`: when the certificates of a server end.

use std::time::Duration;

use mlua::{IntoLuaMulti, Value};
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslConnector, SslMethod, SslRef, SslVerifyMode};
use openssl::x509::X509VerifyResult;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_openssl::SslStream;

use super::{Module, file};
use crate::lua::wait::wait;

/// How long the connection may take, and how long the handshake after it.
const TIME: Duration = Duration::from_secs(5);

/// What is known of the certificates.
struct Certificates {
    /// The earliest end, in Unix time.
    end: i64,
    /// Why the server cannot be trusted, if so.
    problem: Option<String>,
}

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.waiting("cert_not_after", |_, _, arguments| {
        let name = arguments.text(1)?;
        let address = match arguments.optional_text(2)? {
            Some(address) => address,
            None => format!("{name}:443"),
        };
        let ask = async move {
            let answer = ask(&name, &address).await;
            answer.map_err(|error| format!("dial tcp {address}: {error}"))
        };
        Ok(wait(ask, |lua, outcome| {
            Ok(match outcome {
                Ok(Certificates { end, problem: None }) => end.into_lua_multi(lua)?,
                Ok(Certificates { end, problem }) => {
                    (end, Value::Nil, problem).into_lua_multi(lua)?
                }
                Err(message) => (Value::Nil, message).into_lua_multi(lua)?,
            })
        }))
    })
}

async fn ask(name: &str, address: &str) -> Result<Certificates, String> {
    let late = |_| "i/o timeout".to_owned();
    let stream = timeout(TIME, TcpStream::connect(address))
        .await
        .map_err(late)?
        .map_err(|error| file::go_error(&error))?;
    let session = session(name).map_err(|error| error.to_string())?;
    let mut stream = SslStream::new(session, stream).map_err(|error| error.to_string())?;
    timeout(TIME, std::pin::Pin::new(&mut stream).connect())
        .await
        .map_err(|_| "TLS handshake timeout".to_owned())?
        .map_err(|error| format!("TLS handshake: {error}"))?;
    let end = earliest_end(stream.ssl()).map_err(|error| error.to_string())?;
    let end = end.ok_or_else(|| "the server has no certificate".to_owned())?;
    let verdict = stream.ssl().verify_result();
    let problem = (verdict != X509VerifyResult::OK).then(|| verdict.error_string().to_owned());
    Ok(Certificates { end, problem })
}

/// A handshake that goes on whatever the certificates are: nothing is said over the connection, and
/// those that are not valid are the ones to know about.
fn session(name: &str) -> Result<Ssl, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    builder.build().configure()?.into_ssl(name)
}

/// The earliest end of a certificate that the server's trust rests on.
fn earliest_end(session: &SslRef) -> Result<Option<i64>, ErrorStack> {
    let mut ends = Vec::new();
    for chain in [session.verified_chain(), session.peer_cert_chain()] {
        for certificate in chain.into_iter().flatten() {
            ends.push(unix(certificate.not_after())?);
        }
        // The chain as it was verified ends in a root of ours and leaves out what is not used.
        if !ends.is_empty() {
            break;
        }
    }
    Ok(ends.into_iter().min())
}

fn unix(time: &Asn1TimeRef) -> Result<i64, ErrorStack> {
    let span = Asn1Time::from_unix(0)?.diff(time)?;
    Ok(i64::from(span.days) * 86_400 + i64::from(span.secs))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use crate::lua::api::servers::TlsServer;
    use crate::lua::testing::Stage;

    #[test]
    fn zalua_58_the_end_of_a_certificate_is_told_even_when_it_is_not_valid() {
        for (from, to) in [(-86_400, 86_400), (-172_800, -86_400)] {
            let server = TlsServer::start("localhost", from, to, Vec::new());
            Stage::new().pass(format!(
                "local ends, message, problem = tls_util.cert_not_after('localhost', '{}')
                 assert(message == nil, message)
                 assert(ends == {}, ends)
                 assert(type(problem) == 'string' and #problem > 0)",
                server.address, server.ends
            ));
        }
    }

    #[test]
    fn zalua_58_the_port_is_443_when_none_is_said() {
        Stage::new().pass(
            "local ends, message = tls_util.cert_not_after('127.0.0.1')
             assert(ends == nil and message:find('^dial tcp 127.0.0.1:443: '), message)
             assert(not pcall(tls_util.cert_not_after))",
        );
    }

    #[test]
    fn a_server_that_says_nothing_is_given_up() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        Stage::new().pass(format!(
            "local ends, message = tls_util.cert_not_after('localhost', '{address}')
             assert(ends == nil and message:find('TLS handshake timeout'), message)"
        ));
    }
}
