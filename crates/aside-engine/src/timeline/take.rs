//! How a content, taken from the log or made here, changes the timeline. Only an author changes what they wrote.

use super::{RowKind, find, orphans, receipts};
use crate::Heart;
use crate::channel::{self, Channel, outbox};
use crate::content::{Arrival, Content, MessageId};
use crate::context::{Context, sql};
use crate::conversation::{self, ConversationId, next_position, touch};
use crate::device::sync;
use crate::error::EngineError;
use crate::group;
use crate::input::Change;
use crate::{contact, heal, server};
use aside_protocol::address::AccountAddress;
use aside_protocol::id::ChannelId;
use rusqlite::{OptionalExtension, params};

/// How far a sender's clock may be ahead before its time is shown as ours.
const CLOCK_AHEAD_MS_MAX: i64 = 60_000;

/// A content with where it came from.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub id: MessageId,
    pub channel: ChannelId,
    pub seq: u64,
    pub author: AccountAddress,
    pub sent_ms: i64,
    /// Its place, where it was kept free; otherwise it stands behind what is there.
    pub position: Option<i64>,
}

/// Acts on somebody else's content.
pub(crate) fn take(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    taken: &Taken,
    content: Content,
) -> Result<(), EngineError> {
    if !matches!(content, Content::Arrival(_)) && is_unheard(context, channel, &taken.author)? {
        return Ok(());
    }
    match content {
        Content::Text { text, reply_to } => {
            let is_own = insert(heart, context, channel.conversation, taken, (&text, reply_to))?;
            if is_own { Ok(()) } else { receipts::received(heart, context, channel, taken) }
        }
        Content::Unknown { media_type } => {
            let words = format!("[a message of a kind that this version does not know: {media_type}]");
            let is_own = insert(heart, context, channel.conversation, taken, (&words, None))?;
            if is_own { Ok(()) } else { receipts::received(heart, context, channel, taken) }
        }
        Content::Edit { target, .. } | Content::Delete { target } | Content::Reaction { target, .. }
            if orphans::is_missing(context.db, &target)? =>
        {
            orphans::keep(context, taken, &target, &content)
        }
        Content::Edit { target, .. }
            if heal::content::is_edited_since(context.db, (&taken.id, &taken.author), &target)?
                || outbox::edits(context.db, channel.conversation, &target)? =>
        {
            Ok(())
        }
        Content::Edit { target, text } => edit(context, (&taken.author, taken.sent_ms), &target, &text),
        Content::Delete { target } => delete(context, &taken.author, &target),
        Content::Reaction { target, emoji } => react(context, &taken.author, &target, &emoji, &taken.id),
        Content::Receipt(receipt) => receipts::take(context, channel, taken, &receipt),
        Content::Arrival(arrival) => arrived(heart, context, channel, taken, &arrival),
        Content::Own(bytes) => sync::take(heart, context, channel, taken.seq, &bytes),
        Content::Leave => group::left(heart, context, channel, &taken.author),
        Content::JoinRequest(request) => {
            match group::is_admin(context, channel.conversation, &taken.author)? && request.is_whole() {
                true => group::link::note(context, channel.conversation, &request),
                false => Ok(()),
            }
        }
        Content::JoinDeclined(address) => match group::is_admin(context, channel.conversation, &taken.author)? {
            true => group::link::forget(context, channel.conversation, &address),
            false => Ok(()),
        },
    }
}

/// What a blocked person says in a direct conversation is dropped.
fn is_unheard(context: &Context<'_>, channel: &Channel, author: &AccountAddress) -> Result<bool, EngineError> {
    let row = conversation::find(context.db, &channel.conversation)?;
    Ok(row.is_some_and(|row| row.peer.as_ref() == Some(author)) && contact::block::is_blocked(context.db, author)?)
}

/// Writes a message down; `true`: it is this person's own, from another device or from before a loss.
fn insert(
    heart: &Heart,
    context: &mut Context<'_>,
    conversation: ConversationId,
    taken: &Taken,
    (text, reply_to): (&str, Option<MessageId>),
) -> Result<bool, EngineError> {
    if sync::is_cleared(context.db, &taken.channel, taken.seq)? {
        return Ok(true);
    }
    let is_own = heart.identity.as_ref().is_some_and(|identity| identity.address == taken.author);
    let position = match taken.position {
        Some(position) => position,
        None => next_position(context, conversation)?,
    };
    let sent_ms = taken.sent_ms.min(context.now.unix_ms.saturating_add(CLOCK_AHEAD_MS_MAX)).max(0);
    // OR IGNORE only where deduplication is switched off on purpose would let a second row through.
    let id = if context.defects.dedupe_off() { MessageId(context.random()) } else { taken.id };
    context
        .db
        .prepare_cached(
            "INSERT INTO messages (id, conversation, channel, seq, position, sender, own, kind, text, sent_ms, reply_to,
             acknowledged) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
        )?
        .execute(params![
            id,
            conversation,
            taken.channel.0,
            sql(taken.seq),
            position,
            taken.author.to_string(),
            is_own,
            RowKind::Text as i64,
            text,
            sent_ms,
            reply_to
        ])?;
    sync::follow_cursor(context, conversation, &[id])?;
    // Through another channel of the conversation, what was said about it may have come first.
    orphans::catch_up(context, &id)?;
    touch(context, conversation)?;
    context.changed(Change::Message(id));
    Ok(is_own)
}

