//! Our own commits. Each is made inline, stays pending until the server took it, and is then merged, or cleared when
//! another one won (DESIGN 4a rule 1). The pending state and everything that goes with it are on disk.

use super::{Group, to_seed};
use crate::channel_keys::ChannelKeys;
use crate::credential::{self, Member};
use crate::error::MlsError;
use crate::guard::guarded;
use crate::key_package::CheckedKeyPackage;
use crate::metadata::Metadata;
use crate::provider::{DeviceSigner, Session};
use crate::role::{self, Change};
use aside_protocol::id::ChannelId;
use aside_protocol::identity::MemberCredential;
use openmls::group::{CommitMessageBundle, GroupContext};
use openmls::prelude::{Extensions, LeafNodeIndex, LeafNodeParameters};
use openmls_traits::OpenMlsProvider;
use tls_codec::Serialize;

/// A commit that adds members, and what they need once the server took it.
#[derive(Clone)]
pub struct PendingAdd {
    /// An MLSMessage, for [`Group::seal_commit`].
    pub commit: Vec<u8>,
    /// An MLSMessage for all new members together; [`crate::welcome_for`] cuts out one's own part.
    pub welcome: Vec<u8>,
    /// The tree of the epoch that the commit begins.
    pub ratchet_tree: Vec<u8>,
}

impl std::fmt::Debug for PendingAdd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PendingAdd({} bytes)", self.commit.len())
    }
}

/// What goes into one commit. All of it is judged together: one part that our role forbids refuses the whole.
#[derive(Default, Clone, Copy)]
pub struct CommitDraft<'a> {
    /// Whom it adds. Add 50 at most at a time: the commit grows by 2.9 kB with each.
    pub added: &'a [CheckedKeyPackage],
    /// The leaves that it removes; never our own.
    pub removed: &'a [u32],
    /// The metadata of the next epoch, if it changes.
    pub metadata: Option<&'a Metadata>,
    /// Gives our leaf fresh keys and this credential, which continues the one that it has.
    pub own_leaf: Option<&'a MemberCredential>,
}

/// A commit of ours that waits for the server.
#[derive(Clone)]
pub struct PendingCommit {
    /// An MLSMessage, for [`Group::seal_commit`].
    pub commit: Vec<u8>,
    /// If it adds anybody: what they need once the server took it.
    pub newcomers: Option<ForNewcomers>,
}

/// What the members that a commit adds need to join.
#[derive(Clone)]
pub struct ForNewcomers {
    /// An MLSMessage for all new members together; [`crate::welcome_for`] cuts out one's own part.
    pub welcome: Vec<u8>,
    /// The tree of the epoch that the commit begins.
    pub ratchet_tree: Vec<u8>,
}

impl std::fmt::Debug for PendingCommit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PendingCommit({} bytes)", self.commit.len())
    }
}

impl Group {
    /// Makes one commit of everything in the draft. It stays pending.
    ///
    /// # Errors
    /// [`MlsError`]: a commit is pending, our role forbids something in it, a leaf is unknown or our own, or a KeyPackage
    /// does not go with the group.
    pub fn commit(
        &mut self,
        session: &Session<'_>,
        signer: &DeviceSigner,
        draft: &CommitDraft<'_>,
    ) -> Result<PendingCommit, MlsError> {
        let bundle = self.stage(session, signer, draft)?;
        self.to_pending(session, bundle)
    }

    /// As [`Group::commit`], but asks no role: what a member with ill will commits. With `external_sender`, it also brings
    /// in somebody outside the group who may propose changes, which the draft does not show.
    ///
    /// # Errors
    /// [`MlsError`]: a leaf is unknown, or a KeyPackage does not go with the group.
    #[cfg(feature = "planted-defects")]
    pub fn dangerous_commit_unchecked(
        &mut self,
        session: &Session<'_>,
        signer: &DeviceSigner,
        draft: &CommitDraft<'_>,
        external_sender: Option<aside_protocol::key::PublicKey>,
    ) -> Result<PendingCommit, MlsError> {
        let mut extensions = draft.metadata.map(|metadata| self.extensions_with(metadata)).transpose()?;
        if let Some(key) = external_sender {
            let credential = openmls::prelude::BasicCredential::new(b"somebody outside".to_vec()).into();
            let sender = openmls::prelude::ExternalSender::new(key.0.to_vec().into(), credential);
            extensions
                .get_or_insert_with(|| self.mls.extensions().clone())
                .add(openmls::prelude::Extension::ExternalSenders(vec![sender]))
                .map_err(|error| library("adding an external sender", error))?;
        }
        let bundle = self.build(session, signer, draft, extensions)?;
        self.to_pending(session, bundle)
    }

