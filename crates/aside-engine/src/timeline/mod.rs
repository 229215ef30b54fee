//! The timeline: what is written down of messages, and how contents change it.

mod orphans;
mod receipts;
mod take;

pub(crate) use orphans::{act_later, catch_up};
pub(crate) use receipts::{due as receipts_due, note_read, seen as mark_seen};
pub(crate) use take::{Taken, delete, edit, react, take};

use crate::channel::Channel;
use crate::content::MessageId;
use crate::context::{Context, sql};
use crate::conversation::{self, ConversationId, next_position, touch};
use crate::error::EngineError;
use crate::input::Change;
use aside_protocol::address::AccountAddress;
use rusqlite::{Connection, OptionalExtension, params};

/// Queued messages stand behind everything that has a place: their positions begin here (2^50, exact in JavaScript).
pub(crate) const QUEUED_POSITION: i64 = 1 << 50;

/// Of what kind a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowKind {
    Text = 0,
    Event = 1,
}

/// An own text, before any network.
pub(crate) fn insert_own(
    context: &mut Context<'_>,
    conversation: ConversationId,
    author: &AccountAddress,
    (id, text, reply_to): (MessageId, &str, Option<MessageId>),
) -> Result<(), EngineError> {
    let position = QUEUED_POSITION.saturating_add(next_position(context, conversation)?);
    context
        .db
        .prepare_cached(
            "INSERT INTO messages (id, conversation, position, sender, own, kind, text, sent_ms, reply_to, acknowledged)
             VALUES (?, ?, ?, ?, 1, 0, ?, ?, ?, 0)",
        )?
        .execute(params![id, conversation, position, author.to_string(), text, context.now.unix_ms, reply_to])?;
    touch(context, conversation)?;
    context.changed(Change::Message(id));
    Ok(())
}

/// A queued message goes out anew, behind what is queued.
pub(crate) fn requeue(
    context: &mut Context<'_>,
    conversation: ConversationId,
    id: MessageId,
) -> Result<(), EngineError> {
    let position = QUEUED_POSITION.saturating_add(next_position(context, conversation)?);
    context
        .db
        .prepare_cached("UPDATE messages SET failure = NULL, position = ? WHERE id = ?")?
        .execute(params![position, id])?;
    context.changed(Change::Message(id));
    Ok(())
}

/// The server has it.
pub(crate) fn acknowledged(context: &mut Context<'_>, id: &MessageId) -> Result<(), EngineError> {
    let conversation: Option<ConversationId> = context
        .db
        .prepare_cached("UPDATE messages SET acknowledged = 1 WHERE id = ? RETURNING conversation")?
        .query_row(params![id], |row| row.get(0))
        .optional()?;
    context.changed(Change::Message(*id));
    if let Some(conversation) = conversation {
        context.changed(Change::Conversation(conversation));
    }
    Ok(())
}

/// An own message has its place in the log.
pub(crate) fn placed(
    context: &mut Context<'_>,
    id: &MessageId,
    channel: &Channel,
    seq: u64,
) -> Result<(), EngineError> {
    // What went out once more after a loss keeps the place at which the others had it first.
    let is_placed = context
        .db
        .prepare_cached("SELECT 1 FROM messages WHERE id = ? AND channel = ? AND seq < ?")?
        .exists(params![id, channel.id.0, sql(seq)])?;
    if !is_placed {
        let position = next_position(context, channel.conversation)?;
        place(context, id, channel, seq, position)?;
    }
    context.changed(Change::Message(*id));
    context.changed(Change::Conversation(channel.conversation));
    Ok(())
}

fn place(context: &Context<'_>, id: &MessageId, channel: &Channel, seq: u64, position: i64) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("UPDATE messages SET acknowledged = 1, position = ?, channel = ?, seq = ? WHERE id = ?")?
        .execute(params![position, channel.id.0, sql(seq), id])?;
    Ok(())
}

