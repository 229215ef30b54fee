//! Asking for a fresh leaf: a device that lost its group state, or cannot go on from it, asks by letter to be swapped for
//! a fresh leaf (DESIGN 4a rule 10; P-9.2). Own devices are asked first, then members, a few at a time, until a Welcome
//! comes.

use super::answer::OTHERS_MAX;
use super::fault::{self, Fault, Remedy, Standing};
use super::letter::{HealLetter, NotIn, ReAdd, Reach, Why};
use super::{evidence, gap, refound};
use crate::Heart;
use crate::channel::{self, Channel, Live, end, outbox};
use crate::contact;
use crate::context::Context;
use crate::conversation::{self, IsAdmin};
use crate::error::EngineError;
use crate::inbox::envelope::{self, Letter};
use crate::inbox::welcome::Recipient;
use crate::view::ConversationKind;
use aside_mls::{GroupId, KeyPackageError, KeyPackageKind, MlsError};
use aside_protocol::address::AccountAddress;
use aside_protocol::id::{ChannelId, Hash};
use aside_protocol::identity::MemberCredential;
use aside_protocol::limit::ENVELOPE_DAYS;
use rusqlite::params;
use std::collections::BTreeSet;

/// Members who are asked in one round.
const MEMBERS_ASKED: usize = 8;
/// KeyPackages of requests that may still be answered, for each channel.
const KEY_PACKAGES_KEPT: i64 = 4;
const DAY_MS: i64 = 86_400_000;
/// The longest wait between two rounds, in milliseconds.
const WAIT_MS_MAX: i64 = DAY_MS;

/// Stops a conversation for a fault. What cannot be used any more is forgotten at once, so that nothing is ever encrypted
/// with it again. **Recovery calls this** with [`Fault::MissingState`] for each conversation of a restored account, once
/// its channel stands in its row with a roster ([`channel::insert`], [`channel::add_to_roster`]): the rest follows by
/// itself.
pub(crate) fn stop(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    fault: Fault,
) -> Result<(), EngineError> {
    match fault {
        Fault::MissingState | Fault::DamagedState | Fault::Expired | Fault::Swapped => {
            forget_group(heart, context, channel.id)?;
        }
        // An old copy still reads what others write in its epoch; a stuck group is what a successor is founded from.
        _ => {}
    }
    // A channel that was given up is not healed; what else stands in it is asked for.
    if refound::successor_of(context.db, channel)?.is_some() {
        if channel.live == Live::Yes {
            // Who did it did it, though the conversation goes on elsewhere.
            evidence::keep(context, channel, &fault)?;
            gap::open_endless(heart, context, channel, &fault)?;
        }
        context.db.prepare_cached("UPDATE channels SET live = 0 WHERE id = ?")?.execute(params![channel.id.0])?;
        return Ok(());
    }
    fault::put(heart, context, channel, fault)
}

/// Forgets the group state. What it had encrypted will be encrypted anew, under the same message ids. A commit that was not
/// acknowledged stays written down, for the server may have taken it: whom it added is seen to when this device is back.
pub(crate) fn forget_group(heart: &mut Heart, context: &mut Context<'_>, id: ChannelId) -> Result<(), EngineError> {
    heart.groups.remove(&id);
    heart.mls.on(context.db).delete_group(&GroupId(id.0))?;
    outbox::epoch_ended(context, id)
}

/// How long a fault waits before the first request.
pub(crate) fn first_wait(heart: &Heart, context: &mut Context<'_>, fault: &Fault) -> i64 {
    let pace = heart.options.heal;
    match fault {
        // The Welcome is on its way already.
        Fault::Swapped => pace.ask_again_ms,
        _ => context.random_ms(pace.answer_step_ms.max(1)),
    }
}

