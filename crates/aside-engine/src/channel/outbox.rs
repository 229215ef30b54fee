//! Sending: queue, encrypt, append, echo. A row is encrypted once an epoch; a retry sends the identical bytes.

use super::receive::Outcome;
use super::subscribe::{link_to, prove};
use super::{Channel, commit, end, take_group};
use crate::Heart;
use crate::contact;
use crate::content::mimi::MimiContent;
use crate::content::wrapper::{Wrapper, message_id};
use crate::content::{Content, MessageId};
use crate::context::{Context, sql, unsql};
use crate::conversation::{self, ConversationId};
use crate::device;
use crate::error::EngineError;
use crate::heal::{self, Fork, ForkSign};
use crate::network::Flight;
use crate::timeline;
use crate::view::ConversationKind;
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::{EntryHeader, Position, Purpose};
use aside_protocol::frame::anonymous::{NewEntry, Request};
use aside_protocol::id::{AppendId, ChainHead, ChannelId};
use aside_protocol::limit::{APPEND_ENTRIES_MAX, MESSAGE_DAYS_DEFAULT, MESSAGE_DAYS_MAX};
use rusqlite::{Connection, OptionalExtension, params};

/// Bytes of bodies in one append request.
const APPEND_BYTES_MAX: usize = 256 * 1024;

/// An own row, found by its append id.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    place: i64,
    message: Option<MessageId>,
    acked: Option<Position>,
}

/// Queues a content. `row` is the timeline's row that it makes, if any.
pub(crate) fn queue(
    context: &mut Context<'_>,
    conversation: ConversationId,
    content: &Content,
    row: impl FnOnce(&[u8]) -> Option<MessageId>,
) -> Result<(), EngineError> {
    let bytes = heal::content::to_mimi(context, content)?.encode();
    let message = row(&bytes);
    context
        .db
        .prepare_cached("INSERT INTO outbox (conversation, message, content, sent_ms) VALUES (?, ?, ?, ?)")?
        .execute(params![conversation, message, bytes, context.now.unix_ms])?;
    Ok(())
}

/// Looks for an own row by append id: this is how one's own echo is known.
pub(crate) fn find_own(context: &Context<'_>, id: &AppendId) -> Result<Option<Own>, EngineError> {
    let mut statement =
        context.db.prepare_cached("SELECT place, message, acked_seq, acked_head FROM outbox WHERE append_id = ?")?;
    let row = statement.query_row(params![id.0], |row| {
        let acked: (Option<i64>, Option<[u8; 32]>) = (row.get(2)?, row.get(3)?);
        let acked = acked.0.zip(acked.1).map(|(seq, head)| Position { seq: unsql(seq), head: ChainHead(head) });
        Ok(Own { place: row.get(0)?, message: row.get(1)?, acked })
    });
    Ok(row.optional()?)
}

/// Whether the server had acknowledged another entry of ours at this place.
pub(crate) fn is_acknowledged_as_another(
    context: &Context<'_>,
    channel: ChannelId,
    seq: u64,
    id: &AppendId,
) -> Result<bool, EngineError> {
    let mut statement =
        context.db.prepare_cached("SELECT 1 FROM outbox WHERE channel = ? AND acked_seq = ? AND append_id <> ?")?;
    Ok(statement.exists(params![channel.0, sql(seq), id.0])?)
}

