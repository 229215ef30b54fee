//! Answering a request for a fresh leaf (P-9.3): each member that can waits a little, differently long; whoever's commit
//! is taken first has answered, and the others see the KeyPackage in the log and stop.

use super::fault::{self, Remedy, Standing};
use super::letter::{HealLetter, NotIn, ReAdd, Why};
use super::{count, recover, refound};
use crate::Heart;
use crate::channel::intent::{self, Intent, Newcomer};
use crate::channel::{self, Channel, end};
use crate::contact;
use crate::context::{Context, stored, to_store};
use crate::conversation::{self, ConversationId, State, replace};
use crate::error::EngineError;
use crate::inbox::welcome::Recipient;
use crate::server;
use aside_mls::{Group, KeyPackageError, Member};
use aside_protocol::id::{ChannelId, DeviceId, Hash};
use aside_protocol::identity::MemberCredential;
use minicbor::{Decode, Encode};
use rusqlite::params;
use std::collections::BTreeSet;

/// Steps of waiting among members.
const RANKS: usize = 12;
/// Answers to one device in one channel and day.
const ANSWERS_A_DAY: i64 = 24;
/// Members whom somebody who is out names to somebody who is not.
pub(super) const OTHERS_MAX: usize = 32;
/// After so long a request that could not be answered is dropped, in milliseconds.
const KEPT_MS: i64 = 14 * 86_400_000;

/// A request as it is kept until it is answered.
#[derive(Debug, Clone, Encode, Decode)]
pub(super) struct Kept {
    #[n(0)]
    pub sender: MemberCredential,
    #[n(1)]
    pub why: Why,
    #[n(2)]
    pub newcomer: Newcomer,
    #[n(3)]
    pub since_ms: i64,
}

/// A request came. It is checked for what it says of itself here; whether its sender is a member, when it is answered.
pub(super) fn take(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &ReAdd,
) -> Result<(), EngineError> {
    let is_first = context
        .db
        .prepare_cached("INSERT OR IGNORE INTO heal_nonces (nonce, day) VALUES (?, ?)")?
        .execute(params![letter.nonce, context.now.day()])?
        == 1;
    let row = channel::find(context.db, &letter.channel)?;
    let reach = &letter.reach;
    let is_own_inbox = reach.record.verify().is_ok()
        && reach.record.certificate == sender.certificate
        && reach.server.address == sender.address.server;
    let server = server::find_pin(context.db, &reach.server)?;
    let (true, true, Some(server)) = (is_first, is_own_inbox, server) else { return Ok(()) };
    let package = match heart.mls.on(context.db).check_key_package(&letter.key_package, context.now.unix_s()) {
        Ok(package) if package.credential() == sender => package,
        Err(KeyPackageError::Mls(error)) => return Err(error.into()),
        Ok(_) | Err(_) => return Ok(()),
    };
    if is_rate_limited(context, &letter.channel, sender)? {
        return Ok(());
    }
    let recipient = Recipient {
        address: sender.address.clone(),
        device: sender.certificate.device,
        server,
        inbox_key: reach.record.inbox_key.clone().into(),
        token: reach.token,
    };
    let Some(row) = row else { return say_left(heart, context, &recipient, letter.channel, sender) };
    let newcomer = Newcomer { recipient, key_package: letter.key_package.clone(), reference: package.reference() };
    let kept = Kept { sender: sender.clone(), why: letter.why, newcomer, since_ms: context.now.unix_ms };
    let due = context.now.unix_ms.saturating_add(stagger(heart, context, &row, sender)?);
    context
        .db
        .prepare_cached(
            "INSERT INTO readds (channel, device, reference, body, due_ms) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (channel, device) DO UPDATE SET reference = ?3, body = ?4, due_ms = ?5",
        )?
        .execute(params![row.id.0, sender.certificate.device.0, package.reference().0, to_store(&kept), due])?;
    note_admin(heart, context, &row, sender, letter.admin_in)?;
    refound::look_sooner(heart, context, &row.id)
}

