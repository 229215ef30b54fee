//! What keeps a person's devices alike: contacts, settings, links, names of devices, how far was read, which chats were
//! deleted or accepted. Each change is an item in the log of the devices' own channel, and the log's order decides
//! (P-7.6, P-7.7).
//!
//! The schema's triggers note in `unsynced` what a person changed here, whatever did it; nothing else has to know of other
//! devices. An item that is not in the log yet will come behind everything that was read: what others say of the same
//! thing meanwhile is passed over.

use super::row;
use super::rows::{self, Existing, Rows, Value};
use super::{accept, own_log};
use crate::Heart;
use crate::channel::{Channel, outbox};
use crate::contact;
use crate::content::MessageId;
use crate::content::mimi::MimiContent;
use crate::content::{Content, OWN_BYTES_MAX};
use crate::context::{Context, sql, stored, to_store, unsql};
use crate::conversation::{self, ConversationId, State};
use crate::error::EngineError;
use crate::inbox::early;
use crate::inbox::welcome;
use crate::input::{Change, ServerId};
use crate::server;
use aside_protocol::address::AccountAddress;
use aside_protocol::id::ChannelId;
use aside_protocol::link::ServerPin;
use minicbor::{Decode, Encode};
use rusqlite::{Connection, OptionalExtension, params};

/// A place in a channel's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Cursor {
    #[n(0)]
    pub channel: ChannelId,
    #[n(1)]
    pub seq: u64,
}

/// How somebody came to be out of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Out {
    /// By themselves.
    #[n(0)]
    pub has_left: bool,
    /// As the person reads it.
    #[n(1)]
    pub words: String,
}

/// What devices tell each other of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Chat {
    #[n(0)]
    pub id: ConversationId,
    /// Absent in groups.
    #[n(1)]
    pub peer: Option<AccountAddress>,
    #[n(2)]
    pub title: String,
    #[n(3)]
    pub updated_ms: i64,
    /// How far the person has read.
    #[n(4)]
    pub read: Vec<Cursor>,
    /// How far the person has deleted what was said.
    #[n(5)]
    pub cleared: Vec<Cursor>,
    /// A device that was never in it learns from this that it never will be.
    #[n(6)]
    pub out: Option<Out>,
    /// The channel that a group is in: whoever hears of the group before its Welcome comes follows that one only.
    #[n(7)]
    pub channel: Option<ChannelId>,
}

/// One thing as it is. Neither row nor chat: it is gone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Item {
    /// As the triggers write it: table, colon, key.
    #[n(0)]
    pub key: String,
    #[n(1)]
    pub row: Option<Rows>,
    /// The server that the row names.
    #[n(2)]
    pub server: Option<ServerPin>,
    #[n(3)]
    pub chat: Option<Chat>,
}

/// A table whose rows are the same on all devices.
struct Shared {
    name: &'static str,
    /// The key's column, and how the key's text is made of it.
    key: &'static str,
    text: &'static str,
    /// What is each device's own.
    except: &'static [&'static str],
}

const SHARED: [Shared; 7] = [
    Shared { name: "contacts", key: "address", text: "address", except: &["server"] },
    Shared { name: "contact_links", key: "secret", text: "hex(secret)", except: &[] },
    Shared { name: "devices", key: "device", text: "hex(device)", except: &[] },
    Shared { name: "blocked", key: "address", text: "address", except: &[] },
    Shared { name: "own_tokens", key: "whose", text: "whose", except: &[] },
    Shared { name: "people", key: "address, root_key", text: "address || '/' || hex(root_key)", except: &[] },
    Shared { name: "settings", key: "only_row", text: "only_row", except: &[] },
];

