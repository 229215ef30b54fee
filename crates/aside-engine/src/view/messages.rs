//! Reading the timeline.

use super::{Delivery, Heard, Message, MessageKind, MessagePage, MessagePreview, Reaction, ReplyReference};
use crate::Engine;
use crate::content::MessageId;
use crate::conversation::ConversationId;
use crate::error::EngineError;
use aside_protocol::address::AccountAddress;
use rusqlite::{OptionalExtension, Row, params};

/// Rows of one page, at most.
const PAGE_MAX: u32 = 200;

const COLUMNS: &str = "m.id, m.conversation, m.sender, m.kind, m.text, m.sent_ms, m.position, m.own, m.acknowledged,
    m.failure, m.edited, m.deleted, m.reply_to,
    m.seq IS NOT NULL AND m.seq <= COALESCE(ch.peer_received_seq, 0),
    m.seq IS NOT NULL AND m.seq <= COALESCE(ch.peer_seen_seq, 0),
    m.own = 0 AND m.kind = 0 AND m.sender IN (SELECT address FROM blocked)";

struct Columns {
    id: MessageId,
    conversation: ConversationId,
    sender: String,
    is_event: bool,
    text: String,
    sent_ms: i64,
    position: i64,
    is_own: bool,
    is_acknowledged: bool,
    failure: Option<String>,
    edited: bool,
    deleted: bool,
    reply_to: Option<MessageId>,
    is_received: bool,
    is_seen: bool,
    is_from_blocked: bool,
}

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok(Columns {
        id: row.get(0)?,
        conversation: row.get(1)?,
        sender: row.get(2)?,
        is_event: row.get(3)?,
        text: row.get(4)?,
        sent_ms: row.get(5)?,
        position: row.get(6)?,
        is_own: row.get(7)?,
        is_acknowledged: row.get(8)?,
        failure: row.get(9)?,
        edited: row.get(10)?,
        deleted: row.get(11)?,
        reply_to: row.get(12)?,
        is_received: row.get(13)?,
        is_seen: row.get(14)?,
        is_from_blocked: row.get(15)?,
    })
}

impl Columns {
    fn delivery(&self) -> Option<Delivery> {
        let reached = match self {
            Columns { failure: Some(_), .. } => Delivery::Failed,
            Columns { is_seen: true, .. } => Delivery::Read,
            Columns { is_received: true, .. } => Delivery::Delivered,
            Columns { is_acknowledged: true, .. } => Delivery::Sent,
            _ => Delivery::Queued,
        };
        (self.is_own && !self.is_event).then_some(reached)
    }
}

fn address(text: &str) -> Result<AccountAddress, EngineError> {
    text.parse().map_err(|_| EngineError::Damaged { what: "sender" })
}

