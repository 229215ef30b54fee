//! Following the Welcome that answers a request for a fresh leaf, into the same conversation (P-9.4): the old group state
//! is replaced, the chain is anchored anew, and the timeline goes on without a seam.

use super::fault::{self, Fault, Remedy};
use super::{Fork, ForkSign, content, count, gap, joins, request};
use crate::Heart;
use crate::channel::unheard::{self, Unheard};
use crate::channel::{self, Channel, commit, outbox};
use crate::context::Context;
use crate::conversation::{self, Standing, replace};
use crate::error::EngineError;
use crate::view::ConversationKind;
use aside_mls::Group;
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::Position;
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet};

/// How often commits that it cannot process may stop a device in one log, before it waits for another.
const STUCK_MAX: i64 = 2;
/// Within which time, in milliseconds.
const STUCK_WITHIN_MS: i64 = 86_400_000;

/// What a Welcome into a channel that this device has already is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nothing: nobody asked for it, or it is older than what this device has.
    No,
    /// It is what was asked for.
    Yes,
    /// It is what was asked for, but the old leaf is good until the log says that it is gone.
    Later,
}

/// Judges a Welcome for an existing channel, before it is opened.
pub(crate) fn expects(
    context: &Context<'_>,
    row: &Channel,
    sender: &AccountAddress,
    (epoch, anchor): (u64, Position),
) -> Result<Expected, EngineError> {
    let conversation = conversation::find(context.db, &row.conversation)?;
    let is_own = conversation.as_ref().is_some_and(|row| row.kind == ConversationKind::Own);
    let is_direct = is_own || conversation.is_some_and(|row| row.peer.is_some());
    // A device comes into the devices' own conversation only by another one.
    let is_member = is_own
        || context
            .db
            .prepare_cached("SELECT 1 FROM members WHERE conversation = ? AND address = ?")?
            .exists(params![row.conversation, sender.to_string()])?;
    // Whoever is behind this device repairs nothing.
    let is_behind = anchor.seq < row.position.seq;
    if !is_member || is_behind || !request::is_asking(context, &row.id)? {
        return Ok(Expected::No);
    }
    Ok(match fault::of_channel(context.db, &row.id)? {
        // A log that somebody provably broke, or in which this device is stopped again and again, is not gone back to.
        // Whoever signed what cannot be processed does not lead past it, either: that may be just what they want.
        Some(standing) if standing.fault.culprit().is_some() => Expected::No,
        Some(standing) if !is_direct && standing.fault.signer() == Some(sender) => Expected::No,
        Some(standing) if standing.fault.stuck_at().is_some() && is_stuck_often(context, row)? => Expected::No,
        // An answer to what was asked before a fork does not decide for the person.
        Some(standing) if standing.fault.remedy() == Remedy::Person && !standing.is_chosen => Expected::No,
        Some(_) => Expected::Yes,
        None if epoch > row.epoch => Expected::Later,
        None => Expected::No,
    })
}

/// Whether commits that it cannot process have stopped this device in this log several times of late.
fn is_stuck_often(context: &Context<'_>, row: &Channel) -> Result<bool, EngineError> {
    let since = context.now.unix_ms.saturating_sub(STUCK_WITHIN_MS);
    let times: i64 = context
        .db
        .prepare_cached("SELECT COUNT(*) FROM evidence WHERE channel = ? AND at_ms >= ?")?
        .query_row(params![row.id.0, since], |row| row.get(0))?;
    Ok(times > STUCK_MAX)
}

/// After a commit that this device cannot process, nobody but an admin leads it to a group that is not the one it knows:
/// whoever made that commit may be the one who answers.
pub(crate) fn is_as_it_was(
    context: &Context<'_>,
    row: &Channel,
    sender: &AccountAddress,
    group: &Group,
) -> Result<bool, EngineError> {
    let standing = fault::find(context.db, &row.conversation)?;
    if standing.is_none_or(|standing| standing.fault.stuck_at().is_none()) {
        return Ok(true);
    }
    let known = conversation::members(context.db, row.conversation)?;
    if known.iter().any(|member| member.is_admin && member.address == *sender) {
        return Ok(true);
    }
    let metadata = group.metadata()?;
    let members = group.members()?;
    let accounts: BTreeSet<&AccountAddress> = members.iter().map(|member| &member.credential.address).collect();
    let known = known.iter().filter(|member| member.standing != Standing::Adding);
    let known: BTreeMap<&AccountAddress, bool> = known.map(|member| (&member.address, member.is_admin)).collect();
    Ok(accounts.len() == known.len() && accounts.iter().all(|one| known.get(one) == Some(&metadata.is_admin(one))))
}

