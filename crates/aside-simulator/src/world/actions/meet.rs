//! Getting an account, handing out a link, adding those whom one shall know, accepting strangers.

use super::World;
use aside_engine::input::{Answer, Command};
use aside_engine::view::{ContactState, ConversationState, JoinState};
use aside_protocol::link::{ContactLink, InviteLink};

impl World {
    /// Does what comes before everything else. `true` if there was something.
    pub(super) fn get_ready(&mut self, who: usize) -> bool {
        let Some(command) = self.next_necessity(who) else { return false };
        let Some(person) = self.devices.get(who).map(|device| device.person) else { return false };
        if let Some(Answer::ContactLink { link, .. }) = self.command(who, command).answer()
            && let Some(person) = self.people.get_mut(person)
        {
            person.link = Some(link);
        }
        true
    }

    fn next_necessity(&self, who: usize) -> Option<Command> {
        let device = self.devices.get(who)?;
        let person = self.people.get(device.person)?;
        let engine = device.client.engine()?;
        match engine.join_state().ok()? {
            // A further profile of somebody becomes a device by a link.
            JoinState::NotJoined if !self.is_first(who) => return None,
            JoinState::NotJoined => {
                let server = self.sites.get(person.home)?.pin.clone();
                let invite = InviteLink { server, token: person.invite };
                return Some(Command::Join { invite, name: person.address.name.clone() });
            }
            JoinState::Joined(_) => {}
            JoinState::Registering | JoinState::Refused { .. } => return None,
        }
        if person.link.is_none() {
            return Some(Command::MakeContactLink);
        }
        let contacts = engine.contacts().ok()?;
        let link = self.links_to_add(device.person).find(|link| {
            let is_known = contacts.iter().any(|contact| contact.address == link.address);
            !is_known && self.is_registered(link)
        })?;
        Some(Command::AddContact { link: link.clone() })
    }

    /// Whether a device is the first of its person: it makes the account.
    fn is_first(&self, who: usize) -> bool {
        let person = self.devices.get(who).map(|device| device.person);
        self.devices.iter().position(|device| Some(device.person) == person) == Some(who)
    }

    /// Each adds those with lower numbers, and in some worlds both add each other at once.
    fn links_to_add(&self, person: usize) -> impl Iterator<Item = &ContactLink> {
        let is_friend = move |one: usize, other: usize| {
            self.people.get(one).is_some_and(|somebody| somebody.friends.contains(&other))
        };
        let others = self.people.iter().enumerate().filter(move |(other, _)| {
            is_friend(person, *other) || (self.plan.both_may_found && is_friend(*other, person))
        });
        others.filter_map(|(_, other)| other.link.as_ref())
    }

    fn is_registered(&self, link: &ContactLink) -> bool {
        let owners = self
            .devices
            .iter()
            .filter(|device| self.people.get(device.person).is_some_and(|person| person.address == link.address));
        owners
            .filter_map(|device| device.client.engine())
            .any(|engine| engine.link_is_registered(link).unwrap_or(false))
    }

    /// Whether a device's person knows everybody whom they shall know.
    pub(in crate::world) fn has_met(&self, who: usize) -> bool {
        let Some(device) = self.devices.get(who) else { return true };
        let Some(person) = self.people.get(device.person) else { return true };
        let contacts = device.client.engine().and_then(|engine| engine.contacts().ok()).unwrap_or_default();
        let has = |other: &usize| {
            let address = self.people.get(*other).map(|other| &other.address);
            contacts.iter().any(|it| Some(&it.address) == address && it.state == ContactState::Active)
        };
        person.link.is_some() && person.friends.iter().all(has)
    }

    /// Accepts strangers. `true` if there were any.
    pub(in crate::world) fn accept_everything(&mut self, who: usize) -> bool {
        let Some(engine) = self.devices.get(who).and_then(|device| device.client.engine()) else { return false };
        let conversations = engine.conversations().unwrap_or_default();
        let requests: Vec<_> = conversations
            .into_iter()
            .filter(|conversation| conversation.state == ConversationState::Request)
            .map(|conversation| conversation.id)
            .collect();
        for conversation in &requests {
            self.command(who, Command::Accept { conversation: *conversation });
        }
        !requests.is_empty()
    }
}