/// Queues what was changed here and not told yet. With one device there is nobody to tell.
pub(crate) fn send(heart: &mut Heart, context: &mut Context<'_>) -> Result<(), EngineError> {
    let mut statement = context.db.prepare_cached("SELECT item FROM unsynced WHERE changed = 1 LIMIT 64")?;
    let keys = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    drop(statement);
    if keys.is_empty() {
        return Ok(());
    }
    let Some(own) = own_log::find(context.db)? else {
        return wait(heart, context);
    };
    let mut batch: Vec<Item> = Vec::new();
    for key in keys {
        context
            .db
            .prepare_cached("UPDATE unsynced SET changed = 0, in_flight = in_flight + 1 WHERE item = ?")?
            .execute(params![key])?;
        batch.push(item(context.db, &key)?);
        if to_store(&batch).len() > OWN_BYTES_MAX / 2 {
            queue(context, own.id, &batch)?;
            batch.clear();
        }
    }
    if !batch.is_empty() {
        queue(context, own.id, &batch)?;
    }
    heart.stirred.extend(own.channel);
    Ok(())
}

/// Before there is a channel to tell it in: another device will let this one in, or there is none.
fn wait(heart: &Heart, context: &Context<'_>) -> Result<(), EngineError> {
    let (standing, own) = (row::standing(context.db)?, heart.identity.as_ref().map(|identity| identity.device()));
    let (own, others): (Vec<_>, Vec<_>) = standing.into_iter().partition(|device| Some(device.id) == own);
    if accept::is_under_way(context.db)? {
        // What else was written down is not a person's doing: the rest of what the others have is on its way. How far was
        // read only grows; and of a device that this one has linked meanwhile nobody else can tell.
        let linker = heart.identity.as_ref().map(|identity| identity.device().0);
        context.db.execute(
            "DELETE FROM unsynced WHERE in_flight = 0 AND item NOT LIKE 'chats:%'
             AND item NOT IN (SELECT 'devices:' || hex(device) FROM devices WHERE linked_by = ?)",
            params![linker],
        )?;
        return Ok(());
    }
    match own.is_empty() || others.is_empty() {
        true => settled(context),
        false => Ok(()),
    }
}

fn queue(context: &mut Context<'_>, own: ConversationId, batch: &Vec<Item>) -> Result<(), EngineError> {
    outbox::queue(context, own, &Content::Own(to_store(batch)), |_| None)
}

/// Nothing that was changed up to here is to be told.
pub(crate) fn settled(context: &Context<'_>) -> Result<(), EngineError> {
    context.db.execute("DELETE FROM unsynced WHERE in_flight = 0", [])?;
    Ok(())
}

/// A thing as it is now.
fn item(db: &Connection, key: &str) -> Result<Item, EngineError> {
    let mut item = Item { key: key.to_owned(), row: None, server: None, chat: None };
    let Some((table, id)) = key.split_once(':') else { return Ok(item) };
    if table == "chats" {
        item.chat = crate::id::from_hex(&id.to_lowercase()).map(ConversationId).map_or(Ok(None), |id| chat(db, &id))?;
        return Ok(item);
    }
    let Some(shared) = SHARED.iter().find(|shared| shared.name == table) else { return Ok(item) };
    let row = rows::read(db, shared.name, shared.except, &format!("{} = ?", shared.text), params![id])?;
    if table == "contacts" {
        let server: Option<Option<i64>> = db
            .prepare_cached("SELECT server FROM contacts WHERE address = ?")?
            .query_row(params![id], |row| row.get(0))
            .optional()?;
        item.server = server.flatten().map(|id| server::pin(db, ServerId(id))).transpose()?;
    }
    item.row = (!row.is_empty()).then_some(row);
    Ok(item)
}