/// One's own entry came back in the log: it has its place.
pub(crate) fn echoed(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    own: &Own,
    position: Position,
) -> Result<Outcome, EngineError> {
    if own.acked.is_some_and(|acked| acked != position) {
        return Ok(Outcome::Stopped(Box::new(Fork::by_server(ForkSign::Moved, channel, Some(position)))));
    }
    let (content, sent_ms): (Vec<u8>, i64) = context
        .db
        .prepare_cached("DELETE FROM outbox WHERE place = ? RETURNING content, sent_ms")?
        .query_row(params![own.place], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if let Some(author) = heart.identity.as_ref().map(|identity| identity.address.clone()) {
        let id = message_id(&author, &content);
        heal::content::keep(context, (channel.id, position.seq), (&id, &author), sent_ms, &content)?;
    }
    if own.message.is_none() {
        device::sync::echoed(context, channel.conversation, &content, position.seq)?;
    }
    if let Some(message) = own.message {
        timeline::placed(context, &message, channel, position.seq)?;
    }
    stir(heart, context, channel)?;
    Ok(Outcome::Taken)
}

/// Something moved in this channel; what waited for it may wait in the conversation's current one.
pub(crate) fn stir(heart: &mut Heart, context: &Context<'_>, channel: &Channel) -> Result<(), EngineError> {
    heart.stirred.insert(channel.id);
    heart.stirred.extend(conversation::find(context.db, &channel.conversation)?.and_then(|row| row.channel));
    Ok(())
}

/// The server acknowledged: it is on its disk.
pub(crate) fn acknowledged(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: ChannelId,
    appended: &[(AppendId, Position)],
) -> Result<(), EngineError> {
    for (id, position) in appended {
        let message: Option<Option<MessageId>> = context
            .db
            .prepare_cached("UPDATE outbox SET acked_seq = ?, acked_head = ? WHERE append_id = ? RETURNING message")?
            .query_row(params![sql(position.seq), position.head.0, id.0], |row| row.get(0))
            .optional()?;
        if let Some(Some(message)) = message {
            timeline::acknowledged(context, &message)?;
        }
    }
    heart.stirred.insert(channel);
    Ok(())
}

/// Whether messages of ours that were encrypted in this channel's epoch wait for their acknowledgement.
pub(super) fn is_under_way(context: &Context<'_>, channel: &ChannelId) -> Result<bool, EngineError> {
    let mut statement = context.db.prepare_cached("SELECT 1 FROM outbox WHERE channel = ? AND acked_seq IS NULL")?;
    Ok(statement.exists(params![channel.0])?)
}

/// The epoch ended, and everything that it took has been seen: what has not come back was not taken.
pub(crate) fn epoch_ended(context: &Context<'_>, channel: ChannelId) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            "UPDATE outbox SET epoch = NULL, append_id = NULL, ciphertext = NULL, expires_day = NULL, channel = NULL,
             acked_seq = NULL, acked_head = NULL WHERE channel = ?",
        )?
        .execute(params![channel.0])?;
    Ok(())
}

/// The server does not take these with the time that they were to be kept for: it keeps messages for a shorter time, or
/// they waited for so long on their way that they have expired. Such are encrypted again, for the usual time. `false`:
/// there is no such reason.
pub(crate) fn expires_anew(context: &Context<'_>, ids: &[AppendId]) -> Result<bool, EngineError> {
    let today = context.now.day();
    let usual = today.saturating_add(MESSAGE_DAYS_DEFAULT);
    let mut any = false;
    for id in ids {
        any |= context
            .db
            .prepare_cached(
                "UPDATE outbox SET channel = NULL, epoch = NULL, append_id = NULL, ciphertext = NULL, expires_day = IIF(expires_day > ?2, ?2, NULL)
                 WHERE append_id = ?1 AND (expires_day > ?2 OR expires_day <= ?3)",
            )?
            .execute(params![id.0, usual, today])?
            > 0;
    }
    Ok(any)
}

/// The server will not take these, whatever is done: they are shown as failed and make way for the rest.
pub(crate) fn failed(context: &mut Context<'_>, ids: &[AppendId], why: &str) -> Result<(), EngineError> {
    for id in ids {
        let message: Option<Option<MessageId>> = context
            .db
            .prepare_cached("DELETE FROM outbox WHERE append_id = ? RETURNING message")?
            .query_row(params![id.0], |row| row.get(0))
            .optional()?;
        if let Some(Some(message)) = message {
            timeline::failed(context, &message, why)?;
        }
    }
    Ok(())
}

/// Nothing of a conversation can be sent any more: what a person wrote is shown as failed.
pub(crate) fn all_failed(
    context: &mut Context<'_>,
    conversation: ConversationId,
    why: &str,
) -> Result<(), EngineError> {
    let messages = context
        .db
        .prepare_cached("DELETE FROM outbox WHERE conversation = ? RETURNING message")?
        .query_map(params![conversation], |row| row.get(0))?
        .collect::<Result<Vec<Option<MessageId>>, _>>()?;
    messages.into_iter().flatten().try_for_each(|message| timeline::failed(context, &message, why))
}

