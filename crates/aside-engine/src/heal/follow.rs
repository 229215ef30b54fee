//! Following a conversation into the channel that it was founded anew in (P-9.9): the checks, and the move.

use super::fault::Standing;
use super::founder::Agreed;
use super::refound::{self, Predecessor};
use super::{answer, count, fault, gap};
use crate::Heart;
use crate::channel::{self, Channel, outbox};
use crate::context::{Context, to_store};
use crate::conversation::{self, ConversationId};
use crate::device::own_log;
use crate::error::EngineError;
use crate::heal::letter::Why;
use crate::{inbox, timeline};
use aside_mls::Group;
use aside_protocol::address::AccountAddress;
use aside_protocol::id::ChannelId;
use rusqlite::{Connection, params};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// More often no conversation is founded anew; a circle ends here.
const GENERATIONS_MAX: u32 = 1_000;

/// What a Welcome that names a predecessor is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// This device does not know the old channel: it is a Welcome like others.
    Plain,
    /// Its founder may not.
    Refused,
    /// It is to be followed.
    Follow(ConversationId),
    /// The person has not decided yet whether to go on.
    Later,
}

/// Judges, before the Welcome is opened, who sent it.
pub(crate) fn judge(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &AccountAddress,
    predecessor: &Predecessor,
) -> Result<Claim, EngineError> {
    let Some(old) = channel::find(context.db, &predecessor.channel)? else { return Ok(Claim::Plain) };
    let Some(row) = conversation::find(context.db, &old.conversation)? else { return Ok(Claim::Plain) };
    let fault = fault::of_channel(context.db, &old.id)?;
    let may = match &row.peer {
        Some(peer) => peer == sender,
        None => may_found(heart, context, &old, (sender, predecessor), fault.as_ref())?,
    };
    let waits = fault.is_some_and(|standing| standing.fault.remedy() == fault::Remedy::Person && !standing.is_chosen);
    // Whoever is leaving says so in the new channel, where nobody has heard it yet.
    let is_out = row.state.is_out() && row.state != conversation::State::Leaving;
    Ok(match (may && !is_out, waits) {
        (false, _) => Claim::Refused,
        (true, false) => Claim::Follow(row.id),
        (true, true) => Claim::Later,
    })
}

/// An admin, as this device last saw it; and where this device is stuck, the heir, unless the culprit is the admin.
fn may_found(
    heart: &mut Heart,
    context: &mut Context<'_>,
    old: &Channel,
    (sender, predecessor): (&AccountAddress, &Predecessor),
    fault: Option<&Standing>,
) -> Result<bool, EngineError> {
    let culprit = fault.and_then(|standing| standing.fault.culprit());
    if fault.is_some_and(|standing| standing.fault.stuck_at().is_some())
        && let Some(agreed) = Agreed::of(heart, context, old, culprit)?
    {
        // An heir says that it is one: its channel yields to an admin's.
        let is_admin = agreed.metadata.is_admin(sender);
        return Ok(agreed.rank(sender).is_some() && (is_admin || predecessor.by_heir));
    }
    let members = conversation::members(context.db, old.conversation)?;
    Ok(members.iter().any(|member| member.address == *sender && member.is_admin && Some(sender) != culprit))
}

/// Judges the group itself: nobody in it who was not among the last agreed, and everybody's role as it was. Founded by
/// the heir, nobody is missing either.
pub(crate) fn is_agreed(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: ConversationId,
    (predecessor, sender): (&Predecessor, &AccountAddress),
    group: &Group,
) -> Result<bool, EngineError> {
    let (metadata, members) = (group.metadata()?, group.members()?);
    let accounts: BTreeSet<AccountAddress> = members.iter().map(|one| one.credential.address.clone()).collect();
    let known = conversation::members(context.db, id)?;
    if conversation::find(context.db, &id)?.is_some_and(|row| row.peer.is_some()) {
        return Ok(accounts.iter().all(|one| known.iter().any(|row| row.address == *one)));
    }
    if let Some(old) = channel::find(context.db, &predecessor.channel)?
        && let Some(standing) =
            fault::of_channel(context.db, &old.id)?.filter(|standing| standing.fault.stuck_at().is_some())
        && let Some(agreed) = Agreed::of(heart, context, &old, standing.fault.culprit())?
    {
        return Ok(agreed.is_continued(sender, &accounts, &metadata));
    }
    Ok(accounts.iter().all(|one| {
        let row = known.iter().find(|row| row.address == *one);
        row.is_some_and(|row| row.is_admin == metadata.is_admin(one))
    }))
}

