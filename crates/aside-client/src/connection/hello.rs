//! The hellos (P-2.1 to P-2.5): the server proves its pinned identity on this very connection.

use super::dial::Socket;
use super::error::DialError;
use crate::randomness::SystemRandomness;
use crate::runtime::now;
use aside_protocol::PROTOCOL_VERSION;
use aside_protocol::connection::{BindingKind, ClientHello, HelloError, ServerHello, binding};
use aside_protocol::frame::account::{FromClient, FromServer};
use aside_protocol::id::{Binding, Nonce};
use aside_protocol::link::{ServerPin, TlsTrust};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

/// Says hello, hears the server's, and gives the connection's binding. Both kinds of connection begin alike.
///
/// # Errors
/// [`DialError::Hello`] where the server is another, [`DialError::Refused`] where it says why not.
pub async fn exchange(socket: &mut Socket, pin: &ServerPin, tls_exporter: &[u8]) -> Result<Binding, DialError> {
    let failed = |error| DialError::WebSocket(Box::new(error));
    let nonce = Nonce(SystemRandomness.bytes());
    let hello = FromClient::Hello(ClientHello { version: PROTOCOL_VERSION, nonce });
    socket.send(Message::Binary(hello.encode().into())).await.map_err(failed)?;
    loop {
        let bytes = match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Err(error)) => return Err(failed(error)),
            Some(Ok(_)) | None => return Err(DialError::NoHello),
        };
        return match FromServer::decode(&bytes) {
            Ok(FromServer::Hello(hello)) => Ok(verify(&hello, pin, &nonce, tls_exporter)?),
            Ok(FromServer::Goodbye(refusal)) => Err(DialError::Refused(refusal)),
            Ok(_) | Err(_) => Err(DialError::NoHello),
        };
    }
}

fn verify(hello: &ServerHello, pin: &ServerPin, nonce: &Nonce, tls_exporter: &[u8]) -> Result<Binding, HelloError> {
    let exporter = match (hello.binding_kind, pin.tls) {
        (BindingKind::TlsExporter, _) => tls_exporter,
        (BindingKind::Nonces, TlsTrust::CertificateAuthority) => &[],
        (BindingKind::Nonces, TlsTrust::Pinned) => return Err(HelloError::NotBoundToTls),
    };
    let binding = binding(hello.binding_kind, &pin.identity_key, nonce, &hello.nonce, exporter);
    hello.verify(&pin.identity_key, &binding, now().day())?;
    Ok(binding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aside_protocol::connection::ServerCertificate;
    use aside_protocol::key::SigningKey;

    fn hello(kind: BindingKind, tls: TlsTrust) -> Result<Binding, HelloError> {
        let (identity, online) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let address = "localhost:1".parse().unwrap();
        let pin = ServerPin { address, identity_key: identity.public_key(), tls };
        let (client, server) = (Nonce([3; 32]), Nonce([4; 32]));
        let exporter: &[u8] = if kind == BindingKind::TlsExporter { &[5; 32] } else { &[] };
        let bound = binding(kind, &pin.identity_key, &client, &server, exporter);
        let certificate = ServerCertificate::issue(&identity, online.public_key(), u32::MAX);
        verify(&ServerHello::sign(&online, certificate, kind, server, &bound), &pin, &client, &[5; 32])
    }

    #[test]
    fn a_pinned_server_binds_to_its_own_tls() {
        assert!(hello(BindingKind::TlsExporter, TlsTrust::Pinned).is_ok());
        assert_eq!(hello(BindingKind::Nonces, TlsTrust::Pinned), Err(HelloError::NotBoundToTls));
    }

    #[test]
    fn a_server_behind_a_proxy_may_bind_to_nonces() {
        assert!(hello(BindingKind::Nonces, TlsTrust::CertificateAuthority).is_ok());
        assert!(hello(BindingKind::TlsExporter, TlsTrust::CertificateAuthority).is_ok());
    }
}
