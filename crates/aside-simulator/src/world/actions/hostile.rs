//! Ill will: one device commits what no honest program commits, and goes on as others do in between.

use super::World;
use crate::plan::{HostileEnd, Ill};
use crate::world::ledger::Wish;
use aside_engine::Defects;
use aside_engine::conversation::ConversationId;
use aside_engine::input::{Command, GroupChange};
use aside_engine::view::{Conversation, ConversationKind, ConversationState, Role};
use aside_protocol::address::AccountAddress;
use aside_protocol::id::ChannelId;

/// How titles begin that no honest device may ever show.
pub(crate) const FORBIDDEN_TITLE: &str = "forbidden title";

fn defects(ill: Ill) -> Defects {
    Defects {
        garbage_commits: ill == Ill::Garbage,
        nonsense_commits: ill == Ill::Nonsense,
        wrong_next_keys: ill == Ill::WrongKeys,
        forbidden_commits: ill == Ill::Forbidden,
        hidden_external_sender: ill == Ill::HiddenSender,
        ..Defects::default()
    }
}

impl World {
    /// The device with ill will does something of it, or becomes honest for a while.
    pub(super) fn do_ill(&mut self, who: usize) -> Option<()> {
        let hostile = self.plan.hostile?;
        self.devices.get(who).filter(|device| device.person == hostile.account && device.id.is_some())?;
        if self.ledger.hostile.is_some_and(|other| other != who) {
            return None;
        }
        if self.ledger.is_ill && self.dice.per_mille(400) {
            self.run_with(who, Defects::default(), "honest");
            self.ledger.is_ill = false;
            return Some(());
        }
        let command = match hostile.ill {
            Ill::Forbidden => {
                let (conversation, change) = self.some_forbidden(who)?;
                if let GroupChange::Remove(member) = &change {
                    // Who is made an admin before that commit comes is allowed it.
                    self.wish(who, conversation, Wish::Out(member.clone()), false);
                }
                Command::ChangeGroup { conversation, change }
            }
            _ => Command::RotateKeys { conversation: self.some_conversation(who)?.id },
        };
        self.run_with(who, defects(hostile.ill), "of ill will");
        (self.ledger.hostile, self.ledger.is_ill) = (Some(who), true);
        self.command(who, command);
        Some(())
    }

    /// Another program takes the database over, at once.
    fn run_with(&mut self, who: usize, defects: Defects, how: &str) {
        let Some(device) = self.devices.get_mut(who) else { return };
        let broken = device.client.crash();
        device.client.set_defects(defects);
        let started = device.client.start();
        let line = format!("{} is now {how}", device.name());
        if let Err(fault) = started {
            self.blame(fault);
        }
        self.note(|| line);
        self.servers_lose(broken);
    }

    /// A group in which this device is no admin, and a change of it.
    fn some_forbidden(&mut self, who: usize) -> Option<(ConversationId, GroupChange)> {
        let mut groups = self.open_conversations(who);
        let is_plain = |it: &Conversation| it.my_role == Some(Role::Member) && it.state == ConversationState::Active;
        groups.retain(|it| it.kind == ConversationKind::Group && is_plain(it));
        let group = groups.get(self.dice.below(groups.len()))?;
        let others: Vec<_> = group.members.iter().filter(|member| !member.person.is_self).collect();
        let other = others.get(self.dice.below(others.len()))?.person.address.clone();
        let change = match self.dice.below(5) {
            0 => GroupChange::Remove(other),
            1 => GroupChange::Role(other, Role::Admin),
            2 => {
                let person = self.devices.get(who)?.person;
                GroupChange::Role(self.people.get(person)?.address.clone(), Role::Admin)
            }
            3 => {
                let mut outside = self.reachable(who);
                outside.retain(|address| !group.members.iter().any(|member| member.person.address == *address));
                GroupChange::Add(vec![outside.get(self.dice.below(outside.len()))?.clone()])
            }
            _ => GroupChange::Title(format!("{FORBIDDEN_TITLE} {}", self.number())),
        };
        Some((group.id, change))
    }

    /// After the troubles the device with ill will is honest, or not there any more.
    pub(in crate::world) fn end_ill(&mut self) {
        let (Some(hostile), Some(who)) = (self.plan.hostile, self.ledger.hostile) else { return };
        match hostile.end {
            HostileEnd::Repents if self.ledger.is_ill => self.run_with(who, Defects::default(), "honest"),
            HostileEnd::Repents => {}
            HostileEnd::Vanishes => {
                let revoked = (0..self.devices.len()).filter_map(|who| Some((who, self.revoked_at(who)?)));
                self.ledger.taken_out = revoked.collect();
                let Some(device) = self.devices.get_mut(who) else { return };
                let broken = device.client.crash();
                device.is_away = true;
                self.note(|| "the device with ill will is never seen again".into());
                self.servers_lose(broken);
            }
        }
        self.ledger.is_ill = false;
    }

    /// Whether a device is of the account that did ill: nothing is owed to it, and nothing is expected of it.
    pub(crate) fn is_hostile(&self, who: usize) -> bool {
        let person = |who: usize| self.devices.get(who).map(|device| device.person);
        self.ledger.hostile.is_some_and(|hostile| person(hostile) == person(who))
    }

    /// Whether no honest device that was in an epoch was in the next one: they all refused the commit in between.
    pub(crate) fn was_refused(&self, channel: ChannelId, epoch: u64) -> bool {
        let was_in = |who: usize, epoch: u64| self.ledger.reached.contains(&(who, channel, epoch));
        let mut witnesses =
            (0..self.devices.len()).filter(|who| !self.is_hostile(*who) && was_in(*who, epoch)).peekable();
        witnesses.peek().is_some() && witnesses.all(|who| !was_in(who, epoch + 1))
    }

    /// Whether all that somebody's devices have of a group lies behind commits that everybody else refused: one of those
    /// let them in, and whoever is in the group for the others does not know of them.
    pub(crate) fn is_lured(&self, who: usize, group: &ConversationId) -> bool {
        let Some(person) = self.devices.get(who).map(|device| device.person) else { return false };
        let own = self.devices.iter().filter(|device| device.person == person);
        let seen = own.filter_map(|device| device.client.engine()?.channels_seen().ok()).flatten();
        let mut of_group = seen.filter(|it| it.conversation == *group && it.successor.is_none()).peekable();
        of_group.peek().is_some() && of_group.all(|it| (0..it.epoch).any(|epoch| self.was_refused(it.channel, epoch)))
    }

    /// Whether a device of somebody was led past such a commit as well, in a log of a group that such a device is in.
    pub(crate) fn is_lured_too(&self, address: &AccountAddress, who: usize, group: &ConversationId) -> bool {
        let engine = self.devices.get(who).and_then(|device| device.client.engine());
        let seen = engine.and_then(|engine| engine.channels_seen().ok()).unwrap_or_default();
        let is_theirs = |other: usize| {
            let id = self.devices.get(other).and_then(|device| device.id.as_ref());
            id.is_some_and(|(account, _)| account == address)
        };
        self.ledger.reached.iter().any(|(other, channel, epoch)| {
            is_theirs(*other)
                && seen.iter().any(|it| it.conversation == *group && it.channel == *channel)
                && (0..*epoch).any(|epoch| self.was_refused(*channel, epoch))
        })
    }

    /// The address of that account.
    pub(crate) fn hostile_address(&self) -> Option<&AccountAddress> {
        let device = self.devices.get(self.ledger.hostile?)?;
        self.people.get(device.person).map(|person| &person.address)
    }
}
