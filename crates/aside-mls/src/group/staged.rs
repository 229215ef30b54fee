//! Another member's commit between decryption and merging: judged by the same rules at every member, then merged.

use super::{Group, to_seed};
use crate::channel_keys::ChannelKeys;
use crate::credential::{self, CredentialFault, Member};
use crate::error::{MetadataError, MlsError, ProcessError};
use crate::guard::is_usable;
use crate::key_package::{has_usable_keys, reference};
use crate::metadata::{METADATA_EXTENSION_TYPE, Metadata};
use crate::provider::Session;
use crate::role::{self, Change};
use aside_protocol::id::{ChannelId, Hash};
use aside_protocol::identity::MemberCredential;
use openmls::group::GroupContext;
use openmls::prelude::{Extension, Extensions, Proposal, ProposalOrRefType};
use openmls_traits::OpenMlsProvider;

/// A commit that was decrypted, verified and allowed, and is not merged yet.
pub struct StagedCommit {
    /// Who made it, as the leaf was before.
    pub committer: Member,
    /// The committer's credential from here on, where the commit renews it: its chain may say why somebody is removed.
    pub committer_after: Option<Box<MemberCredential>>,
    /// Whom it adds, in the order of its proposals.
    pub added: Vec<MemberCredential>,
    /// Whom it removes.
    pub removed: Vec<Member>,
    /// The metadata of the next epoch, if the commit changes it.
    pub metadata_after: Option<Box<Metadata>>,
    /// Whether it removes this device. Merging it then ends the group here.
    pub self_removed: bool,
    added_references: Vec<Hash>,
    mls: openmls::group::StagedCommit,
}

impl std::fmt::Debug for StagedCommit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "StagedCommit(of leaf {}, {} added, {} removed)",
            self.committer.leaf,
            self.added.len(),
            self.removed.len()
        )
    }
}

/// What a commit's proposals come to.
struct Contents {
    added: Vec<MemberCredential>,
    added_references: Vec<Hash>,
    removed: Vec<Member>,
    metadata_after: Option<Metadata>,
}

impl StagedCommit {
    /// The epoch that it begins.
    pub fn epoch(&self) -> u64 {
        self.mls.epoch().as_u64()
    }

    /// The KeyPackageRefs of those added, in the same order: whoever waits to add the same can stop.
    pub fn added_references(&self) -> &[Hash] {
        &self.added_references
    }

    /// The channel's keys of the epoch that it begins.
    ///
    /// # Errors
    /// [`MlsError::NotAMember`] if it removes this device, which then must not know them.
    pub fn channel_keys(&self, session: &Session<'_>, channel: &ChannelId) -> Result<ChannelKeys, MlsError> {
        if self.self_removed {
            return Err(MlsError::NotAMember);
        }
        let crypto = session.provider.crypto();
        ChannelKeys::derive(channel, |label, context| to_seed(self.mls.export_secret(crypto, label, context, 32)))
    }

    pub(super) fn into_mls(self) -> openmls::group::StagedCommit {
        self.mls
    }

    /// Applies the rules that MLS leaves to the application.
    pub(super) fn judge(
        group: &Group,
        session: &Session<'_>,
        author: Member,
        staged: openmls::group::StagedCommit,
    ) -> Result<Self, ProcessError> {
        let members = group.members().map_err(MlsError::from)?;
        let blame_credential = |fault| ProcessError::Credential { author: Box::new(author.clone()), fault };
        let contents = read_proposals(group, session, &author, &staged)?;
        if staged.update_path_leaf_node().is_some_and(|leaf| !is_usable(leaf)) {
            return Err(ProcessError::UnusableKey { author: Box::new(author) });
        }
        let own_leaf = check_own_leaf(&author, &staged).map_err(blame_credential)?;
        let newcomers: Vec<&MemberCredential> = contents.added.iter().chain(&own_leaf).collect();
        credential::fit_roster(&author.credential, &newcomers, &members).map_err(blame_credential)?;
        let change = Change {
            added: &contents.added,
            removed: &contents.removed,
            metadata_after: contents.metadata_after.as_ref(),
        };
        let metadata = group.metadata().map_err(MlsError::from)?;
        role::check(&metadata, &members, &author.credential, &change)
            .map_err(|what| ProcessError::RoleForbids { author: Box::new(author.clone()), what })?;
        let Contents { added, added_references, removed, metadata_after } = contents;
        let metadata_after = metadata_after.map(Box::new);
        let self_removed = staged.self_removed();
        Ok(Self {
            committer: author,
            committer_after: own_leaf.map(Box::new),
            added,
            removed,
            metadata_after,
            self_removed,
            added_references,
            mls: staged,
        })
    }
}

/// Reads the proposals. All stand in the commit itself, made by its author, and are of the three types that we use.
fn read_proposals(
    group: &Group,
    session: &Session<'_>,
    author: &Member,
    staged: &openmls::group::StagedCommit,
) -> Result<Contents, ProcessError> {
    let unexpected = || ProcessError::UnexpectedChange { author: Box::new(author.clone()) };
    let mut contents = Contents { added: vec![], added_references: vec![], removed: vec![], metadata_after: None };
    for queued in staged.queued_proposals() {
        if queued.proposal_or_ref_type() != ProposalOrRefType::Proposal {
            return Err(unexpected());
        }
        match queued.proposal() {
            Proposal::Add(add) => {
                if !has_usable_keys(add.key_package()) {
                    return Err(ProcessError::UnusableKey { author: Box::new(author.clone()) });
                }
                let leaf = add.key_package().leaf_node();
                let credential = credential::verify(leaf.credential(), leaf.signature_key().as_slice())
                    .map_err(|fault| ProcessError::Credential { author: Box::new(author.clone()), fault })?;
                contents.added.push(credential);
                contents.added_references.push(reference(session, add.key_package())?);
            }
            Proposal::Remove(remove) => contents.removed.push(group.member(remove.removed().u32())?),
            Proposal::GroupContextExtensions(proposal) => {
                contents.metadata_after = metadata_after(group, proposal.extensions())
                    .map_err(|fault| ProcessError::Metadata { author: Box::new(author.clone()), fault })?;
                if !only_metadata_differs(group.mls.extensions(), proposal.extensions()) {
                    return Err(unexpected());
                }
            }
            _ => return Err(unexpected()),
        }
    }
    Ok(contents)
}

fn metadata_after(group: &Group, after: &Extensions<GroupContext>) -> Result<Option<Metadata>, MetadataError> {
    let after = Metadata::from_extensions(after)?;
    Ok(Some(after).filter(|after| group.metadata().as_ref() != Ok(after)))
}

/// No commit may bring in external senders or required capabilities, or drop anything.
fn only_metadata_differs(before: &Extensions<GroupContext>, after: &Extensions<GroupContext>) -> bool {
    let is_other = |extension: &&Extension| extension.extension_type() != METADATA_EXTENSION_TYPE;
    before.iter().filter(is_other).eq(after.iter().filter(is_other))
}

/// Checks the author's own leaf, which a commit with a path replaces, and returns its credential.
fn check_own_leaf(
    author: &Member,
    staged: &openmls::group::StagedCommit,
) -> Result<Option<MemberCredential>, CredentialFault> {
    let Some(leaf) = staged.update_path_leaf_node() else { return Ok(None) };
    let new = credential::verify(leaf.credential(), leaf.signature_key().as_slice())?;
    credential::continues(&author.credential, &new)?;
    Ok(Some(new))
}
