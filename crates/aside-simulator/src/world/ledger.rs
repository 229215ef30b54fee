//! What was seen to happen, by somebody who sees everything: who was in which group in which epoch, what was
//! acknowledged to whom, and what people wished. The checks hold the end of the world against it.

use super::World;
use super::people::Copy;
use aside_engine::content::MessageId;
use aside_engine::conversation::ConversationId;
use aside_engine::input::Change;
use aside_engine::view::Delivery;
use aside_engine::view::inspect::{ChannelSeen, GroupSeen};
use aside_protocol::address::AccountAddress;
use aside_protocol::frame::anonymous;
use aside_protocol::id::{AppendId, ChannelId, DeviceId};
use aside_server::core::{Input, Request};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The name that a conversation has among all its members.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Both people, sorted.
    Direct(AccountAddress, AccountAddress),
    Group(ConversationId),
    /// What the devices of one person tell each other.
    Own(AccountAddress),
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Direct(one, other) => write!(f, "{}+{}", one.name, other.name),
            Place::Group(id) => write!(f, "group {id:?}"),
            Place::Own(account) => write!(f, "the devices of {}", account.name),
        }
    }
}

/// What somebody wished of a group, and the engine took up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    In(AccountAddress),
    Out(AccountAddress),
    Admin(AccountAddress),
    NoAdmin(AccountAddress),
    Title(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Wished {
    /// Which device.
    pub by: usize,
    pub group: ConversationId,
    pub wish: Wish,
    /// Whether the program lived to say that it took it up.
    pub is_sure: bool,
}

/// What a device was given when it was linked.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// By which device.
    pub by: usize,
    /// The texts that it must have, if the whole history was promised.
    pub messages: BTreeSet<MessageId>,
}

/// That somebody wished a device of theirs to be out.
#[derive(Debug, Clone)]
pub(crate) struct Revocation {
    /// On which device.
    pub by: usize,
    pub device: DeviceId,
    /// Whether the program lived to say that it took it up.
    pub is_sure: bool,
}

#[derive(Default)]
pub(crate) struct Ledger {
    /// Each epoch of each channel, as the first who was in it saw it.
    pub groups: BTreeMap<(ChannelId, u64), GroupSeen>,
    /// The conversation of each channel.
    pub places: BTreeMap<ChannelId, Place>,
    /// Where each device stood when it was last looked at.
    stood: BTreeMap<(usize, ChannelId), u64>,
    /// What somebody was told is on the server, by who wrote it, with the log that it was then in.
    pub acknowledged: BTreeMap<(Place, MessageId), (usize, Option<ChannelId>)>,
    pub wishes: Vec<Wished>,
    /// Who said that they leave, with the place of the log that they had read up to: they show nothing later.
    pub leaves: Vec<(usize, ChannelSeen)>,
    /// Of each device that was linked.
    pub given: BTreeMap<DeviceId, Given>,
    pub revocations: Vec<Revocation>,
    /// When the device with ill will, which is never seen again, took others of its person out: nobody else may know.
    pub taken_out: BTreeMap<usize, i64>,
    /// Devices whose group state was damaged: what they have of a group may not be readable.
    pub damaged: BTreeSet<usize>,
    /// The device that did ill, once it did.
    pub hostile: Option<usize>,
    /// Whether it does ill at present.
    pub is_ill: bool,
    /// The commits that it has sent since.
    pub hostile_commits: BTreeSet<AppendId>,
    /// Each epoch that each device was in.
    pub reached: BTreeSet<(usize, ChannelId, u64)>,
    /// Devices that were set back to older copies of themselves.
    pub restored: BTreeSet<usize>,
    /// What a device was in and its older copy knows nothing of.
    pub forgotten: BTreeSet<(usize, ChannelId)>,
    /// Texts that were written, for those that come after.
    pub written: Vec<(usize, MessageId)>,
    /// Makes texts and titles differ.
    pub count: usize,
}

impl Ledger {
    /// Whether a device was ever seen to read a channel.
    pub fn has_stood(&self, who: usize, channel: ChannelId) -> bool {
        self.reached.iter().any(|(device, reached, ..)| (*device, *reached) == (who, channel))
    }

    /// Remembers a commit of the device with ill will.
    pub fn note_commit(&mut self, who: usize, input: &Input) {
        if self.hostile == Some(who)
            && let Input::Request { request: Request::Anonymous(anonymous::Request::Commit { entry, .. }), .. } = input
        {
            self.hostile_commits.insert(entry.header.append_id);
        }
    }

    /// Whether a device is in this conversation only by what its older copy knows nothing of. It cannot ask for what it does
    /// not know of, and nobody else can see that it does not read any more.
    pub fn has_forgotten(&self, who: usize, place: &Place) -> bool {
        self.forgotten.iter().any(|(device, channel)| *device == who && self.places.get(channel) == Some(place))
    }

    /// The epochs of channels that a device was ever in.
    pub fn reached_by(&self, who: usize) -> BTreeSet<(ChannelId, u64)> {
        let own = self.reached.iter().filter(|(device, ..)| *device == who);
        own.map(|(_, channel, epoch)| (*channel, *epoch)).collect()
    }

