//! Joining from a Welcome (RFC 9420, section 12.4.3.1), with the ratchet tree that travels beside it.

use super::{Group, GroupId, join_config};
use crate::credential::{self, Member};
use crate::error::{JoinError, MlsError};
use crate::guard::{PUBLIC_KEY_BYTES, guarded};
use crate::metadata::{Metadata, has_expected_extensions};
use crate::provider::{CIPHERSUITE, Session};
use aside_protocol::id::Hash;
use openmls::group::{MlsGroup, StagedWelcome, WelcomeError};
use openmls::prelude::{EncryptedGroupSecrets, MlsMessageBodyIn, MlsMessageIn, RatchetTreeIn, Welcome};
use tls_codec::{Deserialize, Serialize, VLBytes};

/// Of the MLSMessage's version and wire format, and the Welcome's suite: two each.
const WELCOME_HEAD_BYTES: usize = 6;

/// Whether state of the same group may be there already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Refuse,
    Replace,
}

impl Session<'_> {
    /// Joins a group that this device has no state of. Consumes the KeyPackage that the Welcome was made for; a
    /// last-resort one stays. Every member's credential is checked. The lifetimes of the leaves are not: a member who
    /// was away for months must not block a Welcome.
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn join(&self, welcome: &[u8], ratchet_tree: &[u8]) -> Result<Group, JoinError> {
        self.join_over(Existing::Refuse, welcome, ratchet_tree)
    }

    /// Joins a group anew, replacing whatever state of it is there: after the loss of state that this device asked to
    /// be re-added for (DESIGN 4a rule 10), and for nothing else.
    ///
    /// # Errors
    /// [`JoinError`], but never [`JoinError::GroupExists`].
    pub fn rejoin(&self, welcome: &[u8], ratchet_tree: &[u8]) -> Result<Group, JoinError> {
        self.join_over(Existing::Replace, welcome, ratchet_tree)
    }

    fn join_over(&self, existing: Existing, welcome: &[u8], ratchet_tree: &[u8]) -> Result<Group, JoinError> {
        let (welcome, ratchet_tree) = parse(welcome, ratchet_tree)?;
        let doing = "joining";
        let config = join_config();
        let builder = guarded(doing, || StagedWelcome::build_from_welcome(&self.provider, &config, welcome))?
            .map_err(to_join_error)?;
        let id = <[u8; 32]>::try_from(builder.processed_welcome().unverified_group_info().group_id().as_slice())
            .map(GroupId)
            .map_err(|_| JoinError::Malformed)?;
        match (existing, self.load_group(&id)) {
            (Existing::Replace, _) => self.delete_group(&id)?,
            (Existing::Refuse, Ok(None)) => {}
            (Existing::Refuse, Ok(Some(_)) | Err(MlsError::Incomplete(_))) => return Err(JoinError::GroupExists),
            (Existing::Refuse, Err(error)) => return Err(error.into()),
        }
        let builder = builder.with_ratchet_tree(ratchet_tree).skip_lifetime_validation();
        let staged = guarded(doing, || builder.build())?.map_err(to_join_error)?;
        check_members(&staged)?;
        if !has_expected_extensions(staged.group_context().extensions()) {
            return Err(JoinError::UnexpectedExtension);
        }
        Metadata::from_extensions(staged.group_context().extensions())?;
        let mls: MlsGroup = staged.into_group(&self.provider).map_err(to_join_error)?;
        Ok(Group::new(mls, id))
    }
}

/// Cuts out of a Welcome for many what one new member needs of it, named by its KeyPackageRef: about 1.5 kB instead of
/// 1.2 kB for each of them.
///
/// # Errors
/// [`JoinError::Malformed`], or [`JoinError::NoMatchingKeyPackage`] if it is not for that KeyPackage.
pub fn welcome_for(welcome: &[u8], reference: &Hash) -> Result<Vec<u8>, JoinError> {
    let message = MlsMessageIn::tls_deserialize_exact(welcome).map_err(|_| JoinError::Malformed)?;
    let MlsMessageBodyIn::Welcome(parsed) = message.extract() else { return Err(JoinError::Malformed) };
    let is_wanted = |secrets: &&EncryptedGroupSecrets| secrets.new_member().as_slice() == reference.0;
    let wanted = parsed.secrets().iter().find(is_wanted).ok_or(JoinError::NoMatchingKeyPackage)?;
    let wanted = wanted.tls_serialize_detached().map_err(|_| JoinError::Malformed)?;
    // Version, wire format and suite; then the vector of secrets; then the GroupInfo, encrypted for all.
    let (head, mut rest) = welcome.split_at_checked(WELCOME_HEAD_BYTES).ok_or(JoinError::Malformed)?;
    VLBytes::tls_deserialize(&mut rest).map_err(|_| JoinError::Malformed)?;
    let secrets = VLBytes::new(wanted).tls_serialize_detached().map_err(|_| JoinError::Malformed)?;
    Ok([head, &secrets, rest].concat())
}

fn parse(welcome: &[u8], ratchet_tree: &[u8]) -> Result<(Welcome, RatchetTreeIn), JoinError> {
    let message = MlsMessageIn::tls_deserialize_exact(welcome).map_err(|_| JoinError::Malformed)?;
    let MlsMessageBodyIn::Welcome(welcome) = message.extract() else { return Err(JoinError::Malformed) };
    if welcome.ciphersuite() != CIPHERSUITE {
        return Err(JoinError::OtherSuite);
    }
    let ratchet_tree = RatchetTreeIn::tls_deserialize_exact(ratchet_tree).map_err(|_| JoinError::Malformed)?;
    Ok((welcome, ratchet_tree))
}

/// Checks every leaf's credential, and that within the group an address has one root key. A leaf that another leaf's
/// chain revokes is no reason to stay out: it is one to remove it.
fn check_members(staged: &StagedWelcome) -> Result<(), JoinError> {
    let mut members: Vec<Member> = Vec::new();
    for member in staged.members() {
        let leaf = member.index.u32();
        if member.encryption_key.len() != PUBLIC_KEY_BYTES {
            return Err(JoinError::UnusableKey { leaf });
        }
        let credential = credential::verify(&member.credential, &member.signature_key)
            .map_err(|fault| JoinError::Credential { leaf, fault })?;
        members.push(Member { leaf, credential });
    }
    let mut roots = std::collections::BTreeMap::new();
    for Member { leaf, credential } in &members {
        if *roots.entry(&credential.address).or_insert(credential.root_key) != credential.root_key {
            let fault = aside_protocol::identity::CredentialError::OtherRootKey.into();
            return Err(JoinError::Credential { leaf: *leaf, fault });
        }
    }
    Ok(())
}

fn to_join_error(error: WelcomeError<rusqlite::Error>) -> JoinError {
    match error {
        WelcomeError::NoMatchingKeyPackage | WelcomeError::JoinerSecretNotFound => JoinError::NoMatchingKeyPackage,
        WelcomeError::GroupAlreadyExists => JoinError::GroupExists,
        WelcomeError::StorageError(error) => JoinError::Mls(error.into()),
        other => JoinError::Invalid(Box::new(other)),
    }
}
