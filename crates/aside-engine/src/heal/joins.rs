//! By which entry each account became a member of a channel: what was said before is not for it (P-9.6), and what was said
//! since it may have missed.

use super::content;
use crate::channel::{self, Channel, unheard};
use crate::contact;
use crate::context::{Context, sql, unsql};
use crate::error::EngineError;
use crate::inbox::welcome::Recipient;
use aside_protocol::address::AccountAddress;
use aside_protocol::id::ChannelId;
use rusqlite::{OptionalExtension, params};

/// Accounts that a Welcome letter names with the entry by which they became members, at most.
const TOLD_MAX: u32 = 32;

/// An account became a member by the entry behind the channel's place: what was said before is not for it.
pub(crate) fn became(context: &Context<'_>, row: &Channel, address: &AccountAddress) -> Result<(), EngineError> {
    note(context, &row.id, address, row.position.seq.saturating_add(1))?;
    content::forget_leaves(context, row.conversation, Some(address))
}

/// Notes by which entry an account became a member.
pub(crate) fn note(
    context: &Context<'_>,
    id: &ChannelId,
    address: &AccountAddress,
    seq: u64,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("INSERT OR REPLACE INTO joins (channel, address, seq) VALUES (?, ?, ?)")?
        .execute(params![id.0, address.to_string(), sql(seq)])?;
    Ok(())
}

/// An account was taken out, or has left: whenever it became a member, it was one.
pub(crate) fn was_in(context: &Context<'_>, id: &ChannelId, address: &AccountAddress) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("INSERT OR IGNORE INTO joins (channel, address, seq) VALUES (?, ?, 0)")?
        .execute(params![id.0, address.to_string()])?;
    Ok(())
}

/// Whether an account is known to have become a member while this device was one, or to have been one that is out.
pub(super) fn has_joined(context: &Context<'_>, id: &ChannelId, address: &AccountAddress) -> Result<bool, EngineError> {
    let mut statement = context.db.prepare_cached("SELECT 1 FROM joins WHERE channel = ? AND address = ?")?;
    Ok(statement.exists(params![id.0, address.to_string()])?)
}

/// From when on an account is a member, as far as this device knows: what was said before is not for it.
pub(crate) fn at(context: &Context<'_>, id: &ChannelId, address: &AccountAddress) -> Result<u64, EngineError> {
    let seq: Option<i64> = context
        .db
        .prepare_cached("SELECT seq FROM joins WHERE channel = ? AND address = ?")?
        .query_row(params![id.0, address.to_string()], |row| row.get(0))
        .optional()?;
    Ok(seq.map_or(0, unsql))
}

/// The accounts that became members last, as many as a Welcome letter names, each with the entry by which it did.
pub(crate) fn last(context: &Context<'_>, id: &ChannelId) -> Result<Vec<(AccountAddress, u64)>, EngineError> {
    let sql = "SELECT address, seq FROM joins WHERE channel = ? AND seq > 0 ORDER BY seq DESC, address LIMIT ?";
    let mut statement = context.db.prepare_cached(sql)?;
    let rows =
        statement.query_map(params![id.0, TOLD_MAX], |row| Ok((row.get::<_, String>(0)?, unsql(row.get(1)?))))?;
    rows.map(|row| {
        let (address, seq) = row?;
        Ok((address.parse().map_err(|_| EngineError::Damaged { what: "address" })?, seq))
    })
    .collect()
}

/// Notes what whoever let this device in again tells of who became a member in its absence.
pub(super) fn take(
    context: &Context<'_>,
    row: &Channel,
    through: u64,
    joins: &[(AccountAddress, u64)],
) -> Result<(), EngineError> {
    let missed = joins.iter().take(TOLD_MAX as usize).filter(|(_, seq)| *seq > row.position.seq && *seq <= through);
    missed.into_iter().try_for_each(|(address, seq)| note(context, &row.id, address, *seq))
}

/// From which entry on a device of somebody else's that gets a leaf may lack what was said. It may have had one that it never
/// heard of, whose adder this device does not know, or no other device of theirs may have what was said before: then it is
/// since its account is a member.
pub(crate) fn lacks_since(context: &Context<'_>, row: &Channel, recipient: &Recipient) -> Result<u64, EngineError> {
    match unheard::since(context.db, &row.id, &recipient.device)? {
        Some(since) if since < row.position.seq && !is_alone(context, row, recipient)? => Ok(since),
        _ => at(context, &row.id, &recipient.address),
    }
}

/// Whether all other devices that somebody was heard by in a channel are revoked, if there are any.
fn is_alone(context: &Context<'_>, row: &Channel, recipient: &Recipient) -> Result<bool, EngineError> {
    let mut others = channel::roster(context.db, &row.id)?;
    others.retain(|one| one.address == recipient.address && one.device != recipient.device);
    for other in others {
        let is_heard = unheard::since(context.db, &row.id, &other.device)?.is_none();
        if is_heard && !contact::keys::is_revoked(context.db, &other.address, &other.device)? {
            return Ok(false);
        }
    }
    Ok(true)
}