pub(crate) fn set_predecessor(
    context: &Context<'_>,
    id: &ChannelId,
    predecessor: &Predecessor,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("UPDATE channels SET predecessor = ? WHERE id = ?")?
        .execute(params![to_store(predecessor), id.0])?;
    Ok(())
}

/// The conversation moves to the new channel, or to a rival of it: of all that were founded anew the one with the most
/// predecessors wins, of these one that no heir founded, and of these the one with the lowest id. So everybody ends in the
/// same one, whatever comes first. Whoever has followed an admin does not follow an heir any more: the heir must go there,
/// too.
pub(crate) fn adopt(
    heart: &mut Heart,
    context: &mut Context<'_>,
    new: &Channel,
    predecessor: &Predecessor,
) -> Result<(), EngineError> {
    set_predecessor(context, &new.id, predecessor)?;
    let Some(old) = channel::find(context.db, &predecessor.channel)? else { return Ok(()) };
    let culprit = fault::of_channel(context.db, &old.id)?.and_then(|standing| standing.fault.culprit().cloned());
    let Some((winner, has_rival)) = settle(heart, context, new.conversation, &[new.id, old.id])? else { return Ok(()) };
    refound::end(context, new.conversation)?;
    answer::forget_those_in(heart, context, &old.id, &new.id)?;
    if !has_rival {
        count::add(context, count::Heal::ReFounded)?;
        tell(heart, context, new, predecessor, culprit.as_ref())?;
    }
    if let Some(group) = channel::take_group(heart, context, &winner)? {
        conversation::show_group(context, new.conversation, &group.members()?, &group.metadata()?)?;
        heart.groups.insert(winner, group);
    }
    channel::choose_current(heart, context, new.conversation)?;
    heart.stirred.insert(winner);
    Ok(())
}

