//! TLS 1.3 to a server: pinned to its identity key (design section 3), or by the system's certificate authorities.

use super::error::DialError;
use aside_protocol::connection::{TLS_EXPORTER_BYTES, TLS_EXPORTER_LABEL};
use aside_protocol::key::PublicKey;
use aside_protocol::link::{ServerPin, TlsTrust};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{Der, ServerName, TrustAnchor};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The common name under which a server's identity key issues the certificates of its TLS keys.
const IDENTITY_COMMON_NAME: &[u8] = b"aside server identity";

/// Encrypts a connection. Each has a configuration of its own and keeps no session: two connections of one person
/// would otherwise be linked by a ticket.
///
/// # Errors
/// [`DialError::Certificate`] where the server is not the one of the pin.
pub async fn encrypt(pin: &ServerPin, stream: TcpStream) -> Result<TlsStream<TcpStream>, DialError> {
    let name = ServerName::try_from(pin.address.host().to_owned()).map_err(|_| DialError::HostName)?;
    let config = config(pin).map_err(DialError::Certificate)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(named)
}

/// What this TLS connection exports for the binding (P-2.3).
///
/// # Errors
/// [`DialError::Tls`]; not after a finished handshake.
pub fn exporter(stream: &TlsStream<TcpStream>) -> Result<[u8; TLS_EXPORTER_BYTES], DialError> {
    let (_, connection) = stream.get_ref();
    connection
        .export_keying_material([0; TLS_EXPORTER_BYTES], TLS_EXPORTER_LABEL, None)
        .map_err(|error| DialError::Tls(std::io::Error::other(error)))
}

fn named(error: std::io::Error) -> DialError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(inner @ rustls::Error::InvalidCertificate(_)) => DialError::Certificate(inner.clone()),
        Some(_) => DialError::Tls(error),
        None => DialError::Unreachable(error),
    }
}

fn config(pin: &ServerPin) -> Result<ClientConfig, rustls::Error> {
    let mut provider = aws_lc_rs::default_provider();
    let mut roots = RootCertStore::empty();
    match pin.tls {
        TlsTrust::Pinned => {
            provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
            roots.roots.push(anchor(&pin.identity_key));
        }
        // The provider's default order prefers X25519MLKEM768; a proxy that has none is allowed, because there the
        // messages' own keys are what the promise rests on.
        TlsTrust::CertificateAuthority => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The identity key as a certificate authority that needs no certificate of its own: a name and a key (RFC 5280,
/// section 6.1.1 d). Both are DER without their outer SEQUENCE, as webpki takes them.
fn anchor(identity: &PublicKey) -> TrustAnchor<'static> {
    const OID_COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];
    const OID_ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
    let name = der(0x0c, IDENTITY_COMMON_NAME);
    let attribute = der(0x30, &[OID_COMMON_NAME, &name].concat());
    let subject = der(0x31, &attribute);
    let algorithm = der(0x30, OID_ED25519);
    let key = der(0x03, &[&[0][..], &identity.0].concat());
    TrustAnchor {
        subject: Der::from(subject),
        subject_public_key_info: Der::from([algorithm, key].concat()),
        name_constraints: None,
    }
}

/// One DER value of less than 128 bytes.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag, content.len() as u8];
    bytes.extend_from_slice(content);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use aside_protocol::key::SigningKey;
    use rcgen::{CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ED25519};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use tokio::net::TcpListener;

    /// The identity key as rcgen takes it: RFC 8410, section 7.
    fn key_pair(seed: &[u8; 32]) -> KeyPair {
        let head = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
        let pkcs8 = [&head[..], seed].concat();
        KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8), &PKCS_ED25519).unwrap()
    }

    fn server_config(identity: &[u8; 32], groups: Vec<&'static dyn rustls::crypto::SupportedKxGroup>) -> ServerConfig {
        let mut authority = CertificateParams::new(vec![]).unwrap();
        authority.distinguished_name = rcgen::DistinguishedName::new();
        authority
            .distinguished_name
            .push(DnType::CommonName, String::from_utf8(IDENTITY_COMMON_NAME.to_vec()).unwrap());
        authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = Issuer::new(authority, key_pair(identity));
        let leaf_key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&leaf_key, &issuer).unwrap();
        let provider = rustls::crypto::CryptoProvider { kx_groups: groups, ..aws_lc_rs::default_provider() };
        ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivatePkcs8KeyDer::from(leaf_key.serialize_der()).into())
            .unwrap()
    }

    async fn try_it(pinned: u8, config: ServerConfig) -> Result<TlsStream<TcpStream>, DialError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await
        });
        let identity_key = SigningKey::from_seed(&[pinned; 32]).public_key();
        let pin = ServerPin { address: address.parse().unwrap(), identity_key, tls: TlsTrust::Pinned };
        let stream = TcpStream::connect(&address).await.unwrap();
        let encrypted = encrypt(&pin, stream).await;
        let _ = server.await.unwrap();
        encrypted
    }

    #[tokio::test]
    async fn a_pinned_server_is_reached_under_its_identity_key_and_post_quantum() {
        let stream = try_it(1, server_config(&[1; 32], vec![aws_lc_rs::kx_group::X25519MLKEM768])).await.unwrap();
        let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
        assert_ne!(exporter(&stream).unwrap(), [0; 32]);
    }

    #[tokio::test]
    async fn a_pinned_server_with_another_identity_is_refused() {
        let groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
        let refused = try_it(2, server_config(&[1; 32], groups)).await;
        assert!(matches!(refused, Err(DialError::Certificate(_))), "{:?}", refused.err());
    }

    #[tokio::test]
    async fn a_pinned_server_that_offers_only_classical_key_agreement_is_refused() {
        let refused = try_it(1, server_config(&[1; 32], vec![aws_lc_rs::kx_group::X25519])).await;
        assert!(matches!(refused, Err(DialError::Tls(_))), "{:?}", refused.err());
    }
}
