//! What was said: everybody who had to get a message has it, once, in the log's order, with the same words.

use super::members::is_one;
use super::seen::{Seen, Side, was_told_to_begin_again};
use crate::plan::HostileEnd;
use crate::world::World;
use crate::world::ledger::Place;
use aside_engine::content::MessageId;
use aside_engine::view::{Delivery, Message, MessageKind};
use aside_protocol::id::ChannelId;
use std::collections::{BTreeMap, BTreeSet};

/// Notes that say that something is lost which should not be.
const NEVER: [&str; 4] = ["could not be read", "could not join", "Nothing of it was taken", "could not be made"];
/// Notes that say that something was not done: fine where a race took the right to it away.
const REFUSED: [&str; 2] = ["could not be added", "was not changed"];
/// Why a message fails of somebody who was not in.
const OUT: [&str; 4] =
    ["no longer a member", "you left the group", "removed you from the group", "removed before anybody had joined"];
const RIGHTLY: [&str; 2] = ["only admins", "is no member"];

pub(super) fn check(world: &mut World, seen: &Seen) -> Result<(), String> {
    let mut standing: BTreeSet<(Place, MessageId)> = BTreeSet::new();
    for (place, sides) in &seen.sides {
        let logged = logged(place, sides)?;
        for side in sides {
            check_rows(world, place, side)?;
            if !side.is_astray {
                check_eligible(world, seen, (place, sides), side, &logged)?;
            }
        }
        check_words(world, seen, (place, sides), &logged)?;
        world.report.messages += logged.len() as u64;
        standing.extend(logged.into_keys().map(|message| (place.clone(), message)));
    }
    let mut lost = world.ledger.acknowledged.iter().filter(|(it, _)| !standing.contains(it));
    if let Some(((place, message), _)) = lost.find(|((place, _), by)| !is_forgotten_by_all(world, seen, place, **by)) {
        return Err(format!("{message:?} in {place:?} was acknowledged, and nobody has it"));
    }
    world.report.acknowledged += world.ledger.acknowledged.len() as u64;
    world.report.commits +=
        seen.logs.values().flat_map(|log| log.entries.values()).filter(|entry| entry.is_commit).count() as u64;
    Ok(())
}

/// Whether the device that wrote a message was set back to an older copy, so that it need not know of it, or is never seen
/// again, and everybody whom it may have reached says that something is gone, or was set back to before the log and cannot
/// know that there was anything: what others had not read yet, or had read before they were set back, too, nobody has any more.
/// Nor can those know it who were never in that log, as devices that were linked when all others had forgotten it.
fn is_forgotten_by_all(world: &World, seen: &Seen, place: &Place, (by, log): (usize, Option<ChannelId>)) -> bool {
    let sides = seen.sides.get(place).into_iter().flatten();
    let mut inside = sides.filter(|side| side.is_in());
    let was_there = |side: &Side| log.is_none_or(|log| world.ledger.has_stood(side.who, log));
    let knows_none =
        |side: &Side| said_to_be_gone(side) > 0 || world.ledger.has_forgotten(side.who, place) || !was_there(side);
    let has_vanished = world.is_hostile(by) && world.plan.hostile.is_some_and(|it| it.end == HostileEnd::Vanishes);
    (has_vanished || world.ledger.restored.contains(&by)) && inside.all(knows_none)
}

/// Where each message of a conversation stands: in one log, or in several where it was sent again.
fn logged(place: &Place, sides: &[Side]) -> Result<BTreeMap<MessageId, BTreeSet<(ChannelId, u64)>>, String> {
    let mut logged: BTreeMap<MessageId, BTreeSet<(ChannelId, u64)>> = BTreeMap::new();
    let mut at: BTreeMap<(ChannelId, u64), (MessageId, &str)> = BTreeMap::new();
    for side in sides {
        for (message, position) in &side.places {
            let (other, name) = at.entry(*position).or_insert((*message, &side.name));
            if other != message {
                return Err(format!("{name} and {} have other messages at {position:?} of {place:?}", side.name));
            }
            logged.entry(*message).or_default().insert(*position);
        }
    }
    Ok(logged)
}

