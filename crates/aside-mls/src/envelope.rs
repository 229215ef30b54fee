//! HPKE (RFC 9180) base mode with X-Wing: what seals an envelope to a device's inbox.

use crate::error::MlsError;
use crate::guard::{PUBLIC_KEY_BYTES, guarded};
use crate::provider::{CIPHERSUITE, Session};
use openmls_traits::OpenMlsProvider;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::random::OpenMlsRand;
use openmls_traits::types::HpkeCiphertext;
use zeroize::Zeroizing;

/// Length of an encapsulated key, in bytes: an ML-KEM-768 ciphertext and an X25519 public key.
const ENCAPSULATED_KEY_BYTES: usize = 1_120;

/// A device's inbox key pair. The device signs the public half (P-3.6) and stores the private one.
#[derive(Clone)]
pub struct InboxKeyPair {
    /// 1,216 bytes.
    pub public: Vec<u8>,
    /// 32 bytes.
    pub private: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for InboxKeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InboxKeyPair")
    }
}

impl Session<'_> {
    /// Draws a key pair.
    ///
    /// # Errors
    /// [`MlsError::Crypto`].
    pub fn new_inbox_key_pair(&self) -> Result<InboxKeyPair, MlsError> {
        let failed = MlsError::Crypto { doing: "making an inbox key pair" };
        let Ok(seed) = self.provider.rand().random_vec(32).map(Zeroizing::new) else { return Err(failed) };
        let pair = self.provider.crypto().derive_hpke_keypair(CIPHERSUITE.hpke_config(), &seed).map_err(|_| failed)?;
        Ok(InboxKeyPair { public: pair.public, private: Zeroizing::new(pair.private.to_vec()) })
    }

    /// Seals to an inbox key: the encapsulated key, then the ciphertext. `info` binds it to its purpose; the opener
    /// must give the same.
    ///
    /// # Errors
    /// [`MlsError::Crypto`], as for an inbox key that is none.
    pub fn seal(&self, inbox_key: &[u8], info: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, MlsError> {
        let doing = "sealing an envelope";
        if inbox_key.len() != PUBLIC_KEY_BYTES {
            return Err(MlsError::Crypto { doing });
        }
        let crypto = self.provider.crypto();
        let sealed = guarded(doing, || crypto.hpke_seal(CIPHERSUITE.hpke_config(), inbox_key, info, &[], plaintext))?
            .map_err(|_| MlsError::Crypto { doing })?;
        let mut bytes = sealed.kem_output.as_slice().to_vec();
        bytes.extend_from_slice(sealed.ciphertext.as_slice());
        Ok(bytes)
    }

    /// Opens what was sealed to this device's inbox key.
    ///
    /// # Errors
    /// [`MlsError::Crypto`]: altered, for another key, or under another `info`; HPKE does not tell which.
    pub fn open(&self, private: &[u8], info: &[u8], sealed: &[u8]) -> Result<Vec<u8>, MlsError> {
        let doing = "opening an envelope";
        let Some((kem_output, ciphertext)) = sealed.split_at_checked(ENCAPSULATED_KEY_BYTES) else {
            return Err(MlsError::Crypto { doing });
        };
        let sealed = HpkeCiphertext { kem_output: kem_output.into(), ciphertext: ciphertext.into() };
        let crypto = self.provider.crypto();
        guarded(doing, || crypto.hpke_open(CIPHERSUITE.hpke_config(), &sealed, private, info, &[]))?
            .map_err(|_| MlsError::Crypto { doing })
    }
}
