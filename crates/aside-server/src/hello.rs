//! The first frames of a connection, from the server's side: who it is, and what this connection is bound to. Pure; the
//! shell and the simulator both call it before they tell the core of a connection.

use aside_protocol::PROTOCOL_VERSION;
use aside_protocol::connection::{BindingKind, ClientHello, ServerCertificate, ServerHello, binding};
use aside_protocol::frame::{ClientFrame, ServerFrame, anonymous};
use aside_protocol::id::{Binding, Nonce};
use aside_protocol::key::{PublicKey, SigningKey};
use aside_protocol::refusal::Refusal;
use bytes::Bytes;

/// The keys that a running server says hello with. The identity key's secret half is not among them.
#[derive(Debug, Clone)]
pub struct OnlineIdentity {
    /// What links pin.
    pub identity_key: PublicKey,
    /// Signs hellos.
    pub online: SigningKey,
    /// The identity key's word for `online`.
    pub certificate: ServerCertificate,
}

impl OnlineIdentity {
    /// Answers a client's first frame. `nonce` is fresh randomness; `tls_exporter` is empty where TLS ends elsewhere.
    ///
    /// # Errors
    /// The goodbye to send before closing: the frame is no hello, or of another protocol version.
    pub fn answer(
        &self,
        first_frame: &[u8],
        kind: BindingKind,
        nonce: Nonce,
        tls_exporter: &[u8],
    ) -> Result<(Binding, Bytes), Bytes> {
        let hello = client_hello(first_frame).map_err(|refusal| encode(ServerFrame::Goodbye(refusal)))?;
        let binding = binding(kind, &self.identity_key, &hello.nonce, &nonce, tls_exporter);
        let hello = ServerHello::sign(&self.online, self.certificate.clone(), kind, nonce, &binding);
        Ok((binding, encode(ServerFrame::Hello(hello))))
    }
}

/// A hello is encoded alike on both kinds of connection.
fn client_hello(bytes: &[u8]) -> Result<ClientHello, Refusal> {
    match anonymous::FromClient::decode(bytes) {
        Ok(ClientFrame::Hello(hello)) if hello.version == PROTOCOL_VERSION => Ok(hello),
        Ok(ClientFrame::Hello(_)) => Err(Refusal::Version { server: PROTOCOL_VERSION }),
        Ok(ClientFrame::Request(..)) => Err(Refusal::Malformed { what: "a request before the hello".to_owned() }),
        Err(error) => Err(Refusal::Malformed { what: error.to_string() }),
    }
}

fn encode(frame: anonymous::FromServer) -> Bytes {
    frame.encode().into()
}