    /// A device is an older copy of itself: whatever it had taken up since then it may know nothing of.
    pub fn set_back(&mut self, who: usize, copy: &Copy) {
        let Copy { wishes, revocations, reached, channels, .. } = copy;
        self.restored.insert(who);
        let mut since: BTreeSet<ChannelId> = self.reached_by(who).difference(reached).map(|(id, _)| *id).collect();
        since.retain(|channel| !channels.contains(channel));
        self.forgotten.extend(since.into_iter().map(|channel| (who, channel)));
        self.stood.retain(|(device, _), _| *device != who);
        self.wishes
            .iter_mut()
            .skip(*wishes)
            .filter(|wished| wished.by == who)
            .for_each(|wished| wished.is_sure = false);
        let revocations = self.revocations.iter_mut().skip(*revocations);
        revocations.filter(|revocation| revocation.by == who).for_each(|revocation| revocation.is_sure = false);
    }
}

impl World {
    /// The name of a conversation that a device knows by its own id.
    ///
    /// One that is not shown is that of the person's own devices.
    pub(crate) fn place(&self, who: usize, id: &ConversationId) -> Option<Place> {
        let device = self.devices.get(who)?;
        let own = &self.people.get(device.person)?.address;
        let Some(conversation) = device.client.engine()?.conversation(id).ok()? else {
            return Some(Place::Own(own.clone()));
        };
        Some(match conversation.peer {
            Some(peer) if peer < *own => Place::Direct(peer, own.clone()),
            Some(peer) => Place::Direct(own.clone(), peer),
            None => Place::Group(*id),
        })
    }

    /// Looks at what an input changed. A program that has ended is looked at when it runs again.
    pub(super) fn observe(&mut self, who: usize) {
        if let Err(error) = self.observe_groups(who) {
            self.blame(error);
        }
        self.observe_acknowledged(who);
    }

    fn observe_groups(&mut self, who: usize) -> Result<(), String> {
        let is_hostile = self.is_hostile(who);
        let Some(device) = self.devices.get_mut(who) else { return Ok(()) };
        let Some(engine) = device.client.engine() else { return Ok(()) };
        if device.id.is_none() {
            device.id = engine.own_device();
        }
        // What is seen by somebody with ill will is nobody's measure.
        if is_hostile {
            return Ok(());
        }
        let name = device.client.name.clone();
        for seen in engine.channels_seen().map_err(|error| format!("{name}: {error}"))? {
            if self.ledger.stood.get(&(who, seen.channel)) == Some(&seen.epoch) {
                continue;
            }
            self.ledger.stood.insert((who, seen.channel), seen.epoch);
            let is_damaged = self.ledger.damaged.contains(&who) || self.ledger.restored.contains(&who);
            let group = match engine.group_seen(&seen.channel) {
                Ok(Some(group)) if !is_damaged || group.epoch == seen.epoch => group,
                Ok(None) => continue,
                Ok(Some(_)) | Err(_) if is_damaged => continue,
                Ok(Some(group)) => group,
                Err(error) => return Err(format!("{name}: {error}")),
            };
            if group.epoch != seen.epoch {
                return Err(format!("{name} reads {:?} in epoch {} with {group:?}", seen.channel, seen.epoch));
            }
            let place = self.place(who, &seen.conversation).ok_or("a channel without a conversation")?;
            let known = self.ledger.groups.entry((seen.channel, seen.epoch)).or_insert_with(|| group.clone());
            if *known != group {
                let first = known.clone();
                let (ours, theirs) = (self.names_of(&group.devices), self.names_of(&first.devices));
                return Err(format!(
                    "{name} is in another group than others in {place:?}, epoch {}: {ours:?} against {theirs:?}",
                    seen.epoch
                ));
            }
            self.ledger.places.insert(seen.channel, place);
            self.ledger.reached.insert((who, seen.channel, seen.epoch));
            return self.observe_groups(who);
        }
        Ok(())
    }

    /// The names of some devices, for reports.
    pub(crate) fn names_of<'a>(&self, ids: impl IntoIterator<Item = &'a (AccountAddress, DeviceId)>) -> Vec<String> {
        let name = |id: &(AccountAddress, DeviceId)| {
            let device = self.devices.iter().find(|device| device.id.as_ref() == Some(id));
            device.map_or_else(|| format!("an unknown device of {}", id.0.name), |device| device.name().to_owned())
        };
        ids.into_iter().map(name).collect()
    }

    fn observe_acknowledged(&mut self, who: usize) {
        if self.is_hostile(who) {
            return;
        }
        let Some(device) = self.devices.get_mut(who) else { return };
        let Some(engine) = device.client.engine() else { return };
        let mut seen = Vec::new();
        let changed = &device.client.changed;
        let told: BTreeSet<MessageId> = changed.iter().filter_map(message_of).collect();
        for id in told {
            let Ok(Some(message)) = engine.message(&id) else { continue };
            if matches!(message.delivery, Some(Delivery::Sent | Delivery::Delivered | Delivery::Read)) {
                let places = engine.places_seen(&message.conversation_id).unwrap_or_default();
                let log = places.into_iter().find(|place| place.message == id).map(|place| place.channel);
                seen.push((message.conversation_id, id, log));
            }
        }
        device.client.changed.clear();
        for (conversation, id, log) in seen {
            if let Some(place) = self.place(who, &conversation) {
                self.ledger.acknowledged.entry((place, id)).or_insert((who, log));
            }
        }
    }
}

fn message_of(change: &Change) -> Option<MessageId> {
    match change {
        Change::Message(id) => Some(*id),
        _ => None,
    }
}