/// What one device shows by itself: nothing twice, nothing unreadable, nothing unsent, everything in order.
fn check_rows(world: &World, place: &Place, side: &Side) -> Result<(), String> {
    let mut texts = BTreeSet::new();
    let mut last: BTreeMap<ChannelId, u64> = BTreeMap::new();
    for row in &side.rows {
        if row.kind == MessageKind::Event {
            if is_truth(world, side, row) {
                continue;
            }
            let is_refused = REFUSED.iter().any(|words| row.text.contains(words));
            let is_right = RIGHTLY.iter().any(|words| row.text.contains(words));
            if NEVER.iter().any(|words| row.text.contains(words)) || (is_refused && !is_right) {
                return Err(format!("{} reads in {place:?}: {}", side.name, row.text));
            }
            continue;
        }
        if !row.deleted && !texts.insert(&row.text) {
            return Err(format!("{} sees {:?} of {place:?} twice", side.name, row.text));
        }
        match row.delivery {
            Some(Delivery::Queued) if !side.is_revoked && !side.is_astray => {
                return Err(format!("{}'s {:?} in {place:?} was never sent", side.name, row.text));
            }
            Some(Delivery::Failed) if side.is_in() && !was_out(row) => {
                return Err(format!("{}'s {:?} in {place:?} failed: {:?}", side.name, row.text, row.failure));
            }
            _ => {}
        }
        if let Some((channel, seq)) = side.places.get(&row.id)
            && last.insert(*channel, *seq).is_some_and(|before| before >= *seq)
        {
            return Err(format!("{} sees {:?} of {place:?} in another order than the log's", side.name, row.text));
        }
    }
    Ok(())
}

/// Whether a note says no more than the truth: what somebody with ill will began cannot be joined, nor can what reached a
/// device by keys that it had not made yet when its older copy was.
fn is_truth(world: &World, side: &Side, row: &Message) -> bool {
    let hostile = world.hostile_address().map(|address| format!("{} began a conversation", address.name));
    let is_restored = world.ledger.restored.contains(&side.who);
    row.text.contains("could not join") && (is_restored || hostile.is_some_and(|words| row.text.starts_with(&words)))
}

/// Whether a message failed because its author was not in the group when it was to be sent.
fn was_out(row: &Message) -> bool {
    let why = row.failure.as_deref().unwrap_or_default();
    OUT.iter().any(|words| why.contains(words))
}

/// Whether a device was a member when an entry was made; `None`: no server has that entry.
fn was_in(world: &World, seen: &Seen, who: usize, (channel, seq): (ChannelId, u64)) -> Option<bool> {
    let epoch = seen.logs.get(&channel)?.entries.get(&seq)?.epoch;
    Some(is_member(world, who, (channel, epoch)))
}

