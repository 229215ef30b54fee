//! The first frames of a connection: who the server is, and what a proof on this connection is bound to.
//! Rules P-2.1 to P-2.5 in `docs/protocol/2-connections.md`.

use crate::codec::labelled_hash;
use crate::id::{Binding, Nonce};
use crate::key::{BadSignature, PublicKey, Signature, SigningKey};
use minicbor::{Decode, Encode};

/// RFC 8446, section 7.5: the label under which both sides export what names their TLS connection.
pub const TLS_EXPORTER_LABEL: &[u8] = b"EXPORTER-Aside-Binding";
/// The bytes that are exported.
pub const TLS_EXPORTER_BYTES: usize = 32;

/// Where a server says, over HTTP, who it claims to be ([`ServerClaim`]).
pub const CLAIM_PATH: &str = "/v1/server";

/// What a server says of itself to whoever has lost everything but an address and 24 words (P-2.10). Nobody may believe
/// it: it counts once the server has shown a backup that names it (P-10.7).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ServerClaim {
    /// What links pin.
    #[n(0)]
    pub identity_key: PublicKey,
    /// How its TLS is checked.
    #[n(1)]
    pub tls: crate::link::TlsTrust,
}

const CERTIFICATE_LABEL: &str = "aside server certificate v1";
const HELLO_LABEL: &str = "aside server hello v1";

/// What the client says first.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ClientHello {
    /// The protocol version that the client speaks.
    #[n(0)]
    pub version: u16,
    /// Random, once a connection.
    #[n(1)]
    pub nonce: Nonce,
}

/// The server's online key, certified by its identity key, which may be kept offline (P-2.2).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ServerCertificate {
    /// The key that signs hellos.
    #[n(0)]
    pub online_key: PublicKey,
    /// The first day (since 1970-01-01, UTC) on which the certificate is void.
    #[n(1)]
    pub expires_day: u32,
    /// By the identity key.
    #[n(2)]
    pub signature: Signature,
}

impl ServerCertificate {
    /// Certifies an online key.
    pub fn issue(identity: &SigningKey, online_key: PublicKey, expires_day: u32) -> Self {
        let signature = identity.sign(CERTIFICATE_LABEL, &[&online_key.0, &expires_day.to_be_bytes()]);
        Self { online_key, expires_day, signature }
    }
}

/// How the TLS connection enters the binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum BindingKind {
    /// TLS ends in this server: its exporter is part of the binding.
    #[n(0)]
    TlsExporter,
    /// TLS ends in a reverse proxy: the binding is made of the two nonces and the server's identity alone.
    #[n(1)]
    Nonces,
}

/// What the server says first.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ServerHello {
    /// The protocol version that the server speaks.
    #[n(0)]
    pub version: u16,
    /// Random, once a connection.
    #[n(1)]
    pub nonce: Nonce,
    /// Whether TLS enters the binding.
    #[n(2)]
    pub binding_kind: BindingKind,
    /// Who vouches for `signature`.
    #[n(3)]
    pub certificate: ServerCertificate,
    /// By the online key, over the binding.
    #[n(4)]
    pub signature: Signature,
}

/// Why a server's hello was refused: it is not the server that the link named, or it speaks another version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// The certificate is not signed by the pinned identity key, or the hello not by the certified key.
    #[error("this is not the server that the link named: {0}")]
    NotThisServer(#[from] BadSignature),
    /// The certificate's time is over.
    #[error(
        "the server's certificate ended on day {expires_day}; its administrator renews it with `aside-server certify`"
    )]
    CertificateExpired {
        /// The first void day.
        expires_day: u32,
    },
    /// Another protocol version.
    #[error("the server speaks protocol version {server}, this program version {client}: update the older of the two")]
    Version {
        /// The server's.
        server: u16,
        /// Ours.
        client: u16,
    },
    /// TLS ends somewhere else than in the server, on a link that pins the server's own TLS key.
    #[error("somebody stands between this program and the server: the link says that TLS ends in the server itself")]
    NotBoundToTls,
}

/// Computes the binding of a connection (P-2.3). `tls_exporter` is empty where TLS ends in a reverse proxy.
pub fn binding(
    kind: BindingKind,
    identity: &PublicKey,
    client: &Nonce,
    server: &Nonce,
    tls_exporter: &[u8],
) -> Binding {
    let kind = match kind {
        BindingKind::TlsExporter => b"tls",
        BindingKind::Nonces => b"non",
    };
    Binding(labelled_hash("aside binding v1", &[kind, &identity.0, &client.0, &server.0, tls_exporter]))
}

impl ServerHello {
    /// The server's side: signs the binding of this connection.
    pub fn sign(
        online: &SigningKey,
        certificate: ServerCertificate,
        kind: BindingKind,
        nonce: Nonce,
        binding: &Binding,
    ) -> Self {
        let signature = online.sign(HELLO_LABEL, &[&binding.0]);
        Self { version: crate::PROTOCOL_VERSION, nonce, binding_kind: kind, certificate, signature }
    }

    /// The client's side: checks that this is the pinned server, on this very connection.
    ///
    /// # Errors
    /// [`HelloError`]; none of them goes away by trying again on the same link.
    pub fn verify(&self, identity: &PublicKey, binding: &Binding, today: u32) -> Result<(), HelloError> {
        if self.version != crate::PROTOCOL_VERSION {
            return Err(HelloError::Version { server: self.version, client: crate::PROTOCOL_VERSION });
        }
        let certificate = &self.certificate;
        identity.verify(
            CERTIFICATE_LABEL,
            &[&certificate.online_key.0, &certificate.expires_day.to_be_bytes()],
            &certificate.signature,
        )?;
        if today >= certificate.expires_day {
            return Err(HelloError::CertificateExpired { expires_day: certificate.expires_day });
        }
        certificate.online_key.verify(HELLO_LABEL, &[&binding.0], &self.signature)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(binding: &Binding) -> (PublicKey, ServerHello) {
        let (identity, online) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let certificate = ServerCertificate::issue(&identity, online.public_key(), 100);
        (
            identity.public_key(),
            ServerHello::sign(&online, certificate, BindingKind::TlsExporter, Nonce([3; 32]), binding),
        )
    }

    #[test]
    fn a_hello_holds_on_its_own_connection_only() {
        let (identity, hello) = hello(&Binding([9; 32]));
        assert_eq!(hello.verify(&identity, &Binding([9; 32]), 99), Ok(()));
        assert!(matches!(hello.verify(&identity, &Binding([8; 32]), 99), Err(HelloError::NotThisServer(_))));
        assert!(matches!(hello.verify(&PublicKey([5; 32]), &Binding([9; 32]), 99), Err(HelloError::NotThisServer(_))));
    }

    #[test]
    fn an_expired_certificate_is_named() {
        let (identity, hello) = hello(&Binding([9; 32]));
        assert_eq!(
            hello.verify(&identity, &Binding([9; 32]), 100),
            Err(HelloError::CertificateExpired { expires_day: 100 })
        );
    }
}