/// Where a conversation was founded anew, gives up all its channels but the one that wins. `also` are counted though they
/// are not on their server, or not read any more. Returns the winner, and whether there was another beside these.
pub(crate) fn settle(
    heart: &mut Heart,
    context: &mut Context<'_>,
    conversation: ConversationId,
    also: &[ChannelId],
) -> Result<Option<(ChannelId, bool)>, EngineError> {
    let mut in_use: Vec<(ChannelId, bool)> = context
        .db
        .prepare_cached("SELECT id, live FROM channels WHERE conversation = ? AND successor IS NULL")?
        .query_map(params![conversation], |row| Ok((ChannelId(row.get(0)?), row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    in_use.retain(|(id, is_live)| *is_live || also.contains(id));
    let mut ranked = Vec::new();
    for (id, _) in &in_use {
        let by_heir = refound::predecessor_of(context.db, id)?.is_some_and(|predecessor| predecessor.by_heir);
        ranked.push((generation(context.db, id)?, !by_heir, Reverse(*id)));
    }
    // The devices' own conversation has one log only: its order decides.
    let is_own = own_log::is_it(context.db, &conversation)?;
    let is_one = |age: u32| age > 0 || is_own;
    let Some((.., Reverse(winner))) = ranked.iter().max().copied().filter(|(age, ..)| is_one(*age)) else {
        return Ok(None);
    };
    let has_rival = ranked.iter().any(|(age, _, Reverse(id))| *age > 0 && !also.contains(id));
    for (id, _) in in_use.into_iter().filter(|(id, _)| *id != winner) {
        give_up(heart, context, &id, &winner)?;
        end_of_stopped(heart, context, &id)?;
    }
    Ok(Some((winner, has_rival)))
}

/// How often a conversation had been founded anew when it came into a channel: as far back as this device knows its
/// channels, and from there on as the founder says.
pub(super) fn generation(db: &Connection, id: &ChannelId) -> Result<u32, EngineError> {
    let (mut at, mut generation) = (*id, 0_u32);
    while let Some(predecessor) = refound::predecessor_of(db, &at)?
        && generation < GENERATIONS_MAX
    {
        (at, generation) = (predecessor.channel, generation.saturating_add(1));
        if channel::find(db, &at)?.is_none() {
            let told = predecessor.generation.unwrap_or(0);
            return Ok(generation.saturating_add(told).min(GENERATIONS_MAX));
        }
    }
    Ok(generation)
}

/// What was said in a channel that was given up, behind the point where this device had to stop, it asks for.
fn end_of_stopped(heart: &mut Heart, context: &mut Context<'_>, id: &ChannelId) -> Result<(), EngineError> {
    let Some(row) = channel::find(context.db, id)? else { return Ok(()) };
    let Some(standing) = fault::of_channel(context.db, id)? else { return Ok(()) };
    gap::open_endless(heart, context, &row, &standing.fault)?;
    context.db.prepare_cached("UPDATE channels SET live = 0 WHERE id = ?")?.execute(params![id.0])?;
    fault::clear(context, &row)
}

/// One quiet line, and who was left out. Blamed are only those whom this device has itself seen to have done it.
fn tell(
    heart: &Heart,
    context: &mut Context<'_>,
    new: &Channel,
    predecessor: &Predecessor,
    culprit: Option<&AccountAddress>,
) -> Result<(), EngineError> {
    let Some(own) = heart.identity.as_ref().map(|identity| identity.address.clone()) else { return Ok(()) };
    if own_log::is_it(context.db, &new.conversation)? {
        return Ok(());
    }
    let why = match predecessor.why {
        Why::Lost => "the keys of the old one were lost",
        Why::Stuck(_) => "the old one had become unreadable",
        Why::Forked => "the server had shown different histories of the old one",
        Why::Gone => "its server no longer had the old one",
    };
    let words = format!("This conversation goes on in a new place: {why}.");
    timeline::note(context, new.conversation, &own, &words)?;
    match &predecessor.culprit {
        Some((address, _)) => {
            let words = match culprit == Some(address) {
                true => format!("{} was left out: their device had made the old one unusable.", address.name),
                false => format!("{} was not taken along.", address.name),
            };
            timeline::note(context, new.conversation, address, &words)
        }
        None => Ok(()),
    }
}

/// Nothing is written to a channel any more: what was queued there goes out in the new one, under the same message ids.
pub(crate) fn give_up(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: &ChannelId,
    winner: &ChannelId,
) -> Result<(), EngineError> {
    context.db.prepare_cached("UPDATE channels SET successor = ? WHERE id = ?")?.execute(params![winner.0, id.0])?;
    context.db.prepare_cached("UPDATE channels SET rotate_at_ms = NULL WHERE id = ?")?.execute(params![id.0])?;
    context.db.prepare_cached("DELETE FROM pending_commits WHERE channel = ?")?.execute(params![id.0])?;
    context
        .db
        .prepare_cached("UPDATE OR IGNORE intents SET channel = ? WHERE channel = ? AND kind <> 3")?
        .execute(params![winner.0, id.0])?;
    context.db.prepare_cached("DELETE FROM intents WHERE channel = ?")?.execute(params![id.0])?;
    if let Some(mut group) = channel::take_group(heart, context, id)? {
        // The log is read to its end: another's commit is not merged while one of this device is pending.
        group.clear_pending(&heart.mls.on(context.db))?;
    }
    outbox::epoch_ended(context, *id)
}

/// The person decided to go on: a Welcome that waited for it is followed.
pub(super) fn kept(heart: &mut Heart, context: &mut Context<'_>, channel: ChannelId) -> Result<(), EngineError> {
    inbox::again::follow_kept(heart, context, channel)
}