/// Every device has what it was a member for, and nothing else; what is gone for good is said.
fn check_eligible(
    world: &mut World,
    seen: &Seen,
    (place, sides): (&Place, &[Side]),
    side: &Side,
    logged: &BTreeMap<MessageId, BTreeSet<(ChannelId, u64)>>,
) -> Result<(), String> {
    let shown: BTreeSet<&MessageId> = side.rows.iter().map(|row| &row.id).collect();
    let mut gone = 0;
    let is_one = is_one(world, place, sides.iter().filter(|side| side.is_in()));
    for (message, positions) in logged {
        // What was said beyond a commit with ill will was said to nobody.
        // Nor can a device ask for what its older copy knows nothing of.
        let is_nobodys = |position: &(ChannelId, u64)| {
            seen.is_beyond_ill(*position)
                || world.ledger.forgotten.contains(&(side.who, position.0))
                || (!is_one && !side.all_channels.iter().any(|it| it.channel == position.0))
        };
        if positions.iter().all(is_nobodys) {
            continue;
        }
        let mut was_member = false;
        for position in positions {
            let Some(was_in) = was_in(world, seen, side.who, *position) else {
                return Err(format!("no server has {message:?} of {place:?} any more, at {position:?}"));
            };
            was_member |= was_in && !is_nobodys(position);
        }
        match (was_member, shown.contains(message)) {
            (true, true) => world.report.seen += 1,
            // Nobody owes anything to a device that is out.
            (true, false) if side.is_revoked => {}
            (true, false) if !side.is_in() && was_told_to_begin_again(world, side.who, &side.rows) => {}
            (true, false) if positions.iter().all(|position| had_left(world, seen, side.who, *position)) => {}
            (true, false) if positions.iter().all(|(log, _)| never_got_in(world, sides, side.who, log)) => {}
            (true, false)
                if positions.iter().all(|position| was_taken_out_unheard(world, seen, side.who, *position)) => {}
            (true, false)
                if is_author_out(world, sides, message)
                    && positions.iter().all(|position| was_not_there_yet(world, seen, side.who, *position)) => {}
            (true, false) if !stays(world, seen, side, positions) || is_author_out(world, sides, message) => gone += 1,
            (true, false) => return Err(format!("{} lacks {message:?} of {place:?} at {positions:?}", side.name)),
            // What another device gave on, to a revoked one only before it was revoked.
            (false, true) if was_in_time(world, side, message) && was_persons(world, seen, side.who, positions) => {}
            (false, true) => return Err(format!("{} has {message:?} of {place:?}, which is not theirs", side.name)),
            (false, false) => {}
        }
    }
    if gone > said_to_be_gone(side) {
        return Err(format!("{gone} messages of {place:?} are missing on {}, and no line says so", side.name));
    }
    world.report.gone += gone as u64;
    Ok(())
}

/// Whether a device had not been taken out of its account yet when a message was sent.
fn was_in_time(world: &World, side: &Side, message: &MessageId) -> bool {
    let row = side.rows.iter().find(|row| row.id == *message);
    world.revoked_at(side.who).is_none_or(|at_ms| row.is_some_and(|row| row.sent_at <= at_ms))
}

/// Whether another device of the same person, which may have given it on, was a member when an entry was made.
fn was_persons(world: &World, seen: &Seen, who: usize, positions: &BTreeSet<(ChannelId, u64)>) -> bool {
    let Some(device) = world.devices.get(who) else { return false };
    let others = (0..world.devices.len())
        .filter(|other| *other != who && world.devices.get(*other).is_some_and(|other| other.person == device.person));
    let mut pairs = others.flat_map(|other| positions.iter().map(move |position| (other, *position)));
    pairs.any(|(other, position)| was_in(world, seen, other, position) == Some(true))
}

/// Whether a device is in the conversation and was ever since some places: otherwise nobody gives it anything back.
fn stays(world: &World, seen: &Seen, side: &Side, positions: &BTreeSet<(ChannelId, u64)>) -> bool {
    side.is_in() && positions.iter().any(|position| was_there_since(world, seen, side.who, *position))
}

/// Whether no device of a message's author that has it is in the conversation any more: nobody can give it back.
fn is_author_out(world: &World, sides: &[Side], message: &MessageId) -> bool {
    let rows = sides.iter().flat_map(|side| &side.rows);
    let Some(author) = rows.into_iter().find(|row| row.id == *message).map(|row| &row.sender.address) else {
        return true;
    };
    let is_authors = |side: &&Side| {
        let person = world.devices.get(side.who).and_then(|device| world.people.get(device.person));
        person.is_some_and(|person| person.address == *author)
    };
    let has_it = |side: &Side| side.is_in() && side.rows.iter().any(|row| row.id == *message);
    !sides.iter().filter(is_authors).any(has_it)
}

