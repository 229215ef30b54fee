//! Who is in a conversation, as this device shows it. The group's own state decides; these rows follow it, and outlive it.

use super::{ConversationId, IsAdmin};
use crate::Heart;
use crate::channel;
use crate::context::Context;
use crate::error::EngineError;
use crate::heal;
use crate::input::Change;
use aside_mls::{Member, Metadata};
use aside_protocol::address::AccountAddress;
use aside_protocol::codec::labelled_hash;
use aside_protocol::id::ChannelId;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// How far somebody is in or out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Member = 0,
    /// This device adds them.
    Adding = 1,
    /// They said that they leave.
    Leaving = 2,
}

impl Standing {
    fn of(number: i64) -> Result<Self, EngineError> {
        match number {
            0 => Ok(Standing::Member),
            1 => Ok(Standing::Adding),
            2 => Ok(Standing::Leaving),
            _ => Err(EngineError::Damaged { what: "member's standing" }),
        }
    }
}

/// Notes a member.
pub(crate) fn add_member(
    context: &Context<'_>,
    id: ConversationId,
    member: &AccountAddress,
    is_admin: IsAdmin,
) -> Result<(), EngineError> {
    put(context, id, member, (is_admin, Standing::Member, 1))
}

/// Notes that a member is an admin.
pub(crate) fn set_admin(
    context: &mut Context<'_>,
    id: ConversationId,
    member: &AccountAddress,
) -> Result<(), EngineError> {
    let sql = "UPDATE members SET admin = 1 WHERE conversation = ? AND address = ?";
    context.db.prepare_cached(sql)?.execute(params![id, member.to_string()])?;
    context.changed(Change::Conversation(id));
    Ok(())
}

fn put(
    context: &Context<'_>,
    id: ConversationId,
    member: &AccountAddress,
    (is_admin, standing, devices): (IsAdmin, Standing, u32),
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            "INSERT OR REPLACE INTO members (conversation, address, admin, standing, devices) VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![id, member.to_string(), is_admin == IsAdmin::Yes, standing as i64, devices])?;
    Ok(())
}

/// Notes somebody whom this device is about to add; members stay what they are.
pub(crate) fn set_adding(
    context: &mut Context<'_>,
    id: ConversationId,
    address: &AccountAddress,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("INSERT OR IGNORE INTO members (conversation, address, admin, standing) VALUES (?, ?, 0, 1)")?
        .execute(params![id, address.to_string()])?;
    context.changed(Change::Conversation(id));
    Ok(())
}

/// They are not added after all.
pub(crate) fn set_not_added(
    context: &mut Context<'_>,
    id: ConversationId,
    address: &AccountAddress,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("DELETE FROM members WHERE conversation = ? AND address = ? AND standing = 1")?
        .execute(params![id, address.to_string()])?;
    context.changed(Change::Conversation(id));
    Ok(())
}

/// They said that they leave.
pub(crate) fn set_leaving(
    context: &mut Context<'_>,
    id: ConversationId,
    address: &AccountAddress,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("UPDATE members SET standing = 2 WHERE conversation = ? AND address = ? AND standing = 0")?
        .execute(params![id, address.to_string()])?;
    context.changed(Change::Conversation(id));
    Ok(())
}

/// They are there still, or again.
pub(crate) fn set_staying(
    context: &mut Context<'_>,
    id: ConversationId,
    address: &AccountAddress,
) -> Result<(), EngineError> {
    let sql = "UPDATE members SET standing = 0 WHERE conversation = ? AND address = ? AND standing = 2";
    context.db.prepare_cached(sql)?.execute(params![id, address.to_string()])?;
    context.changed(Change::Conversation(id));
    Ok(())
}

/// This person is out: of those who were leaving, too, nothing more is heard.
pub(crate) fn nobody_leaves(context: &Context<'_>, id: ConversationId) -> Result<(), EngineError> {
    let sql = "UPDATE members SET standing = 0 WHERE conversation = ? AND standing = 2";
    context.db.prepare_cached(sql)?.execute(params![id])?;
    Ok(())
}

/// Somebody's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberRow {
    pub address: AccountAddress,
    pub is_admin: bool,
    pub standing: Standing,
    /// How many of their devices are members.
    pub devices: u32,
    /// Whether this person compared the safety number with them.
    pub verified: bool,
}

