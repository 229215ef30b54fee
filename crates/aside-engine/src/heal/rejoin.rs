//! Following the Welcome that answers a request for a fresh leaf, into the same conversation (P-9.4): the old group state
//! is replaced, the chain is anchored anew, and the timeline goes on without a seam.

use super::fault::{self, Fault};
use super::{Fork, ForkSign, count, gap, request};
use crate::Heart;
use crate::channel::{self, Channel, outbox};
use crate::context::Context;
use crate::conversation;
use crate::error::EngineError;
use aside_mls::Group;
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::Position;
use rusqlite::params;

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
    let is_member = context
        .db
        .prepare_cached("SELECT 1 FROM members WHERE conversation = ? AND address = ?")?
        .exists(params![row.conversation, sender.to_string()])?;
    // Whoever is behind this device repairs nothing.
    let is_behind = anchor.seq < row.position.seq;
    if !is_member || is_behind || !request::is_asking(context, &row.id)? {
        return Ok(Expected::No);
    }
    Ok(match fault::of_channel(context.db, &row.id)? {
        Some(_) => Expected::Yes,
        None if epoch > row.epoch => Expected::Later,
        None => Expected::No,
    })
}

/// This device is in the group again, which has replaced the old one.
pub(crate) fn done(
    heart: &mut Heart,
    context: &mut Context<'_>,
    row: &Channel,
    group: Group,
    anchor: Position,
) -> Result<(), EngineError> {
    let standing = fault::of_channel(context.db, &row.id)?;
    if standing.is_some_and(|standing| matches!(standing.fault, Fault::Fork(_))) {
        // The person goes on in spite of what was seen, which is kept as evidence; nothing is compared with it any more.
        context.db.prepare_cached("DELETE FROM chain WHERE channel = ?")?.execute(params![row.id.0])?;
        context.db.prepare_cached("DELETE FROM epochs WHERE channel = ?")?.execute(params![row.id.0])?;
    }
    let known = channel::head_at(context.db, &row.id, anchor.seq)?;
    // What was read up to here is compared with the anchor where both know it; what was not, is asked for.
    gap::open(heart, context, row, row.position.seq.saturating_add(1), anchor.seq)?;
    outbox::epoch_ended(context, row.id)?;
    context.db.prepare_cached("DELETE FROM pending_commits WHERE channel = ?")?.execute(params![row.id.0])?;
    channel::anchor(context, row.id, anchor)?;
    channel::note_epoch(context, row.id, &group)?;
    conversation::show_group(context, row.conversation, &group.members()?, &group.metadata()?)?;
    heart.groups.insert(row.id, group);
    request::forget_key_packages(heart, context, row.id)?;
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
