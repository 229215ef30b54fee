//! What openmls needs from outside: cryptography, randomness, storage and the device's signer.

use crate::error::MlsError;
use crate::storage::Storage;
use aside_protocol::codec::labelled_hash;
use aside_protocol::key::{PublicKey, SigningKey};
use openmls::prelude::Ciphersuite;
use openmls_libcrux_crypto::{CryptoProvider, RandError};
use openmls_traits::OpenMlsProvider;
use openmls_traits::random::OpenMlsRand;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;
use rusqlite::Connection;
use std::sync::Mutex;

/// `MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519`: X25519 and ML-KEM-768 together. The code point is provisional, so
/// it is stored with each channel.
pub const SUITE: u16 = 0x004D;

pub(crate) const CIPHERSUITE: Ciphersuite = Ciphersuite::MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519;

/// The cryptography provider; one an engine. It holds no state of any group.
pub struct Mls {
    crypto: CryptoProvider,
    randomness: Randomness,
}

enum Randomness {
    System,
    Seeded(Mutex<SeededRandomness>),
}

struct SeededRandomness {
    seed: [u8; 32],
    blocks: u64,
}

impl Mls {
    /// With the operating system's randomness.
    ///
    /// # Errors
    /// [`MlsError::Crypto`] where the system has none.
    pub fn new() -> Result<Self, MlsError> {
        Self::with(Randomness::System)
    }

    /// For simulation: ids, KeyPackages' and leaves' keys replay from the seed. KEM encapsulation does not, because
    /// libcrux draws its own randomness; no branch depends on that.
    ///
    /// # Errors
    /// [`MlsError::Crypto`].
    pub fn dangerous_seeded(seed: [u8; 32]) -> Result<Self, MlsError> {
        Self::with(Randomness::Seeded(Mutex::new(SeededRandomness { seed, blocks: 0 })))
    }

    fn with(randomness: Randomness) -> Result<Self, MlsError> {
        let crypto = CryptoProvider::new().map_err(|_| MlsError::Crypto { doing: "seeding the randomness" })?;
        Ok(Self { crypto, randomness })
    }

    /// A view on a connection that the caller has a transaction open on.
    pub fn on<'a>(&'a self, connection: &'a Connection) -> Session<'a> {
        Session { provider: Provider { mls: self, connection, storage: Storage::new(connection) } }
    }
}

impl std::fmt::Debug for Mls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mls")
    }
}

impl OpenMlsRand for Mls {
    type Error = RandError;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], RandError> {
        let mut array = [0; N];
        array.copy_from_slice(&self.random_vec(N)?);
        Ok(array)
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, RandError> {
        match &self.randomness {
            Randomness::System => self.crypto.random_vec(len),
            Randomness::Seeded(seeded) => Ok(seeded.lock().map_err(|_| RandError::UnableToGenerate)?.draw(len)),
        }
    }
}

impl SeededRandomness {
    fn draw(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            bytes.extend(labelled_hash("aside seeded mls v1", &[&self.seed, &self.blocks.to_be_bytes()]));
            self.blocks = self.blocks.wrapping_add(1);
        }
        bytes.truncate(len);
        bytes
    }
}

/// Work on one connection, inside the caller's transaction. Cheap to make; it lives no longer than the transaction.
pub struct Session<'a> {
    pub(crate) provider: Provider<'a>,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

/// One concrete type, not a generic parameter: compile time.
pub(crate) struct Provider<'a> {
    mls: &'a Mls,
    pub(crate) connection: &'a Connection,
    storage: Storage<'a>,
}

impl<'a> OpenMlsProvider for Provider<'a> {
    type CryptoProvider = CryptoProvider;
    type RandProvider = Mls;
    type StorageProvider = Storage<'a>;

    fn storage(&self) -> &Storage<'a> {
        &self.storage
    }

    fn crypto(&self) -> &CryptoProvider {
        &self.mls.crypto
    }

    fn rand(&self) -> &Mls {
        self.mls
    }
}

/// Signs for the device's leaves. The key is the one that the device's certificate names.
#[derive(Clone)]
pub struct DeviceSigner {
    /// For our own labelled statements.
    pub(crate) key: SigningKey,
    /// For what openmls has framed (RFC 9420, section 5.1.2). Wiped on drop.
    mls_key: ed25519_dalek::SigningKey,
}

impl DeviceSigner {
    /// The signer of a device.
    pub fn new(key: &SigningKey) -> Self {
        let mls_key = ed25519_dalek::SigningKey::from_bytes(&key.dangerous_seed());
        Self { key: key.clone(), mls_key }
    }

    /// What stands in the certificate and in the leaf.
    pub fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }
}

impl std::fmt::Debug for DeviceSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeviceSigner(of {:?})", self.public_key())
    }
}

impl Signer for DeviceSigner {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        use ed25519_dalek::Signer as _;
        self.mls_key
            .try_sign(payload)
            .map(|signature| signature.to_bytes().to_vec())
            .map_err(|_| SignerError::SigningError)
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
