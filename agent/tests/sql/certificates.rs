//! A certificate authority of the test's own, and a server certificate of it.

#![expect(clippy::unwrap_used, reason = "keys that cannot be made fail the test")]

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name};

/// PEM texts.
pub(crate) struct Certificates {
    pub(crate) authority: Vec<u8>,
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

/// Makes an authority and a certificate for a host name, valid for a day.
pub(crate) fn for_host(host: &str) -> Certificates {
    let authority_key = key();
    let name = name("authority");
    let mut builder = builder(&authority_key, &name, &name);
    builder
        .append_extension(BasicConstraints::new().critical().ca().build().unwrap())
        .unwrap();
    let authority = signed(builder, &authority_key);
    let server_key = key();
    let mut builder = self::builder(&server_key, &self::name(host), &name);
    let names = SubjectAlternativeName::new()
        .dns(host)
        .build(&builder.x509v3_context(Some(&authority), None))
        .unwrap();
    builder.append_extension(names).unwrap();
    let certificate = signed(builder, &authority_key);
    Certificates {
        authority: authority.to_pem().unwrap(),
        certificate: certificate.to_pem().unwrap(),
        key: server_key.private_key_to_pem_pkcs8().unwrap(),
    }
}

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn name(name: &str) -> X509Name {
    let mut builder = X509Name::builder().unwrap();
    builder.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    builder.build()
}

fn builder(key: &PKey<Private>, subject: &X509Name, issuer: &X509Name) -> X509Builder {
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut number = BigNum::new().unwrap();
    number
        .rand(64, openssl::bn::MsbOption::MAYBE_ZERO, false)
        .unwrap();
    builder
        .set_serial_number(&number.to_asn1_integer().unwrap())
        .unwrap();
    builder.set_subject_name(subject).unwrap();
    builder.set_issuer_name(issuer).unwrap();
    builder.set_pubkey(key).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(1).unwrap())
        .unwrap();
    builder
}

fn signed(mut builder: X509Builder, key: &PKey<Private>) -> X509 {
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build()
}