    fn to_pending(&self, session: &Session<'_>, bundle: CommitMessageBundle) -> Result<PendingCommit, MlsError> {
        let (commit, welcome, _) = bundle.into_messages();
        let newcomers = match welcome {
            None => None,
            Some(welcome) => {
                Some(ForNewcomers { welcome: to_bytes(&welcome)?, ratchet_tree: self.pending_ratchet_tree(session)? })
            }
        };
        Ok(PendingCommit { commit: to_bytes(&commit)?, newcomers })
    }

    /// Adds members in one commit, which stays pending. Add 50 at most at a time: the commit grows by 2.9 kB with each.
    ///
    /// # Errors
    /// [`MlsError`]: a commit is pending, our role forbids it, or a KeyPackage does not go with the group.
    pub fn add(
        &mut self,
        session: &Session<'_>,
        signer: &DeviceSigner,
        added: &[CheckedKeyPackage],
    ) -> Result<PendingAdd, MlsError> {
        self.swap(session, signer, &[], added)
    }

    /// Removes members and adds others in the same commit, as when a device that lost its state gets a fresh leaf.
    ///
    /// # Errors
    /// As [`Group::add`] and [`Group::remove`].
    pub fn swap(
        &mut self,
        session: &Session<'_>,
        signer: &DeviceSigner,
        removed: &[u32],
        added: &[CheckedKeyPackage],
    ) -> Result<PendingAdd, MlsError> {
        let bundle = self.stage(session, signer, &CommitDraft { added, removed, ..CommitDraft::default() })?;
        let (commit, welcome, _) = bundle.into_messages();
        let welcome = welcome.ok_or(MlsError::Crypto { doing: "adding nobody" })?;
        Ok(PendingAdd {
            commit: to_bytes(&commit)?,
            welcome: to_bytes(&welcome)?,
            ratchet_tree: self.pending_ratchet_tree(session)?,
        })
    }

    /// Removes members in one commit, which stays pending.
    ///
    /// # Errors
    /// [`MlsError`]: a commit is pending, our role forbids it, a leaf is unknown or our own.
    pub fn remove(
        &mut self,
        session: &Session<'_>,
        signer: &DeviceSigner,
        leaves: &[u32],
    ) -> Result<Vec<u8>, MlsError> {
        self.stage_alone(session, signer, &CommitDraft { removed: leaves, ..CommitDraft::default() })
    }

    /// Gives our leaf fresh keys and the credential as it is by now, in one commit, which stays pending.
    ///
    /// # Errors
    /// [`MlsError`]: a commit is pending, or the credential does not continue the leaf's.
    pub fn self_update(
        &mut self,
        session: &Session<'_>,
        signer: &DeviceSigner,
        credential: &MemberCredential,
    ) -> Result<Vec<u8>, MlsError> {
        self.stage_alone(session, signer, &CommitDraft { own_leaf: Some(credential), ..CommitDraft::default() })
    }

    /// Changes title and admins in one commit, which stays pending.
    ///
    /// # Errors
    /// [`MlsError`]: a commit is pending, our role forbids it, or the metadata is outside its limits.
    pub fn set_metadata(
        &mut self,
        session: &Session<'_>,
        signer: &DeviceSigner,
        metadata: &Metadata,
    ) -> Result<Vec<u8>, MlsError> {
        self.stage_alone(session, signer, &CommitDraft { metadata: Some(metadata), ..CommitDraft::default() })
    }

    /// The channel's keys of the epoch that the pending commit begins; `None` without one.
    ///
    /// # Errors
    /// [`MlsError`].
    pub fn pending_channel_keys(
        &self,
        session: &Session<'_>,
        channel: &ChannelId,
    ) -> Result<Option<ChannelKeys>, MlsError> {
        let Some(pending) = self.mls.pending_commit() else { return Ok(None) };
        let crypto = session.provider.crypto();
        ChannelKeys::derive(channel, |label, context| to_seed(pending.export_secret(crypto, label, context, 32)))
            .map(Some)
    }

    /// Whether a commit of ours is waiting for the server.
    pub fn has_pending(&self) -> bool {
        self.mls.pending_commit().is_some()
    }

    /// Goes on to the epoch of our commit: the server took it.
    ///
    /// # Errors
    /// [`MlsError`]: none is pending, or storage.
    pub fn merge_pending(&mut self, session: &Session<'_>) -> Result<(), MlsError> {
        if !self.has_pending() {
            return Err(MlsError::NoPendingCommit);
        }
        self.mls.merge_pending_commit(&session.provider).map_err(|error| library("merging our commit", error))
    }

    /// Drops our commit: another one won. Without one this does nothing.
    ///
    /// # Errors
    /// [`MlsError::Storage`].
    pub fn clear_pending(&mut self, session: &Session<'_>) -> Result<(), MlsError> {
        Ok(self.mls.clear_pending_commit(session.provider.storage())?)
    }

