//! Asking a server who it is, when a person has nothing but an address and 24 words (P-2.10). What comes is a claim and
//! no more: the engine does nothing with it before the server has shown a backup that names it (P-10.7).

use super::error::DialError;
use aside_protocol::address::ServerAddress;
use aside_protocol::codec;
use aside_protocol::connection::{CLAIM_PATH, ServerClaim};
use aside_protocol::link::ServerPin;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;
/// How long it may take in all.
const TIME_MAX: Duration = Duration::from_secs(15);

/// Who the server at an address claims to be.
///
/// # Errors
/// [`DialError`]: it cannot be reached, or is no Aside server.
pub async fn ask(address: &ServerAddress) -> Result<ServerPin, DialError> {
    let asked = tokio::time::timeout(TIME_MAX, fetch(address)).await;
    let claim = asked.unwrap_or(Err(DialError::NoAnswer { step: "question who it is" }))?;
    Ok(ServerPin { address: address.clone(), identity_key: claim.identity_key, tls: claim.tls })
}

async fn fetch(address: &ServerAddress) -> Result<ServerClaim, DialError> {
    let (host, port) = (address.host(), address.port());
    let stream = TcpStream::connect((host, port)).await.map_err(DialError::Unreachable)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| DialError::HostName)?;
    let config = config().map_err(|error| DialError::Tls(std::io::Error::other(error)))?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(DialError::Tls)?;
    let request = format!("GET {CLAIM_PATH} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(DialError::Tls)?;
    let mut answer = Vec::new();
    // A server that ends TLS without a word is cut off all the same; what matters is whether the answer decodes.
    let _ = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await;
    read(&answer).ok_or(DialError::NoHello)
}

fn read(answer: &[u8]) -> Option<ServerClaim> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = (answer.get(..end)?, answer.get(end.checked_add(4)?..)?);
    let is_good = head.starts_with(b"HTTP/1.1 200 ");
    codec::decode(body, ANSWER_BYTES_MAX as usize).ok().filter(|_| is_good)
}

fn config() -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody { provider }))
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Takes any certificate: only a claim comes over this connection, and nothing goes.
#[derive(Debug)]
struct Anybody {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aside_protocol::key::PublicKey;
    use aside_protocol::link::TlsTrust;

    #[test]
    fn a_claim_is_read_and_anything_else_is_none() {
        let claim = ServerClaim { identity_key: PublicKey([1; 32]), tls: TlsTrust::Pinned };
        let answer = |head: &str, body: &[u8]| [head.as_bytes(), b"\r\nx: y\r\n\r\n", body].concat();
        assert_eq!(read(&answer("HTTP/1.1 200 OK", &codec::encode(&claim))), Some(claim.clone()));
        assert_eq!(read(&answer("HTTP/1.1 404 Not Found", &codec::encode(&claim))), None);
        assert_eq!(read(&answer("HTTP/1.1 200 OK", b"<html>")), None);
        assert_eq!(read(b""), None);
    }
}
