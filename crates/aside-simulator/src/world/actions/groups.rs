//! Founding groups and changing them: what admins do, at once and against each other.

use super::World;
use crate::world::ledger::{Wish, Wished};
use crate::world::{Came, names};
use aside_engine::conversation::ConversationId;
use aside_engine::input::{Answer, Command, GroupChange};
use aside_engine::view::{ContactState, Conversation, ConversationKind, ConversationState, MemberState, Role};
use aside_protocol::address::AccountAddress;

impl World {
    /// The addresses of a device's contacts that can be written to.
    pub(super) fn reachable(&self, who: usize) -> Vec<AccountAddress> {
        let engine = self.devices.get(who).and_then(|device| device.client.engine());
        let contacts = engine.and_then(|engine| engine.contacts().ok()).unwrap_or_default();
        contacts.into_iter().filter(|it| it.state == ContactState::Active).map(|it| it.address).collect()
    }

    /// So many of them, by chance.
    fn choose(&mut self, mut from: Vec<AccountAddress>, many: usize) -> Vec<AccountAddress> {
        while from.len() > many {
            let chosen = self.dice.below(from.len());
            from.swap_remove(chosen);
        }
        from
    }

    pub(super) fn wish(&mut self, by: usize, group: ConversationId, wish: Wish, is_sure: bool) {
        self.ledger.wishes.push(Wished { by, group, wish, is_sure });
    }

    pub(super) fn found(&mut self, who: usize) -> Option<()> {
        let known = self.reachable(who);
        if known.len() < 2 {
            return None;
        }
        let many = 2 + self.dice.below(known.len());
        let members = self.choose(known, many);
        let title = format!("group {}", self.number());
        let came = self.command(who, Command::CreateGroup { title, members: members.clone() });
        if let Some(Answer::Conversation(group)) = came.answer() {
            for member in members {
                self.wish(who, group, Wish::In(member), true);
            }
        }
        Some(())
    }

    fn change(&mut self, who: usize, group: ConversationId, change: GroupChange, wishes: Vec<Wish>) -> Option<()> {
        let is_sure = match self.command(who, Command::ChangeGroup { conversation: group, change }) {
            Came::Not => return None,
            Came::Done(_) => true,
            Came::Unknown => false,
        };
        for wish in wishes {
            self.wish(who, group, wish, is_sure);
        }
        Some(())
    }

    pub(super) fn rename(&mut self, who: usize) -> Option<()> {
        let group = self.some_own_group(who)?;
        let title = format!("title {}", self.number());
        self.change(who, group.id, GroupChange::Title(title.clone()), vec![Wish::Title(title)])
    }

    pub(super) fn picture(&mut self, who: usize) -> Option<()> {
        let group = self.some_own_group(who)?;
        let bytes = [b"\x89PNG\r\n\x1a\n".as_slice(), &self.number().to_be_bytes()].concat();
        let picture = Some(bytes).filter(|_| group.picture.is_none() || self.dice.per_mille(700));
        self.change(who, group.id, GroupChange::Picture(picture), Vec::new())
    }

    pub(super) fn add(&mut self, who: usize) -> Option<()> {
        let group = self.some_own_group(who)?;
        let mut outside = self.reachable(who);
        outside.retain(|address| !group.members.iter().any(|member| member.person.address == *address));
        let many = 1 + self.dice.below(2);
        let added = self.choose(outside, many);
        if added.is_empty() {
            return None;
        }
        let wishes = added.iter().cloned().map(Wish::In).collect();
        self.change(who, group.id, GroupChange::Add(added), wishes)
    }

    /// Another member of a group that this device may change, with the role or without.
    fn some_member(&mut self, who: usize, role: Option<Role>) -> Option<(ConversationId, AccountAddress)> {
        let group = self.some_own_group(who)?;
        let others = group.members.iter().filter(|member| {
            !member.person.is_self && member.state == MemberState::Member && role.is_none_or(|role| role == member.role)
        });
        let others: Vec<AccountAddress> = others.map(|member| member.person.address.clone()).collect();
        Some((group.id, others.get(self.dice.below(others.len()))?.clone()))
    }

    pub(super) fn remove(&mut self, who: usize) -> Option<()> {
        let (group, member) = self.some_member(who, None)?;
        self.change(who, group, GroupChange::Remove(member.clone()), vec![Wish::Out(member)])
    }

    pub(super) fn promote(&mut self, who: usize) -> Option<()> {
        let (group, member) = self.some_member(who, Some(Role::Member))?;
        self.change(who, group, GroupChange::Role(member.clone(), Role::Admin), vec![Wish::Admin(member)])
    }

    pub(super) fn demote(&mut self, who: usize) -> Option<()> {
        let (group, member) = self.some_member(who, Some(Role::Admin))?;
        self.change(who, group, GroupChange::Role(member.clone(), Role::Member), vec![Wish::NoAdmin(member)])
    }

    pub(super) fn leave(&mut self, who: usize) -> Option<()> {
        let is_group = |it: &Conversation| {
            it.kind == ConversationKind::Group && it.state == ConversationState::Active && it.members.len() > 2
        };
        let mut groups = self.open_conversations(who);
        groups.retain(is_group);
        let group = groups.get(self.dice.below(groups.len()))?.id;
        let own = self.people.get(self.devices.get(who)?.person)?.address.clone();
        let stood = self.devices.get(who)?.client.engine()?.channels_seen().ok()?;
        self.ledger.leaves.extend(stood.into_iter().filter(|it| it.conversation == group).map(|it| (who, it)));
        self.change(who, group, GroupChange::Leave, vec![Wish::Out(own)])
    }
}

/// For the trace.
pub(crate) fn words(change: &GroupChange) -> String {
    match change {
        GroupChange::Title(title) => format!("the title {title:?}"),
        GroupChange::Picture(picture) => format!("picture: {}", picture.is_some()),
        GroupChange::Add(members) => format!("to add {}", names(members)),
        GroupChange::Remove(member) => format!("to remove {}", member.name),
        GroupChange::Role(member, role) => format!("{} to be {role:?}", member.name),
        GroupChange::Leave => "to leave".into(),
    }
}
