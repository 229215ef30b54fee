//! Who somebody is: the root key, the chain of key sets that it begins, and device certificates.
//! Rules P-3.1 to P-3.7 in `docs/protocol/3-identity.md`.
//!
//! ```text
//! root key ──signs──▶ key set 0 ──▶ key set 1 …      (each names the account key of its time)
//!                        └── account key ──signs──▶ device certificate ──names──▶ the device's MLS signature key
//! ```

use crate::address::AccountAddress;
use crate::codec::{encode, labelled_hash};
use crate::id::{DeviceId, Hash};
use crate::key::{BadSignature, PublicKey, Signature, SigningKey};
use crate::limit::{DEVICES_MAX, KEY_SETS_MAX};
use minicbor::{Decode, Encode};

const KEY_SET_LABEL: &str = "aside key set v1";
const DEVICE_LABEL: &str = "aside device certificate v1";
const RECORD_LABEL: &str = "aside device record v1";

/// Who signed a key set. A change signed by the root is quiet; one signed by the account key before it is loud (P-3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum KeySetSigner {
    /// The root key, that is, a person with the recovery phrase.
    #[n(0)]
    Root,
    /// The account key of the key set before.
    #[n(1)]
    PreviousAccountKey,
}

/// One link of an account's chain: the account key of its time, and the devices that it revokes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeySet {
    /// Counts from 0.
    #[n(0)]
    pub number: u32,
    /// Certifies devices.
    #[n(1)]
    pub account_key: PublicKey,
    /// The hash of the key set before; absent in number 0.
    #[n(2)]
    pub previous: Option<Hash>,
    /// Devices that are no longer of this account.
    #[n(3)]
    pub revoked: Vec<DeviceId>,
    /// Whose key made `signature`.
    #[n(4)]
    pub signer: KeySetSigner,
    /// Over all of the above and the account's address and root key.
    #[n(5)]
    pub signature: Signature,
}

impl KeySet {
    /// Signs the next link of a chain. `key` is the root key, or the account key of `previous`, as `signer` says.
    pub fn sign(
        account: (&AccountAddress, &PublicKey),
        previous: Option<&KeySet>,
        account_key: PublicKey,
        revoked: Vec<DeviceId>,
        (signer, key): (KeySetSigner, &SigningKey),
    ) -> Self {
        let mut set = Self {
            number: previous.map_or(0, |set| set.number.saturating_add(1)),
            account_key,
            previous: previous.map(KeySet::hash),
            revoked,
            signer,
            signature: Signature([0; 64]),
        };
        set.signature = key.sign(KEY_SET_LABEL, &[&set.statement(account)]);
        set
    }

    /// Identifies this key set in the one after it.
    pub fn hash(&self) -> Hash {
        Hash(labelled_hash(KEY_SET_LABEL, &[&encode(self)]))
    }

    fn statement(&self, (address, root): (&AccountAddress, &PublicKey)) -> Vec<u8> {
        let unsigned = Self { signature: Signature([0; 64]), ..self.clone() };
        encode(&(address, root, unsigned))
    }
}

/// The account key's statement that a device, with its MLS signature key, belongs to the account.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeviceCertificate {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// The number of the key set whose account key signed.
    #[n(1)]
    pub key_set: u32,
    /// The device's Ed25519 key: its MLS leaf's signature key, which also answers the server's challenge.
    #[n(2)]
    pub signature_key: PublicKey,
    /// By the account key.
    #[n(3)]
    pub signature: Signature,
}

/// What stands in every MLS leaf (as a basic credential, RFC 9420, section 5.3) and in every envelope: the account, its
/// chain, and the device's certificate. Members check it; the root key they check against what they were given.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MemberCredential {
    /// The account's address.
    #[n(0)]
    pub address: AccountAddress,
    /// The account's root key.
    #[n(1)]
    pub root_key: PublicKey,
    /// The whole chain, oldest first.
    #[n(2)]
    pub key_sets: Vec<KeySet>,
    /// The device.
    #[n(3)]
    pub certificate: DeviceCertificate,
}

/// What is wrong with a credential. Every variant is the fault of whoever made the credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// No key set, or more than [`KEY_SETS_MAX`].
    #[error("a chain has 1 to {KEY_SETS_MAX} key sets, not {0}")]
    ChainLength(usize),
    /// A link's number or hash does not follow from the link before.
    #[error("key set {number} does not follow from the one before it")]
    ChainBroken {
        /// Where.
        number: u32,
    },
    /// A signature of the chain, the certificate or the record.
    #[error(transparent)]
    BadSignature(#[from] BadSignature),
    /// The device is revoked by this very chain.
    #[error("the device was revoked by key set {by}")]
    Revoked {
        /// The number of the revoking key set.
        by: u32,
    },
    /// Signed by another key set than the newest of the chain.
    #[error("the certificate is of key set {certificate}, the newest is {newest}")]
    OutdatedKeySet {
        /// The certificate's.
        certificate: u32,
        /// The chain's.
        newest: u32,
    },
    /// The leaf signs with another key than the certificate names.
    #[error("the leaf's signature key is not the certified one")]
    OtherSignatureKey,
    /// The account is known by another root key (P-3.2).
    #[error("the account's root key is not the known one")]
    OtherRootKey,
    /// The account is known with a longer chain, or with a different one.
    #[error("the chain is not a continuation of the known one, which has {known} key sets")]
    NotAContinuation {
        /// Length of the known chain.
        known: usize,
    },
}

