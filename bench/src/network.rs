//! TCP, TLS 1.3 and WebSocket, the same for every server but for who vouches for it: an authority of the bench's own
//! (Prosody, the reference), or the key in an invite (Aside).

use anyhow::{Context, Result};
use aside_protocol::key::PublicKey;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, Der, PrivateKeyDer, ServerName, TrustAnchor};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// An encrypted connection.
pub type Encrypted = TlsStream<TcpStream>;
/// A WebSocket on one.
pub type Socket = WebSocketStream<Encrypted>;

/// Where a server is, and how its TLS is checked.
#[derive(Clone)]
pub struct Network {
    address: (String, u16),
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl Network {
    /// A server on this machine under the name `localhost`, certified by the authority in a file. AES-128-GCM and X25519,
    /// which all of them have.
    ///
    /// # Errors
    /// The file.
    pub fn certified(port: u16, authority: &Path) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(authority).context("reading the authority's certificate")? {
            roots.add(certificate?)?;
        }
        let name = ServerName::try_from("localhost")?;
        Ok(Self { address: ("127.0.0.1".to_owned(), port), name, connector: connector(plain_provider(), roots)? })
    }

    /// An Aside server by its identity key, as Aside's clients do it: X25519MLKEM768 and the suite that both prefer.
    ///
    /// # Errors
    /// The host is no name that TLS can check.
    pub fn pinned(host: &str, port: u16, identity: &PublicKey) -> Result<Self> {
        let groups: Vec<&'static dyn SupportedKxGroup> = vec![aws_lc_rs::kx_group::X25519MLKEM768];
        let provider = CryptoProvider { kx_groups: groups, ..aws_lc_rs::default_provider() };
        let mut roots = RootCertStore::empty();
        roots.roots.push(anchor(identity));
        let name = ServerName::try_from(host.to_owned())?;
        Ok(Self { address: (host.to_owned(), port), name, connector: connector(provider, roots)? })
    }

    /// Connects.
    ///
    /// # Errors
    /// TCP or TLS.
    pub async fn connect(&self) -> Result<Encrypted> {
        let stream = TcpStream::connect((self.address.0.as_str(), self.address.1)).await.context("connecting")?;
        stream.set_nodelay(true)?;
        self.connector.connect(self.name.clone(), stream).await.context("TLS")
    }

    /// Connects and asks for a WebSocket.
    ///
    /// # Errors
    /// As [`Network::connect`], or the server has no WebSocket there.
    pub async fn open(&self, path: &str) -> Result<Socket> {
        let url = format!("wss://localhost:{}{path}", self.address.1);
        let stream = self.connect().await?;
        let (socket, _) = tokio_tungstenite::client_async_with_config(url, stream, Some(socket_config())).await?;
        Ok(socket)
    }
}

/// Small buffers, because a measurement opens many of them.
pub fn socket_config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(4_096).write_buffer_size(8_192)
}

/// The reference server's side.
///
/// # Errors
/// The files.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let config = ServerConfig::builder_with_provider(Arc::new(plain_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn plain_provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    }
}

fn connector(provider: CryptoProvider, roots: RootCertStore) -> Result<TlsConnector> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Every session pays for its handshake.
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// An identity key as the authority that certifies the server's TLS keys, by name and key alone, in DER without the outer
/// SEQUENCE. The client has the same (`aside-client`, `connection/tls.rs`), which is not imported for its weight.
fn anchor(identity: &PublicKey) -> TrustAnchor<'static> {
    const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];
    const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
    let name = der(0x0c, b"aside server identity");
    let subject = der(0x31, &der(0x30, &[COMMON_NAME, &name].concat()));
    let key = der(0x03, &[&[0][..], &identity.0].concat());
    TrustAnchor {
        subject: Der::from(subject),
        subject_public_key_info: Der::from([der(0x30, ED25519), key].concat()),
        name_constraints: None,
    }
}

/// One DER value of less than 128 bytes.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, content.len() as u8], content].concat()
}