/// A conversation as the other devices shall have it.
pub(crate) fn chat(db: &Connection, id: &ConversationId) -> Result<Option<Chat>, EngineError> {
    let Some(row) = conversation::find(db, id)? else { return Ok(None) };
    let cursor = |row: &rusqlite::Row<'_>| Ok(Cursor { channel: ChannelId(row.get(0)?), seq: unsql(row.get(1)?) });
    let mut statement = db.prepare_cached(
        "SELECT channel, seen_seq, cleared_seq FROM read_cursors WHERE channel IN
         (SELECT id FROM channels WHERE conversation = ?1 UNION SELECT channel FROM messages WHERE conversation = ?1)",
    )?;
    let known = statement
        .query_map(params![id], |row| Ok((ChannelId(row.get(0)?), unsql(row.get(1)?), unsql(row.get(2)?))))?
        .collect::<Result<Vec<_>, _>>()?;
    let mut read: Vec<Cursor> =
        known.iter().map(|(channel, seen, _)| Cursor { channel: *channel, seq: *seen }).collect();
    read.retain(|cursor| cursor.seq > 0);
    let mut cleared: Vec<Cursor> =
        known.iter().map(|(channel, _, cleared)| Cursor { channel: *channel, seq: *cleared }).collect();
    if row.is_hidden {
        let mut statement = db.prepare_cached("SELECT id, seq FROM channels WHERE conversation = ?")?;
        cleared = statement.query_map(params![id], cursor)?.collect::<Result<_, _>>()?;
    }
    cleared.retain(|cursor| cursor.seq > 0);
    let out = row.state.is_out().then(|| Out {
        has_left: row.state != State::Removed,
        words: row.paused.unwrap_or_else(|| "you left the group".to_owned()),
    });
    let channel = row.channel.filter(|_| row.peer.is_none());
    let conversation::Conversation { id, peer, title, updated_ms, .. } = row;
    Ok(Some(Chat { id, peer, title, updated_ms, read, cleared, out, channel }))
}

/// Everything there is to tell, for a device that has seen nothing of it.
pub(crate) fn all(db: &Connection) -> Result<Vec<Item>, EngineError> {
    keys(db)?.iter().map(|key| item(db, key)).collect()
}

/// The keys of everything that the devices keep alike.
pub(super) fn keys(db: &Connection) -> Result<Vec<String>, EngineError> {
    let mut keys = Vec::new();
    for shared in &SHARED {
        let mut statement = db.prepare_cached(&format!("SELECT '{0}:' || {1} FROM {0}", shared.name, shared.text))?;
        keys.extend(statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?);
    }
    let mut statement =
        db.prepare_cached("SELECT 'chats:' || hex(id) FROM conversations WHERE kind <> 2 AND state <> 2")?;
    keys.extend(statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?);
    Ok(keys)
}

/// Another device's items came in the log.
pub(crate) fn take(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    seq: u64,
    bytes: &[u8],
) -> Result<(), EngineError> {
    let is_own = own_log::is_it(context.db, &channel.conversation)?;
    let Ok(batch) = stored::<Vec<Item>>(bytes, "items") else { return Ok(()) };
    if !is_own {
        return Ok(());
    }
    for item in &batch {
        note_seq(context, &item.key, seq)?;
        apply(heart, context, item)?;
    }
    Ok(())
}

/// One's own items came back: they have their place in the log.
pub(crate) fn echoed(
    context: &Context<'_>,
    conversation: ConversationId,
    content: &[u8],
    seq: u64,
) -> Result<(), EngineError> {
    if !own_log::is_it(context.db, &conversation)? {
        return Ok(());
    }
    let content = MimiContent::decode(content).ok().map(|mimi| Content::from_mimi(&mimi));
    let Some(Ok(Content::Own(bytes))) = content else { return Ok(()) };
    for item in stored::<Vec<Item>>(&bytes, "items")? {
        note_seq(context, &item.key, seq)?;
        context
            .db
            .prepare_cached("UPDATE unsynced SET in_flight = MAX(in_flight - 1, 0) WHERE item = ?")?
            .execute(params![item.key])?;
    }
    context.db.execute("DELETE FROM unsynced WHERE in_flight = 0 AND changed = 0", [])?;
    Ok(())
}

fn note_seq(context: &Context<'_>, key: &str, seq: u64) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("INSERT INTO synced (item, seq) VALUES (?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq")?
        .execute(params![key, sql(seq)])?;
    Ok(())
}

