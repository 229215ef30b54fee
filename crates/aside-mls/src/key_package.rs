//! KeyPackages (RFC 9420, section 10): how a device that is offline is added to a group.
//!
//! openmls judges lifetimes by the machine's clock, also those of the leaves in a commit, and cannot be told not to. A
//! member catching up after months would refuse commits that others accepted. So the MLS lifetime that we write never
//! ends, and the real one stands in a KeyPackage extension, which [`Session::check_key_package`] compares with a time
//! that the caller gives.

use crate::credential;
use crate::error::{KeyPackageError, MlsError};
use crate::guard::{PUBLIC_KEY_BYTES, is_usable};
use crate::metadata::METADATA_EXTENSION_TYPE;
use crate::provider::{CIPHERSUITE, DeviceSigner, Session};
use aside_protocol::codec::{decode, encode};
use aside_protocol::id::Hash;
use aside_protocol::identity::MemberCredential;
use aside_protocol::limit::KEY_PACKAGE_BYTES_MAX;
use openmls::key_packages::{KeyPackage, Lifetime};
use openmls::prelude::{
    Capabilities, CredentialType, Extension, ExtensionType, Extensions, KeyPackageRef, MlsMessageBodyIn, MlsMessageIn,
    MlsMessageOut, ProtocolVersion, UnknownExtension,
};
use openmls_traits::OpenMlsProvider;
use openmls_traits::storage::StorageProvider;
use tls_codec::{Deserialize, Serialize, VLBytes};

/// How long a KeyPackage may be used: 12 weeks.
pub const KEY_PACKAGE_SECONDS: u64 = 84 * 24 * 60 * 60;
/// How far its maker's clock may be ahead of ours.
const SKEW_SECONDS: u64 = 24 * 60 * 60;
/// The private-use extension type that holds the real lifetime: two unsigned integers, first and last Unix second.
const LIFETIME_EXTENSION: u16 = 0xF0A6;

/// Whether a KeyPackage is for one use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPackageKind {
    /// The server hands it out once; the first Welcome for it consumes it.
    Once,
    /// Handed out when no other is left. It stays until deleted, and is rotated after use.
    LastResort,
}

/// A KeyPackage that was checked and can be added to a group.
#[derive(Clone)]
pub struct CheckedKeyPackage {
    pub(crate) key_package: KeyPackage,
    credential: MemberCredential,
    reference: Hash,
}

impl CheckedKeyPackage {
    /// Whom it adds. Whether that is whom we mean, the caller checks (`MemberCredential::verify_known`).
    pub fn credential(&self) -> &MemberCredential {
        &self.credential
    }

    /// The KeyPackageRef (RFC 9420, section 5.2).
    pub fn reference(&self) -> Hash {
        self.reference
    }

    /// Whether it can be used more than once.
    pub fn kind(&self) -> KeyPackageKind {
        match self.key_package.last_resort() {
            true => KeyPackageKind::LastResort,
            false => KeyPackageKind::Once,
        }
    }
}

impl std::fmt::Debug for CheckedKeyPackage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CheckedKeyPackage({:?})", self.reference)
    }
}

/// What every leaf of ours can do.
pub(crate) fn capabilities() -> Capabilities {
    let extensions =
        vec![METADATA_EXTENSION_TYPE, ExtensionType::Unknown(LIFETIME_EXTENSION), ExtensionType::LastResort];
    Capabilities::builder()
        .versions(vec![ProtocolVersion::Mls10])
        .ciphersuites(vec![CIPHERSUITE])
        .extensions(extensions)
        .credentials(vec![CredentialType::Basic])
        .build()
}

/// A lifetime that no clock ends (see the head of this file).
pub(crate) fn endless_lifetime() -> Lifetime {
    Lifetime::init(0, u64::MAX)
}

