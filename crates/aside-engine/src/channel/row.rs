//! The channel's row: where it is, and how far this device has read.

use super::unheard;
use crate::Heart;
use crate::contact;
use crate::context::{Context, sql, stored, to_store, unsql};
use crate::conversation::{self, ConversationId};
use crate::device::own_log;
use crate::error::EngineError;
use crate::heal;
use crate::inbox::welcome::Recipient;
use crate::input::ServerId;
use aside_mls::{Group, SUITE};
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::Position;
use aside_protocol::id::{ChainHead, ChannelId, DeviceId};
use aside_protocol::identity::DeviceRecord;
use aside_protocol::inbox::DeliveryToken;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Epochs whose authenticators are kept for comparison.
const EPOCHS_KEPT: u64 = 64;

/// Whether the channel is on its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Live {
    Yes,
    No,
}

/// The row.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    pub id: ChannelId,
    pub conversation: ConversationId,
    pub server: ServerId,
    pub live: Live,
    pub epoch: u64,
    pub position: Position,
    pub rotate_at_ms: Option<i64>,
    pub reported_day: u32,
    pub received_seq: u64,
    pub seen_seq: u64,
    pub receipted_seq: u64,
    pub receipted_seen_seq: u64,
}

const COLUMNS: &str = "id, conversation, server, live, epoch, seq, head, rotate_at_ms, reported_day, received_seq,
    seen_seq, receipted_seq, receipted_seen_seq";

fn channel(row: &Row<'_>) -> rusqlite::Result<Channel> {
    Ok(Channel {
        id: ChannelId(row.get(0)?),
        conversation: row.get(1)?,
        server: ServerId(row.get(2)?),
        live: if row.get(3)? { Live::Yes } else { Live::No },
        epoch: unsql(row.get(4)?),
        position: Position { seq: unsql(row.get(5)?), head: ChainHead(row.get(6)?) },
        rotate_at_ms: row.get(7)?,
        reported_day: row.get(8)?,
        received_seq: unsql(row.get(9)?),
        seen_seq: unsql(row.get(10)?),
        receipted_seq: unsql(row.get(11)?),
        receipted_seen_seq: unsql(row.get(12)?),
    })
}

/// One channel.
pub(crate) fn find(db: &Connection, id: &ChannelId) -> Result<Option<Channel>, EngineError> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM channels WHERE id = ?"))?;
    Ok(statement.query_row(params![id.0], channel).optional()?)
}

/// Those of one server.
pub(crate) fn of_server(db: &Connection, server: ServerId) -> Result<Vec<ChannelId>, EngineError> {
    let mut statement = db.prepare_cached("SELECT id FROM channels WHERE server = ? AND live = 1")?;
    let rows = statement.query_map(params![server.0], |row| Ok(ChannelId(row.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The logs of a conversation that have no successor: two where both sides founded it at the same time.
pub(crate) fn logs(db: &Connection, conversation: &ConversationId) -> Result<Vec<Channel>, EngineError> {
    let sql = format!("SELECT {COLUMNS} FROM channels WHERE conversation = ? AND successor IS NULL");
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params![conversation], channel)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The channel in which a conversation goes on that has left this one; `None`: it has not.
pub(crate) fn current_successor(db: &Connection, id: ChannelId) -> Result<Option<ChannelId>, EngineError> {
    let found: Option<[u8; 32]> = db
        .prepare_cached(
            "WITH RECURSIVE later (id) AS (
                 SELECT successor FROM channels WHERE id = ?
                 UNION SELECT c.successor FROM channels c JOIN later l ON c.id = l.id)
             SELECT l.id FROM later l WHERE l.id IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM channels c WHERE c.id = l.id AND c.successor IS NOT NULL)",
        )?
        .query_row(params![id.0], |row| row.get(0))
        .optional()?;
    Ok(found.map(ChannelId))
}

/// Writes a new channel down, with the place from which this device reads it.
pub(crate) fn insert(
    context: &mut Context<'_>,
    id: ChannelId,
    conversation: ConversationId,
    server: ServerId,
    epoch: u64,
    anchor: Position,
    live: Live,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            "INSERT INTO channels (id, conversation, server, suite, live, epoch, seq, head, reported_day)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            id.0,
            conversation,
            server.0,
            SUITE,
            live == Live::Yes,
            sql(epoch),
            sql(anchor.seq),
            anchor.head.0,
            context.now.day()
        ])?;
    note_head(context, id, anchor)
}

/// The channel is on its server.
pub(crate) fn set_live(context: &Context<'_>, id: ChannelId) -> Result<(), EngineError> {
    context.db.prepare_cached("UPDATE channels SET live = 1 WHERE id = ?")?.execute(params![id.0])?;
    Ok(())
}