/// A group is never without an admin: where all that this device knew have left, others are by now, and where it has lost
/// its state it hears that this account is one only from somebody who was there for longer. Should it not be so, nobody
/// follows it into a group that it founds anew.
fn note_admin(
    heart: &Heart,
    context: &mut Context<'_>,
    row: &Channel,
    sender: &MemberCredential,
    admin_in: Option<u64>,
) -> Result<(), EngineError> {
    let standing = fault::of_channel(context.db, &row.id)?;
    let has_lost_it = standing.is_some_and(|standing| standing.fault.remedy() == Remedy::ReAdd);
    let is_newer = admin_in.is_some_and(|epoch| epoch > row.epoch);
    let (Some(own), true, true) = (&heart.identity, has_lost_it, is_newer) else { return Ok(()) };
    let mut members = conversation::members(context.db, row.conversation)?;
    members.retain(|member| member.standing == conversation::Standing::Member);
    let is_led = members.iter().any(|member| member.is_admin);
    let is_of_member = members.iter().any(|member| member.address == sender.address);
    match !is_led && is_of_member && contact::keys::saw(context, sender)?.is_believed() {
        true => conversation::set_admin(context, row.conversation, &own.address),
        false => Ok(()),
    }
}

/// Whoever asks somebody who has left, or was taken out, hears so.
fn say_left(
    heart: &Heart,
    context: &mut Context<'_>,
    recipient: &Recipient,
    id: ChannelId,
    sender: &MemberCredential,
) -> Result<(), EngineError> {
    let Some((conversation, _)) = end::ended(context.db, &id)? else { return Ok(()) };
    let is_out = |row: conversation::Conversation| matches!(row.state, State::Left | State::Removed);
    let has_left = conversation::find(context.db, &conversation)?.is_some_and(is_out);
    let members = conversation::members(context.db, conversation)?;
    let is_of_group = members.iter().any(|row| row.address == sender.address);
    let own = heart.identity.as_ref().map(|identity| &identity.address);
    let others = members.iter().filter(|row| row.standing == conversation::Standing::Member).map(|row| &row.address);
    let others = others.filter(|one| Some(*one) != own && **one != sender.address).take(OTHERS_MAX).cloned().collect();
    match has_left && is_of_group && contact::keys::saw(context, sender)?.is_believed() {
        true => recover::send(heart, context, recipient, HealLetter::HasLeft(id, others)),
        false => Ok(()),
    }
}

fn is_rate_limited(context: &Context<'_>, id: &ChannelId, sender: &MemberCredential) -> Result<bool, EngineError> {
    let answered: i64 = context
        .db
        .prepare_cached("SELECT COUNT(*) FROM readd_answers WHERE channel = ? AND device = ? AND day = ?")?
        .query_row(params![id.0, sender.certificate.device.0, context.now.day()], |row| row.get(0))?;
    Ok(answered >= ANSWERS_A_DAY)
}

/// How long to wait before answering: nothing for an own device or in a conversation of two, otherwise by rank.
fn stagger(
    heart: &mut Heart,
    context: &mut Context<'_>,
    row: &Channel,
    sender: &MemberCredential,
) -> Result<i64, EngineError> {
    let step = heart.options.heal.answer_step_ms;
    let jitter = context.random_ms(step.max(1));
    let is_own = heart.identity.as_ref().is_some_and(|identity| identity.address == sender.address);
    let Some(group) = channel::take_group(heart, context, &row.id)? else { return Ok(jitter) };
    let own_leaf = group.own_leaf();
    let others: Vec<u32> = group
        .members()?
        .into_iter()
        .filter(|member| member.credential.address != sender.address)
        .map(|member| member.leaf)
        .collect();
    heart.groups.insert(row.id, group);
    let rank = others.iter().position(|leaf| *leaf == own_leaf).unwrap_or(0).checked_rem(RANKS).unwrap_or(0);
    let steps = if is_own { 0 } else { i64::try_from(rank).unwrap_or(0) };
    Ok(step.saturating_mul(steps.saturating_mul(2)).saturating_add(jitter))
}