/// Whether a device never heard of a log that all others have given up: it was added by a commit whose author lost the group
/// before its Welcome went out, and is somebody new in the log that came after (P-4.15, P-9.8). Nobody can tell it what it
/// missed, for nobody knows that it should have been in.
fn never_got_in(world: &World, sides: &[Side], who: usize, log: &ChannelId) -> bool {
    let mut used = sides.iter().filter(|side| side.is_in()).flat_map(|side| &side.channels);
    !used.any(|seen| seen.channel == *log) && !world.ledger.has_stood(who, *log)
}

/// Whether a device was put in and taken out again before it ever heard of it, and an entry was made in between: it had lost
/// its state, and was let in anew only to be removed. Nobody can tell it what it missed, for it was never in.
fn was_taken_out_unheard(world: &World, seen: &Seen, who: usize, (channel, seq): (ChannelId, u64)) -> bool {
    let Some(log) = seen.logs.get(&channel) else { return false };
    let Some(at) = log.entries.get(&seq).map(|entry| entry.epoch) else { return false };
    let is_in = |epoch: &u64| is_member(world, who, (channel, *epoch));
    let end = (at..=log.epoch).take_while(is_in).last().unwrap_or(at);
    let mut stay = (0..=at).rev().take_while(is_in).chain(at..=end);
    end < log.epoch && !stay.any(|epoch| world.ledger.reached.contains(&(who, channel, epoch)))
}

/// Whether a device first read a log behind a place, though it had a leaf there: it had refused the Welcome of a revoked
/// device. Of what was said until it got a fresh leaf (P-7.10) it hears where somebody can give it back; otherwise nobody
/// knows that it lacks anything.
fn was_not_there_yet(world: &World, seen: &Seen, who: usize, (channel, seq): (ChannelId, u64)) -> bool {
    let Some(epoch) = seen.logs.get(&channel).and_then(|log| log.entries.get(&seq)).map(|entry| entry.epoch) else {
        return false;
    };
    let mut read = world.ledger.reached.iter().filter(|(device, log, _)| (*device, *log) == (who, channel));
    read.all(|(_, _, reached)| *reached > epoch)
}

/// How many messages the lines on a device say are gone; one line gives no number.
fn said_to_be_gone(side: &Side) -> usize {
    let lines = side.rows.iter().filter(|row| is_loss(row));
    let many = |row: &Message| if row.text.starts_with("What was said") { usize::MAX } else { numbers(&row.text) };
    lines.map(many).fold(0, usize::saturating_add)
}

/// The sum of the numbers of messages in `3 messages of bob and 1 of carol, …`.
fn numbers(line: &str) -> usize {
    let words: Vec<&str> = line.split_whitespace().collect();
    let counts = words.windows(2).filter(|pair| matches!(pair, [_, "message" | "messages" | "of"]));
    counts.filter_map(|pair| pair.first()?.parse::<usize>().ok()).sum()
}

/// Whether a device's person had said that they leave, and had not been taken out yet: such a device shows nothing, also where
/// it was put in by another one of theirs that had not read that yet.
fn had_left(world: &World, seen: &Seen, who: usize, (channel, seq): (ChannelId, u64)) -> bool {
    let Some(log) = seen.logs.get(&channel) else { return false };
    let Some(until) = log.entries.get(&seq).map(|entry| entry.epoch) else { return false };
    let Some(device) = world.devices.get(who) else { return false };
    let is_own = |by: &usize| world.devices.get(*by).is_some_and(|other| other.person == device.person);
    let own: Vec<usize> = (0..world.devices.len()).filter(|by| is_own(by)).collect();
    let is_persons = |epoch: u64| own.iter().any(|by| is_member(world, *by, (channel, epoch)));
    let stayed = |from: u64| (from..=until).all(is_persons);
    let place = world.ledger.places.get(&channel);
    let mut leaves = world.ledger.leaves.iter().filter(|(by, _)| is_own(by)).map(|(_, stood)| stood);
    leaves.any(|stood| match stood.channel == channel {
        true => seq > stood.seq && stayed(stood.epoch),
        // Whoever is leaving is taken along into another channel, and is out of that one soon.
        false => place.is_some_and(|place| world.ledger.places.get(&stood.channel) == Some(place)) && stayed(1),
    })
}

