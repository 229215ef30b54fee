//! Receipts: cursors, coalesced and a little late, in direct conversations only (P-6.6).

use super::Taken;
use crate::Heart;
use crate::channel::{self, Channel, outbox};
use crate::content::{Content, Receipt};
use crate::context::{Context, sql, unsql};
use crate::conversation::{self, ConversationId};
use crate::error::EngineError;
use crate::input::Change;
use crate::view::{self, ConversationKind};
use aside_protocol::id::ChannelId;
use rusqlite::params;

/// A message of somebody else's stands in the timeline.
pub(super) fn received(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    taken: &Taken,
) -> Result<(), EngineError> {
    // What another device of one's own wrote is no news to anybody.
    if heart.identity.as_ref().is_some_and(|identity| identity.address == taken.author) {
        return Ok(());
    }
    context
        .db
        .prepare_cached("UPDATE channels SET received_seq = MAX(received_seq, ?) WHERE id = ?")?
        .execute(params![sql(taken.seq), channel.id.0])?;
    schedule(heart, context, channel.id);
    Ok(())
}

fn schedule(heart: &mut Heart, context: &Context<'_>, channel: ChannelId) {
    let due = context.now.unix_ms.saturating_add(heart.options.receipt_delay_ms);
    heart.receipts_due.entry(channel).or_insert(due);
}

/// The person has seen a conversation up to a position.
pub(crate) fn seen(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: ConversationId,
    through: i64,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            "UPDATE conversations SET read_position = MAX(read_position, MIN(?, next_position - 1)) WHERE id = ?",
        )?
        // One's own words that are not in the log yet stand below everything: what comes before them is not seen yet.
        .execute(params![through, id])?;
    note_read(context, id, through)?;
    context.changed(Change::Conversation(id));
    context.changed(Change::State);
    let mut statement = context.db.prepare_cached(
        "SELECT channel, MAX(seq) FROM messages
         WHERE conversation = ? AND own = 0 AND kind = 0 AND position <= ? AND channel IS NOT NULL GROUP BY channel",
    )?;
    let seen = statement
        .query_map(params![id, through], |row| Ok((ChannelId(row.get(0)?), row.get::<_, i64>(1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    for (channel, seq) in seen {
        let moved = context
            .db
            .prepare_cached("UPDATE channels SET seen_seq = ? WHERE id = ? AND seen_seq < ?")?
            .execute(params![seq, channel.0, seq])?;
        if moved > 0 {
            schedule(heart, context, channel);
        }
    }
    Ok(())
}

/// Notes how far each log was read, by what stands in the timeline up to a position. What takes an earlier place later, and
/// stands behind that in its log, was not read by anybody: all devices count it alike.
pub(crate) fn note_read(context: &Context<'_>, id: ConversationId, through: i64) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            "INSERT INTO read_cursors (channel, seen_seq)
             SELECT channel, MAX(seq) FROM messages
             WHERE conversation = ? AND position <= ? AND channel IS NOT NULL AND seq IS NOT NULL GROUP BY channel
             ON CONFLICT DO UPDATE SET seen_seq = MAX(seen_seq, excluded.seen_seq)",
        )?
        .execute(params![id, through])?;
    Ok(())
}

/// Queues the receipts that have waited long enough. Returns when the next one is due.
pub(crate) fn due(heart: &mut Heart, context: &mut Context<'_>) -> Result<Option<i64>, EngineError> {
    let now = context.now.unix_ms;
    let ready: Vec<ChannelId> = heart.receipts_due.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).collect();
    for id in ready {
        heart.receipts_due.remove(&id);
        if let Some(row) = channel::find(context.db, &id)? {
            queue(heart, context, &row)?;
        }
    }
    Ok(heart.receipts_due.values().min().copied())
}

fn queue(heart: &mut Heart, context: &mut Context<'_>, channel: &Channel) -> Result<(), EngineError> {
    let Some(conversation) = conversation::find(context.db, &channel.conversation)? else { return Ok(()) };
    let is_open = conversation.kind == ConversationKind::Direct && conversation.state == conversation::State::Active;
    if !is_open || channel.live == channel::Live::No {
        return Ok(());
    }
    let tells = view::settings(context.db)?.read_receipts;
    let seen_seq = if tells { channel.seen_seq } else { 0 };
    if channel.received_seq <= channel.receipted_seq && seen_seq <= channel.receipted_seen_seq {
        return Ok(());
    }
    let receipt = Receipt { channel: channel.id, received_seq: channel.received_seq, seen_seq };
    outbox::queue(context, conversation.id, &Content::Receipt(receipt), |_| None)?;
    context
        .db
        .prepare_cached("UPDATE channels SET receipted_seq = ?, receipted_seen_seq = ? WHERE id = ?")?
        .execute(params![sql(channel.received_seq), sql(seen_seq), channel.id.0])?;
    if let Some(current) = conversation.channel {
        heart.stirred.insert(current);
    }
    Ok(())
}

/// The other side says how far they have got.
pub(super) fn take(
    context: &mut Context<'_>,
    channel: &Channel,
    taken: &Taken,
    receipt: &Receipt,
) -> Result<(), EngineError> {
    let Some(about) = channel::find(context.db, &receipt.channel)? else { return Ok(()) };
    let conversation = conversation::find(context.db, &channel.conversation)?;
    let is_of_peer = conversation.is_some_and(|row| row.peer.as_ref() == Some(&taken.author));
    if about.conversation != channel.conversation || !is_of_peer {
        return Ok(());
    }
    let before: (i64, i64) = context
        .db
        .prepare_cached("SELECT peer_received_seq, peer_seen_seq FROM channels WHERE id = ?")?
        .query_row(params![about.id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // Nobody has received what is not in the log yet.
    let (received, seen) = (receipt.received_seq.min(about.position.seq), receipt.seen_seq.min(about.position.seq));
    context
        .db
        .prepare_cached(
            "UPDATE channels SET peer_received_seq = MAX(peer_received_seq, ?), peer_seen_seq = MAX(peer_seen_seq, ?)
             WHERE id = ?",
        )?
        .execute(params![sql(received), sql(seen), about.id.0])?;
    let mut statement =
        context.db.prepare_cached("SELECT id FROM messages WHERE channel = ? AND own = 1 AND seq > ? AND seq <= ?")?;
    let from = unsql(before.0.min(before.1));
    let changed = statement
        .query_map(params![about.id.0, sql(from), sql(received.max(seen))], |row| row.get(0))?
        .collect::<Result<Vec<_>, _>>()?;
    drop(statement);
    for id in changed {
        context.changed(Change::Message(id));
    }
    context.changed(Change::Conversation(channel.conversation));
    Ok(())
}

impl Heart {
    /// After a start: receipts that were owed when the program ended.
    pub(crate) fn owe_receipts(&mut self, context: &Context<'_>) -> Result<(), EngineError> {
        let mut statement = context.db.prepare_cached(
            "SELECT id FROM channels WHERE live = 1 AND (received_seq > receipted_seq OR seen_seq > receipted_seen_seq)",
        )?;
        let rows = statement.query_map([], |row| Ok(ChannelId(row.get(0)?)))?.collect::<Result<Vec<_>, _>>()?;
        rows.into_iter().for_each(|channel| schedule(self, context, channel));
        Ok(())
    }
}