/// Whether something for a conversation has not reached its log, as far as this device knows.
pub(crate) fn waits(context: &Context<'_>, conversation: ConversationId) -> Result<bool, EngineError> {
    Ok(context.db.prepare_cached("SELECT 1 FROM outbox WHERE conversation = ?")?.exists(params![conversation])?)
}

/// Whether an edit of a message by this device is on its way: it will stand behind any that comes before it.
pub(crate) fn edits(db: &Connection, conversation: ConversationId, target: &MessageId) -> Result<bool, EngineError> {
    let mut statement = db.prepare_cached("SELECT content FROM outbox WHERE conversation = ? AND message IS NULL")?;
    let queued =
        statement.query_map(params![conversation], |row| row.get::<_, Vec<u8>>(0))?.collect::<Result<Vec<_>, _>>()?;
    let is_edit = |body: &Vec<u8>| {
        let content = MimiContent::decode(body).and_then(|mimi| Content::from_mimi(&mimi));
        matches!(content, Ok(Content::Edit { target: edited, .. }) if edited == *target)
    };
    Ok(queued.iter().any(is_edit))
}

/// Something of this device's that waits here stands in the log: whoever was set back to an older copy had sent it long ago.
pub(crate) fn was_sent(
    context: &Context<'_>,
    conversation: ConversationId,
    (author, id): (&AccountAddress, &MessageId),
) -> Result<(), EngineError> {
    let waiting = context
        .db
        .prepare_cached(
            "SELECT place, content FROM outbox WHERE conversation = ? AND message IS NULL AND ciphertext IS NULL",
        )?
        .query_map(params![conversation], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    for (place, _) in waiting.iter().filter(|(_, content)| message_id(author, content) == *id) {
        context.db.prepare_cached("DELETE FROM outbox WHERE place = ?")?.execute(params![place])?;
    }
    Ok(())
}

/// Nothing, but for a planted defect: what is to be retried is forgotten to have been encrypted, before the log was
/// searched for it.
pub(crate) fn reconnected(context: &Context<'_>) -> Result<(), EngineError> {
    if context.defects.retry_re_encrypts() {
        let sql = "UPDATE outbox SET append_id = NULL, ciphertext = NULL, epoch = NULL WHERE acked_seq IS NULL";
        context.db.execute(sql, [])?;
    }
    Ok(())
}

/// Sends what is queued: one request at a time for each channel, so that a refusal fails those behind it.
pub(crate) fn send(heart: &mut Heart, context: &mut Context<'_>, channel: &Channel) -> Result<(), EngineError> {
    if end::is_over(heart, context, channel)? {
        return end::left(heart, context, channel);
    }
    let link = link_to(channel.server);
    if !heart.links.get(&link).is_some_and(|state| state.may_write(&channel.id, channel.epoch)) {
        return Ok(());
    }
    // What was encrypted before something went wrong waits with the rest.
    let state = conversation::find(context.db, &channel.conversation)?.map(|row| row.state);
    if state == Some(conversation::State::Paused) || !heal::may_encrypt(context, channel)? {
        return Ok(());
    }
    encrypt_queued(heart, context, channel)?;
    let entries = encrypted(context, channel)?;
    if entries.is_empty() || !prove(heart, context, channel, Purpose::Append)? {
        return Ok(());
    }
    let ids = entries.iter().map(|entry| entry.header.append_id).collect();
    if let Some(state) = heart.links.get_mut(&link) {
        let request = Request::Append { channel: channel.id, entries };
        state.ask_anonymous(context, link, request, Flight::Append(channel.id, ids));
    }
    Ok(())
}

/// Encrypts queued rows for the current epoch, in their order, as far as one request goes.
fn encrypt_queued(heart: &mut Heart, context: &mut Context<'_>, channel: &Channel) -> Result<(), EngineError> {
    let Some(conversation) = conversation::find(context.db, &channel.conversation)? else { return Ok(()) };
    // Whoever is leaving says so before anything else.
    let waits = match conversation.state {
        conversation::State::Active => commit::is_wanted(context, channel)?,
        conversation::State::Leaving => false,
        _ => true,
    };
    if conversation.channel != Some(channel.id) || waits {
        return Ok(());
    }
    // What is queued waits until the person has looked at whose keys changed.
    if !contact::keys::to_look_at(context.db, &conversation.id)?.is_empty() {
        return Ok(());
    }
    let mut statement = context.db.prepare_cached(
        "SELECT place, content, sent_ms, ciphertext IS NOT NULL,
         channel IS NOT NULL AND channel <> ?2, ciphertext IS NULL AND expires_day IS NOT NULL FROM outbox
         WHERE conversation = ?1 AND acked_seq IS NULL ORDER BY place LIMIT ?3",
    )?;
    let rows = statement
        .query_map(params![conversation.id, channel.id.0, sql(APPEND_ENTRIES_MAX as u64)], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, Vec<u8>>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, bool>(3)?,
                row.get::<_, bool>(4)?,
                row.get::<_, bool>(5)?,
            ))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    drop(statement);
    // What is on its way through another channel of this conversation goes first.
    if rows.is_empty() || rows.iter().any(|(.., is_elsewhere, _)| *is_elsewhere) {
        return Ok(());
    }
    let Some(identity) = &heart.identity else { return Ok(()) };
    let signer = identity.signer.clone();
    if device::revoke::goes_first(context, &channel.id, &identity.address)? {
        return Ok(());
    }
    let Some(mut group) = take_group(heart, context, &channel.id)? else { return Ok(()) };
    if group.has_pending() {
        heart.groups.insert(channel.id, group);
        return Ok(());
    }
    // That somebody left is of use for as long as an admin may be away, and what one's devices tell each other for as long
    // as one of them may be.
    let is_leaving = conversation.state == conversation::State::Leaving;
    let is_kept_long = is_leaving || conversation.kind == ConversationKind::Own;
    for (place, content, sent_ms, is_encrypted, _, is_shortened) in rows {
        if is_encrypted {
            continue;
        }
        let plaintext = Wrapper { cited: channel.position, sent_at_unix_ms: sent_ms, content }.seal();
        let ciphertext = group.encrypt(&heart.mls.on(context.db), &signer, &plaintext)?;
        let append_id: [u8; 16] = context.random();
        let days = if is_kept_long && !is_shortened { MESSAGE_DAYS_MAX } else { MESSAGE_DAYS_DEFAULT };
        let expires_day = context.now.day().saturating_add(days);
        context
            .db
            .prepare_cached(
                "UPDATE outbox SET channel = ?, epoch = ?, append_id = ?, expires_day = ?, ciphertext = ? WHERE place = ?",
            )?
            .execute(params![channel.id.0, sql(channel.epoch), append_id, expires_day, ciphertext, place])?;
    }
    heart.groups.insert(channel.id, group);
    Ok(())
}

/// The encrypted rows that are not acknowledged, in order, as far as one request goes.
fn encrypted(context: &Context<'_>, channel: &Channel) -> Result<Vec<NewEntry>, EngineError> {
    let mut statement = context.db.prepare_cached(
        "SELECT append_id, expires_day, ciphertext FROM outbox
         WHERE conversation = ? AND channel = ? AND acked_seq IS NULL AND ciphertext IS NOT NULL ORDER BY place LIMIT ?",
    )?;
    let rows = statement
        .query_map(params![channel.conversation, channel.id.0, sql(APPEND_ENTRIES_MAX as u64)], |row| {
            Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, u32>(1)?, row.get::<_, Vec<u8>>(2)?))
        })?;
    let mut entries = Vec::new();
    let mut bytes = 0_usize;
    for row in rows {
        let (append_id, expires_day, body) = row?;
        bytes = bytes.saturating_add(body.len());
        if bytes > APPEND_BYTES_MAX && !entries.is_empty() {
            break;
        }
        let header = EntryHeader { epoch: channel.epoch, append_id: AppendId(append_id), expires_day, next_keys: None };
        entries.push(NewEntry { header, body });
    }
    Ok(entries)
}
