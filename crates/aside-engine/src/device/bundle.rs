//! What a device is given of what another one holds: everything that devices keep alike, and the history of each
//! conversation up to the place where its own reading begins (P-7.5). Rows of `exports` are worked off letter by letter,
//! so that neither a crash nor a long history matters.

use super::rows::{self, Existing, Rows, Value};
use super::sync::{self, Chat, Item};
use super::{DeviceLetter, accept, order, own_log, row};
use crate::Heart;
use crate::account::Identity;
use crate::channel::{self, Channel};
use crate::content::MessageId;
use crate::context::{Context, sql, to_store};
use crate::conversation::ConversationId;
use crate::error::EngineError;
use crate::heal;
use crate::inbox;
use crate::inbox::welcome::Recipient;
use crate::input::{Change, ServerId};
use crate::server;
use crate::timeline;
use aside_protocol::address::AccountAddress;
use aside_protocol::id::{ChannelId, DeviceId};
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::link::ServerPin;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use rusqlite::{Connection, params};

/// Bytes of rows in one letter: with its padding it stays below an envelope's limit.
const PART_BYTES_MAX: usize = 160 * 1024;
/// Rows of one letter.
const PART_ROWS_MAX: i64 = 500;
/// Where a device begins to count what it has read, when it is given a history: below every place in it.
const NOTHING_READ: i64 = -(1 << 50);

/// One letter's worth.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) enum Part {
    /// What devices keep alike, as of a place in their own channel's log.
    #[n(0)]
    All {
        #[n(0)]
        items: Vec<Item>,
        #[n(1)]
        through_seq: u64,
        #[n(2)]
        is_last: bool,
    },
    /// Some of what was said in a conversation.
    #[n(1)]
    History(#[n(0)] Box<History>),
}

/// Messages with their places, which count down from the place where the receiver's own reading begins.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct History {
    #[n(0)]
    chat: Chat,
    #[n(1)]
    channel: ChannelId,
    #[n(2)]
    roster: Vec<Reachable>,
    #[n(3)]
    messages: Rows,
    #[n(4)]
    reactions: Rows,
    /// With the last letter: edits, deletions and reactions of that log whose messages the giver does not have. The receiver
    /// may have them, by another log.
    #[n(5)]
    changes: Option<Rows>,
}

/// How a member's device is reached outside the group.
#[derive(Debug, Clone, Encode, Decode)]
struct Reachable {
    #[n(0)]
    address: AccountAddress,
    #[n(1)]
    device: DeviceId,
    #[n(2)]
    server: ServerPin,
    #[n(3)]
    inbox_key: ByteVec,
    #[n(4)]
    token: DeliveryToken,
}

/// Notes that a device is to be given everything that devices keep alike.
pub(crate) fn owe_snapshot(context: &mut Context<'_>, device: &DeviceId) -> Result<(), EngineError> {
    context.db.execute(
        "INSERT INTO exports (device) SELECT ?1 WHERE NOT EXISTS
         (SELECT 1 FROM exports WHERE device = ?1 AND conversation IS NULL)",
        params![device.0],
    )?;
    Ok(())
}

/// A device of this account was added to a conversation, and reads it from behind `cut_seq`: what was said up to there is
/// owed to it. In the devices' own conversation that is everything that devices keep alike.
pub(crate) fn owe(
    context: &mut Context<'_>,
    device: &DeviceId,
    conversation: ConversationId,
    (channel, cut_seq): (ChannelId, u64),
) -> Result<(), EngineError> {
    if own_log::is_it(context.db, &conversation)? {
        return owe_snapshot(context, device);
    }
    context
        .db
        .prepare_cached("INSERT INTO exports (device, conversation, channel, cut_seq) VALUES (?, ?, ?, ?)")?
        .execute(params![device.0, conversation, channel.0, sql(cut_seq)])?;
    Ok(())
}

