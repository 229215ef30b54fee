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
    /// Only admins change title, picture and admins.
    ChangeMetadata,
    /// A group that has an admin among its members keeps one.
    LeaveNoAdmin,
}

impl std::fmt::Display for Forbidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Forbidden::AddOtherAccount => "add another account",
            Forbidden::RemoveOtherAccount => "remove another account",
            Forbidden::ChangeMetadata => "change the title, the picture or the admins",
            Forbidden::LeaveNoAdmin => "leave the group without an admin",
        })
    }
}

/// What a commit does, apart from updating its author's own leaf, which everybody may.
pub(crate) struct Change<'a> {
    pub(crate) added: &'a [MemberCredential],
    pub(crate) removed: &'a [Member],
    /// The metadata of the next epoch, if it changes.
    pub(crate) metadata_after: Option<&'a Metadata>,
}

/// Checks a commit's content against the metadata and members of the epoch that it ends.
///
/// Admins may do anything but leave a group without an admin among its members: nobody could change it any more. Any member may add and remove devices of its own account, remove a leaf that the key sets in
/// another leaf of the same account revoke, and swap a device of anybody's for a fresh leaf of the same device, or of one
/// of the same account whose chain revokes it: only they can have made the KeyPackage.
pub(crate) fn check(
    metadata: &Metadata,
    members: &[Member],
    author: &MemberCredential,
    change: &Change<'_>,
) -> Result<(), Forbidden> {
    if leaves_no_admin(metadata, members, change) {
        return Err(Forbidden::LeaveNoAdmin);
    }
    if metadata.is_admin(&author.address) {
        return Ok(());
    }
    let is_same_device = |a: &MemberCredential, b: &MemberCredential| {
        is_same_account(a, b) && a.certificate.device == b.certificate.device
    };
    // A device whose chain revokes the one that goes takes its place, as after the loss of all of a person's devices.
    let takes_place = |added: &MemberCredential, removed: &MemberCredential| {
        is_same_device(added, removed) || (is_same_account(added, removed) && revoked_by(removed, [added]).is_some())
    };
    let may_add = |added: &MemberCredential| {
        is_same_account(added, author) || change.removed.iter().any(|removed| takes_place(added, &removed.credential))
    };
    if !change.added.iter().all(may_add) {
        return Err(Forbidden::AddOtherAccount);
    }
    let may_remove = |member: &Member| {
        is_same_account(&member.credential, author)
            || change.added.iter().any(|added| takes_place(added, &member.credential))
            || revoked_by(&member.credential, members.iter().map(|m| &m.credential)).is_some()
    };
    if !change.removed.iter().all(may_remove) {
        return Err(Forbidden::RemoveOtherAccount);
    }
    match change.metadata_after.is_some() {
        true => Err(Forbidden::ChangeMetadata),
        false => Ok(()),
    }
}

fn leaves_no_admin(metadata: &Metadata, members: &[Member], change: &Change<'_>) -> bool {
    let stays = |member: &&Member| !change.removed.iter().any(|removed| removed.leaf == member.leaf);
    let mut after = members.iter().filter(stays).map(|member| &member.credential).chain(change.added);
    let metadata_after = change.metadata_after.unwrap_or(metadata);
    members.iter().any(|member| metadata.is_admin(&member.credential.address))
        && !after.any(|credential| metadata_after.is_admin(&credential.address))
}