/// Moves the cursor.
pub(super) fn set_position(context: &Context<'_>, id: ChannelId, position: Position) -> Result<(), EngineError> {
    context.db.prepare_cached("UPDATE channels SET seq = ?, head = ? WHERE id = ?")?.execute(params![
        sql(position.seq),
        position.head.0,
        id.0
    ])?;
    note_head(context, id, position)
}

fn note_head(context: &Context<'_>, id: ChannelId, position: Position) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("INSERT OR REPLACE INTO chain (channel, seq, head) VALUES (?, ?, ?)")?
        .execute(params![id.0, sql(position.seq), position.head.0])?;
    Ok(())
}

/// The channel is read from here on.
pub(crate) fn anchor(context: &Context<'_>, id: ChannelId, position: Position) -> Result<(), EngineError> {
    set_position(context, id, position)
}

/// The head after an entry, if this device computed it.
pub(crate) fn head_at(db: &Connection, id: &ChannelId, seq: u64) -> Result<Option<ChainHead>, EngineError> {
    let mut statement = db.prepare_cached("SELECT head FROM chain WHERE channel = ? AND seq = ?")?;
    Ok(statement.query_row(params![id.0, sql(seq)], |row| Ok(ChainHead(row.get(0)?))).optional()?)
}

/// The entry behind which this device began to read.
pub(crate) fn entered_at(db: &Connection, id: &ChannelId) -> Result<u64, EngineError> {
    let mut statement = db.prepare_cached("SELECT MIN(seq) FROM chain WHERE channel = ?")?;
    let seq: Option<i64> = statement.query_row(params![id.0], |row| row.get(0))?;
    Ok(seq.map_or(0, unsql))
}

/// Writes the epoch that the group is in, with its authenticator.
pub(crate) fn note_epoch(context: &Context<'_>, id: ChannelId, group: &Group) -> Result<(), EngineError> {
    let epoch = group.epoch();
    context.db.prepare_cached("UPDATE channels SET epoch = ? WHERE id = ?")?.execute(params![sql(epoch), id.0])?;
    context
        .db
        .prepare_cached("INSERT OR REPLACE INTO epochs (channel, epoch, authenticator) VALUES (?, ?, ?)")?
        .execute(params![id.0, sql(epoch), group.epoch_authenticator()?.0])?;
    context
        .db
        .prepare_cached("DELETE FROM epochs WHERE channel = ? AND epoch < ?")?
        .execute(params![id.0, sql(epoch.saturating_sub(EPOCHS_KEPT))])?;
    Ok(())
}

/// The authenticator of an epoch that this device was in.
pub(crate) fn authenticator_at(db: &Connection, id: &ChannelId, epoch: u64) -> Result<Option<[u8; 32]>, EngineError> {
    let mut statement = db.prepare_cached("SELECT authenticator FROM epochs WHERE channel = ? AND epoch = ?")?;
    Ok(statement.query_row(params![id.0, sql(epoch)], |row| row.get(0)).optional()?)
}

/// When this device renews its leaf's keys next.
pub(crate) fn set_rotation(context: &Context<'_>, id: ChannelId, at_ms: Option<i64>) -> Result<(), EngineError> {
    context.db.prepare_cached("UPDATE channels SET rotate_at_ms = ? WHERE id = ?")?.execute(params![at_ms, id.0])?;
    Ok(())
}

/// Notes how to reach a member's device outside the group.
pub(crate) fn add_to_roster(
    context: &Context<'_>,
    id: ChannelId,
    address: &AccountAddress,
    server: Option<ServerId>,
    record: &DeviceRecord,
    token: &DeliveryToken,
) -> Result<(), EngineError> {
    unheard::done(context, &id, &record.certificate.device)?;
    let device = (record.certificate.device, record.inbox_key.as_slice(), Some(record));
    note_in_roster(context, id, address, server, device, token)
}

/// As [`add_to_roster`], of a device that was just added.
pub(crate) fn add_recipient(context: &Context<'_>, id: ChannelId, new: &Recipient) -> Result<(), EngineError> {
    note_in_roster(context, id, &new.address, Some(new.server), (new.device, &new.inbox_key, None), &new.token)
}

fn note_in_roster(
    context: &Context<'_>,
    id: ChannelId,
    address: &AccountAddress,
    server: Option<ServerId>,
    (device, inbox_key, record): (DeviceId, &[u8], Option<&DeviceRecord>),
    token: &DeliveryToken,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            // What the device has shown of itself is good still where its adder did not show it.
            "INSERT INTO roster (channel, address, device, server, inbox_key, token, record)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (channel, device) DO UPDATE SET address = ?2, server = ?4,
             inbox_key = ?5, token = ?6, record = COALESCE(?7, CASE WHEN inbox_key = ?5 THEN record END)",
        )?
        .execute(params![
            id.0,
            address.to_string(),
            device.0,
            server.map(|server| server.0),
            inbox_key,
            token.0,
            record.map(to_store)
        ])?;
    Ok(())
}

