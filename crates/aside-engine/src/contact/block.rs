//! Blocking (P-5.16). What a blocked person's envelopes and direct messages say is dropped unread, and their token ends at the
//! server. In groups they stay members: what they write is kept and stands collapsed, as others' answers would be odd
//! without it. They are not told, and nothing of theirs is answered by a receipt.

use super::{find, own_token, requests};
use crate::Heart;
use crate::context::Context;
use crate::conversation::{self, ConversationId};
use crate::error::{CommandError, EngineError};
use crate::inbox::arrival;
use crate::input::{Change, Presence};
use aside_protocol::address::AccountAddress;
use rusqlite::{Connection, params};

/// Whether somebody is blocked.
pub(crate) fn is_blocked(db: &Connection, address: &AccountAddress) -> Result<bool, EngineError> {
    Ok(db.prepare_cached("SELECT 1 FROM blocked WHERE address = ?")?.exists(params![address.to_string()])?)
}

/// All who are blocked.
pub(crate) fn all(db: &Connection) -> Result<Vec<AccountAddress>, EngineError> {
    let mut statement = db.prepare_cached("SELECT address FROM blocked ORDER BY address")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|row| row?.parse().map_err(|_| EngineError::Damaged { what: "blocked address" })).collect()
}

/// Blocks somebody, known or not, or takes that back.
pub(crate) fn set(
    heart: &mut Heart,
    context: &mut Context<'_>,
    address: &AccountAddress,
    blocked: Presence,
) -> Result<(), CommandError> {
    let own = heart.identity.as_ref().ok_or(CommandError::NotJoined)?.address.clone();
    if own == *address {
        return Err(CommandError::OneselfBlocked);
    }
    match blocked {
        Presence::Present => block(heart, context, address)?,
        Presence::Absent => unblock(heart, context, address)?,
    }
    context.changed(Change::Contact(address.clone()));
    context.changed(Change::State);
    for id in super::keys::conversations_with(context.db, address)? {
        context.changed(Change::Conversation(id));
    }
    Ok(())
}

fn block(heart: &mut Heart, context: &mut Context<'_>, address: &AccountAddress) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("INSERT OR IGNORE INTO blocked (address, since_ms) VALUES (?, ?)")?
        .execute(params![address.to_string(), context.now.unix_ms])?;
    own_token::revoke(heart, context, address)?;
    requests::drop_of(context, address)
}

/// They may write again: they get a token in the place of the one that ended.
fn unblock(heart: &mut Heart, context: &mut Context<'_>, address: &AccountAddress) -> Result<(), EngineError> {
    let sql = "DELETE FROM blocked WHERE address = ?";
    let rows = context.db.prepare_cached(sql)?.execute(params![address.to_string()])?;
    if rows == 0 {
        return Ok(());
    }
    match find(context.db, address)? {
        Some(contact) if contact.state == super::State::Active => welcome_back(heart, context, &contact.conversation),
        _ => Ok(()),
    }
}

/// Tells the other side of a direct conversation how to reach this device, anew.
pub(super) fn welcome_back(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: &ConversationId,
) -> Result<(), EngineError> {
    let Some(row) = conversation::find(context.db, id)? else { return Ok(()) };
    let (Some(peer), Some(channel)) = (&row.peer, row.channel) else { return Ok(()) };
    arrival::announce(heart, context, *id, peer)?;
    heart.stirred.insert(channel);
    Ok(())
}
