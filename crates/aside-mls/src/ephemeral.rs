//! Ephemerals (DESIGN 4a rule 8): typing marks and rings, fanned out and never stored.
//!
//! They use an AEAD key from the exporter, a random nonce and a signature of the leaf, and no MLS generation: a thousand
//! missed typing marks would otherwise have to be skipped in the ratchet.

use crate::credential::Member;
use crate::error::{MlsError, SealedError};
use crate::group::Group;
use crate::provider::{DeviceSigner, Session};
use aside_protocol::codec::{decode, encode};
use aside_protocol::id::ChannelId;
use aside_protocol::key::Signature;
use aside_protocol::limit::EPHEMERAL_BYTES_MAX;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use minicbor::{Decode, Encode};

const EXPORTER_LABEL: &str = "aside ephemeral";
const SIGNATURE_LABEL: &str = "aside ephemeral v1";
const BLOB_LABEL: &[u8] = b"aside sealed blob v1";

/// As it is on the wire.
#[derive(Encode, Decode)]
struct Sealed {
    #[cbor(n(0), with = "minicbor::bytes")]
    nonce: [u8; 12],
    #[cbor(n(1), with = "minicbor::bytes")]
    ciphertext: Vec<u8>,
}

/// What is inside.
#[derive(Encode, Decode)]
struct Signed {
    #[n(0)]
    leaf: u32,
    #[n(1)]
    signature: Signature,
    #[cbor(n(2), with = "minicbor::bytes")]
    plaintext: Vec<u8>,
}

impl Group {
    /// Seals an ephemeral. `nonce` is random; the caller has padded the plaintext.
    ///
    /// # Errors
    /// [`MlsError`].
    pub fn seal_ephemeral(
        &self,
        session: &Session<'_>,
        signer: &DeviceSigner,
        channel: &ChannelId,
        plaintext: &[u8],
        nonce: [u8; 12],
    ) -> Result<Vec<u8>, MlsError> {
        let leaf = self.own_leaf();
        let epoch = self.epoch().to_be_bytes();
        let parts: [&[u8]; 5] = [&channel.0, &epoch, &leaf.to_be_bytes(), &nonce, plaintext];
        let signature = signer.key.sign(SIGNATURE_LABEL, &parts);
        let key = self.dangerous_export_secret(session, EXPORTER_LABEL, &channel.0)?;
        let signed = encode(&Signed { leaf, signature, plaintext: plaintext.to_vec() });
        Ok(encode(&Sealed { nonce, ciphertext: seal_with(&key, nonce, &[], &signed)? }))
    }

    /// Opens an ephemeral of this epoch: who sent it, and what. A replay within the epoch opens again; what it says must
    /// bear that.
    ///
    /// # Errors
    /// [`SealedError`].
    pub fn open_ephemeral(
        &self,
        session: &Session<'_>,
        channel: &ChannelId,
        body: &[u8],
    ) -> Result<(Member, Vec<u8>), SealedError> {
        let Sealed { nonce, ciphertext } = decode(body, EPHEMERAL_BYTES_MAX)?;
        let key = self.dangerous_export_secret(session, EXPORTER_LABEL, &channel.0)?;
        let opened = open_with(&key, nonce, &[], &ciphertext).ok_or(SealedError::InvalidTag)?;
        let Signed { leaf, signature, plaintext } = decode(&opened, EPHEMERAL_BYTES_MAX)?;
        let sender = self.member(leaf).map_err(|_| SealedError::BadLeafSignature { leaf })?;
        let epoch = self.epoch().to_be_bytes();
        let parts: [&[u8]; 5] = [&channel.0, &epoch, &leaf.to_be_bytes(), &nonce, &plaintext];
        match sender.credential.certificate.signature_key.verify(SIGNATURE_LABEL, &parts, &signature) {
            Ok(()) => Ok((sender, plaintext)),
            Err(_) => Err(SealedError::BadLeafSignature { leaf }),
        }
    }
}

/// ChaCha20-Poly1305 (RFC 8439).
pub(crate) fn seal_with(
    key: &[u8; 32],
    nonce: [u8; 12],
    associated: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, MlsError> {
    ChaCha20Poly1305::new(key.into())
        .encrypt(&nonce.into(), Payload { msg: plaintext, aad: associated })
        .map_err(|_| MlsError::Crypto { doing: "sealing" })
}

/// Seals what is stored as a blob, under a random key that seals nothing else: hence no nonce.
///
/// # Errors
/// [`MlsError::Crypto`].
pub fn seal_blob(key: &[u8; 32], plaintext: &[u8]) -> Result<Vec<u8>, MlsError> {
    seal_with(key, [0; 12], BLOB_LABEL, plaintext)
}

/// Opens a blob. `None`: it was altered, or sealed under another key.
pub fn open_blob(key: &[u8; 32], sealed: &[u8]) -> Option<Vec<u8>> {
    open_with(key, [0; 12], BLOB_LABEL, sealed)
}

/// The plaintext, or `None` if the tag does not hold.
pub(crate) fn open_with(key: &[u8; 32], nonce: [u8; 12], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    ChaCha20Poly1305::new(key.into()).decrypt(&nonce.into(), Payload { msg: sealed, aad: associated }).ok()
}