/// Whether it is for this device to give another one the history of what it enters: it linked it, or whoever did is out or
/// not known. Only one gives it, so that what was said stands in one order.
pub(crate) fn is_giver(db: &Connection, identity: &Identity, device: &DeviceId) -> Result<bool, EngineError> {
    let linker = row::find(db, device)?.and_then(|device| device.linked_by);
    match linker {
        Some(linker) if linker != identity.device() => {
            Ok(row::find(db, &linker)?.is_none_or(|linker| linker.revoked_ms.is_some()))
        }
        _ => Ok(true),
    }
}

/// Whether this device linked it.
pub(super) fn is_promised(db: &Connection, identity: &Identity, device: &DeviceId) -> Result<bool, EngineError> {
    Ok(row::find(db, device)?.is_some_and(|device| device.linked_by == Some(identity.device())))
}

/// Somebody else let devices into a conversation: those that this one linked get from it what was promised to them, for
/// whoever let them in may have less, or be another person.
pub(crate) fn owe_promised(
    heart: &Heart,
    context: &mut Context<'_>,
    row: &Channel,
    seq: u64,
    devices: impl IntoIterator<Item = DeviceId>,
) -> Result<(), EngineError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    for device in devices {
        if is_promised(context.db, identity, &device)? {
            owe(context, &device, row.conversation, (row.id, seq))?;
        }
    }
    Ok(())
}

/// What was said in conversations that this person is out of: no device is added there, and none reads on.
pub(crate) fn owe_ended(context: &mut Context<'_>, device: &DeviceId) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            "INSERT INTO exports (device, conversation, channel)
             SELECT ?, id, zeroblob(32) FROM conversations WHERE kind <> 2 AND state IN (4, 5, 6)",
        )?
        .execute(params![device.0])?;
    Ok(())
}

/// What is owed to a device next.
struct Owed {
    place: i64,
    device: DeviceId,
    conversation: Option<ConversationId>,
    channel: ChannelId,
    cut_seq: i64,
    /// The place from which places count down; absent before the first letter.
    base: Option<i64>,
    /// What is behind this place was sent.
    below: i64,
}

