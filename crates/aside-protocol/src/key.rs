//! Ed25519 (RFC 8032) keys and signatures as they stand on the wire.
//!
//! Signing keys are made from seeds that the caller derives or draws; this crate has no randomness.

use crate::codec::labelled_message;
use crate::id::byte_id;
use ed25519_dalek::Signer;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

byte_id!(
    /// An Ed25519 public key. Whether it is a valid point is found out by the first [`PublicKey::verify`].
    PublicKey, 32
);
byte_id!(
    /// An Ed25519 signature.
    Signature, 64
);

/// A signature that does not verify. It says which statement was not signed; whose fault that is, the caller knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature under {label:?} does not verify")]
pub struct BadSignature {
    /// The label of the statement.
    pub label: &'static str,
}

impl PublicKey {
    /// Checks a signature over a labelled statement, strictly (no malleability, no small-order keys).
    ///
    /// # Errors
    /// [`BadSignature`], also when the key itself is no valid point.
    pub fn verify(&self, label: &'static str, parts: &[&[u8]], signature: &Signature) -> Result<(), BadSignature> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.0).map_err(|_| BadSignature { label })?;
        key.verify_strict(&labelled_message(label, parts), &ed25519_dalek::Signature::from_bytes(&signature.0))
            .map_err(|_| BadSignature { label })
    }
}

/// An Ed25519 signing key. Wiped on drop, never printed.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key of a 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The seed, for storage under encryption.
    pub fn dangerous_seed(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a labelled statement.
    pub fn sign(&self, label: &'static str, parts: &[&[u8]]) -> Signature {
        Signature(self.0.sign(&labelled_message(label, parts)).to_bytes())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey(of {:?})", self.public_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_label_and_parts_only() {
        let key = SigningKey::from_seed(&[1; 32]);
        let signature = key.sign("one", &[b"a"]);
        assert!(key.public_key().verify("one", &[b"a"], &signature).is_ok());
        assert_eq!(key.public_key().verify("two", &[b"a"], &signature), Err(BadSignature { label: "two" }));
        assert!(key.public_key().verify("one", &[b"b"], &signature).is_err());
    }
}
