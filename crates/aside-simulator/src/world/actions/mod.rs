//! What people do, one file for each kind. A further deed is a variant of [`Deed`], its function here, and its share in
//! the plan.

mod damage;
mod devices;
mod groups;
mod hostile;
mod meet;
mod restore;
mod talk;

pub(crate) use groups::words;
pub(crate) use hostile::FORBIDDEN_TITLE;

use super::World;
use aside_engine::conversation::ConversationId;
use aside_engine::view::{Conversation, ConversationKind, ConversationState};

/// A kind of thing that people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Writes a message.
    Write,
    /// Writes a message, and with ill will sends it as a second entry as well.
    WriteTwice,
    /// Edits an own message.
    Edit,
    /// Deletes an own message.
    Delete,
    /// Reacts to a message, or takes that back.
    React,
    /// Has read a conversation.
    Read,
    /// Renews the keys of the own leaf.
    Renew,
    /// Founds a group.
    Found,
    /// Changes a group's title.
    Rename,
    /// Changes a group's picture.
    Picture,
    /// Adds people to a group.
    Add,
    /// Removes somebody.
    Remove,
    /// Leaves a group.
    Leave,
    /// Makes somebody an admin.
    Promote,
    /// Makes an admin a member like others.
    Demote,
    /// Links a further device to the account.
    Link,
    /// Takes a device out of the account.
    Revoke,
    /// Loses group state.
    LoseGroups,
    /// Keeps a copy of the own database.
    KeepCopy,
    /// Puts that copy in the database's place.
    RestoreOlder,
    /// With ill will: commits what no honest program commits, or becomes honest again.
    DoIll,
}

impl World {
    /// Somebody does something.
    pub(super) fn act(&mut self, who: usize) {
        if !self.devices.get(who).is_some_and(|device| device.client.is_running()) {
            return;
        }
        if self.go_on_linking(who) || self.get_ready(who) || self.accept_everything(who) {
            return;
        }
        // Most is done after everybody has met.
        if self.is_meeting && !self.dice.per_mille(80) {
            return;
        }
        let sum: usize = self.plan.deeds.iter().map(|allowance| allowance.weight).sum();
        let mut drawn = self.dice.below(sum);
        let chosen = self.plan.deeds.iter().position(|allowance| match drawn.checked_sub(allowance.weight) {
            Some(rest) => {
                drawn = rest;
                false
            }
            None => true,
        });
        let Some(place) = chosen else { return };
        let Some(deed) = self.plan.deeds.get(place).filter(|allowance| allowance.left > 0).map(|it| it.deed) else {
            return;
        };
        if self.carry_out(who, deed)
            && let Some(allowance) = self.plan.deeds.get_mut(place)
        {
            allowance.left -= 1;
        }
    }

    /// `false`: there is no occasion.
    fn carry_out(&mut self, who: usize, deed: Deed) -> bool {
        let done = match deed {
            Deed::Write => self.write(who).map(|_| ()),
            Deed::WriteTwice => self.write_twice(who),
            Deed::Edit => self.edit(who),
            Deed::Delete => self.delete(who),
            Deed::React => self.react(who),
            Deed::Read => self.read(who),
            Deed::Renew => self.renew(who),
            Deed::Found => self.found(who),
            Deed::Rename => self.rename(who),
            Deed::Picture => self.picture(who),
            Deed::Add => self.add(who),
            Deed::Remove => self.remove(who),
            Deed::Leave => self.leave(who),
            Deed::Promote => self.promote(who),
            Deed::Demote => self.demote(who),
            Deed::Link => self.link(who),
            Deed::Revoke => self.revoke(who),
            Deed::LoseGroups => self.lose_groups(who),
            Deed::KeepCopy => self.keep_copy(who),
            Deed::RestoreOlder => self.restore_older(who),
            Deed::DoIll => self.do_ill(who),
        };
        done.is_some()
    }

    /// The conversations of a device that can be used, groups before others.
    fn open_conversations(&self, who: usize) -> Vec<Conversation> {
        let Some(engine) = self.devices.get(who).and_then(|device| device.client.engine()) else { return Vec::new() };
        let mut open = engine.conversations().unwrap_or_default();
        open.retain(|it| matches!(it.state, ConversationState::Active | ConversationState::Pending));
        open.sort_by_key(|it| (it.kind == ConversationKind::Direct, it.title.clone()));
        open
    }

    /// One of them, more often a group.
    fn some_conversation(&mut self, who: usize) -> Option<Conversation> {
        let mut open = self.open_conversations(who);
        let groups = open.iter().filter(|it| it.kind == ConversationKind::Group).count();
        if groups > 0 && self.dice.per_mille(700) {
            open.truncate(groups);
        }
        let chosen = self.dice.below(open.len());
        (chosen < open.len()).then(|| open.swap_remove(chosen))
    }

    /// Another number each time, to tell texts and titles apart.
    fn number(&mut self) -> usize {
        self.ledger.count += 1;
        self.ledger.count
    }

    /// A group that this device may change.
    fn some_own_group(&mut self, who: usize) -> Option<Conversation> {
        let mut groups = self.open_conversations(who);
        groups.retain(|it| {
            it.kind == ConversationKind::Group
                && it.state == ConversationState::Active
                && it.my_role == Some(aside_engine::view::Role::Admin)
        });
        let chosen = self.dice.below(groups.len());
        (chosen < groups.len()).then(|| groups.swap_remove(chosen))
    }

    fn renew(&mut self, who: usize) -> Option<()> {
        let conversation: ConversationId = self.some_conversation(who)?.id;
        self.command(who, aside_engine::input::Command::RotateKeys { conversation });
        Some(())
    }
}
