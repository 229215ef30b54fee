//! What every device shows of every conversation, and what stands in the servers' logs.

use crate::client::Client;
use crate::world::World;
use crate::world::ledger::Place;
use aside_engine::content::MessageId;
use aside_engine::conversation::ConversationId;
use aside_engine::heal::Evidence;
use aside_engine::view::inspect::ChannelSeen;
use aside_engine::view::{Conversation, ConversationState, Message};
use aside_protocol::id::{AppendId, ChannelId};
use std::collections::BTreeMap;

/// One conversation on one device.
pub(super) struct Side {
    pub who: usize,
    pub name: String,
    pub shown: Conversation,
    pub rows: Vec<Message>,
    pub places: BTreeMap<MessageId, (ChannelId, u64)>,
    /// The channels that it is in.
    pub channels: Vec<ChannelSeen>,
    /// Those that it was in before, too.
    pub all_channels: Vec<ChannelSeen>,
    /// What it keeps as evidence.
    pub evidence: Vec<Evidence>,
    /// Whether it knows nothing but a group that somebody with ill will led it into, or is stuck in one where only they could
    /// help it.
    pub is_astray: bool,
    /// Whether its person took the device out of the account.
    pub is_revoked: bool,
}

impl Seen {
    /// Whether an entry stands in an epoch that only a commit with ill will led to: no honest member was ever in it.
    pub fn is_beyond_ill(&self, (channel, seq): (ChannelId, u64)) -> bool {
        let epoch = self.logs.get(&channel).and_then(|log| log.entries.get(&seq)).map(|entry| entry.epoch);
        self.ended_by_ill.get(&channel).is_some_and(|end| epoch.is_some_and(|epoch| epoch > *end))
    }
}

impl Side {
    /// Whether this device is in the conversation.
    pub fn is_in(&self) -> bool {
        !self.shown.left && !self.is_revoked && !self.is_astray
    }
}

/// An entry of a server's log, as far as a server knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Logged {
    pub epoch: u64,
    pub is_commit: bool,
    pub append_id: AppendId,
}

/// A channel on its server.
pub(super) struct Log {
    pub epoch: u64,
    pub end: u64,
    pub entries: BTreeMap<u64, Logged>,
}

pub(super) struct Seen {
    pub sides: BTreeMap<Place, Vec<Side>>,
    pub logs: BTreeMap<ChannelId, Log>,
    /// The epochs that commits with ill will ended: what comes after them in such a log is nobody's.
    pub ended_by_ill: BTreeMap<ChannelId, u64>,
}

/// Reads it all.
pub(super) fn everything(world: &mut World) -> Result<Seen, String> {
    let mut sides: BTreeMap<Place, Vec<Side>> = BTreeMap::new();
    for who in (0..world.devices.len()).filter(|who| !world.is_hostile(*who)) {
        for (place, side) in sides_of(world, who)? {
            sides.entry(place).or_default().push(side);
        }
    }
    let mut logs = BTreeMap::new();
    let channels: Vec<ChannelId> = world.ledger.places.keys().copied().collect();
    for channel in channels {
        for site in &mut world.sites {
            if let Some((state, entries)) = site.server.log(&channel)? {
                let entries = entries.into_iter().map(|entry| {
                    let (epoch, is_commit) = (entry.header.epoch, entry.header.is_commit());
                    (entry.seq, Logged { epoch, is_commit, append_id: entry.header.append_id })
                });
                logs.insert(channel, Log { epoch: state.epoch, end: state.end.seq, entries: entries.collect() });
            }
        }
    }
    Ok(Seen { sides, logs, ended_by_ill: BTreeMap::new() })
}

fn sides_of(world: &World, who: usize) -> Result<Vec<(Place, Side)>, String> {
    let Some(device) = world.devices.get(who) else { return Ok(Vec::new()) };
    let Some(engine) = device.client.engine() else { return Err(format!("{} does not run", device.name())) };
    let words = |error: aside_engine::error::EngineError| format!("{}: {error}", device.name());
    let channels = engine.channels_seen().map_err(words)?;
    let is_revoked = world.is_revoked(who);
    let mut sides = Vec::new();
    for shown in engine.conversations().map_err(words)? {
        let place = world.place(who, &shown.id).ok_or("a conversation without a name")?;
        let rows = whole_timeline(&device.client, &shown.id)?;
        let is_stuck = shown.state != ConversationState::Active && !shown.left;
        let is_excused = world.is_excused(who, &shown) || was_told_to_begin_again(world, who, &rows);
        if is_stuck && !is_revoked && !is_excused {
            let reason = shown.paused_reason.unwrap_or_default();
            return Err(format!("{}'s conversation {place:?} is {:?}: {reason}", device.name(), shown.state));
        }
        let places = engine.places_seen(&shown.id).map_err(words)?;
        sides.push((
            place,
            Side {
                who,
                is_revoked,
                is_astray: is_stuck,
                evidence: engine.evidence(&shown.id).map_err(words)?,
                all_channels: channels.iter().filter(|seen| seen.conversation == shown.id).copied().collect(),
                name: device.name().to_owned(),
                rows,
                places: places.into_iter().map(|seen| (seen.message, (seen.channel, seen.seq))).collect(),
                channels: channels
                    .iter()
                    .filter(|seen| seen.conversation == shown.id && seen.successor.is_none())
                    .copied()
                    .collect(),
                shown,
            },
        ));
    }
    Ok(sides)
}

/// Whether an older copy, whose keys others had used up, says in words that somebody has to begin again with it.
pub(super) fn was_told_to_begin_again(world: &World, who: usize, rows: &[Message]) -> bool {
    world.ledger.restored.contains(&who) && rows.iter().any(|row| row.text.contains("could not join"))
}

/// All rows of a conversation, page by page.
pub(crate) fn whole_timeline(client: &Client, id: &ConversationId) -> Result<Vec<Message>, String> {
    let Some(engine) = client.engine() else { return Ok(Vec::new()) };
    let mut messages: Vec<Message> = Vec::new();
    loop {
        let before = messages.first().map(|message| message.position);
        let page = engine.messages(id, before, 200).map_err(|error| error.to_string())?;
        let has_more = page.has_more;
        messages.splice(0..0, page.messages);
        if !has_more {
            return Ok(messages);
        }
    }
}
