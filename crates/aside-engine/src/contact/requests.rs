//! Message requests (P-5.15): what a stranger sends waits, unread and unanswered, until the person decides. No server is
//! contacted for one, so nobody learns that it arrived.

use super::{State, find};
use crate::Heart;
use crate::context::Context;
use crate::conversation::{self, ConversationId};
use crate::error::{CommandError, EngineError};
use crate::heal;
use crate::inbox::{early, welcome};
use crate::input::Change;
use crate::timeline;
use aside_protocol::address::AccountAddress;
use rusqlite::{Connection, params};

/// Requests that wait at once; with one more, the oldest is dropped unanswered.
pub const REQUESTS_MAX: u32 = 50;

/// How many wait.
pub(crate) fn count(db: &Connection) -> Result<u32, EngineError> {
    let sql = "SELECT COUNT(*) FROM conversations WHERE state = ? AND hidden = 0";
    Ok(db.prepare_cached(sql)?.query_row(params![conversation::State::Request as i64], |row| row.get(0))?)
}

/// Drops the oldest requests until there is room for another.
pub(crate) fn make_room(context: &mut Context<'_>) -> Result<(), EngineError> {
    let mut statement = context.db.prepare_cached(
        "SELECT id FROM conversations WHERE request IS NOT NULL ORDER BY updated_ms DESC, id LIMIT -1 OFFSET ?",
    )?;
    let rows = statement.query_map(params![REQUESTS_MAX.saturating_sub(1)], |row| row.get(0))?;
    let ids = rows.collect::<Result<Vec<ConversationId>, _>>()?;
    drop(statement);
    ids.into_iter().try_for_each(|id| drop_one(context, id))
}

/// Drops everything that waits from one person.
pub(super) fn drop_of(context: &mut Context<'_>, address: &AccountAddress) -> Result<(), EngineError> {
    let mut statement = context.db.prepare_cached(
        "SELECT c.id FROM conversations c JOIN members m ON m.conversation = c.id
         WHERE c.request IS NOT NULL AND m.address = ?",
    )?;
    let rows = statement.query_map(params![address.to_string()], |row| row.get(0))?;
    let ids = rows.collect::<Result<Vec<ConversationId>, _>>()?;
    drop(statement);
    ids.into_iter().try_for_each(|id| drop_one(context, id))
}

/// A request that is not to be answered. What was talked about before with somebody who was removed stays, and so does a group
/// that this person was out of when somebody asked to add them again.
fn drop_one(context: &mut Context<'_>, id: ConversationId) -> Result<(), EngineError> {
    let Some(kept) = conversation::find(context.db, &id)? else { return Ok(()) };
    context.changed(Change::State);
    if kept.peer.is_none() && kept.paused.is_some() {
        let sql = "UPDATE conversations SET request = NULL, state = ? WHERE id = ?";
        context.db.prepare_cached(sql)?.execute(params![conversation::State::Left as i64, id])?;
        context.changed(Change::Conversation(id));
        return Ok(());
    }
    context.changed(Change::ConversationRemoved(id));
    if kept.channel.is_some() {
        let sql = "UPDATE conversations SET request = NULL, hidden = 1,
                   read_position = MAX(read_position, next_position - 1) WHERE id = ?";
        context.db.prepare_cached(sql)?.execute(params![id])?;
        return timeline::note_read(context, id, i64::MAX);
    }
    context.db.execute("DELETE FROM contacts WHERE conversation = ? AND state = 3", params![id])?;
    for table in ["messages", "members"] {
        context.db.execute(&format!("DELETE FROM {table} WHERE conversation = ?"), params![id])?;
    }
    context.db.execute("DELETE FROM conversations WHERE id = ?", params![id])?;
    Ok(())
}

/// Who asks: the stranger of a direct conversation, or whoever wants to add this person to a group.
pub(crate) fn from(db: &Connection, id: &ConversationId) -> Result<Option<AccountAddress>, EngineError> {
    let Some(kept) = conversation::find(db, id)? else { return Ok(None) };
    match (&kept.peer, &kept.request) {
        (Some(peer), _) => Ok(Some(peer.clone())),
        (None, Some(request)) => early::request_is_from(request).map(Some),
        (None, None) => Ok(None),
    }
}