/// Everybody, by address.
pub(crate) fn members(db: &Connection, id: ConversationId) -> Result<Vec<MemberRow>, EngineError> {
    let mut statement = db.prepare_cached(
        "SELECT m.address, m.admin, m.standing, m.devices, COALESCE(c.verified, 0) FROM members m
         LEFT JOIN contacts c ON c.address = m.address WHERE m.conversation = ? ORDER BY m.address",
    )?;
    let rows = statement.query_map(params![id], |row| {
        Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get(3)?, row.get(4)?))
    })?;
    rows.map(|row| {
        let (address, is_admin, standing, devices, verified) = row?;
        let address = address.parse().map_err(|_| EngineError::Damaged { what: "member's address" })?;
        Ok(MemberRow { address, is_admin, standing: Standing::of(standing)?, devices, verified })
    })
    .collect()
}

/// Those who said that they leave and are members still.
pub(crate) fn leavers(context: &Context<'_>, id: ConversationId) -> Result<Vec<AccountAddress>, EngineError> {
    let mut statement =
        context.db.prepare_cached("SELECT address FROM members WHERE conversation = ? AND standing = 2")?;
    let rows = statement.query_map(params![id], |row| row.get::<_, String>(0))?;
    rows.map(|row| row?.parse().map_err(|_| EngineError::Damaged { what: "member's address" })).collect()
}

/// This person is in a group again that they were out of: who was leaving it or being added then is of no meaning.
pub(crate) fn forget_standings(context: &Context<'_>, id: ConversationId) -> Result<(), EngineError> {
    let sql = "DELETE FROM members WHERE conversation = ? AND standing <> 0";
    context.db.prepare_cached(sql)?.execute(params![id])?;
    heal::content::forget_leaves(context, id, None)
}

/// Whether a channel is the one that a conversation is in, as far as it is in one.
pub(crate) fn is_current(db: &Connection, id: ConversationId, channel: &ChannelId) -> Result<bool, EngineError> {
    Ok(super::find(db, &id)?.and_then(|row| row.channel).is_none_or(|current| current == *channel))
}

/// Shows the group of the channel that a conversation is in.
pub(crate) fn show_current(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: ConversationId,
) -> Result<(), EngineError> {
    let Some(current) = super::find(context.db, &id)?.and_then(|row| row.channel) else { return Ok(()) };
    let Some(group) = channel::take_group(heart, context, &current)? else { return Ok(()) };
    show_group(context, id, &group.members()?, &group.metadata()?)?;
    heart.groups.insert(current, group);
    Ok(())
}

/// Shows a group as it is: members with their devices, title and picture. Whoever is being added stays so until they are
/// members; whoever is leaving, until they are none.
pub(crate) fn show_group(
    context: &mut Context<'_>,
    id: ConversationId,
    members: &[Member],
    metadata: &Metadata,
) -> Result<(), EngineError> {
    let leavers = leavers(context, id)?;
    context.db.prepare_cached("DELETE FROM members WHERE conversation = ? AND standing <> 1")?.execute(params![id])?;
    let mut devices: BTreeMap<&AccountAddress, u32> = BTreeMap::new();
    for member in members {
        let count = devices.entry(&member.credential.address).or_default();
        *count = count.saturating_add(1);
    }
    for (address, devices) in devices {
        let is_admin = if metadata.is_admin(address) { IsAdmin::Yes } else { IsAdmin::No };
        let standing = if leavers.contains(address) { Standing::Leaving } else { Standing::Member };
        put(context, id, address, (is_admin, standing, devices))?;
    }
    // Whoever asked to join and is in has been answered.
    context
        .db
        .prepare_cached(
            "DELETE FROM join_requests WHERE conversation = ?1
             AND address IN (SELECT address FROM members WHERE conversation = ?1 AND standing <> 1)",
        )?
        .execute(params![id])?;
    let picture = metadata.picture.as_ref().map(|picture| picture.bytes());
    let name = picture.map(|bytes| {
        let hash = labelled_hash("aside picture name v1", &[bytes]);
        hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>()
    });
    context
        .db
        .prepare_cached("UPDATE conversations SET picture = ?, picture_name = ? WHERE id = ?")?
        .execute(params![picture, name, id])?;
    // A direct conversation's title is the other person's name.
    context
        .db
        .prepare_cached("UPDATE conversations SET title = ? WHERE id = ? AND ?1 <> '' AND peer IS NULL")?
        .execute(params![metadata.title, id])?;
    context.changed(Change::Conversation(id));
    Ok(())
}
