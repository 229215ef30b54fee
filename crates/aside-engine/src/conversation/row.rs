//! The conversation's row.

use super::ConversationId;
use crate::context::Context;
use crate::error::EngineError;
use crate::input::Change;
use crate::view::ConversationKind;
use aside_protocol::address::AccountAddress;
use aside_protocol::id::ChannelId;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Whether a conversation can be used, as it stands in the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Pending = 0,
    Active = 1,
    Request = 2,
    Paused = 3,
    /// This person left, and nothing is left of the group here.
    Left = 4,
    /// This person was removed.
    Removed = 5,
    /// This person left: nothing is shown or sent any more but that they did.
    Leaving = 6,
    /// Something is being repaired; what is written is queued. See `heal`.
    Healing = 7,
}

impl State {
    pub fn of(number: i64) -> Result<Self, EngineError> {
        match number {
            0 => Ok(State::Pending),
            1 => Ok(State::Active),
            2 => Ok(State::Request),
            3 => Ok(State::Paused),
            4 => Ok(State::Left),
            5 => Ok(State::Removed),
            6 => Ok(State::Leaving),
            7 => Ok(State::Healing),
            _ => Err(EngineError::Damaged { what: "conversation state" }),
        }
    }

    /// Whether the conversation's log is read on.
    pub fn is_read(self) -> bool {
        match self {
            State::Pending | State::Active | State::Request | State::Leaving | State::Healing => true,
            State::Paused | State::Left | State::Removed => false,
        }
    }

    /// Whether this person is out of it, or on the way.
    pub fn is_out(self) -> bool {
        matches!(self, State::Left | State::Removed | State::Leaving)
    }
}

/// The row.
#[derive(Debug, Clone)]
pub(crate) struct Conversation {
    pub id: ConversationId,
    pub kind: ConversationKind,
    pub title: String,
    pub peer: Option<AccountAddress>,
    pub channel: Option<ChannelId>,
    pub state: State,
    pub paused: Option<String>,
    pub request: Option<Vec<u8>>,
    pub updated_ms: i64,
    pub draft: String,
    pub read_position: i64,
    /// The person deleted the chat.
    pub is_hidden: bool,
    /// What the group's picture is called: another one has another name.
    pub picture: Option<String>,
}

const COLUMNS: &str =
    "id, kind, title, peer, channel, state, paused, request, updated_ms, draft, read_position, picture_name,
    hidden";

type Columns = (
    ConversationId,
    i64,
    String,
    Option<String>,
    Option<[u8; 32]>,
    i64,
    Option<String>,
    Option<Vec<u8>>,
    i64,
    String,
    i64,
    Option<String>,
    bool,
);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
        row.get(6)?,
        row.get(7)?,
        row.get(8)?,
        row.get(9)?,
        row.get(10)?,
        row.get(11)?,
        row.get(12)?,
    ))
}

fn parse(columns: Columns) -> Result<Conversation, EngineError> {
    let (id, kind, title, peer, channel, state, paused, request, updated_ms, draft, read_position, picture, is_hidden) =
        columns;
    let peer =
        peer.map(|text| text.parse()).transpose().map_err(|_| EngineError::Damaged { what: "peer's address" })?;
    Ok(Conversation {
        id,
        kind: match kind {
            0 => ConversationKind::Direct,
            1 => ConversationKind::Group,
            2 => ConversationKind::Own,
            _ => return Err(EngineError::Damaged { what: "conversation kind" }),
        },
        title,
        peer,
        channel: channel.map(ChannelId),
        state: State::of(state)?,
        paused,
        request,
        updated_ms,
        draft,
        read_position,
        picture,
        is_hidden,
    })
}

/// One conversation.
pub(crate) fn find(db: &Connection, id: &ConversationId) -> Result<Option<Conversation>, EngineError> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM conversations WHERE id = ?"))?;
    statement.query_row(params![id], columns).optional()?.map(parse).transpose()
}

/// All that are shown, the newest first.
pub(crate) fn all(db: &Connection) -> Result<Vec<Conversation>, EngineError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM conversations WHERE hidden = 0 AND kind <> 2 ORDER BY updated_ms DESC, id"
    ))?;
    let rows = statement.query_map([], columns)?;
    rows.map(|row| parse(row?)).collect()
}