/// The person accepts: the conversation goes on as any other.
pub(crate) fn accept(heart: &mut Heart, context: &mut Context<'_>, id: ConversationId) -> Result<(), CommandError> {
    let kept = conversation::find(context.db, &id)?.ok_or(CommandError::UnknownConversation)?;
    if kept.state != conversation::State::Request {
        return Ok(());
    }
    context.changed(Change::State);
    if let Some(request) = &kept.request {
        return Ok(welcome::accept(heart, context, request)?);
    }
    if let Some(contact) = kept.peer.as_ref().map(|peer| find(context.db, peer)).transpose()?.flatten() {
        take_back(heart, context, &contact)?;
    }
    Ok(())
}

/// Somebody who was removed is a contact again, in the conversation that they were in.
pub(super) fn take_back(
    heart: &mut Heart,
    context: &mut Context<'_>,
    contact: &super::Contact,
) -> Result<(), EngineError> {
    let sql = "UPDATE contacts SET state = 1, failure = NULL WHERE address = ?";
    context.db.prepare_cached(sql)?.execute(params![contact.address.to_string()])?;
    context.changed(Change::Contact(contact.address.clone()));
    let kept = conversation::find(context.db, &contact.conversation)?;
    if kept.is_some_and(|kept| kept.state == conversation::State::Request) {
        conversation::set_state(context, contact.conversation, conversation::State::Active)?;
        heal::show(context, contact.conversation)?;
    }
    conversation::touch(context, contact.conversation)?;
    super::block::welcome_back(heart, context, &contact.conversation)?;
    heart.owe_receipts(context)
}

/// The person declines; the other side learns nothing of it. Returns who asked.
pub(crate) fn decline(context: &mut Context<'_>, id: ConversationId) -> Result<AccountAddress, CommandError> {
    let kept = conversation::find(context.db, &id)?.ok_or(CommandError::UnknownConversation)?;
    if kept.state != conversation::State::Request {
        return Err(CommandError::NotARequest);
    }
    let asker = from(context.db, &id)?.ok_or(CommandError::UnknownConversation)?;
    drop_one(context, id)?;
    Ok(asker)
}

/// Removes a contact: their token ends, the conversation is put away with its keys, and what they write from then on
/// asks to be accepted, as a stranger's does.
pub(crate) fn remove(heart: &Heart, context: &mut Context<'_>, address: &AccountAddress) -> Result<(), CommandError> {
    let known = find(context.db, address)?.filter(|contact| contact.state.is_accepted());
    let contact = known.ok_or_else(|| CommandError::UnknownContact { address: address.to_string() })?;
    super::own_token::revoke(heart, context, address)?;
    let id = contact.conversation;
    context.changed(Change::ConversationRemoved(id));
    context.changed(Change::Contact(address.clone()));
    context.db.execute("DELETE FROM founding WHERE conversation = ?", params![id])?;
    let has_channel = conversation::find(context.db, &id)?.is_some_and(|row| row.channel.is_some());
    if !has_channel {
        for table in ["messages", "outbox", "members", "contacts"] {
            context.db.execute(&format!("DELETE FROM {table} WHERE conversation = ?"), params![id])?;
        }
        context.db.execute("DELETE FROM conversations WHERE id = ?", params![id])?;
        return Ok(());
    }
    context.db.execute(
        "UPDATE contacts SET state = ?, verified = 0, name = NULL WHERE address = ?",
        params![State::Removed as i64, address.to_string()],
    )?;
    context.db.execute(
        "UPDATE conversations SET state = CASE state WHEN ?1 THEN ?1 ELSE ?2 END, hidden = 1, draft = '',
             read_position = MAX(read_position, next_position - 1) WHERE id = ?3",
        params![conversation::State::Paused as i64, conversation::State::Request as i64, id],
    )?;
    timeline::note_read(context, id, i64::MAX)?;
    Ok(())
}