/// A thing as it was at a place of the log, told past it: taken unless the log has said something later.
pub(crate) fn take_as_of(
    heart: &mut Heart,
    context: &mut Context<'_>,
    through_seq: u64,
    item: &Item,
) -> Result<(), EngineError> {
    let mut statement = context.db.prepare_cached("SELECT 1 FROM synced WHERE item = ? AND seq > ?")?;
    if statement.exists(params![item.key, sql(through_seq)])? {
        return Ok(());
    }
    drop(statement);
    apply(heart, context, item)
}

fn apply(heart: &mut Heart, context: &mut Context<'_>, item: &Item) -> Result<(), EngineError> {
    let mut statement = context.db.prepare_cached("SELECT 1 FROM unsynced WHERE item = ?")?;
    let is_changed_here = statement.exists(params![item.key])?;
    drop(statement);
    let known = known_device(context.db, &item.key)?;
    match (item.key.split_once(':'), &item.chat) {
        // How far was read and deleted only grows: there is nothing to decide.
        (Some(("chats", _)), Some(chat)) => apply_chat(heart, context, chat)?,
        // The person wrote the words down on another device: they are forgotten here as well.
        (Some(("phrase", _)), _) => {
            context.db.execute("UPDATE account SET phrase_entropy = NULL", [])?;
            heart.recovery.erase = true;
            context.changed(Change::State);
        }
        (Some((table, id)), None) if !is_changed_here => apply_row(heart, context, (table, id), item)?,
        _ => {}
    }
    if !is_changed_here {
        // What the triggers noted was not this device's doing.
        context.db.prepare_cached("DELETE FROM unsynced WHERE item = ?")?.execute(params![item.key])?;
    }
    match known {
        Some(known) => keep_known(context, known),
        None => Ok(()),
    }
}

/// A device as it is known here, if the item is of one.
fn known_device(db: &Connection, key: &str) -> Result<Option<row::Device>, EngineError> {
    let Some(("devices", id)) = key.split_once(':') else { return Ok(None) };
    let Some(id) = row::from_hex(&id.to_lowercase()) else { return Ok(None) };
    row::find(db, &id)
}

/// Whoever told of a device did not know its name, or that it was revoked: what is known stays, and is told.
fn keep_known(context: &mut Context<'_>, before: row::Device) -> Result<(), EngineError> {
    let Some(mut device) = row::find(context.db, &before.id)? else { return Ok(()) };
    let is_unnamed = device.name == row::UNNAMED && before.name != row::UNNAMED;
    let is_older = device.record.certificate.key_set < before.record.certificate.key_set;
    let is_unrevoked = device.revoked_ms.is_none() && before.revoked_ms.is_some();
    if is_older {
        device.record = before.record;
    }
    if is_unrevoked {
        device.revoked_ms = before.revoked_ms;
    }
    if is_unnamed {
        // Nor does it know how the device came to be one.
        let row::Device { name, added_ms, history_from_ms, linked_by, .. } = before;
        device = row::Device { name, added_ms, history_from_ms, linked_by, ..device };
    }
    match is_unnamed || is_older || is_unrevoked {
        true => row::put(context, &device),
        false => Ok(()),
    }
}