/// Sends the next letter to each device that is owed something and has got the one before.
pub(crate) fn send(heart: &mut Heart, context: &mut Context<'_>) -> Result<(), EngineError> {
    let mut statement = context.db.prepare_cached(
        "SELECT place, device, conversation, channel, cut_seq, base, below FROM exports e
         WHERE place = (SELECT MIN(place) FROM exports WHERE device = e.device)
         AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = e.job)",
    )?;
    let owed = statement
        .query_map([], |row| {
            Ok(Owed {
                place: row.get(0)?,
                device: DeviceId(row.get(1)?),
                conversation: row.get(2)?,
                channel: ChannelId(row.get::<_, Option<[u8; 32]>>(3)?.unwrap_or_default()),
                cut_seq: row.get(4)?,
                base: row.get(5)?,
                below: row.get(6)?,
            })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    drop(statement);
    for owed in owed {
        let (Some(identity), Some(device)) = (&heart.identity, row::find(context.db, &owed.device)?) else { continue };
        if device.revoked_ms.is_some() {
            context.db.execute("DELETE FROM exports WHERE device = ?", params![device.id.0])?;
            continue;
        }
        let to = super::recipient(identity, &device.record);
        match owed.conversation {
            None => send_all(heart, context, identity, &to, owed.place)?,
            Some(id) => send_history(heart, context, identity, &to, (&owed, id, device.history_from_ms))?,
        }
    }
    Ok(())
}

fn send_all(
    heart: &Heart,
    context: &mut Context<'_>,
    identity: &Identity,
    to: &Recipient,
    place: i64,
) -> Result<(), EngineError> {
    let own = own_log::find(context.db)?.and_then(|own| own.channel);
    let through_seq = match own {
        Some(id) => channel::find(context.db, &id)?.map_or(0, |row| row.position.seq),
        None => 0,
    };
    let mut items = sync::all(context.db)?;
    loop {
        let mut bytes = 0_usize;
        let fits = items.iter().take_while(|item| {
            bytes = bytes.saturating_add(to_store(*item).len());
            bytes <= PART_BYTES_MAX
        });
        let count = fits.count().max(1).min(items.len());
        let rest = items.split_off(count);
        let part = Part::All { items, through_seq, is_last: rest.is_empty() };
        inbox::send_to_device(heart, context, identity, to, DeviceLetter::Part(Box::new(part)))?;
        items = rest;
        if items.is_empty() {
            break;
        }
    }
    context.db.execute("DELETE FROM exports WHERE place = ?", params![place])?;
    Ok(())
}

/// One letter of a conversation's history, the newest first.
fn send_history(
    heart: &Heart,
    context: &mut Context<'_>,
    identity: &Identity,
    to: &Recipient,
    (owed, id, from_ms): (&Owed, ConversationId, Option<i64>),
) -> Result<(), EngineError> {
    let Some(chat) = sync::chat(context.db, &id)? else {
        context.db.execute("DELETE FROM exports WHERE place = ?", params![owed.place])?;
        return Ok(());
    };
    // What came behind the cut the device reads for itself, and so it does in another log that it was let into: of that it
    // reads more than it is given, which would stand in another order. What is not in the log yet will be.
    let is_owed = "conversation = ?1 AND position < ?2 AND failure IS NULL AND sent_ms >= ?3
                   AND (channel IS NULL OR channel <> ?4 OR seq <= ?5)
                   AND (channel = ?4 OR NOT EXISTS (SELECT 1 FROM unheard u WHERE u.channel = messages.channel
                                                    AND u.device = ?6 AND messages.seq > u.since_seq))";
    let (below, from) = (owed.below.min(timeline::QUEUED_POSITION), from_ms.unwrap_or(i64::MAX));
    let values = params![id, below, from, owed.channel.0, owed.cut_seq, to.device.0];
    let condition = format!("{is_owed} ORDER BY position DESC LIMIT {PART_ROWS_MAX}");
    let mut messages = rows::read(context.db, "messages", &["conversation"], &condition, values)?;
    messages.cut(PART_BYTES_MAX);
    let places = messages.column("position").into_iter().filter_map(|value| match value {
        Value::Integer(position) => Some(position),
        _ => None,
    });
    let places: Vec<i64> = places.collect();
    let (last, first) = (places.last().copied().unwrap_or(0), places.first().copied().unwrap_or(0));
    let base = owed.base.unwrap_or_else(|| first.saturating_add(1));
    let condition = "message IN (SELECT id FROM messages WHERE conversation = ? AND position BETWEEN ? AND ?)";
    let reactions = match messages.is_empty() {
        true => Rows::default(),
        false => rows::read(context.db, "reactions", &[], condition, params![id, last, first])?,
    };
    messages.shift("position", base.saturating_neg());
    let is_last = messages.is_empty();
    let is_first = owed.base.is_none();
    let roster = if is_first { reachable(context, &owed.channel)? } else { Vec::new() };
    let changes = if is_last { Some(changes_of_others(context, owed)?).filter(|rows| !rows.is_empty()) } else { None };
    if is_first || !is_last || changes.is_some() {
        let history = History { chat, channel: owed.channel, roster, messages, reactions, changes };
        let part = DeviceLetter::Part(Box::new(Part::History(Box::new(history))));
        inbox::send_to_device(heart, context, identity, to, part)?;
    }
    match is_last {
        true => context.db.execute("DELETE FROM exports WHERE place = ?", params![owed.place])?,
        false => context.db.execute(
            "UPDATE exports SET base = ?, below = ?, job = ? WHERE place = ?",
            params![base, last, context.db.last_insert_rowid(), owed.place],
        )?,
    };
    Ok(())
}

/// What was changed, up to the cut, of messages that this device does not have.
fn changes_of_others(context: &Context<'_>, owed: &Owed) -> Result<Rows, EngineError> {
    let condition = format!(
        "channel = ?1 AND seq <= ?2 AND target IS NOT NULL AND body IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM messages WHERE messages.id = target) ORDER BY seq DESC LIMIT {PART_ROWS_MAX}"
    );
    let mut changes = rows::read(context.db, "contents", &[], &condition, params![owed.channel.0, owed.cut_seq])?;
    if !changes.is_empty() {
        changes.cut(PART_BYTES_MAX);
    }
    Ok(changes)
}

fn reachable(context: &Context<'_>, channel: &ChannelId) -> Result<Vec<Reachable>, EngineError> {
    let roster = channel::roster(context.db, channel)?;
    let of = |member: Recipient| {
        Ok(Reachable {
            address: member.address,
            device: member.device,
            server: server::pin(context.db, member.server)?,
            inbox_key: member.inbox_key,
            token: member.token,
        })
    };
    roster.into_iter().map(of).collect()
}

/// A part came from another device of this account.
pub(crate) fn take(heart: &mut Heart, context: &mut Context<'_>, part: Part) -> Result<(), EngineError> {
    match part {
        Part::All { items, through_seq, is_last } => {
            for item in &items {
                sync::take_as_of(heart, context, through_seq, item)?;
            }
            if is_last { accept::done(context) } else { Ok(()) }
        }
        Part::History(history) => take_history(heart, context, &history),
    }
}

fn take_history(heart: &mut Heart, context: &mut Context<'_>, history: &History) -> Result<(), EngineError> {
    let id = history.chat.id;
    sync::quietly(context, &id, |context| write_history(heart, context, history))?;
    context.changed(Change::Conversation(id));
    inbox::early::channel_is_named(heart, context, &history.channel, id)
}

fn write_history(heart: &mut Heart, context: &mut Context<'_>, history: &History) -> Result<(), EngineError> {
    let id = history.chat.id;
    sync::apply_chat(heart, context, &history.chat)?;
    context.db.execute(
        "UPDATE conversations SET read_position = ? WHERE id = ? AND read_position = 0",
        params![NOTHING_READ, id],
    )?;
    let own = [("conversation", Value::Blob(id.0.to_vec().into()))];
    let said = without_what_comes(context, &history.messages)?;
    let given = places(&said);
    let messages: Vec<MessageId> = given.iter().map(|(message, _)| *message).collect();
    let before = order::Before::of(context, id, &messages)?;
    rows::write(context.db, "messages", &["conversation"], &said, &own, Existing::Keep)?;
    before.settle(context, &given)?;
    sync::follow_cursor(context, id, &messages)?;
    rows::write(context.db, "reactions", &[], &history.reactions, &[], Existing::Keep)?;
    take_changes(context, id, &said)?;
    for message in messages {
        channel::receive::take_once(context, &message.0)?;
        timeline::catch_up(context, &message)?;
        // The conversation may be on the screen already.
        context.changed(Change::Message(message));
    }
    if let Some(changes) = &history.changes {
        heal::content::given(context, changes)?;
    }
    for member in &history.roster {
        let known = server::find_pin(context.db, &member.server)?;
        let server = known.map_or_else(|| server::remember(context, &member.server), Ok)?;
        add_to_roster(context, &history.channel, member, server)?;
    }
    into_kept_places(context, id)?;
    // Read cursors point at messages, which are here by now.
    sync::apply_chat(heart, context, &history.chat)
}

/// What is given without what this device comes to by itself, in a log that it reads already: of a conversation with two
/// logs a history tells both as far as the giver has read them. It would stand above what this device has read before it. What
/// was changed since is taken all the same, for that may stand in the other log.
fn without_what_comes(context: &Context<'_>, messages: &Rows) -> Result<Rows, EngineError> {
    let columns = ["channel", "seq", "edited", "deleted"].map(|name| messages.column(name));
    let [channels, seqs, edited, deleted] = columns;
    let mut reads = context
        .db
        .prepare_cached("SELECT 1 FROM channels WHERE id = ? AND seq < ? AND live = 1 AND successor IS NULL")?;
    let mut is_kept = Vec::new();
    for ((channel, seq), changes) in channels.into_iter().zip(seqs).zip(edited.into_iter().zip(deleted)) {
        let is_unchanged = matches!(changes, (Value::Integer(0), Value::Integer(0)));
        is_kept.push(!(is_unchanged && reads.exists(params![channel, seq])?));
    }
    let mut kept = messages.clone();
    kept.retain(&is_kept);
    Ok(kept)
}

/// The messages of a letter with the places that their giver counted, the oldest first.
fn places(messages: &Rows) -> Vec<(MessageId, i64)> {
    let rows = messages.column("id").into_iter().zip(messages.column("position"));
    let mut places: Vec<(MessageId, i64)> = rows
        .filter_map(|row| match row {
            (Value::Blob(bytes), Value::Integer(position)) => {
                Some((MessageId(<[u8; 32]>::try_from(bytes.as_slice()).ok()?), position))
            }
            _ => None,
        })
        .collect();
    places.sort_by_key(|(_, position)| *position);
    places
}

/// Messages that are here already may have been edited or taken back where this device was not in: in the other one of two
/// logs, or before it was. Of edits in two logs the later one stands, by their author's clock.
fn take_changes(context: &Context<'_>, id: ConversationId, messages: &Rows) -> Result<(), EngineError> {
    let columns = ["id", "text", "edited", "deleted"].map(|name| messages.column(name));
    let [ids, texts, edited, deleted] = columns;
    let rows = ids.into_iter().zip(texts).zip(edited.into_iter().zip(deleted));
    for ((message, text), changes) in rows {
        let is = "WHERE id = ? AND conversation = ? AND deleted = 0";
        match changes {
            (_, Value::Integer(1)) => {
                let sql = format!("UPDATE messages SET text = '', deleted = 1, edited = 0 {is}");
                context.db.prepare_cached(&sql)?.execute(params![message, id])?;
            }
            (Value::Integer(edited_ms @ 1..), _) => {
                let sql = format!("UPDATE messages SET text = ?, edited = ? {is} AND edited < ?2");
                context.db.prepare_cached(&sql)?.execute(params![text, edited_ms, message, id])?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// A restored device has what was said before its backup, and keeps places free for what came between that and its
/// return. What a history brings of it belongs there, and not above the backup; a note stands behind what it stood behind.
pub(crate) fn into_kept_places(context: &Context<'_>, id: ConversationId) -> Result<(), EngineError> {
    let mut statement = context.db.prepare_cached(
        "SELECT m.id, m.seq, (SELECT g.position + m.seq - g.from_seq FROM gaps g
                              WHERE g.channel = m.channel AND m.seq BETWEEN g.from_seq AND g.to_seq)
         FROM messages m WHERE m.conversation = ?1 AND m.position < 0
         AND EXISTS (SELECT 1 FROM gaps g WHERE g.conversation = ?1) ORDER BY m.position",
    )?;
    let rows = statement
        .query_map(params![id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<Vec<(MessageId, Option<i64>, Option<i64>)>, _>>()?;
    drop(statement);
    let mut place = context.db.prepare_cached("UPDATE messages SET position = ? WHERE id = ?")?;
    let mut taken = context.db.prepare_cached("SELECT 1 FROM messages WHERE conversation = ? AND position = ?")?;
    let mut before = None;
    for (message, seq, kept) in rows {
        before = match (seq, kept, before) {
            (_, Some(kept), _) => Some(kept),
            // What led to a note has a place of its own in the log, mostly.
            (None, None, Some(before)) => {
                let behind = i64::saturating_add(before, 1);
                (!taken.exists(params![id, behind])?).then_some(behind)
            }
            _ => None,
        };
        if let Some(position) = before {
            place.execute(params![position, message])?;
        }
    }
    Ok(())
}

/// What this device knows by itself is newer.
fn add_to_roster(
    context: &Context<'_>,
    channel: &ChannelId,
    member: &Reachable,
    server: ServerId,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            "INSERT OR IGNORE INTO roster (channel, address, device, server, inbox_key, token) VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            channel.0,
            member.address.to_string(),
            member.device.0,
            server.0,
            member.inbox_key.to_vec(),
            member.token.0
        ])?;
    Ok(())
}