/// A round of requests is due. The next one is, or the conversation is to be founded anew, `found_ms`.
pub(super) fn ask(
    heart: &mut Heart,
    context: &mut Context<'_>,
    standing: &Standing,
    found_ms: Option<i64>,
) -> Result<(), EngineError> {
    let Some(row) = channel::find(context.db, &standing.channel)? else {
        return fault::tried(context, standing, None);
    };
    if standing.fault.remedy() == Remedy::Person && !standing.is_chosen {
        return fault::tried(context, standing, None);
    }
    let pace = heart.options.heal;
    let (recipients, only_own) = whom(heart, context, &row, standing.requests)?;
    refound::found_if_complete(heart, context, standing.conversation)?;
    if !recipients.is_empty() {
        let letter = request(heart, context, &row, &standing.fault)?;
        let Some(identity) = &heart.identity else { return Ok(()) };
        let mut admins = conversation::members(context.db, standing.conversation)?;
        admins.retain(|member| member.is_admin && member.standing == conversation::Standing::Member);
        for recipient in &recipients {
            let is_admin = admins.iter().any(|admin| admin.address == recipient.address);
            let letter = ReAdd { admin_in: is_admin.then_some(row.epoch), ..letter.clone() };
            let letter = Letter::Heal(Box::new(HealLetter::ReAdd(Box::new(letter))));
            envelope::send(heart, context, identity, recipient, &letter)?;
        }
    }
    let wait = match only_own {
        true => pace.own_first_ms,
        false => pace.ask_again_ms.saturating_mul(1_i64.checked_shl(standing.requests.min(16)).unwrap_or(i64::MAX)),
    };
    let wait = wait.clamp(1, WAIT_MS_MAX);
    // Founding it anew may just have come to nothing, as without a network. That is tried again before the next day.
    let found_ms = match found_ms {
        Some(found_ms) => Some(found_ms),
        None => refound::due_ms(heart, context, standing)?
            .map(|due_ms| due_ms.max(context.now.unix_ms.saturating_add(pace.refound_alone_after_ms))),
    };
    let next = context.now.unix_ms.saturating_add(wait).saturating_add(context.random_ms(wait / 2));
    fault::tried(context, standing, Some(found_ms.map_or(next, |found_ms| found_ms.min(next))))
}