impl Engine {
    /// A page of a timeline, ascending: the newest rows before a position, or the newest of all.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn messages(&self, id: &ConversationId, before: Option<i64>, limit: u32) -> Result<MessagePage, EngineError> {
        let (mut messages, has_more) =
            self.rows(id, "m.position < ? ORDER BY m.position DESC", before.unwrap_or(i64::MAX), limit)?;
        messages.reverse();
        let has_newer = before.map_or(Ok(false), |before| self.has_row(id, "position >= ?", before))?;
        Ok(MessagePage { messages, has_more, has_newer })
    }

    /// A page of a timeline, ascending: the oldest rows after a position.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn messages_after(&self, id: &ConversationId, after: i64, limit: u32) -> Result<MessagePage, EngineError> {
        let (messages, has_newer) = self.rows(id, "m.position > ? ORDER BY m.position", after, limit)?;
        let has_more = self.has_row(id, "position <= ?", after)?;
        Ok(MessagePage { messages, has_more, has_newer })
    }

    /// A page of a timeline, ascending, with a message in its middle. `None`: it does not stand there.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn messages_around(
        &self,
        id: &ConversationId,
        message: &MessageId,
        limit: u32,
    ) -> Result<Option<MessagePage>, EngineError> {
        let Some(middle) = self.message(message)?.filter(|found| found.conversation_id == *id) else { return Ok(None) };
        let after = limit.div_ceil(2);
        let (newer, has_newer) = self.rows(id, "m.position >= ? ORDER BY m.position", middle.position, after)?;
        let before = limit.saturating_sub(after).max(1);
        let (mut messages, has_more) =
            self.rows(id, "m.position < ? ORDER BY m.position DESC", middle.position, before)?;
        messages.reverse();
        messages.extend(newer);
        Ok(Some(MessagePage { messages, has_more, has_newer }))
    }

    /// Rows of a timeline in the order asked for, and whether there are further ones.
    fn rows(
        &self,
        id: &ConversationId,
        which: &'static str,
        position: i64,
        limit: u32,
    ) -> Result<(Vec<Message>, bool), EngineError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut statement = self.db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM messages m LEFT JOIN channels ch ON ch.id = m.channel
             WHERE m.conversation = ? AND {which} LIMIT ?"
        ))?;
        let rows = statement.query_map(params![id, position, limit.saturating_add(1)], columns)?;
        let mut messages = rows.map(|row| self.show_message(row?)).collect::<Result<Vec<_>, EngineError>>()?;
        let has_further = messages.len() > limit as usize;
        messages.truncate(limit as usize);
        Ok((messages, has_further))
    }

    fn has_row(&self, id: &ConversationId, which: &'static str, position: i64) -> Result<bool, EngineError> {
        let sql = format!("SELECT 1 FROM messages WHERE conversation = ? AND {which}");
        Ok(self.db.prepare_cached(&sql)?.exists(params![id, position])?)
    }

    /// One row.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn message(&self, id: &MessageId) -> Result<Option<Message>, EngineError> {
        let mut statement = self.db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM messages m LEFT JOIN channels ch ON ch.id = m.channel WHERE m.id = ?"
        ))?;
        statement.query_row(params![id], columns).optional()?.map(|row| self.show_message(row)).transpose()
    }

    fn show_message(&self, row: Columns) -> Result<Message, EngineError> {
        let delivery = row.delivery();
        Ok(Message {
            reply_to: row.reply_to.map(|id| self.reply_reference(id)).transpose()?.flatten(),
            reactions: self.reactions(&row.id)?,
            id: row.id,
            conversation_id: row.conversation,
            sender: self.person(address(&row.sender)?)?,
            kind: if row.is_event { MessageKind::Event } else { MessageKind::Text },
            text: row.text,
            sent_at: row.sent_ms,
            position: row.position,
            delivery,
            failure: row.failure,
            edited: row.edited,
            deleted: row.deleted,
            from_blocked: row.is_from_blocked,
        })
    }

    fn reply_reference(&self, id: MessageId) -> Result<Option<ReplyReference>, EngineError> {
        let found: Option<(String, String)> = self
            .db
            .prepare_cached("SELECT sender, text FROM messages WHERE id = ?")?
            .query_row(params![id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((sender, text)) = found else { return Ok(None) };
        let sender = self.person(address(&sender)?)?;
        Ok(Some(ReplyReference { id, sender, text }))
    }

    fn reactions(&self, id: &MessageId) -> Result<Vec<Reaction>, EngineError> {
        let own = self.heart.identity.as_ref().map(|identity| identity.address.to_string()).unwrap_or_default();
        let mut statement = self.db.prepare_cached(
            "SELECT emoji, COUNT(DISTINCT sender), MAX(sender = ?) FROM reactions WHERE message = ? GROUP BY emoji ORDER BY 2 DESC, 1",
        )?;
        let rows = statement.query_map(params![own, id], |row| {
            Ok(Reaction { emoji: row.get(0)?, count: row.get(1)?, own: row.get(2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The newest written message of a conversation, as the list shows it.
    pub(super) fn preview(&self, id: &ConversationId) -> Result<Option<MessagePreview>, EngineError> {
        let mut statement = self.db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM messages m LEFT JOIN channels ch ON ch.id = m.channel
             WHERE m.conversation = ? AND m.kind = 0 ORDER BY m.position DESC LIMIT 1"
        ))?;
        let Some(row) = statement.query_row(params![id], columns).optional()? else { return Ok(None) };
        let delivery = row.delivery();
        let first_line = match row.is_from_blocked {
            true => "A message from somebody you blocked",
            false => row.text.lines().next().unwrap_or_default(),
        };
        Ok(Some(MessagePreview {
            sender: self.person(address(&row.sender)?)?,
            text: first_line.chars().take(200).collect(),
            sent_at: row.sent_ms,
            delivery,
        }))
    }

    /// Others' messages that `listen` has not printed, in the order of each timeline.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn heard(&self, limit: u32) -> Result<Vec<Heard>, EngineError> {
        let mut statement = self.db.prepare_cached(
            "SELECT c.peer, c.title, c.id, m.sender, m.text, m.sent_ms, m.position
             FROM messages m JOIN conversations c ON c.id = m.conversation
             WHERE m.own = 0 AND m.kind = 0 AND m.deleted = 0 AND m.position > c.listened_position AND c.state <> 2
             AND m.sender NOT IN (SELECT address FROM blocked)
             ORDER BY c.id, m.position LIMIT ?",
        )?;
        let rows = statement.query_map(params![limit], |row| {
            Ok((
                row.get::<_, Option<String>>(0)?.map_or_else(|| row.get::<_, String>(1), Ok)?,
                row.get::<_, ConversationId>(2)?,
                row.get::<_, String>(3)?,
                row.get::<_, String>(4)?,
                row.get::<_, i64>(5)?,
                row.get::<_, i64>(6)?,
            ))
        })?;
        rows.map(|row| {
            let (conversation, conversation_id, sender, text, sent_at, position) = row?;
            let sender = address(&sender)?;
            Ok(Heard { conversation, conversation_id, sender, text, sent_at, position })
        })
        .collect()
    }
}