fn apply_row(
    heart: &mut Heart,
    context: &mut Context<'_>,
    (table, id): (&str, &str),
    item: &Item,
) -> Result<(), EngineError> {
    let Some(shared) = SHARED.iter().find(|shared| shared.name == table) else { return Ok(()) };
    match &item.row {
        Some(row) => {
            let mut own = Vec::new();
            if let ("contacts", Some(pin)) = (table, &item.server) {
                // A stranger's server is not contacted; anybody else's was by the device that says so.
                let is_stranger = row.first("state") == Some(Value::Integer(contact::State::Stranger as i64));
                let server = match is_stranger {
                    true => server::find_pin(context.db, pin)?,
                    false => Some(server::remember(context, pin)?),
                };
                own.push(("server", server.map_or(Value::Null, |server| Value::Integer(server.0))));
            }
            rows::write(context.db, shared.name, shared.except, row, &own, Existing::Replace(shared.key))?;
        }
        None => {
            context.db.execute(&format!("DELETE FROM {} WHERE {} = ?", shared.name, shared.text), params![id])?;
        }
    }
    match (table, id.parse::<AccountAddress>()) {
        ("contacts", Ok(address)) => {
            early::look_again(heart, context, &address)?;
            context.changed(Change::Contact(address));
        }
        ("devices", _) => {
            // What was founded before this one was known lacks it.
            heart.attended_day = 0;
            context.changed(Change::Devices);
        }
        _ => context.changed(Change::State),
    }
    Ok(())
}

/// A conversation as another device has it: it is there, accepted, over, read and cleared so far.
pub(crate) fn apply_chat(heart: &mut Heart, context: &mut Context<'_>, chat: &Chat) -> Result<(), EngineError> {
    let known = conversation::find(context.db, &chat.id)?;
    let is_pending = known.as_ref().is_none_or(|row| row.state == State::Pending);
    match known {
        None => {
            conversation::insert(context, chat.id, &chat.title, chat.peer.as_ref(), State::Pending)?;
            let sql = "UPDATE conversations SET updated_ms = ? WHERE id = ?";
            context.db.prepare_cached(sql)?.execute(params![chat.updated_ms, chat.id])?;
        }
        Some(row) if row.state == State::Request => {
            if let Some(kept) = &row.request {
                welcome::accept(heart, context, kept)?;
            }
        }
        Some(_) => {}
    }
    if let Some(out) = chat.out.as_ref().filter(|_| is_pending) {
        let state = if out.has_left { State::Left } else { State::Removed };
        conversation::set_out(context, chat.id, state, &out.words)?;
        outbox::all_failed(context, chat.id, &out.words)?;
    }
    for cursor in &chat.read {
        read_through(context, chat.id, *cursor)?;
    }
    for cursor in &chat.cleared {
        clear_through(context, chat.id, *cursor)?;
    }
    context.changed(Change::Conversation(chat.id));
    context.changed(Change::State);
    match &chat.channel {
        Some(channel) => early::channel_is_named(heart, context, channel, chat.id),
        None => Ok(()),
    }
}

/// The person has read so far on another device. That one sends the receipts.
fn read_through(context: &mut Context<'_>, id: ConversationId, cursor: Cursor) -> Result<(), EngineError> {
    let (channel, seq) = (cursor.channel.0, sql(cursor.seq));
    context
        .db
        .prepare_cached(
            "INSERT INTO read_cursors (channel, seen_seq) VALUES (?, ?)
             ON CONFLICT DO UPDATE SET seen_seq = MAX(seen_seq, excluded.seen_seq)",
        )?
        .execute(params![channel, seq])?;
    context
        .db
        .prepare_cached(
            "UPDATE channels SET seen_seq = MAX(seen_seq, ?1), receipted_seen_seq = MAX(receipted_seen_seq, ?1)
             WHERE id = ?2",
        )?
        .execute(params![seq, channel])?;
    advance(context, id)
}

/// Reads on to the first message that nobody has read on any device: of two logs each may have been read so far.
fn advance(context: &Context<'_>, id: ConversationId) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            "UPDATE conversations SET read_position = COALESCE((
                 SELECT MAX(m.position) FROM messages m JOIN read_cursors r ON r.channel = m.channel AND r.seen_seq >= m.seq
                 WHERE m.conversation = conversations.id AND m.position > conversations.read_position AND m.position < COALESCE((
                     SELECT MIN(u.position) FROM messages u
                     WHERE u.conversation = conversations.id AND u.position > conversations.read_position
                     AND u.kind = 0 AND u.own = 0 AND NOT EXISTS
                     (SELECT 1 FROM read_cursors c WHERE c.channel = u.channel AND c.seen_seq >= u.seq)), 1 << 60)),
             read_position) WHERE id = ?",
        )?
        .execute(params![id])?;
    Ok(())
}

