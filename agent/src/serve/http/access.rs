//! Who may come in: the token, TLS, and why not beyond loopback without both.

use std::io::{self, Read as _};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use openssl::sha::sha256;
use openssl::ssl::{AlpnError, SslAcceptor, SslFiletype, SslMethod, select_next_proto};
use thiserror::Error;

/// The longest token in bytes; a longer file is none.
const TOKEN_MAX: u64 = 4096;

/// The shortest token: what can be guessed is none.
const TOKEN_MIN: usize = 16;

/// Why a door cannot be guarded as it should be.
#[derive(Debug, Error)]
pub enum AccessError {
    /// One of the two files of TLS without the other.
    #[error("TLS takes http.certificate and http.key, and only one of them is set")]
    Half,
    /// The token's file cannot be read.
    #[error("the token {0} cannot be read")]
    Token(PathBuf, #[source] io::Error),
    /// The token's file is open to everybody.
    #[error("the token {0} can be read by everybody; chmod o= {0}")]
    Open(PathBuf),
    /// What is in the token's file is none.
    #[error(
        "the token {0} is not one line of {TOKEN_MIN} to {TOKEN_MAX} bytes without spaces; \
         `openssl rand -hex 32` makes one"
    )]
    BadToken(PathBuf),
    /// OpenSSL does not take the certificate or the key.
    #[error("the certificate {certificate} with the key {key} cannot be used")]
    Tls {
        /// The file of the certificate and those that vouch for it.
        certificate: PathBuf,
        /// The file of its key.
        key: PathBuf,
        /// What OpenSSL says.
        #[source]
        source: openssl::error::ErrorStack,
    },
}

/// The files that guard a door; each may be absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccessFiles<'a> {
    /// A file with the token that requests have to carry.
    pub token: Option<&'a Path>,
    /// A file with the certificate and those that vouch for it, in PEM.
    pub certificate: Option<&'a Path>,
    /// A file with the certificate's key, in PEM.
    pub key: Option<&'a Path>,
}

/// What a peer has to bring and how it is spoken to. By default nothing, and in plain.
#[derive(Clone, Default)]
pub struct Access {
    /// The digest of the token: of equal length whatever the length of what is compared.
    token: Option<[u8; 32]>,
    tls: Option<SslAcceptor>,
}

impl std::fmt::Debug for Access {
    /// Without the token.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Access")
            .field("token", &self.token.is_some())
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

impl Access {
    /// Reads the files.
    pub fn read(files: AccessFiles<'_>) -> Result<Self, AccessError> {
        let tls = match (files.certificate, files.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(acceptor(certificate, key)?),
            _ => return Err(AccessError::Half),
        };
        let token = files.token.map(read_token).transpose()?;
        Ok(Self { token, tls })
    }

    /// Whether a request with this `Authorization` header may be answered. Takes the same time
    /// wherever the token is wrong.
    pub fn admits(&self, authorization: Option<&[u8]>) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let given = authorization.and_then(|header| {
            let (scheme, given) = header.split_at_checked("Bearer ".len())?;
            scheme.eq_ignore_ascii_case(b"Bearer ").then_some(given)
        });
        given.is_some_and(|given| openssl::memcmp::eq(&sha256(given.trim_ascii()), token))
    }

    /// How TLS is spoken, where it is.
    pub(super) fn tls(&self) -> Option<&SslAcceptor> {
        self.tls.as_ref()
    }

    /// What is missing for a door beyond loopback: `None` when nothing is.
    pub fn missing(&self) -> Option<&'static str> {
        match (self.tls.is_some(), self.token.is_some()) {
            (true, true) => None,
            (true, false) => Some("http.token_file"),
            (false, true) => Some("http.certificate and http.key"),
            (false, false) => Some("http.token_file, http.certificate and http.key"),
        }
    }
}

/// Whether only this machine reaches the address.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn read_token(path: &Path) -> Result<[u8; 32], AccessError> {
    let failed = |error| AccessError::Token(path.to_owned(), error);
    let file = std::fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(AccessError::Open(path.to_owned()));
    }
    let mut text = Vec::new();
    file.take(TOKEN_MAX + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    let token = text.trim_ascii();
    let fits = token.len() >= TOKEN_MIN
        && text.len() as u64 <= TOKEN_MAX
        && token.iter().all(u8::is_ascii_graphic);
    if !fits {
        return Err(AccessError::BadToken(path.to_owned()));
    }
    Ok(sha256(token))
}

fn acceptor(certificate: &Path, key: &Path) -> Result<SslAcceptor, AccessError> {
    let make = || {
        // TLS 1.2 and 1.3 with the suites that Mozilla calls intermediate.
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        builder.set_certificate_chain_file(certificate)?;
        builder.set_private_key_file(key, SslFiletype::PEM)?;
        builder.check_private_key()?;
        builder.set_alpn_select_callback(|_, offered| {
            select_next_proto(b"\x08http/1.1", offered).ok_or(AlpnError::NOACK)
        });
        Ok(builder.build())
    };
    make().map_err(|source| AccessError::Tls {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn token(text: &str, mode: u32) -> Result<Access, AccessError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Access::read(AccessFiles {
            token: Some(&path),
            ..AccessFiles::default()
        })
    }

    #[test]
    fn only_the_token_lets_in() {
        let access = token("0123456789abcdef\n", 0o640).unwrap();
        for (header, admitted) in [
            (None, false),
            (Some(&b""[..]), false),
            (Some(b"Bearer 0123456789abcdef"), true),
            (Some(b"bearer  0123456789abcdef"), true),
            (Some(b"Bearer 0123456789abcdeg"), false),
            (Some(b"Bearer 0123456789abcdef0"), false),
            (Some(b"Bearer 0123456789abcde"), false),
            (Some(b"Basic 0123456789abcdef"), false),
            (Some(b"0123456789abcdef"), false),
        ] {
            assert_eq!(access.admits(header), admitted, "{header:?}");
        }
        assert!(Access::default().admits(None));
        assert_eq!(access.missing(), Some("http.certificate and http.key"));
        assert!(!format!("{access:?}").contains("0123"));
    }

    #[test]
    fn a_token_must_be_one_and_be_kept() {
        for text in ["", "short", "0123456789 abcdef", "0123456789abcdef\nmore"] {
            assert!(
                matches!(token(text, 0o600), Err(AccessError::BadToken(_))),
                "{text}"
            );
        }
        let long = "x".repeat(5000);
        assert!(matches!(token(&long, 0o600), Err(AccessError::BadToken(_))));
        let open = token("0123456789abcdef", 0o644).unwrap_err().to_string();
        assert!(open.contains("chmod o= "), "{open}");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let nowhere = Path::new("/nowhere/at/all");
        let files = AccessFiles {
            token: Some(nowhere),
            ..AccessFiles::default()
        };
        assert!(matches!(Access::read(files), Err(AccessError::Token(..))));
        let files = AccessFiles {
            certificate: Some(nowhere),
            ..AccessFiles::default()
        };
        assert!(matches!(Access::read(files), Err(AccessError::Half)));
        let files = AccessFiles {
            certificate: Some(nowhere),
            key: Some(nowhere),
            ..AccessFiles::default()
        };
        let error = Access::read(files).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }

    #[test]
    fn loopback_has_three_spellings() {
        for (address, expected) in [
            ("127.0.0.1", true),
            ("127.8.9.10", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("192.0.2.1", false),
        ] {
            assert_eq!(is_loopback(address.parse().unwrap()), expected, "{address}");
        }
    }
}