impl DeviceCertificate {
    /// Certifies a device with the account key of `key_set`.
    pub fn issue(
        (address, root_key): (&AccountAddress, &PublicKey),
        account_key: &SigningKey,
        key_set: u32,
        device: DeviceId,
        signature_key: PublicKey,
    ) -> Self {
        let statement = encode(&(address, root_key, device, key_set, signature_key));
        Self { device, key_set, signature_key, signature: account_key.sign(DEVICE_LABEL, &[&statement]) }
    }
}

impl DeviceCertificate {
    /// Whether two certificates are of one device with one key, whichever key sets they are of: after a revocation a
    /// device has a newer one than its leaves show.
    pub fn is_of_same_device(&self, other: &Self) -> bool {
        (self.device, self.signature_key) == (other.device, other.signature_key)
    }

    /// Checks that the newest key set of the account's chain certifies the device.
    ///
    /// # Errors
    /// [`CredentialError::OutdatedKeySet`] or [`CredentialError::BadSignature`].
    pub fn verify(
        &self,
        (address, root_key): (&AccountAddress, &PublicKey),
        newest: &KeySet,
    ) -> Result<(), CredentialError> {
        if self.key_set != newest.number {
            return Err(CredentialError::OutdatedKeySet { certificate: self.key_set, newest: newest.number });
        }
        let statement = encode(&(address, root_key, self.device, self.key_set, self.signature_key));
        newest.account_key.verify(DEVICE_LABEL, &[&statement], &self.signature)?;
        Ok(())
    }
}

impl MemberCredential {
    /// Checks the chain from the root down to the device (P-3.4). Whether the root key is the right one is for the
    /// caller: see [`MemberCredential::verify_known`].
    ///
    /// # Errors
    /// [`CredentialError`], naming the first fault from the root down.
    pub fn verify(&self) -> Result<(), CredentialError> {
        let newest = verify_chain(&self.address, &self.root_key, &self.key_sets)?;
        let certificate = &self.certificate;
        if let Some(by) = self.key_sets.iter().find(|set| set.revoked.contains(&certificate.device)) {
            return Err(CredentialError::Revoked { by: by.number });
        }
        certificate.verify((&self.address, &self.root_key), newest)
    }

    /// Checks also that this is the known account: the same root key, and a chain that continues the known one.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn verify_known(&self, root_key: &PublicKey, known: &[KeySet]) -> Result<(), CredentialError> {
        if self.root_key != *root_key {
            return Err(CredentialError::OtherRootKey);
        }
        self.verify()?;
        match self.key_sets.get(..known.len()) {
            Some(begin) if begin == known => Ok(()),
            _ => Err(CredentialError::NotAContinuation { known: known.len() }),
        }
    }
}

/// Checks a chain of key sets and returns its newest link.
///
/// # Errors
/// [`CredentialError`]: length, order or signature.
pub fn verify_chain<'a>(
    address: &AccountAddress,
    root_key: &PublicKey,
    key_sets: &'a [KeySet],
) -> Result<&'a KeySet, CredentialError> {
    if key_sets.len() > KEY_SETS_MAX {
        return Err(CredentialError::ChainLength(key_sets.len()));
    }
    let mut before: Option<&KeySet> = None;
    for set in key_sets {
        let number = before.map_or(0, |set| set.number.saturating_add(1));
        if set.number != number || set.previous != before.map(KeySet::hash) || set.revoked.len() > DEVICES_MAX {
            return Err(CredentialError::ChainBroken { number });
        }
        let key = match (set.signer, before) {
            (KeySetSigner::Root, _) => root_key,
            (KeySetSigner::PreviousAccountKey, Some(before)) => &before.account_key,
            (KeySetSigner::PreviousAccountKey, None) => return Err(CredentialError::ChainBroken { number }),
        };
        key.verify(KEY_SET_LABEL, &[&set.statement((address, root_key))], &set.signature)?;
        before = Some(set);
    }
    before.ok_or(CredentialError::ChainLength(0))
}

/// What the directory holds of a device: its certificate, and the HPKE key that its inbox is sealed to, signed by the
/// device (P-3.6), so that the server cannot put a key of its own there.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeviceRecord {
    /// The device.
    #[n(0)]
    pub certificate: DeviceCertificate,
    /// X-Wing public key (1,216 bytes).
    #[cbor(n(1), with = "minicbor::bytes")]
    pub inbox_key: Vec<u8>,
    /// By the device's signature key.
    #[n(2)]
    pub signature: Signature,
}

