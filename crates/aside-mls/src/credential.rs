//! `MemberCredential` inside a leaf's basic credential (RFC 9420, section 5.3), and what members check of it.

use aside_protocol::codec::{DecodeError, decode, encode};
use aside_protocol::identity::{CredentialError, MemberCredential};
use aside_protocol::limit::KEY_PACKAGE_BYTES_MAX;
use openmls::prelude::{BasicCredential, Credential, CredentialWithKey};

/// A leaf of the group and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The leaf's index in the ratchet tree. It is free again once the member is removed.
    pub leaf: u32,
    /// Account, chain and device.
    pub credential: MemberCredential,
}

/// What is wrong with the credential in a leaf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialFault {
    /// Not a basic credential that holds a `MemberCredential`.
    #[error("no credential of ours: {0}")]
    Malformed(#[from] DecodeError),
    /// It does not verify, or does not go with what the group knows of the account.
    #[error(transparent)]
    Invalid(#[from] CredentialError),
    /// An update of a leaf names another account or device than the leaf had.
    #[error("the leaf changed hands")]
    OtherOwner,
}

/// The credential as openmls puts it into a leaf.
pub(crate) fn to_leaf(credential: &MemberCredential) -> CredentialWithKey {
    CredentialWithKey {
        credential: BasicCredential::new(encode(credential)).into(),
        signature_key: credential.certificate.signature_key.0.to_vec().into(),
    }
}

/// Reads a credential that was checked when its leaf came in.
pub(crate) fn read(credential: &Credential) -> Result<MemberCredential, CredentialFault> {
    let basic = BasicCredential::try_from(credential.clone())
        .map_err(|_| DecodeError::Malformed("not a basic credential".to_owned()))?;
    Ok(decode(basic.identity(), KEY_PACKAGE_BYTES_MAX)?)
}

/// Reads and checks a credential: the chain from the root to the device, and the leaf's key.
pub(crate) fn verify(credential: &Credential, signature_key: &[u8]) -> Result<MemberCredential, CredentialFault> {
    let credential = read(credential)?;
    credential.verify()?;
    match credential.certificate.signature_key.0 == signature_key {
        true => Ok(credential),
        false => Err(CredentialError::OtherSignatureKey.into()),
    }
}

/// Whether both are of one account. The root key counts as well as the name: names can be claimed.
pub(crate) fn is_same_account(a: &MemberCredential, b: &MemberCredential) -> bool {
    a.address == b.address && a.root_key == b.root_key
}

/// The key set by which any leaf of this account shows that the device is revoked.
pub(crate) fn revoked_by<'a>(
    credential: &MemberCredential,
    roster: impl IntoIterator<Item = &'a MemberCredential>,
) -> Option<u32> {
    roster
        .into_iter()
        .filter(|other| is_same_account(other, credential))
        .flat_map(|other| &other.key_sets)
        .find(|set| set.revoked.contains(&credential.certificate.device))
        .map(|set| set.number)
}

/// Checks a commit's author, and the leaves that it brings in, against each other and against what the group knows of
/// their accounts: within one group an address has one root key, and whoever another leaf's chain revokes brings in
/// nothing and does not come in.
pub(crate) fn fit_roster(
    author: &MemberCredential,
    newcomers: &[&MemberCredential],
    members: &[Member],
) -> Result<(), CredentialFault> {
    if let Some(by) = revoked_by(author, members.iter().map(|member| &member.credential)) {
        return Err(CredentialError::Revoked { by }.into());
    }
    let roster = || members.iter().map(|member| &member.credential).chain(newcomers.iter().copied());
    for newcomer in newcomers {
        if roster().any(|other| other.address == newcomer.address && other.root_key != newcomer.root_key) {
            return Err(CredentialError::OtherRootKey.into());
        }
        if let Some(by) = revoked_by(newcomer, roster()) {
            return Err(CredentialError::Revoked { by }.into());
        }
    }
    Ok(())
}

/// Checks the update of a leaf: the same device of the same account, its chain continued, and not revoked.
pub(crate) fn continues(old: &MemberCredential, new: &MemberCredential) -> Result<(), CredentialFault> {
    if !is_same_account(old, new) || old.certificate.device != new.certificate.device {
        return Err(CredentialFault::OtherOwner);
    }
    Ok(new.verify_known(&old.root_key, &old.key_sets)?)
}
