//! Where a given history stands: its places count down from the place where the receiver's own reading begins, as the
//! giver counted them. Of several histories of one conversation, as of two logs that were entered one after the other,
//! each counts for itself: what both have decides how they go together.

use crate::content::MessageId;
use crate::context::Context;
use crate::conversation::ConversationId;
use crate::error::EngineError;
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeSet;

/// What stood in a conversation before a history was written into it.
pub(super) struct Before {
    id: ConversationId,
    /// Below the place where this device's own reading begins, the oldest first.
    below: Vec<Row>,
    lowest: i64,
    known: BTreeSet<MessageId>,
    /// The newest of those below that was read, where not all were.
    read: Option<MessageId>,
}

/// A message, and where it stands in a log.
#[derive(Debug, Clone, Copy)]
struct Row {
    id: MessageId,
    logged: Option<([u8; 32], i64)>,
}

/// Reads rows with their places, the oldest first.
fn rows(context: &Context<'_>, condition: &str, values: impl rusqlite::Params) -> Result<Vec<(Row, i64)>, EngineError> {
    let sql = format!("SELECT id, channel, seq, position FROM messages WHERE {condition} ORDER BY position");
    let mut statement = context.db.prepare_cached(&sql)?;
    let rows = statement.query_map(values, |row| {
        let logged = row.get::<_, Option<[u8; 32]>>(1)?.zip(row.get(2)?);
        Ok((Row { id: row.get(0)?, logged }, row.get(3)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Before {
    /// Looks, for a history of these messages.
    pub fn of(context: &Context<'_>, id: ConversationId, given: &[MessageId]) -> Result<Self, EngineError> {
        let rows = rows(context, "conversation = ? AND position < 0", params![id])?;
        let mut statement = context.db.prepare_cached("SELECT 1 FROM messages WHERE id = ?")?;
        let mut known = BTreeSet::new();
        for message in given {
            if statement.exists(params![message])? {
                known.insert(*message);
            }
        }
        let read: Option<MessageId> = context
            .db
            .prepare_cached(
                "SELECT m.id FROM messages m JOIN conversations c ON c.id = m.conversation WHERE c.id = ?
                 AND c.read_position < 0 AND m.position <= c.read_position ORDER BY m.position DESC LIMIT 1",
            )?
            .query_row(params![id], |row| row.get(0))
            .optional()?;
        let lowest = rows.first().map_or(0, |(_, position)| *position);
        Ok(Self { id, below: rows.into_iter().map(|(row, _)| row).collect(), lowest, known, read })
    }

    /// Puts what was written in order with what was there. `given`: the messages with their places, the oldest first.
    pub fn settle(mut self, context: &Context<'_>, given: &[(MessageId, i64)]) -> Result<(), EngineError> {
        let mut new = given.iter().filter(|(message, _)| !self.known.contains(message)).peekable();
        // The usual case: what comes is older than all that came, and was counted on.
        if self.below.is_empty() || new.peek().is_none() || new.all(|(_, position)| *position < self.lowest) {
            return Ok(());
        }
        let mut at = None;
        let mut waiting = Vec::new();
        for (message, _) in given {
            if let Some(found) = self.below.iter().position(|other| other.id == *message) {
                at = Some(found.saturating_add(waiting.len()).saturating_add(1));
                self.below.splice(found..found, waiting.drain(..));
                continue;
            }
            if self.known.contains(message) {
                // This device read it for itself, above all that it was given.
                self.below.append(&mut waiting);
                at = Some(self.below.len());
                continue;
            }
            let Some((row, _)) = rows(context, "id = ?", params![message])?.pop() else { continue };
            at = self.by_log(&row).or(at);
            match &mut at {
                Some(at) => {
                    self.below.insert((*at).min(self.below.len()), row);
                    *at = at.saturating_add(1);
                }
                None => waiting.push(row),
            }
        }
        // Nothing is known of how they go together.
        self.below.append(&mut waiting);
        self.write(context)
    }

    /// Behind what stands before it in its log, or before what stands behind it.
    fn by_log(&self, row: &Row) -> Option<usize> {
        let (channel, seq) = row.logged?;
        let is =
            |other: &Row, is: fn(i64, i64) -> bool| other.logged.is_some_and(|(log, at)| log == channel && is(at, seq));
        let before = self.below.iter().rposition(|other| is(other, |at, seq| at < seq));
        before
            .map(|at| at.saturating_add(1))
            .or_else(|| self.below.iter().position(|other| is(other, |at, seq| at > seq)))
    }

    fn write(&self, context: &Context<'_>) -> Result<(), EngineError> {
        let count = i64::try_from(self.below.len()).unwrap_or(i64::MAX);
        let mut place = context.db.prepare_cached("UPDATE messages SET position = ? WHERE id = ?")?;
        let mut read = None;
        for (row, position) in self.below.iter().zip(count.saturating_neg()..) {
            place.execute(params![position, row.id])?;
            if Some(row.id) == self.read {
                read = Some(position);
            }
        }
        if let Some(read) = read {
            context
                .db
                .prepare_cached("UPDATE conversations SET read_position = ? WHERE id = ?")?
                .execute(params![read, self.id])?;
        }
        Ok(())
    }
}