/// Whom to ask in this round: own devices, and from the second round on some of the members, admins first. The second
/// value says that only own devices are asked.
fn whom(
    heart: &Heart,
    context: &Context<'_>,
    row: &Channel,
    round: u32,
) -> Result<(Vec<Recipient>, bool), EngineError> {
    let Some(identity) = &heart.identity else { return Ok((Vec::new(), false)) };
    let admins: BTreeSet<String> = context
        .db
        .prepare_cached("SELECT address FROM members WHERE conversation = ? AND admin = 1")?
        .query_map(params![row.conversation], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let others = channel::reachable(context.db, row)?.into_iter().filter(|one| one.device != identity.device());
    let (own, mut members): (Vec<_>, Vec<_>) = others.partition(|recipient| recipient.address == identity.address);
    if round == 0 && !own.is_empty() {
        return Ok((own, true));
    }
    members.sort_by_key(|recipient| (!admins.contains(&recipient.address.to_string()), recipient.device));
    let turn = usize::try_from(round).unwrap_or(0).saturating_sub(1).saturating_mul(MEMBERS_ASKED);
    let start = turn.checked_rem(members.len()).unwrap_or(0);
    members.rotate_left(start);
    members.truncate(MEMBERS_ASKED);
    Ok((own.into_iter().chain(members).collect(), false))
}

/// A member says that this account is not in the group any more. An admin is believed, or anybody where no admin is left that
/// this device knew, who is further than this device ever was; should it not be so, a Welcome brings the group back.
pub(super) fn not_in(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    answer: &NotIn,
) -> Result<(), EngineError> {
    let Some(row) = channel::find(context.db, &answer.channel)? else { return Ok(()) };
    let standing = fault::of_channel(context.db, &row.id)?;
    let is_waiting =
        standing.is_some_and(|standing| standing.requests > 0 && standing.fault.remedy() != Remedy::Person);
    let members = conversation::members(context.db, row.conversation)?;
    let own = heart.identity.as_ref().map(|identity| identity.address.clone());
    let mut admins = members.iter().filter(|member| {
        member.is_admin && member.standing == conversation::Standing::Member && Some(&member.address) != own.as_ref()
    });
    // Where all admins that this device knew have left, it does not know who is one now.
    let may_know = match admins.clone().next() {
        Some(_) => admins.any(|admin| admin.address == sender.address),
        None => members.iter().any(|member| member.address == sender.address),
    };
    let is_believed = may_know && contact::keys::saw(context, sender)?.is_believed();
    let is_leaving =
        conversation::find(context.db, &row.conversation)?.is_some_and(|row| row.state == conversation::State::Leaving);
    match is_waiting && is_believed && answer.epoch > row.epoch {
        true if is_leaving => end::left(heart, context, &row),
        true => end::was_removed(heart, context, &row, &sender.address),
        false => Ok(()),
    }
}

/// A member says that they have left, or were taken out: nobody waits for them any more.
pub(super) fn has_left(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    (id, others): (&ChannelId, &[AccountAddress]),
) -> Result<(), EngineError> {
    let Some(row) = channel::find(context.db, id)? else { return Ok(()) };
    if !contact::keys::saw(context, sender)?.is_believed() {
        return Ok(());
    }
    hear_of_others(heart, context, &row, &sender.address, others)?;
    conversation::set_leaving(context, row.conversation, &sender.address)?;
    refound::look_sooner(heart, context, &row.id)
}

/// Whoever is out knows of members who came in since this device lost the group's state: they may give it a leaf, and it is
/// not alone. Of whom it has no way to, it could wait for ever.
fn hear_of_others(
    heart: &mut Heart,
    context: &mut Context<'_>,
    row: &Channel,
    told_by: &AccountAddress,
    others: &[AccountAddress],
) -> Result<(), EngineError> {
    let has_state = fault::of_channel(context.db, &row.id)?.is_none_or(|it| it.fault.remedy() != Remedy::ReAdd);
    let known = conversation::members(context.db, row.conversation)?;
    let is_known = |address: &AccountAddress| known.iter().any(|member| member.address == *address);
    let is_group =
        conversation::find(context.db, &row.conversation)?.is_some_and(|it| it.kind == ConversationKind::Group);
    if has_state || !is_group || !is_known(told_by) {
        return Ok(());
    }
    let own = heart.identity.as_ref().map(|identity| &identity.address);
    for other in others.iter().take(OTHERS_MAX).filter(|other| Some(*other) != own && !is_known(other)) {
        if !channel::tokens_of(context.db, other)?.is_empty() {
            conversation::add_member(context, row.conversation, other, IsAdmin::No)?;
            fault::no_later(context, &row.id, context.now.unix_ms)?;
        }
    }
    Ok(())
}

/// Makes a request, with a KeyPackage of its own; whoever is asked is told besides what they were.
fn request(heart: &mut Heart, context: &mut Context<'_>, row: &Channel, fault: &Fault) -> Result<ReAdd, EngineError> {
    let reach = reach(heart, context, row)?;
    let Some(identity) = &heart.identity else { return Err(MlsError::NotAMember.into()) };
    let mls = heart.mls.on(context.db);
    let now = context.now.unix_s();
    let key_package = mls.new_key_package(&identity.signer, &identity.credential(), KeyPackageKind::Once, now)?;
    let reference = match mls.check_key_package(&key_package, now) {
        Ok(package) => package.reference(),
        Err(KeyPackageError::Mls(error)) => return Err(error.into()),
        Err(_) => return Err(MlsError::Crypto { doing: "making a KeyPackage" }.into()),
    };
    keep_key_package(heart, context, row.id, reference)?;
    let why = match (fault, fault.stuck_at()) {
        (_, Some(at)) => Why::Stuck(at),
        (Fault::Fork(_), _) => Why::Forked,
        (Fault::Gone, _) => Why::Gone,
        _ => Why::Lost,
    };
    let nonce = context.random();
    Ok(ReAdd { channel: row.id, nonce, key_package: key_package.into(), why, reach, admin_in: None })
}

/// Notes what a request may be answered with; the oldest ones are given up.
fn keep_key_package(
    heart: &Heart,
    context: &mut Context<'_>,
    id: ChannelId,
    reference: Hash,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("INSERT INTO asked_keys (reference, channel, at_ms) VALUES (?, ?, ?)")?
        .execute(params![reference.0, id.0, context.now.unix_ms])?;
    let old: Vec<[u8; 32]> = context
        .db
        .prepare_cached(
            "SELECT reference FROM asked_keys WHERE channel = ? ORDER BY at_ms DESC, reference LIMIT -1 OFFSET ?",
        )?
        .query_map(params![id.0, KEY_PACKAGES_KEPT], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    old.into_iter().try_for_each(|reference| forget_key_package(heart, context, Hash(reference)))
}

fn forget_key_package(heart: &Heart, context: &Context<'_>, reference: Hash) -> Result<(), EngineError> {
    heart.mls.on(context.db).delete_key_package(&reference)?;
    context.db.prepare_cached("DELETE FROM asked_keys WHERE reference = ?")?.execute(params![reference.0])?;
    Ok(())
}

/// No answer is waited for any more.
pub(crate) fn forget_key_packages(heart: &Heart, context: &Context<'_>, id: ChannelId) -> Result<(), EngineError> {
    let kept: Vec<[u8; 32]> = context
        .db
        .prepare_cached("SELECT reference FROM asked_keys WHERE channel = ?")?
        .query_map(params![id.0], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    kept.into_iter().try_for_each(|reference| forget_key_package(heart, context, Hash(reference)))
}

/// Forgets the keys of requests that no envelope can answer any more. Up to then somebody may answer late, also where this
/// device has its leaf again, and in the successor of the channel.
pub(super) fn prune(heart: &Heart, context: &Context<'_>) -> Result<(), EngineError> {
    let oldest_ms = context.now.unix_ms.saturating_sub(i64::from(ENVELOPE_DAYS).saturating_mul(DAY_MS));
    let old: Vec<[u8; 32]> = context
        .db
        .prepare_cached("SELECT reference FROM asked_keys WHERE at_ms < ?")?
        .query_map(params![oldest_ms], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    old.into_iter().try_for_each(|reference| forget_key_package(heart, context, Hash(reference)))
}

/// Whether a request of this device for a fresh leaf in this channel may still be answered.
pub(super) fn is_asking(context: &Context<'_>, id: &ChannelId) -> Result<bool, EngineError> {
    Ok(context.db.prepare_cached("SELECT 1 FROM asked_keys WHERE channel = ?")?.exists(params![id.0])?)
}

/// How this device is reached by whoever answers.
pub(super) fn reach(heart: &mut Heart, context: &mut Context<'_>, row: &Channel) -> Result<Reach, EngineError> {
    let token = match conversation::find(context.db, &row.conversation)? {
        Some(conversation::Conversation { kind: ConversationKind::Direct, peer: Some(peer), .. }) => {
            contact::own_token::of_person(heart, context, &peer)?
        }
        _ => contact::own_token::of_group(heart, context, row.conversation)?,
    };
    let Some(identity) = &heart.identity else { return Err(MlsError::NotAMember.into()) };
    Ok(Reach { server: identity.pin.clone(), token, record: identity.record.clone() })
}

/// Everybody in a channel's roster who is still in the conversation, once each, without this account.
pub(super) fn accounts(
    heart: &Heart,
    context: &Context<'_>,
    id: &ChannelId,
) -> Result<BTreeSet<AccountAddress>, EngineError> {
    let own = heart.identity.as_ref().map(|identity| identity.address.clone());
    let Some(row) = channel::find(context.db, id)? else { return Ok(BTreeSet::new()) };
    let members: BTreeSet<AccountAddress> =
        conversation::members(context.db, row.conversation)?.into_iter().map(|member| member.address).collect();
    let roster = channel::roster(context.db, id)?.into_iter().map(|one| one.address);
    Ok(roster.filter(|address| Some(address) != own.as_ref() && members.contains(address)).collect())
}