/// Answers what is due. Returns when the next one is.
pub(super) fn due(heart: &mut Heart, context: &mut Context<'_>) -> Result<Option<i64>, EngineError> {
    let rows: Vec<([u8; 32], [u8; 16], Vec<u8>)> = context
        .db
        .prepare_cached("SELECT channel, device, body FROM readds WHERE due_ms <= ? ORDER BY due_ms LIMIT 16")?
        .query_map(params![context.now.unix_ms], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (channel, device, body) in rows {
        let kept: Kept = stored(&body, "request for a fresh leaf")?;
        let is_done = answer(heart, context, ChannelId(channel), &kept)?
            || kept.since_ms.saturating_add(KEPT_MS) < context.now.unix_ms;
        if is_done {
            forget(context, &ChannelId(channel), &device)?;
        } else {
            // Whoever has waited for long can wait a little longer: it may take days until it can be answered.
            let waited = context.now.unix_ms.saturating_sub(kept.since_ms);
            let step = heart.options.heal.answer_step_ms.saturating_mul(4).max(waited.div_euclid(4)).max(1);
            let due = context.now.unix_ms.saturating_add(step);
            context
                .db
                .prepare_cached("UPDATE readds SET due_ms = ? WHERE channel = ? AND device = ?")?
                .execute(params![due, channel, device])?;
        }
    }
    let mut statement = context.db.prepare_cached("SELECT MIN(due_ms) FROM readds WHERE due_ms > ?")?;
    Ok(statement.query_row(params![context.now.unix_ms], |row| row.get(0))?)
}

fn forget(context: &Context<'_>, id: &ChannelId, device: &[u8; 16]) -> Result<(), EngineError> {
    context.db.prepare_cached("DELETE FROM readds WHERE channel = ? AND device = ?")?.execute(params![id.0, device])?;
    Ok(())
}

/// Does what is to be done for a request; `false`: not now.
fn answer(heart: &mut Heart, context: &mut Context<'_>, id: ChannelId, kept: &Kept) -> Result<bool, EngineError> {
    let Some(row) = channel::find(context.db, &id)? else { return Ok(true) };
    if let Some(successor) = refound::successor_of(context.db, &row)? {
        return refound::add_late(heart, context, &row, successor, kept);
    }
    let Some(conversation) = conversation::find(context.db, &row.conversation)? else { return Ok(true) };
    if conversation.state.is_out() {
        return Ok(true);
    }
    if conversation::leavers(context, row.conversation)?.contains(&kept.sender.address) {
        return Ok(true);
    }
    // Whoever has not passed what the sender is stuck at cannot tell whether it can be passed.
    let is_ahead = match kept.why {
        Why::Stuck(at) => row.epoch > at.epoch,
        Why::Lost | Why::Forked => true,
        Why::Gone => false,
    };
    let may_answer = matches!(conversation.state, State::Active | State::Healing) && super::may_encrypt(context, &row)?;
    if !may_answer || !is_ahead {
        return Ok(false);
    }
    let Some(group) = channel::take_group(heart, context, &id)? else { return Ok(false) };
    let may = may_have_leaf(&group, &kept.sender);
    let is_in = group.members()?.iter().any(|member| member.credential.address == kept.sender.address);
    heart.groups.insert(id, group);
    if !is_in {
        let answer = HealLetter::NotIn(NotIn { channel: id, epoch: row.epoch });
        return recover::send(heart, context, &kept.newcomer.recipient, answer).map(|()| true);
    }
    if !may? {
        return Ok(true);
    }
    context
        .db
        .prepare_cached("INSERT OR IGNORE INTO readd_answers (channel, device, reference, day) VALUES (?, ?, ?, ?)")?
        .execute(params![id.0, kept.sender.certificate.device.0, kept.newcomer.reference.0, context.now.day()])?;
    count::add(context, count::Heal::Answered)?;
    intent::want(context, id, &Intent::Swap(kept.newcomer.clone()))?;
    heart.stirred.insert(id);
    Ok(true)
}

/// Whether the sender's account is a member and its chain continues what the group knows, so that it may have a leaf; the
/// sender's device has one, or replaces one that its chain revokes.
pub(super) fn may_have_leaf(group: &Group, sender: &MemberCredential) -> Result<bool, EngineError> {
    let members = group.members()?;
    let of_account: Vec<&Member> =
        members.iter().filter(|member| member.credential.address == sender.address).collect();
    let continues =
        |member: &&Member| sender.verify_known(&member.credential.root_key, &member.credential.key_sets).is_ok();
    let device = sender.certificate.device;
    let is_own_leaf = |member: &&Member| member.credential.certificate.device == device;
    let is_revoked = |member: &&Member| {
        sender.key_sets.iter().any(|set| set.revoked.contains(&member.credential.certificate.device))
    };
    let has_claim = of_account.iter().any(|member| is_own_leaf(member) || is_revoked(member));
    Ok(has_claim && of_account.iter().all(continues))
}

/// Whether every other member who has not left, as this device last showed them, asks for a leaf as well: then nobody can
/// give one. Whose devices in the log are all revoked does not ask, and gives none either: what is left of theirs may never
/// have heard of the group.
pub(super) fn do_all_ask(heart: &Heart, context: &Context<'_>, standing: &Standing) -> Result<bool, EngineError> {
    let own = heart.identity.as_ref().map(|identity| identity.address.clone());
    let bodies: Vec<Vec<u8>> = context
        .db
        .prepare_cached("SELECT body FROM readds WHERE channel = ?")?
        .query_map(params![standing.channel.0], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut asking = BTreeSet::new();
    for body in bodies {
        asking.insert(stored::<Kept>(&body, "request for a fresh leaf")?.sender.address);
    }
    let members = conversation::members(context.db, standing.conversation)?;
    let others = members
        .iter()
        .filter(|row| row.standing == conversation::Standing::Member && own.as_ref() != Some(&row.address));
    for row in others {
        let can_give = !replace::may_be_deserted(context, &standing.channel, &row.address)?;
        if can_give && !asking.contains(&row.address) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A commit added these: what was asked with them is answered.
pub(crate) fn others_added(context: &Context<'_>, id: &ChannelId, references: &[Hash]) -> Result<(), EngineError> {
    for reference in references {
        context
            .db
            .prepare_cached("DELETE FROM readds WHERE channel = ? AND reference = ?")?
            .execute(params![id.0, reference.0])?;
    }
    Ok(())
}

/// A device is out with its account: what it had asked for before falls, also in the channels that this one came after.
pub(crate) fn device_is_out(
    context: &Context<'_>,
    conversation: ConversationId,
    device: &DeviceId,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            "DELETE FROM readds WHERE device = ? AND channel IN (SELECT id FROM channels WHERE conversation = ?)",
        )?
        .execute(params![device.0, conversation])?;
    Ok(())
}

/// Whoever is in the successor of a channel needs no leaf in the old one any more: what they asked for before is answered.
pub(super) fn forget_those_in(
    heart: &mut Heart,
    context: &mut Context<'_>,
    old: &ChannelId,
    new: &ChannelId,
) -> Result<(), EngineError> {
    let Some(group) = channel::take_group(heart, context, new)? else { return Ok(()) };
    let members = group.members()?;
    heart.groups.insert(*new, group);
    members.iter().try_for_each(|member| forget(context, old, &member.credential.certificate.device.0))
}
