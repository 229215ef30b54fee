//! Ill will: what somebody did who had it was noticed, is blamed on them where that can be shown, and on nobody else.

use super::seen::{Logged, Seen, Side};
use crate::plan::Ill;
use crate::world::World;
use crate::world::actions::FORBIDDEN_TITLE;
use crate::world::ledger::{Place, Wish};
use aside_engine::heal::Evidence;
use aside_engine::view::inspect::ChannelSeen;
use aside_protocol::id::ChannelId;
use std::collections::BTreeSet;

/// Pieces of evidence that a device keeps of one conversation.
const EVIDENCE_KEPT: usize = 32;

/// Holds the evidence that honest devices keep against what was done, and marks what nobody answers for: epochs that only
/// commits with ill will led to, and devices that know nothing else of a group.
pub(super) fn check(world: &mut World, seen: &mut Seen) -> Result<(), String> {
    check_nobody_else_is_blamed(world, seen)?;
    let Some(hostile) = world.plan.hostile.filter(|_| world.ledger.hostile.is_some()) else { return Ok(()) };
    let mut commits: Vec<(ChannelId, u64, Logged)> = Vec::new();
    for (channel, log) in &seen.logs {
        let sent = log.entries.iter().filter(|(_, it)| world.ledger.hostile_commits.contains(&it.append_id));
        commits.extend(sent.map(|(seq, entry)| (*channel, *seq, *entry)));
    }
    for (channel, seq, entry) in commits {
        if !world.was_refused(channel, entry.epoch) {
            continue;
        }
        world.report.ill += 1;
        let first = seen.ended_by_ill.entry(channel).or_insert(entry.epoch);
        *first = entry.epoch.min(*first);
        if is_noticed(world, seen, hostile.ill, (channel, entry.epoch))? {
            world.report.noticed += 1;
        } else if let Some(side) = silent_witness(world, seen, (channel, entry.epoch), seq) {
            let name = &side.name;
            return Err(format!("{name} read up to {seq} of {channel:?}, which is of ill will, and says nothing"));
        }
    }
    mark_lured(seen);
    check_nothing_forbidden_shows(world, seen)
}

/// Whom a commit with ill will let in, and nobody else's: such a device cannot know that the others refused it, and believes
/// whom it was shown as admins. Where it is together with somebody who never was there, it is held to everything again; but
/// not where those who did refuse the commit are together elsewhere. They may be out by all that the device was shown, so
/// that it does not follow them, and what it founds anew is another group than theirs, also for those whom it takes along.
fn mark_lured(seen: &mut Seen) {
    let ended = &seen.ended_by_ill;
    for sides in seen.sides.values_mut() {
        let is_beyond = |it: &ChannelSeen| ended.get(&it.channel).is_some_and(|end| it.epoch > *end);
        let was_lured = |side: &Side| side.all_channels.iter().any(is_beyond);
        let was_there = |side: &Side| side.all_channels.iter().any(|it| ended.contains_key(&it.channel));
        let others: Vec<&Side> = sides.iter().filter(|side| side.is_in() && !was_lured(side)).collect();
        let is_refused = others.iter().any(|side| was_there(side));
        let held = others.into_iter().filter(|side| was_there(side) || !is_refused);
        let agreed: BTreeSet<ChannelId> = held.flat_map(|side| &side.channels).map(|it| it.channel).collect();
        let lured = sides.iter().filter(|side| was_lured(side)).flat_map(|side| &side.channels);
        let led: BTreeSet<ChannelId> = lured.map(|it| it.channel).collect();
        let was_led = |side: &Side| was_lured(side) || side.channels.iter().any(|it| led.contains(&it.channel));
        for side in sides.iter_mut().filter(|side| was_led(side)) {
            side.is_astray |= !side.channels.iter().any(|it| agreed.contains(&it.channel));
        }
    }
}

/// Whether somebody keeps evidence, which must name whom it proves to have done it, and nobody where nothing is proven.
fn is_noticed(world: &World, seen: &Seen, ill: Ill, (channel, epoch): (ChannelId, u64)) -> Result<bool, String> {
    let culprit = world.hostile_address().filter(|_| ill != Ill::Garbage).map(ToString::to_string);
    let hex: String = channel.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut is_noticed = false;
    for side in seen.sides.values().flatten() {
        let is_of_it = |it: &&Evidence| it.channel == hex && it.epoch == Some(epoch);
        for evidence in side.evidence.iter().filter(is_of_it) {
            is_noticed = true;
            if evidence.culprit != culprit {
                let (name, blamed) = (&side.name, &evidence.culprit);
                return Err(format!("{name} blames {blamed:?} for {ill:?} of {culprit:?}: {}", evidence.what));
            }
        }
    }
    Ok(is_noticed)
}

/// A device that read everything up to a commit with ill will, is in the conversation, and keeps no evidence.
///
/// Whoever moved to another channel before they read that far need not have seen it; nor whoever stopped for another
/// reason, which only damage and older copies are; nor has whoever was done ill to so often that the oldest of it had to go.
fn silent_witness<'a>(world: &World, seen: &'a Seen, (channel, epoch): (ChannelId, u64), seq: u64) -> Option<&'a Side> {
    let at_it = |it: &ChannelSeen| it.channel == channel && it.epoch == epoch && it.seq + 1 == seq;
    let has_all = |side: &Side| side.evidence.len() < EVIDENCE_KEPT;
    let stopped = |side: &&Side| side.is_in() && has_all(side) && side.all_channels.iter().any(at_it);
    let is_whole = world.ledger.damaged.is_empty() && world.ledger.restored.is_empty();
    seen.sides.values().flatten().filter(|_| is_whole).find(stopped)
}

/// The servers of these worlds never lie and all other people are honest: no evidence may name anything else.
fn check_nobody_else_is_blamed(world: &World, seen: &Seen) -> Result<(), String> {
    let hostile = world.hostile_address().map(ToString::to_string);
    for (place, sides) in &seen.sides {
        for side in sides {
            let is_false = |it: &&Evidence| it.theirs.is_some() || (it.culprit.is_some() && it.culprit != hostile);
            if let Some(evidence) = side.evidence.iter().find(is_false) {
                return Err(format!("{} blames somebody honest in {place:?}: {evidence:?}", side.name));
            }
        }
    }
    Ok(())
}

/// No honest device shows what somebody changed who was not allowed to, and whom nobody made an admin since.
fn check_nothing_forbidden_shows(world: &World, seen: &Seen) -> Result<(), String> {
    let Some(hostile) = world.hostile_address() else { return Ok(()) };
    let may_be_admin = |place: &Place| {
        let promoted = world.ledger.wishes.iter().filter(|it| it.wish == Wish::Admin(hostile.clone()));
        promoted.into_iter().any(|it| *place == Place::Group(it.group))
    };
    for (place, sides) in seen.sides.iter().filter(|(place, _)| !may_be_admin(place)) {
        for side in sides.iter().filter(|side| !side.is_astray) {
            let rows = side.rows.iter().map(|row| row.text.as_str());
            if rows.chain([side.shown.title.as_str()]).any(|text| text.contains(FORBIDDEN_TITLE)) {
                return Err(format!("{} shows in {place:?} what was forbidden", side.name));
            }
        }
    }
    Ok(())
}