/// A message that is here turns out to stand in a place that was kept free; `true`: it is here. What of it waited to be
/// sent once more does not need to be.
pub(crate) fn place_again(
    context: &mut Context<'_>,
    id: &MessageId,
    channel: &Channel,
    seq: u64,
    position: i64,
) -> Result<bool, EngineError> {
    let row: Option<(Option<[u8; 32]>, Option<i64>)> = context
        .db
        .prepare_cached("SELECT channel, seq FROM messages WHERE id = ? AND kind = 0")?
        .query_row(params![id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((placed_in, placed_at)) = row else { return Ok(false) };
    let is_earlier = placed_in != Some(channel.id.0) || placed_at.is_none_or(|at| at > sql(seq));
    if is_earlier {
        place(context, id, channel, seq, position)?;
        context.db.prepare_cached("DELETE FROM outbox WHERE message = ? AND ciphertext IS NULL")?.execute([id])?;
        context.changed(Change::Message(*id));
    }
    Ok(true)
}

/// An own message is not going to be sent.
pub(crate) fn failed(context: &mut Context<'_>, id: &MessageId, why: &str) -> Result<(), EngineError> {
    let conversation: Option<ConversationId> = context
        .db
        .prepare_cached("UPDATE messages SET failure = ? WHERE id = ? RETURNING conversation")?
        .query_row(params![why, id], |row| row.get(0))
        .optional()?;
    context.changed(Change::Message(*id));
    if let Some(conversation) = conversation {
        context.changed(Change::Conversation(conversation));
    }
    Ok(())
}

/// A note of what happened, in words.
pub(crate) fn note(
    context: &mut Context<'_>,
    conversation: ConversationId,
    about: &AccountAddress,
    words: &str,
) -> Result<(), EngineError> {
    note_with_id(context, conversation, about, words).map(|_| ())
}

fn note_with_id(
    context: &mut Context<'_>,
    conversation: ConversationId,
    about: &AccountAddress,
    words: &str,
) -> Result<MessageId, EngineError> {
    let id = MessageId(context.random());
    let position = next_position(context, conversation)?;
    context
        .db
        .prepare_cached(
            "INSERT INTO messages (id, conversation, position, sender, own, kind, text, sent_ms, acknowledged)
             VALUES (?, ?, ?, ?, 0, ?, ?, ?, 1)",
        )?
        .execute(params![
            id,
            conversation,
            position,
            about.to_string(),
            RowKind::Event as i64,
            words,
            context.now.unix_ms
        ])?;
    context.changed(Change::Message(id));
    Ok(id)
}

/// The place of a message that its author took back before it reached this device.
pub(crate) fn insert_deleted(
    context: &mut Context<'_>,
    channel: &Channel,
    id: &MessageId,
    author: &AccountAddress,
    (seq, position): (u64, i64),
    is_own: bool,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            "INSERT OR IGNORE INTO messages (id, conversation, channel, seq, position, sender, own, kind, text, sent_ms,
             acknowledged, deleted) VALUES (?, ?, ?, ?, ?, ?, ?, 0, '', ?, 1, 1)",
        )?
        .execute(params![
            id,
            channel.conversation,
            channel.id.0,
            sql(seq),
            position,
            author.to_string(),
            is_own,
            context.now.unix_ms
        ])?;
    context.changed(Change::Message(*id));
    Ok(())
}

/// Other words for a line.
pub(crate) fn reword(context: &mut Context<'_>, line: &MessageId, words: &str) -> Result<(), EngineError> {
    context.db.prepare_cached("UPDATE messages SET text = ? WHERE id = ?")?.execute(params![words, line])?;
    context.changed(Change::Message(*line));
    Ok(())
}

/// A line that says that something is gone for good. Returns it, so that it can go when it is no longer true.
pub(crate) fn gone(
    context: &mut Context<'_>,
    id: ConversationId,
    words: &str,
) -> Result<Option<MessageId>, EngineError> {
    let Some(conversation) = conversation::find(context.db, &id)? else { return Ok(None) };
    let about = match conversation.peer {
        Some(peer) => peer,
        None => match crate::account::load(context.db)? {
            Some(identity) => identity.address,
            None => return Ok(None),
        },
    };
    note_with_id(context, id, &about, words).map(Some)
}

/// What of a message's row decides whether it may be changed.
#[derive(Debug, Clone)]
pub(crate) struct Owned {
    pub conversation: ConversationId,
    pub sender: AccountAddress,
    pub is_own: bool,
    pub is_deleted: bool,
    pub text: String,
    pub failure: Option<String>,
    pub reply_to: Option<MessageId>,
}

/// Looks a written message up.
pub(crate) fn find(db: &Connection, id: &MessageId) -> Result<Option<Owned>, EngineError> {
    let row = db
        .prepare_cached(
            "SELECT conversation, sender, own, deleted, text, failure, reply_to FROM messages WHERE id = ? AND kind = 0",
        )?
        .query_row(params![id], |row| {
            Ok((
                row.get(0)?,
                row.get::<_, String>(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
            ))
        })
        .optional()?;
    let Some((conversation, sender, is_own, is_deleted, text, failure, reply_to)) = row else { return Ok(None) };
    let sender = sender.parse().map_err(|_| EngineError::Damaged { what: "sender" })?;
    Ok(Some(Owned { conversation, sender, is_own, is_deleted, text, failure, reply_to }))
}