impl Session<'_> {
    /// Makes a KeyPackage, stores its private part and returns it as the server is to have it: a TLS-encoded
    /// MLSMessage of about 2.9 kB. It is good for [`KEY_PACKAGE_SECONDS`] from `now_unix_s`.
    ///
    /// # Errors
    /// [`MlsError`].
    pub fn new_key_package(
        &self,
        signer: &DeviceSigner,
        credential: &MemberCredential,
        kind: KeyPackageKind,
        now_unix_s: u64,
    ) -> Result<Vec<u8>, MlsError> {
        let lifetime = (now_unix_s, now_unix_s.saturating_add(KEY_PACKAGE_SECONDS));
        let mut extensions = vec![Extension::Unknown(LIFETIME_EXTENSION, UnknownExtension(encode(&lifetime)))];
        if kind == KeyPackageKind::LastResort {
            extensions.push(Extension::LastResort(Default::default()));
        }
        let failed = |source| MlsError::Library { doing: "making a KeyPackage", source };
        let extensions = Extensions::from_vec(extensions).map_err(|error| failed(Box::new(error)))?;
        let bundle = KeyPackage::builder()
            .key_package_lifetime(endless_lifetime())
            .leaf_node_capabilities(capabilities())
            .key_package_extensions(extensions)
            .build(CIPHERSUITE, &self.provider, signer, credential::to_leaf(credential))
            .map_err(|error| failed(Box::new(error)))?;
        MlsMessageOut::from(bundle.into_key_package()).tls_serialize_detached().map_err(|error| failed(Box::new(error)))
    }

    /// Forgets the private part of a KeyPackage: an expired one, or a last-resort one some time after its rotation.
    /// Deleting one that is not there is no error.
    ///
    /// # Errors
    /// [`MlsError::Storage`].
    pub fn delete_key_package(&self, reference: &Hash) -> Result<(), MlsError> {
        let encoded = VLBytes::new(reference.0.to_vec()).tls_serialize_detached();
        let key = encoded
            .and_then(KeyPackageRef::tls_deserialize_exact)
            .map_err(|error| MlsError::Library { doing: "reading a KeyPackageRef", source: Box::new(error) })?;
        Ok(self.provider.storage().delete_key_package(&key)?)
    }

    /// Parses and checks a KeyPackage that a server handed out: suite, signatures, credential, the leaf's key and the
    /// lifetime, against the caller's clock.
    ///
    /// # Errors
    /// [`KeyPackageError`].
    pub fn check_key_package(&self, bytes: &[u8], now_unix_s: u64) -> Result<CheckedKeyPackage, KeyPackageError> {
        if bytes.len() > KEY_PACKAGE_BYTES_MAX {
            return Err(KeyPackageError::Malformed);
        }
        let message = MlsMessageIn::tls_deserialize_exact(bytes).map_err(|_| KeyPackageError::Malformed)?;
        let MlsMessageBodyIn::KeyPackage(key_package) = message.extract() else {
            return Err(KeyPackageError::Malformed);
        };
        let key_package = key_package
            .validate(self.provider.crypto(), ProtocolVersion::Mls10)
            .map_err(|error| KeyPackageError::Invalid(Box::new(error)))?;
        if key_package.ciphersuite() != CIPHERSUITE {
            return Err(KeyPackageError::OtherSuite);
        }
        if !has_usable_keys(&key_package) {
            return Err(KeyPackageError::Malformed);
        }
        check_lifetime(&key_package, now_unix_s)?;
        let leaf = key_package.leaf_node();
        let credential = credential::verify(leaf.credential(), leaf.signature_key().as_slice())?;
        let reference = reference(self, &key_package)?;
        Ok(CheckedKeyPackage { key_package, credential, reference })
    }
}

/// Whether its HPKE keys have the length of X-Wing's.
pub(crate) fn has_usable_keys(key_package: &KeyPackage) -> bool {
    key_package.hpke_init_key().as_slice().len() == PUBLIC_KEY_BYTES && is_usable(key_package.leaf_node())
}

/// The KeyPackageRef.
pub(crate) fn reference(session: &Session<'_>, key_package: &KeyPackage) -> Result<Hash, MlsError> {
    let failed = MlsError::Crypto { doing: "hashing a KeyPackage" };
    let Ok(reference) = key_package.hash_ref(session.provider.crypto()) else { return Err(failed) };
    Hash::try_from(reference.as_slice()).map_err(|_| failed)
}

fn check_lifetime(key_package: &KeyPackage, now_unix_s: u64) -> Result<(), KeyPackageError> {
    let extension = key_package.extensions().unknown(LIFETIME_EXTENSION).ok_or(KeyPackageError::Malformed)?;
    let (not_before, not_after): (u64, u64) = decode(&extension.0, 32).map_err(|_| KeyPackageError::Malformed)?;
    if not_before > now_unix_s.saturating_add(SKEW_SECONDS) {
        return Err(KeyPackageError::NotYetValid { not_before_unix_s: not_before });
    }
    match now_unix_s <= not_after {
        true => Ok(()),
        false => Err(KeyPackageError::Expired { not_after_unix_s: not_after }),
    }
}