/// A device is no member any more.
pub(crate) fn remove_from_roster(context: &Context<'_>, id: ChannelId, device: &DeviceId) -> Result<(), EngineError> {
    let mut statement = context.db.prepare_cached("DELETE FROM roster WHERE channel = ? AND device = ?")?;
    statement.execute(params![id.0, device.0])?;
    unheard::done(context, &id, device)
}

/// Everybody else's devices.
pub(crate) fn roster(db: &Connection, id: &ChannelId) -> Result<Vec<Recipient>, EngineError> {
    let mut statement = db.prepare_cached(
        "SELECT address, device, server, inbox_key, token FROM roster WHERE channel = ? AND server IS NOT NULL",
    )?;
    let rows = statement.query_map(params![id.0], recipient)?;
    rows.map(|row| parse_recipient(row?)).collect()
}

/// The same with those devices of members that have not been heard in this channel, as they are reached in another; without
/// those that their account has revoked.
pub(crate) fn reachable(db: &Connection, row: &Channel) -> Result<Vec<Recipient>, EngineError> {
    let mut statement = db.prepare_cached(
        "SELECT r.address, r.device, r.server, r.inbox_key, r.token
         FROM roster r JOIN members m ON m.conversation = ?2 AND m.address = r.address
         WHERE r.server IS NOT NULL AND r.channel <> ?1
         AND NOT EXISTS (SELECT 1 FROM roster o WHERE o.channel = ?1 AND o.device = r.device)
         GROUP BY r.device ORDER BY r.device",
    )?;
    let rows = statement.query_map(params![row.id.0, row.conversation], recipient)?;
    let elsewhere = rows.map(|row| parse_recipient(row?)).collect::<Result<Vec<_>, EngineError>>()?;
    let mut reachable = Vec::new();
    for one in roster(db, &row.id)?.into_iter().chain(elsewhere) {
        if !contact::keys::is_revoked(db, &one.address, &one.device)? {
            reachable.push(one);
        }
    }
    Ok(reachable)
}

type RecipientRow = (String, [u8; 16], i64, Vec<u8>, [u8; 32]);

fn recipient(row: &Row<'_>) -> rusqlite::Result<RecipientRow> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn parse_recipient((address, device, server, inbox_key, token): RecipientRow) -> Result<Recipient, EngineError> {
    Ok(Recipient {
        address: address.parse().map_err(|_| EngineError::Damaged { what: "address" })?,
        device: DeviceId(device),
        server: ServerId(server),
        inbox_key: inbox_key.into(),
        token: DeliveryToken(token),
    })
}

/// The tokens that somebody's devices have told anywhere, in the conversation of two first.
pub(crate) fn tokens_of(
    db: &Connection,
    address: &AccountAddress,
) -> Result<Vec<(DeviceId, DeliveryToken)>, EngineError> {
    let mut statement = db.prepare_cached(
        "SELECT r.device, r.token FROM roster r JOIN channels c ON c.id = r.channel
         JOIN conversations v ON v.id = c.conversation WHERE r.address = ?1 ORDER BY v.peer IS ?1 DESC, r.channel, r.device",
    )?;
    let rows = statement
        .query_map(params![address.to_string()], |row| Ok((DeviceId(row.get(0)?), DeliveryToken(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How somebody's devices are reached, as far as they have shown it themselves.
pub(crate) fn ways_to(
    db: &Connection,
    id: &ChannelId,
    address: &AccountAddress,
) -> Result<Vec<(ServerId, DeliveryToken, DeviceRecord)>, EngineError> {
    let mut statement = db.prepare_cached(
        "SELECT server, token, record FROM roster
         WHERE channel = ? AND address = ? AND server IS NOT NULL AND record IS NOT NULL ORDER BY device",
    )?;
    let rows = statement.query_map(params![id.0, address.to_string()], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?, row.get::<_, Vec<u8>>(2)?))
    })?;
    rows.map(|row| {
        let (server, token, record) = row?;
        Ok((ServerId(server), DeliveryToken(token), stored(&record, "device record")?))
    })
    .collect()
}

/// Where both sides founded the conversation at the same time, both use the channel with the lowest id. One that has a
/// successor is not used any more.
pub(crate) fn choose_current(
    heart: &mut Heart,
    context: &mut Context<'_>,
    conversation: ConversationId,
) -> Result<(), EngineError> {
    let lowest: Option<[u8; 32]> = context
        .db
        .prepare_cached("SELECT MIN(id) FROM channels WHERE conversation = ? AND live = 1 AND successor IS NULL")?
        .query_row(params![conversation], |row| row.get(0))?;
    match lowest {
        Some(id) => {
            own_log::moved(context, &conversation, &ChannelId(id))?;
            conversation::set_channel(context, conversation, ChannelId(id))?;
            // What was queued goes out there, whichever moved.
            heart.stirred.insert(ChannelId(id));
            heal::show(context, conversation)
        }
        None => Ok(()),
    }
}