/// Replaces an author's words, at a time by their clock.
pub(crate) fn edit(
    context: &mut Context<'_>,
    (author, at_ms): (&AccountAddress, i64),
    target: &MessageId,
    text: &str,
) -> Result<(), EngineError> {
    let Some(owned) = find(context.db, target)? else { return Ok(()) };
    if owned.sender != *author || owned.is_deleted {
        return Ok(());
    }
    context.db.prepare_cached("UPDATE messages SET text = ?, edited = ? WHERE id = ?")?.execute(params![
        text,
        at_ms.max(1),
        target
    ])?;
    context.changed(Change::Message(*target));
    context.changed(Change::Conversation(owned.conversation));
    Ok(())
}

/// Takes an author's message, or an author's reaction, back.
pub(crate) fn delete(
    context: &mut Context<'_>,
    author: &AccountAddress,
    target: &MessageId,
) -> Result<(), EngineError> {
    let reacted: Option<MessageId> = context
        .db
        .prepare_cached("DELETE FROM reactions WHERE id = ? AND sender = ? RETURNING message")?
        .query_row(params![target, author.to_string()], |row| row.get(0))
        .optional()?;
    if let Some(message) = reacted {
        context.changed(Change::Message(message));
        return Ok(());
    }
    let Some(owned) = find(context.db, target)? else { return Ok(()) };
    if owned.sender != *author {
        return Ok(());
    }
    context
        .db
        .prepare_cached("UPDATE messages SET text = '', deleted = 1, edited = 0 WHERE id = ?")?
        .execute(params![target])?;
    heal::content::forget_words(context, target)?;
    context.db.prepare_cached("DELETE FROM reactions WHERE message = ?")?.execute(params![target])?;
    context.changed(Change::Message(*target));
    context.changed(Change::Conversation(owned.conversation));
    Ok(())
}

/// Adds an emoji. Each is kept under its own id, also where two devices of a person added the same one at once: whichever came
/// first, taking one back leaves the same standing on all devices.
pub(crate) fn react(
    context: &mut Context<'_>,
    author: &AccountAddress,
    target: &MessageId,
    emoji: &str,
    id: &MessageId,
) -> Result<(), EngineError> {
    let Some(owned) = find(context.db, target)? else { return Ok(()) };
    if owned.is_deleted || emoji.is_empty() {
        return Ok(());
    }
    context
        .db
        .prepare_cached("INSERT OR IGNORE INTO reactions (message, sender, emoji, id) VALUES (?, ?, ?, ?)")?
        .execute(params![target, author.to_string(), emoji, id])?;
    context.changed(Change::Message(*target));
    Ok(())
}

/// A member tells how to reach their inbox. It counts only for the device that says it.
fn arrived(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    taken: &Taken,
    arrival: &Arrival,
) -> Result<(), EngineError> {
    let Some(group) = channel::take_group(heart, context, &channel.id)? else { return Ok(()) };
    let members = group.members()?;
    heart.groups.insert(channel.id, group);
    let is_theirs = arrival.server.address == taken.author.server
        && arrival.record.verify().is_ok()
        && members.iter().any(|member| {
            member.credential.address == taken.author
                && member.credential.certificate.is_of_same_device(&arrival.record.certificate)
        });
    if !is_theirs {
        return Ok(());
    }
    // A member's server is contacted only where this profile knows it already: it would learn this device's address.
    let server = server::find_pin(context.db, &arrival.server)?;
    channel::add_to_roster(context, channel.id, &taken.author, server, &arrival.record, &arrival.token)?;
    if let Some(mut contact) = contact::find(context.db, &taken.author)?
        && contact.conversation == channel.conversation
        && !contact::keys::is_revoked(context.db, &taken.author, &arrival.record.certificate.device)?
    {
        contact.token = arrival.token;
        contact.introduction = None;
        contact::put(context, &contact)?;
    }
    Ok(())
}