/// Makes a conversation. `peer` makes it a direct one.
pub(crate) fn insert(
    context: &mut Context<'_>,
    id: ConversationId,
    title: &str,
    peer: Option<&AccountAddress>,
    state: State,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            "INSERT INTO conversations (id, kind, title, peer, state, updated_ms) VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            id,
            i64::from(peer.is_none()),
            title,
            peer.map(ToString::to_string),
            state as i64,
            context.now.unix_ms
        ])?;
    context.changed(Change::Conversation(id));
    Ok(())
}

/// Makes the devices' own conversation, which no list shows.
pub(crate) fn insert_own(context: &mut Context<'_>, id: ConversationId) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("INSERT INTO conversations (id, kind, title, state, updated_ms) VALUES (?, 2, '', ?, ?)")?
        .execute(params![id, State::Pending as i64, context.now.unix_ms])?;
    Ok(())
}

pub(crate) fn set_state(context: &mut Context<'_>, id: ConversationId, state: State) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("UPDATE conversations SET state = ?, paused = NULL WHERE id = ?")?
        .execute(params![state as i64, id])?;
    context.changed(Change::Conversation(id));
    Ok(())
}

/// Stops a conversation for a reason that a person reads. The first reason stays.
pub(crate) fn pause(context: &mut Context<'_>, id: ConversationId, reason: &str) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("UPDATE conversations SET state = ?, paused = COALESCE(paused, ?) WHERE id = ?")?
        .execute(params![State::Paused as i64, reason, id])?;
    context.changed(Change::Conversation(id));
    Ok(())
}

/// Stops a conversation for a fault, in place of whatever stopped it before.
pub(crate) fn stop(
    context: &mut Context<'_>,
    id: ConversationId,
    state: State,
    words: &str,
) -> Result<(), EngineError> {
    context.db.prepare_cached("UPDATE conversations SET state = ?, paused = ? WHERE id = ?")?.execute(params![
        state as i64,
        words,
        id
    ])?;
    context.changed(Change::Conversation(id));
    Ok(())
}

pub(crate) fn set_channel(
    context: &mut Context<'_>,
    id: ConversationId,
    channel: ChannelId,
) -> Result<(), EngineError> {
    context.db.prepare_cached("UPDATE conversations SET channel = ? WHERE id = ?")?.execute(params![channel.0, id])?;
    Ok(())
}

/// This person is out of it. Said once: whoever left is not removed afterwards.
pub(crate) fn set_out(
    context: &mut Context<'_>,
    id: ConversationId,
    state: State,
    words: &str,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("UPDATE conversations SET state = ?, paused = ?, channel = NULL WHERE id = ?")?
        .execute(params![state as i64, words, id])?;
    context.changed(Change::Conversation(id));
    Ok(())
}

/// Moves a conversation to the top of the list.
pub(crate) fn touch(context: &mut Context<'_>, id: ConversationId) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("UPDATE conversations SET updated_ms = MAX(updated_ms, ?), hidden = 0 WHERE id = ?")?
        .execute(params![context.now.unix_ms, id])?;
    context.changed(Change::Conversation(id));
    Ok(())
}

/// The next free place of the timeline. Places follow the order in which the log was read.
pub(crate) fn next_position(context: &Context<'_>, id: ConversationId) -> Result<i64, EngineError> {
    let position = context
        .db
        .prepare_cached(
            "UPDATE conversations SET next_position = next_position + 1 WHERE id = ? RETURNING next_position - 1",
        )?
        .query_row(params![id], |row| row.get(0))?;
    Ok(position)
}

/// Whether a member may change the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IsAdmin {
    Yes,
    No,
}

/// A group's picture, the file's bytes, as it was last shown.
pub(crate) fn picture(db: &Connection, id: &ConversationId) -> Result<Option<Vec<u8>>, EngineError> {
    let mut statement = db.prepare_cached("SELECT picture FROM conversations WHERE id = ?")?;
    Ok(statement.query_row(params![id], |row| row.get(0)).optional()?.flatten())
}