impl DeviceRecord {
    /// Signs an inbox key with the device's own key.
    pub fn sign(certificate: DeviceCertificate, inbox_key: Vec<u8>, device: &SigningKey) -> Self {
        let signature = device.sign(RECORD_LABEL, &[&certificate.device.0, &inbox_key]);
        Self { certificate, inbox_key, signature }
    }

    /// Checks the device's signature over its inbox key. The certificate is checked with the chain.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self) -> Result<(), BadSignature> {
        self.certificate.signature_key.verify(
            RECORD_LABEL,
            &[&self.certificate.device.0, &self.inbox_key],
            &self.signature,
        )
    }
}

/// An account as the directory shows it to somebody with a delivery token.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DirectoryAccount {
    /// The root key as the server has it; it counts only as far as it matches what the contact link said.
    #[n(0)]
    pub root_key: PublicKey,
    /// The whole chain.
    #[n(1)]
    pub key_sets: Vec<KeySet>,
    /// The devices that are not revoked.
    #[n(2)]
    pub devices: Vec<DeviceRecord>,
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Account {
        address: AccountAddress,
        root: SigningKey,
        account: SigningKey,
        device: SigningKey,
    }

    fn account() -> Account {
        let key = |seed| SigningKey::from_seed(&[seed; 32]);
        Account { address: "alice@a.example".parse().unwrap(), root: key(1), account: key(2), device: key(3) }
    }

    fn credential(a: &Account) -> MemberCredential {
        let root_key = a.root.public_key();
        let of = (&a.address, &root_key);
        let set = KeySet::sign(of, None, a.account.public_key(), vec![], (KeySetSigner::Root, &a.root));
        let certificate = DeviceCertificate::issue(of, &a.account, 0, DeviceId([7; 16]), a.device.public_key());
        MemberCredential { address: a.address.clone(), root_key, key_sets: vec![set], certificate }
    }

    #[test]
    fn a_credential_holds_for_its_address_and_root_only() {
        let good = credential(&account());
        assert_eq!(good.verify(), Ok(()));
        let mut other_name = good.clone();
        other_name.address = "mallory@a.example".parse().unwrap();
        assert!(matches!(other_name.verify(), Err(CredentialError::BadSignature(_))));
        assert_eq!(good.verify_known(&PublicKey([0; 32]), &[]), Err(CredentialError::OtherRootKey));
    }

    #[test]
    fn a_device_key_that_nobody_certified_is_refused() {
        let mut forged = credential(&account());
        forged.certificate.signature_key = SigningKey::from_seed(&[9; 32]).public_key();
        assert!(matches!(forged.verify(), Err(CredentialError::BadSignature(_))));
    }

    #[test]
    fn a_revoked_certificate_is_refused_by_the_revoking_key_set() {
        let a = account();
        let mut credential = credential(&a);
        let root_key = a.root.public_key();
        let next = KeySet::sign(
            (&a.address, &root_key),
            credential.key_sets.first(),
            SigningKey::from_seed(&[4; 32]).public_key(),
            vec![DeviceId([7; 16])],
            (KeySetSigner::Root, &a.root),
        );
        credential.key_sets.push(next);
        assert_eq!(credential.verify(), Err(CredentialError::Revoked { by: 1 }));
    }

    #[test]
    fn a_certificate_of_an_old_key_set_is_outdated() {
        let a = account();
        let mut credential = credential(&a);
        let root_key = a.root.public_key();
        let next = KeySet::sign(
            (&a.address, &root_key),
            credential.key_sets.first(),
            SigningKey::from_seed(&[4; 32]).public_key(),
            vec![],
            (KeySetSigner::PreviousAccountKey, &a.account),
        );
        credential.key_sets.push(next);
        assert_eq!(credential.verify(), Err(CredentialError::OutdatedKeySet { certificate: 0, newest: 1 }));
    }

    #[test]
    fn a_shortened_chain_is_no_continuation() {
        let a = account();
        let short = credential(&a);
        let mut known = short.key_sets.clone();
        known.push(KeySet::sign(
            (&a.address, &a.root.public_key()),
            known.first(),
            PublicKey([4; 32]),
            vec![],
            (KeySetSigner::Root, &a.root),
        ));
        assert_eq!(
            short.verify_known(&a.root.public_key(), &known),
            Err(CredentialError::NotAContinuation { known: 2 })
        );
    }

    #[test]
    fn an_inbox_key_put_there_by_the_server_is_refused() {
        let a = account();
        let mut record = DeviceRecord::sign(credential(&a).certificate, vec![1; 1216], &a.device);
        assert_eq!(record.verify(), Ok(()));
        record.inbox_key = vec![2; 1216];
        assert!(record.verify().is_err());
    }
}