/// This device is in the group again, which has replaced the old one.
pub(crate) fn done(
    heart: &mut Heart,
    context: &mut Context<'_>,
    row: &Channel,
    group: Group,
    anchor: Position,
    (unheard, joined): (&[Unheard], &[(AccountAddress, u64)]),
) -> Result<(), EngineError> {
    let standing = fault::of_channel(context.db, &row.id)?;
    if standing.as_ref().is_some_and(|standing| matches!(standing.fault, Fault::Fork(_))) {
        // The person goes on in spite of what was seen, which is kept as evidence; nothing is compared with it any more.
        context.db.prepare_cached("DELETE FROM chain WHERE channel = ?")?.execute(params![row.id.0])?;
        context.db.prepare_cached("DELETE FROM epochs WHERE channel = ?")?.execute(params![row.id.0])?;
    }
    joins::take(context, row, anchor.seq, joined)?;
    if standing.is_some_and(|standing| standing.fault == Fault::OldState) {
        lose_unheard(heart, context, row, &group, unheard)?;
    }
    let known = channel::head_at(context.db, &row.id, anchor.seq)?;
    // What was read up to here is compared with the anchor where both know it; what was not, is asked for.
    gap::open(heart, context, row, row.position.seq.saturating_add(1), anchor.seq)?;
    outbox::epoch_ended(context, row.id)?;
    commit::was_lost(context, row.id, &group.members()?)?;
    channel::anchor(context, row.id, anchor)?;
    channel::note_epoch(context, row.id, &group)?;
    forget_untold_leaves(heart, context, row)?;
    if conversation::is_current(context.db, row.conversation, &row.id)? {
        conversation::show_group(context, row.conversation, &group.members()?, &group.metadata()?)?;
    }
    heart.groups.insert(row.id, group);
    fault::clear(context, row)?;
    let rotate_at = context.now.unix_ms.saturating_add(heart.options.rotate_after_join_ms);
    let jitter = context.random_ms(heart.options.rotate_after_join_ms.max(1));
    channel::set_rotation(context, row.id, Some(rotate_at.saturating_add(jitter)))?;
    count::add(context, count::Heal::ReAdded)?;
    heart.stirred.insert(row.id);
    for state in heart.links.values_mut() {
        state.subscriptions.remove(&row.id);
        state.proofs.retain(|(id, ..)| *id != row.id);
    }
    if let Some(ours) = known.filter(|head| *head != anchor.head) {
        let fork = Fork {
            sign: ForkSign::ChainMismatch,
            epoch: row.epoch,
            ours: Some(Position { seq: anchor.seq, head: ours }),
            theirs: Some(anchor),
            authenticators: None,
            told_by: None,
        };
        return fault::put(heart, context, row, Fault::Fork(fork));
    }
    Ok(())
}

/// An older copy does not know whom it let in since, and cannot send their Welcomes any more. Whoever gave it a fresh leaf
/// tells who has not been heard: nobody else would put those in anew whom this device had added.
fn lose_unheard(
    heart: &Heart,
    context: &mut Context<'_>,
    row: &Channel,
    group: &Group,
    told: &[Unheard],
) -> Result<(), EngineError> {
    let own = heart.identity.as_ref().map(|identity| identity.device());
    let added = told.iter().filter(|one| Some(one.adder) == own);
    let lost: Vec<Unheard> = added.map(|one| Unheard { is_lost: true, ..one.clone() }).collect();
    let members = group.members()?;
    unheard::told(context, &row.id, &lost, &members)?;
    replace::find_lost(context, (row.conversation, &row.id), &members)
}

/// Whoever told this device by letter that they had left is out of the group, or in it again. Had they only just left when
/// it was given its leaf, it gets their word with what it missed.
fn forget_untold_leaves(heart: &Heart, context: &mut Context<'_>, row: &Channel) -> Result<(), EngineError> {
    let own = heart.identity.as_ref().map(|identity| identity.address.clone());
    for leaver in conversation::leavers(context, row.conversation)? {
        if Some(&leaver) != own.as_ref() && content::left_at(context.db, &row.id, &leaver)?.is_none() {
            conversation::set_staying(context, row.conversation, &leaver)?;
        }
    }
    Ok(())
}
