//! Who may commit what. Every member applies the same rules to every commit, so that a role is enforced without anybody
//! being asked: a commit that they forbid is refused by all.

use crate::credential::{Member, is_same_account, revoked_by};
use crate::metadata::Metadata;
use aside_protocol::identity::MemberCredential;

/// What a role does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbidden {
    /// Only admins add other accounts.
    AddOtherAccount,
    /// Only admins remove other accounts.
    RemoveOtherAccount,
    /// Only admins change title and admins.
    ChangeMetadata,
}

impl std::fmt::Display for Forbidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Forbidden::AddOtherAccount => "add another account",
            Forbidden::RemoveOtherAccount => "remove another account",
            Forbidden::ChangeMetadata => "change the title or the admins",
        })
    }
}

/// What a commit does, apart from updating its author's own leaf, which everybody may.
pub(crate) struct Change<'a> {
    pub(crate) added: &'a [MemberCredential],
    pub(crate) removed: &'a [Member],
    pub(crate) is_metadata_changed: bool,
}

/// Checks a commit's content against the metadata and members of the epoch that it ends.
///
/// Admins may do anything. Any member may add and remove devices of its own account, and remove a leaf that the key
/// sets in another leaf of the same account revoke.
pub(crate) fn check(
    metadata: &Metadata,
    members: &[Member],
    author: &MemberCredential,
    change: &Change<'_>,
) -> Result<(), Forbidden> {
    if metadata.is_admin(&author.address) {
        return Ok(());
    }
    if change.added.iter().any(|added| !is_same_account(added, author)) {
        return Err(Forbidden::AddOtherAccount);
    }
    let may_remove = |member: &Member| {
        is_same_account(&member.credential, author)
            || revoked_by(&member.credential, members.iter().map(|m| &m.credential)).is_some()
    };
    if !change.removed.iter().all(may_remove) {
        return Err(Forbidden::RemoveOtherAccount);
    }
    match change.is_metadata_changed {
        true => Err(Forbidden::ChangeMetadata),
        false => Ok(()),
    }
}