fn is_member(world: &World, who: usize, epoch: (ChannelId, u64)) -> bool {
    let Some(id) = world.devices.get(who).and_then(|device| device.id.as_ref()) else { return false };
    world.ledger.groups.get(&epoch).is_some_and(|group| group.devices.contains(id))
}

fn is_loss(row: &Message) -> bool {
    row.kind == MessageKind::Event && row.text.contains("could not be recovered")
}

/// The same words, edits, deletions and reactions for all who were there ever since.
fn check_words(
    world: &World,
    seen: &Seen,
    (place, sides): (&Place, &[Side]),
    logged: &BTreeMap<MessageId, BTreeSet<(ChannelId, u64)>>,
) -> Result<(), String> {
    // Of a group that somebody founded a second time, each half has its own words.
    let is_one = is_one(world, place, sides.iter().filter(|side| side.is_in()));
    let mut first: BTreeMap<(Option<ChannelId>, &MessageId), (&str, String)> = BTreeMap::new();
    // Whoever missed something may have missed an edit.
    let inside = sides.iter().filter(|side| side.is_in() && !side.rows.iter().any(is_loss));
    for side in inside.filter(|side| was_in_all_logs(world, seen, sides, side.who)) {
        let half = side.channels.first().map(|it| it.channel).filter(|_| !is_one);
        for row in side.rows.iter().filter(|row| row.kind == MessageKind::Text) {
            let positions = logged.get(&row.id).into_iter().flatten();
            if !positions.into_iter().all(|position| was_there_since(world, seen, side.who, *position)) {
                continue;
            }
            let words = words(row);
            let (name, other) = first.entry((half, &row.id)).or_insert_with(|| (&side.name, words.clone()));
            if *other != words {
                return Err(format!("{name} and {} read {place:?} differently: {other} against {words}", side.name));
            }
        }
    }
    Ok(())
}

/// Whether a device was in each log of a conversation when the first thing was said there. What acts on a message may stand in
/// another log than the message; whoever was let into that one later was not told.
fn was_in_all_logs(world: &World, seen: &Seen, sides: &[Side], who: usize) -> bool {
    let logs: BTreeSet<ChannelId> = sides.iter().flat_map(|side| &side.channels).map(|it| it.channel).collect();
    logs.into_iter().all(|log| {
        let mut entries = seen.logs.get(&log).into_iter().flat_map(|it| &it.entries);
        let first = entries.find(|(_, entry)| !entry.is_commit);
        first.is_none_or(|(_, entry)| is_member(world, who, (log, entry.epoch)))
    })
}

fn was_there_since(world: &World, seen: &Seen, who: usize, (channel, seq): (ChannelId, u64)) -> bool {
    let Some(log) = seen.logs.get(&channel) else { return false };
    let Some(from) = log.entries.get(&seq).map(|entry| entry.epoch) else { return false };
    let mut epochs = from..=log.epoch;
    epochs.all(|epoch| is_member(world, who, (channel, epoch)))
}

fn words(row: &Message) -> String {
    let mut reactions: Vec<String> =
        row.reactions.iter().map(|reaction| format!("{} {}", reaction.count, reaction.emoji)).collect();
    reactions.sort();
    let edited = if row.edited { " (edited)" } else { "" };
    let deleted = if row.deleted { " (deleted)" } else { "" };
    format!("{}: {:?}{edited}{deleted} {reactions:?}", row.sender.address.name, row.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_line_are_summed() {
        assert_eq!(numbers("1 message of bob, on 1970-01-01, could not be recovered."), 1);
        assert_eq!(numbers("3 messages of bob and 12 of carol, between 1970-01-01 and 1970-01-03, could …"), 15);
    }
}
