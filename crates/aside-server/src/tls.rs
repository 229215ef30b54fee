//! TLS: the certificate that the identity key signs, and how a client that knows only that key checks it.
//!
//! The client makes a trust anchor of [`ISSUER_NAME_DER`] and the identity key ([`identity_spki_der`]), and verifies the
//! server's certificate against it for the host of the address. No certificate authority has a say.

use crate::day::Date;
use aside_protocol::address::ServerAddress;
use aside_protocol::key::{PublicKey, SigningKey};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType,
};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::NoServerSessionStorage;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The issuer's common name in every certificate that an identity key signs.
pub const ISSUER_COMMON_NAME: &str = "aside server identity";

/// The issuer's name as a trust anchor has it (RFC 5280, section 4.1.2.4): the content of the RDNSequence, which is one
/// common name, a UTF8String.
pub const ISSUER_NAME_DER: &[u8] = b"\x31\x1e\x30\x1c\x06\x03\x55\x04\x03\x0c\x15aside server identity";

/// The beginning of an Ed25519 SubjectPublicKeyInfo's content (RFC 8410, section 4); the 32 bytes of the key follow.
pub const ED25519_SPKI_PREFIX: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// The beginning of an Ed25519 private key in PKCS #8 (RFC 8410, section 7); the 32 bytes of the seed follow.
const ED25519_PKCS8_PREFIX: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// The protocol of the HTTP layer (RFC 7301).
const ALPN: &[u8] = b"http/1.1";

/// TLS files that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate cannot be made.
    #[error("the TLS certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    /// A file cannot be read as PEM.
    #[error("{path} cannot be read as PEM: {what}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// Key and certificate cannot be used together.
    #[error("{certificate} cannot be used for TLS: {what}")]
    Use {
        /// The certificate's file.
        certificate: PathBuf,
        /// Why.
        what: String,
    },
}

/// A certificate and its key, as they are kept.
pub struct TlsPem {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: zeroize::Zeroizing<String>,
}

/// The content of the identity key's SubjectPublicKeyInfo, as a trust anchor has it.
pub fn identity_spki_der(identity: &PublicKey) -> Vec<u8> {
    [ED25519_SPKI_PREFIX, &identity.0].concat()
}

fn issuer_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, ISSUER_COMMON_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn identity_key_pair(identity: &SigningKey) -> Result<KeyPair, rcgen::Error> {
    let mut der = ED25519_PKCS8_PREFIX.to_vec();
    der.extend_from_slice(identity.dangerous_seed().as_slice());
    KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der), &PKCS_ED25519)
}

fn valid_between(params: &mut CertificateParams, from_day: u32, until_day: u32) {
    let time = |day| {
        let date = Date::of_day(day);
        rcgen::date_time_ymd(date.year, date.month, date.day)
    };
    (params.not_before, params.not_after) = (time(from_day), time(until_day));
}

/// Makes a TLS key and a certificate for it, signed by the identity key, good for the host of `address`.
///
/// # Errors
/// [`TlsError::Make`].
pub fn make(identity: &SigningKey, address: &ServerAddress, from_day: u32, until_day: u32) -> Result<TlsPem, TlsError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "aside server");
    params.subject_alt_names = vec![match address.host().parse() {
        Ok(ip) => SanType::IpAddress(ip),
        Err(_) => SanType::DnsName(address.host().try_into()?),
    }];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    valid_between(&mut params, from_day, until_day);
    let issuer = Issuer::new(issuer_params(), identity_key_pair(identity)?);
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(TlsPem { certificate: certificate.pem(), key: key.serialize_pem().into() })
}

/// The identity key as a certificate authority of its own, for tools that want a file to trust (`curl --cacert`).
///
/// # Errors
/// [`TlsError::Make`].
pub fn make_authority(identity: &SigningKey, from_day: u32, until_day: u32) -> Result<String, TlsError> {
    let mut params = issuer_params();
    valid_between(&mut params, from_day, until_day);
    Ok(params.self_signed(&identity_key_pair(identity)?)?.pem())
}

/// X25519MLKEM768 first, X25519 for tools that lack it; nothing else.
fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    }
}

/// What the server speaks TLS with: TLS 1.3 only, no resumption (a ticket would link a client's two connections).
///
/// # Errors
/// [`TlsError`], naming the file.
pub fn server_config(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let read = |path: &Path, error: rustls::pki_types::pem::Error| TlsError::Read {
        path: path.to_owned(),
        what: error.to_string(),
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .map_err(|error| read(certificate, error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| read(key, error))?;
    let unusable =
        |error: rustls::Error| TlsError::Use { certificate: certificate.to_owned(), what: error.to_string() };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(unusable)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}