/// The person has deleted what was said so far on another device.
fn clear_through(context: &mut Context<'_>, id: ConversationId, cursor: Cursor) -> Result<(), EngineError> {
    let (channel, seq) = (cursor.channel.0, sql(cursor.seq));
    context
        .db
        .prepare_cached(
            "INSERT INTO read_cursors (channel, cleared_seq) VALUES (?, ?)
             ON CONFLICT DO UPDATE SET cleared_seq = MAX(cleared_seq, excluded.cleared_seq)",
        )?
        .execute(params![channel, seq])?;
    let gone = "SELECT id FROM messages WHERE conversation = ?1 AND ((channel = ?2 AND seq <= ?3) OR (channel IS NULL
                AND acknowledged = 1))";
    let values = params![id, channel, seq];
    context.db.execute(&format!("DELETE FROM reactions WHERE message IN ({gone})"), values)?;
    context.db.execute(&format!("DELETE FROM messages WHERE id IN ({gone})"), values)?;
    let hidden = context.db.execute(
        "UPDATE conversations SET hidden = 1 WHERE id = ?1 AND hidden = 0
         AND NOT EXISTS (SELECT 1 FROM messages WHERE conversation = ?1 AND kind = 0)",
        params![id],
    )?;
    if hidden > 0 {
        context.changed(Change::ConversationRemoved(id));
    }
    Ok(())
}

/// Whether a message's place was deleted on another device before it came here.
pub(crate) fn is_cleared(db: &Connection, channel: &ChannelId, seq: u64) -> Result<bool, EngineError> {
    let mut statement = db.prepare_cached("SELECT 1 FROM read_cursors WHERE channel = ? AND cleared_seq >= ?")?;
    Ok(statement.exists(params![channel.0, sql(seq)])?)
}

/// Messages stand here now. The person may have read them on another device; or they stand above what was read here, in
/// places that were kept free for them or as history, and nobody has read them.
pub(crate) fn follow_cursor(
    context: &mut Context<'_>,
    id: ConversationId,
    messages: &[MessageId],
) -> Result<(), EngineError> {
    quietly(context, &id, |context| {
        let mut unread = context.db.prepare_cached(
            "UPDATE conversations SET read_position = m.position - 1 FROM messages m
             WHERE m.id = ? AND conversations.id = m.conversation AND m.position <= conversations.read_position
             AND m.own = 0 AND m.kind = 0 AND NOT EXISTS
             (SELECT 1 FROM read_cursors r WHERE r.channel = m.channel AND r.seen_seq >= m.seq)",
        )?;
        for message in messages {
            unread.execute(params![message])?;
        }
        drop(unread);
        advance(context, id)
    })
}

/// Changes a conversation as another device did: the others need not hear of it. What this person changed before and
/// nobody was told yet is still told.
pub(crate) fn quietly<'a>(
    context: &mut Context<'a>,
    id: &ConversationId,
    change: impl FnOnce(&mut Context<'a>) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let mut statement = context.db.prepare_cached("SELECT 1 FROM unsynced WHERE item = 'chats:' || hex(?)")?;
    let is_changed_here = statement.exists(params![id])?;
    drop(statement);
    change(context)?;
    if !is_changed_here {
        let mut statement = context.db.prepare_cached("DELETE FROM unsynced WHERE item = 'chats:' || hex(?)")?;
        statement.execute(params![id])?;
    }
    Ok(())
}

/// What was written down of a device here is not for the others: they know it better.
pub(crate) fn unsynced_device(context: &Context<'_>, id: &aside_protocol::id::DeviceId) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("DELETE FROM unsynced WHERE item = 'devices:' || hex(?) AND in_flight = 0")?
        .execute(params![id.0])?;
    Ok(())
}
