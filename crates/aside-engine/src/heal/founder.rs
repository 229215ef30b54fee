//! Who may found a group anew, and what roles the new one has (P-9.8, P-9.9): every member computes the same from the last
//! agreed state, and what it saw of a culprit itself.

use crate::Heart;
use crate::channel::{self, Channel, outbox};
use crate::context::Context;
use crate::conversation::{self, Conversation};
use crate::error::EngineError;
use aside_mls::{Metadata, Picture};
use aside_protocol::address::AccountAddress;
use std::collections::BTreeSet;

/// The last agreed state of a group that nobody can go on with, as far as founding it anew needs it.
#[derive(Debug, Clone)]
pub(super) struct Agreed {
    pub metadata: Metadata,
    /// Everybody but the culprit.
    pub accounts: BTreeSet<AccountAddress>,
    /// The admins among them, by address: they may found it anew, in this order.
    pub admins: Vec<AccountAddress>,
    /// Where no admin does, the member at the lowest leaf who is none and has not left. They found it with everybody and
    /// everybody's role as it was, or, where the culprit was the only admin, as the admin.
    pub heir: Option<AccountAddress>,
}

impl Agreed {
    /// The state in this device's group; `None`: it has none any more.
    pub fn of(
        heart: &mut Heart,
        context: &mut Context<'_>,
        row: &Channel,
        culprit: Option<&AccountAddress>,
    ) -> Result<Option<Self>, EngineError> {
        let Some(group) = channel::take_group(heart, context, &row.id)? else { return Ok(None) };
        let (members, mut metadata) = (group.members()?, group.metadata()?);
        heart.groups.insert(row.id, group);
        let mut leavers = conversation::leavers(context, row.conversation)?;
        let own = heart.identity.as_ref().map(|identity| &identity.address);
        if outbox::waits(context, row.conversation)? {
            // Nobody has heard yet that this person leaves: the others wait for them, if they are the heir.
            leavers.retain(|one| Some(one) != own);
        }
        metadata.admins.retain(|admin| Some(admin) != culprit);
        let others = || members.iter().map(|one| &one.credential.address).filter(|one| Some(*one) != culprit);
        let accounts: BTreeSet<AccountAddress> = others().cloned().collect();
        let heir = others().find(|one| !metadata.is_admin(one) && !leavers.contains(one)).cloned();
        let mut admins: Vec<_> = metadata.admins.iter().filter(|one| accounts.contains(one)).cloned().collect();
        admins.sort();
        if admins.is_empty() {
            metadata.admins = heir.iter().cloned().collect();
        }
        Ok(Some(Self { metadata, accounts, admins, heir }))
    }

    /// The group as this device last showed it, where it has no state any more.
    pub fn last_shown(context: &Context<'_>, conversation: &Conversation) -> Result<Self, EngineError> {
        let mut members = conversation::members(context.db, conversation.id)?;
        members.retain(|member| member.standing == conversation::Standing::Member);
        // Of a group that everybody else has left, the last one is the admin.
        let is_alone = members.len() == 1;
        let admins: Vec<_> =
            members.iter().filter(|row| row.is_admin || is_alone).map(|row| row.address.clone()).collect();
        let picture = conversation::picture(context.db, &conversation.id)?;
        let metadata = Metadata {
            title: conversation.title.clone(),
            admins: admins.clone(),
            picture: picture.and_then(|bytes| Picture::new(bytes).ok()),
        };
        let accounts = members.into_iter().map(|row| row.address).collect();
        Ok(Self { metadata, accounts, admins, heir: None })
    }

    /// The place among those who may found it anew, so that they don't all do it at once; `None`: not allowed.
    pub fn rank(&self, address: &AccountAddress) -> Option<usize> {
        let is_heir = || self.heir.as_ref() == Some(address);
        self.admins.iter().position(|admin| admin == address).or_else(|| is_heir().then_some(self.admins.len()))
    }

    /// Whether a new group of these accounts and roles, founded by somebody, is what the old one was.
    pub fn is_continued(
        &self,
        founder: &AccountAddress,
        accounts: &BTreeSet<AccountAddress>,
        metadata: &Metadata,
    ) -> bool {
        let is_admin = self.metadata.is_admin(founder);
        let has_all = is_admin || *accounts == self.accounts;
        let same_role = |one: &AccountAddress| self.metadata.is_admin(one) == metadata.is_admin(one);
        has_all && accounts.iter().all(|one| self.accounts.contains(one) && same_role(one))
    }
}
