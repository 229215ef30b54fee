//! Linking further devices to one's account, and taking devices out of it.

use super::World;
use crate::plan::DEVICES_MAX;
use crate::world::Came;
use crate::world::ledger::{Given, Revocation};
use aside_engine::Engine;
use aside_engine::input::{Answer, Command, DeviceCommand, History};
use aside_engine::view::{JoinState, LinkingState, MessageKind, parse_device_id};
use aside_protocol::link::DeviceLink;
use std::collections::BTreeSet;

/// Links that a profile is offered after the troubles: a person tries again, but not for ever.
const TRIES_MAX: usize = 5;

impl World {
    /// Shows a device link, for a new profile or for one that was not linked before.
    pub(super) fn link(&mut self, who: usize) -> Option<()> {
        let person = self.devices.get(who)?.person;
        let waiting =
            self.devices.iter().position(|device| device.person == person && is_profile_only(device.client.engine()));
        if waiting.is_none() && self.devices.len() >= DEVICES_MAX {
            return None;
        }
        let link = self.shown_link(who)?;
        let new = match waiting {
            Some(new) => new,
            None => self.add_device(person).ok()?,
        };
        self.devices.get_mut(new)?.offer = Some((who, link));
        Some(())
    }

    fn shown_link(&mut self, who: usize) -> Option<DeviceLink> {
        let Came::Done(answer) = self.command(who, Command::Device(DeviceCommand::MakeLink)) else { return None };
        match *answer {
            Answer::DeviceLink(link) => Some(link),
            _ => None,
        }
    }

    /// Takes another device of the same person out.
    pub(super) fn revoke(&mut self, who: usize) -> Option<()> {
        let devices = self.devices.get(who)?.client.engine()?.devices().ok()?;
        let others: Vec<_> = devices.iter().filter(|device| !device.is_this && device.revoked_at.is_none()).collect();
        let device = parse_device_id(&others.get(self.dice.below(others.len()))?.id)?;
        let is_sure = match self.command(who, Command::Device(DeviceCommand::Revoke { device, phrase: None })) {
            Came::Not => return None,
            Came::Done(_) => true,
            Came::Unknown => false,
        };
        self.ledger.revocations.push(Revocation { by: who, device, is_sure });
        Some(())
    }

    /// What linking asks of people: to hand the link over, to approve, to try again. `true` if there was something.
    pub(in crate::world) fn go_on_linking(&mut self, who: usize) -> bool {
        let Some(engine) = self.devices.get(who).and_then(|device| device.client.engine()) else { return false };
        match engine.join_state() {
            Ok(JoinState::NotJoined) => self.become_device(who).is_some(),
            Ok(JoinState::Joined(_)) => self.approve(who).is_some(),
            _ => false,
        }
    }

    /// The new device's side.
    fn become_device(&mut self, who: usize) -> Option<()> {
        let device = self.devices.get(who)?;
        let linking = device.client.engine()?.linking().ok()?;
        match (&device.offer, linking.map(|linking| linking.state)) {
            (_, Some(LinkingState::Failed)) => {
                self.command(who, Command::Device(DeviceCommand::ForgetLink));
                self.devices.get_mut(who)?.offer = None;
                Some(())
            }
            (Some((by, link)), None) => {
                let (link, by) = (link.clone(), *by);
                if link.expires_unix_s < self.engine_now().unix_s() {
                    self.devices.get_mut(who)?.offer = None;
                    return Some(());
                }
                let shown = self.devices.get(by)?.client.engine()?;
                let is_registered = shown.device_link_is_registered(&link).ok()?;
                // Whoever was set back or taken out since never registers it: the person finds that it does not work.
                let is_dead = self.ledger.restored.contains(&by) || self.is_revoked(by);
                (is_registered || (self.is_mending && is_dead)).then_some(())?;
                let name = format!("device {who}");
                self.command(who, Command::Device(DeviceCommand::AcceptLink { link, name }));
                Some(())
            }
            (None, None) if self.is_mending && device.tries < TRIES_MAX => {
                let person = device.person;
                // One of them may not know yet that it was revoked.
                let standing = self.standing(person);
                let by = standing.get(device.tries.checked_rem(standing.len())?).copied()?;
                self.devices.get_mut(who)?.tries += 1;
                let link = self.shown_link(by)?;
                self.devices.get_mut(who)?.offer = Some((by, link));
                Some(())
            }
            _ => None,
        }
    }

    /// The old device's side: its person has compared the codes.
    fn approve(&mut self, who: usize) -> Option<()> {
        let request = self.devices.get(who)?.client.engine()?.device_requests().ok()?.into_iter().next()?;
        let device = parse_device_id(&request.id)?;
        let history = [History::All, History::All, History::Month, History::Nothing];
        let history = *history.get(self.dice.below(history.len()))?;
        let had = self.texts_on(who);
        let came = self.command(who, Command::Device(DeviceCommand::Answer { device, given: Some(history) }));
        let is_given = history == History::All && came == Came::Done(Box::new(Answer::Done));
        let messages = if is_given { had } else { BTreeSet::new() };
        self.ledger.given.insert(device, Given { by: who, messages });
        Some(())
    }

    /// All that a device shows of what was said.
    fn texts_on(&self, who: usize) -> BTreeSet<aside_engine::content::MessageId> {
        let Some(client) = self.devices.get(who).map(|device| &device.client) else { return BTreeSet::new() };
        let conversations = client.engine().and_then(|engine| engine.conversations().ok()).unwrap_or_default();
        let rows = conversations
            .iter()
            .filter_map(|conversation| crate::check::whole_timeline(client, &conversation.id).ok())
            .flatten();
        rows.filter(|row| row.kind == MessageKind::Text && !row.deleted).map(|row| row.id).collect()
    }

    /// The devices of somebody that have an account and that no other has taken out.
    pub(crate) fn standing(&self, person: usize) -> Vec<usize> {
        let has_account = |who: &usize| self.devices.get(*who).is_some_and(|device| device.id.is_some());
        let own = (0..self.devices.len()).filter(|who| self.devices.get(*who).is_some_and(|it| it.person == person));
        own.filter(|who| has_account(who) && !self.is_revoked(*who)).collect()
    }

    /// Whether some device knows that its person took this one out.
    pub(crate) fn is_revoked(&self, who: usize) -> bool {
        self.revoked_at(who).is_some()
    }

    /// When the first device of a person heard that this one was taken out.
    pub(crate) fn revoked_at(&self, who: usize) -> Option<i64> {
        let device = self.devices.get(who)?;
        let (_, id) = device.id.as_ref()?;
        let own = self.devices.iter().filter(|other| other.person == device.person);
        let known = own.filter_map(|other| other.client.engine()?.devices().ok()).flatten();
        let known = known.filter(|known| parse_device_id(&known.id).as_ref() == Some(id));
        known.filter_map(|known| known.revoked_at).chain(self.ledger.taken_out.get(&who).copied()).min()
    }
}

/// Whether a profile has neither an account nor a link on its way to one.
fn is_profile_only(engine: Option<&Engine>) -> bool {
    engine.is_some_and(|engine| {
        matches!(engine.join_state(), Ok(JoinState::NotJoined)) && matches!(engine.linking(), Ok(None))
    })
}