    fn stage_alone(
        &mut self,
        session: &Session<'_>,
        signer: &DeviceSigner,
        draft: &CommitDraft<'_>,
    ) -> Result<Vec<u8>, MlsError> {
        to_bytes(&self.stage(session, signer, draft)?.into_commit())
    }

    fn stage(
        &mut self,
        session: &Session<'_>,
        signer: &DeviceSigner,
        draft: &CommitDraft<'_>,
    ) -> Result<CommitMessageBundle, MlsError> {
        self.check_draft(draft)?;
        let extensions = draft.metadata.map(|metadata| self.extensions_with(metadata)).transpose()?;
        self.build(session, signer, draft, extensions)
    }

    fn build(
        &mut self,
        session: &Session<'_>,
        signer: &DeviceSigner,
        draft: &CommitDraft<'_>,
        extensions: Option<Extensions<GroupContext>>,
    ) -> Result<CommitMessageBundle, MlsError> {
        let doing = "making a commit";
        let provider = &session.provider;
        let builder = self
            .mls
            .commit_builder()
            .consume_proposal_store(false)
            .propose_removals(draft.removed.iter().copied().map(LeafNodeIndex::new))
            .propose_adds(draft.added.iter().map(|added| added.key_package.clone()));
        let builder = match extensions {
            Some(extensions) => {
                builder.propose_group_context_extensions(extensions).map_err(|error| library(doing, error))?
            }
            None => builder,
        };
        let builder = match draft.own_leaf.map(credential::to_leaf) {
            Some(leaf) => builder
                .leaf_node_parameters(LeafNodeParameters::builder().with_credential_with_key(leaf).build())
                .force_self_update(true),
            None => builder,
        };
        let builder = builder.load_psks(provider.storage()).map_err(|error| library(doing, error))?;
        // This encrypts to keys out of the tree.
        guarded(doing, || builder.build(provider.rand(), provider.crypto(), signer, |_| true))?
            .map_err(|error| library(doing, error))?
            .stage_commit(provider)
            .map_err(|error| library(doing, error))
    }

    /// Applies to our own commit what the other members will apply to it: a refused commit would only waste an epoch.
    fn check_draft(&self, draft: &CommitDraft<'_>) -> Result<(), MlsError> {
        if !self.is_active() {
            return Err(MlsError::NotAMember);
        }
        if self.has_pending() {
            return Err(MlsError::PendingCommit);
        }
        let members = self.members()?;
        let removed = draft.removed.iter().map(|leaf| self.member(*leaf)).collect::<Result<Vec<Member>, MlsError>>()?;
        let added: Vec<MemberCredential> = draft.added.iter().map(|added| added.credential().clone()).collect();
        let own = self.member(self.own_leaf())?.credential;
        if let Some(new) = draft.own_leaf {
            credential::continues(&own, new)?;
        }
        let newcomers: Vec<&MemberCredential> = added.iter().chain(draft.own_leaf).collect();
        credential::fit_roster(&own, &newcomers, &members)?;
        let change = Change { added: &added, removed: &removed, metadata_after: draft.metadata };
        // Nobody judges the commit by which a founder, alone in epoch 0, puts the others in.
        match self.epoch() {
            0 => Ok(()),
            _ => role::check(&self.metadata()?, &members, &own, &change).map_err(MlsError::RoleForbids),
        }
    }

    pub(crate) fn extensions_with(&self, metadata: &Metadata) -> Result<Extensions<GroupContext>, MlsError> {
        let mut extensions = self.mls.extensions().clone();
        extensions.add_or_replace(metadata.to_extension()?).map_err(|error| library("writing metadata", error))?;
        Ok(extensions)
    }

    fn pending_ratchet_tree(&self, session: &Session<'_>) -> Result<Vec<u8>, MlsError> {
        let pending = self.mls.pending_commit().ok_or(MlsError::NoPendingCommit)?;
        pending
            .export_ratchet_tree(session.provider.crypto(), self.mls.export_ratchet_tree())
            .map_err(|error| library("building the next tree", error))?
            .ok_or(MlsError::NotAMember)?
            .tls_serialize_detached()
            .map_err(|error| library("writing the next tree", error))
    }
}

pub(super) fn library<E: std::error::Error + Send + Sync + 'static>(doing: &'static str, error: E) -> MlsError {
    MlsError::Library { doing, source: Box::new(error) }
}

fn to_bytes(message: &openmls::prelude::MlsMessageOut) -> Result<Vec<u8>, MlsError> {
    message.tls_serialize_detached().map_err(|error| library("writing a message", error))
}
