//! Gaps: entries of a log that this device could not get or not decrypt. Their places in the timeline are reserved, what
//! was said in them is asked for again, and after a bounded time one line says what is gone for good.

use super::fault::{Fault, Remedy};
use crate::Heart;
use crate::channel::Channel;
use crate::context::{Context, sql, unsql};
use crate::error::EngineError;
use aside_protocol::id::ChannelId;
use rusqlite::{Connection, Row, params};
use std::collections::BTreeSet;

/// Places that are reserved for a span whose end is not known.
const OPEN_SPAN: u64 = 1 << 20;

/// One span.
#[derive(Debug, Clone)]
pub(super) struct Gap {
    pub id: i64,
    pub channel: ChannelId,
    pub from: u64,
    /// The last entry of it, or far behind whatever comes.
    pub to: u64,
    /// The place in the timeline of its first entry.
    pub position: i64,
    pub since_ms: i64,
    pub asks: u32,
    /// The line that says what is gone.
    pub line: Option<crate::content::MessageId>,
    /// Whether this device does not know what is missing: it could not read on, and somebody has not answered yet.
    pub is_unknown: bool,
    /// Whether this device had stopped for what stands there, which nobody can read past.
    pub is_seen_to_end: bool,
}

impl Gap {
    pub fn has(&self, seq: u64) -> bool {
        (self.from..=self.to).contains(&seq)
    }

    /// Where an entry stands in the timeline.
    pub fn position_of(&self, seq: u64) -> i64 {
        self.position.saturating_add(sql(seq.saturating_sub(self.from)))
    }

    /// Whether the end is not known.
    pub fn is_open(&self) -> bool {
        self.to.saturating_sub(self.from) >= OPEN_SPAN
    }
}

const COLUMNS: &str = "id, channel, from_seq, to_seq, position, since_ms, asks, line, next_ms IS NOT NULL AND seen_to_end = 0, seen_to_end";

fn gap(row: &Row<'_>) -> rusqlite::Result<Gap> {
    Ok(Gap {
        id: row.get(0)?,
        channel: ChannelId(row.get(1)?),
        from: unsql(row.get(2)?),
        to: unsql(row.get(3)?),
        position: row.get(4)?,
        since_ms: row.get(5)?,
        asks: row.get(6)?,
        line: row.get(7)?,
        is_unknown: row.get(8)?,
        is_seen_to_end: row.get(9)?,
    })
}

/// Entries that this device did not get, up to a known end. Their places are reserved now.
pub(crate) fn open(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    from: u64,
    to: u64,
) -> Result<(), EngineError> {
    if from > to {
        return Ok(());
    }
    let length = to.saturating_sub(from).saturating_add(1);
    let position: i64 = context
        .db
        .prepare_cached(
            "UPDATE conversations SET next_position = next_position + ?1 WHERE id = ?2 RETURNING next_position - ?1",
        )?
        .query_row(params![sql(length), channel.conversation], |row| row.get(0))?;
    // A span that goes on where the last one ended is one with it.
    let grown = context
        .db
        .prepare_cached(
            "UPDATE gaps SET to_seq = ?1 WHERE channel = ?2 AND to_seq + 1 = ?3 AND position + ?3 - from_seq = ?4
             AND line IS NULL AND asks = 0",
        )?
        .execute(params![sql(to), channel.id.0, sql(from), position])?;
    if grown > 0 {
        return Ok(());
    }
    let next = context.now.unix_ms.saturating_add(context.random_ms(heart.options.heal.answer_step_ms.max(1)));
    context
        .db
        .prepare_cached(
            "INSERT INTO gaps (conversation, channel, from_seq, to_seq, position, since_ms, next_ms)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            channel.conversation,
            channel.id.0,
            sql(from),
            sql(to),
            position,
            context.now.unix_ms,
            next
        ])?;
    Ok(())
}

/// Entries behind a device's place in a channel that is given up, to whatever end the log will have had. Where it had
/// stopped for what stands there, nobody reads on; where it has lost its keys, others do.
pub(crate) fn open_endless(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    fault: &Fault,
) -> Result<(), EngineError> {
    let from = channel.position.seq.saturating_add(1);
    open(heart, context, channel, from, from.saturating_add(OPEN_SPAN))?;
    let has_seen_to_end = fault.remedy() != Remedy::ReAdd;
    context
        .db
        .prepare_cached("UPDATE gaps SET seen_to_end = ? WHERE channel = ? AND from_seq = ?")?
        .execute(params![has_seen_to_end, channel.id.0, sql(from)])?;
    Ok(())
}

/// The gaps of one channel, from the first on.
pub(super) fn of_channel(db: &Connection, id: &ChannelId) -> Result<Vec<Gap>, EngineError> {
    let mut statement =
        db.prepare_cached(&format!("SELECT {COLUMNS} FROM gaps WHERE channel = ? ORDER BY from_seq"))?;
    Ok(statement.query_map(params![id.0], gap)?.collect::<Result<_, _>>()?)
}

/// Those about which something is due.
pub(super) fn due(context: &Context<'_>) -> Result<Vec<Gap>, EngineError> {
    let mut statement =
        context.db.prepare_cached(&format!("SELECT {COLUMNS} FROM gaps WHERE next_ms <= ? ORDER BY id LIMIT 64"))?;
    Ok(statement.query_map(params![context.now.unix_ms], gap)?.collect::<Result<_, _>>()?)
}

/// When something is due next.
pub(super) fn next_due(context: &Context<'_>) -> Result<Option<i64>, EngineError> {
    let mut statement = context.db.prepare_cached("SELECT MIN(next_ms) FROM gaps WHERE next_ms > ?")?;
    Ok(statement.query_row(params![context.now.unix_ms], |row| row.get(0))?)
}

/// It was asked for; it is looked at again then, or not any more.
pub(super) fn asked(context: &Context<'_>, id: i64, next_ms: Option<i64>) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("UPDATE gaps SET asks = asks + 1, next_ms = ? WHERE id = ?")?
        .execute(params![next_ms, id])?;
    Ok(())
}

/// Looks at it soon: something was learned.
pub(super) fn soon(context: &Context<'_>, id: i64) -> Result<(), EngineError> {
    context.db.prepare_cached("UPDATE gaps SET next_ms = ? WHERE id = ?")?.execute(params![context.now.unix_ms, id])?;
    Ok(())
}

/// Whether something of a channel is asked for.
pub(crate) fn is_any_open(db: &Connection, id: &ChannelId) -> Result<bool, EngineError> {
    Ok(db.prepare_cached("SELECT 1 FROM gaps WHERE channel = ? AND line IS NULL")?.exists(params![id.0])?)
}

/// Everything of it is here.
pub(super) fn close(context: &Context<'_>, id: i64) -> Result<(), EngineError> {
    context.db.prepare_cached("DELETE FROM gap_answers WHERE gap = ?")?.execute(params![id])?;
    context.db.prepare_cached("DELETE FROM gap_named WHERE gap = ?")?.execute(params![id])?;
    context.db.prepare_cached("DELETE FROM gaps WHERE id = ?")?.execute(params![id])?;
    Ok(())
}

/// Somebody has told what they know of it, up to an entry.
pub(super) fn note_answer(context: &Context<'_>, id: i64, account: &str, through: u64) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            "INSERT INTO gap_answers (gap, account, through_seq) VALUES (?1, ?2, ?3)
             ON CONFLICT (gap, account) DO UPDATE SET through_seq = MAX(through_seq, ?3)",
        )?
        .execute(params![id, account, sql(through)])?;
    Ok(())
}

/// How far each account has told.
pub(super) fn answers(db: &Connection, id: i64) -> Result<Vec<(String, u64)>, EngineError> {
    let mut statement = db.prepare_cached("SELECT account, through_seq FROM gap_answers WHERE gap = ?")?;
    let rows = statement.query_map(params![id], |row| Ok((row.get(0)?, unsql(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Somebody says that this stands there, which this device does not have.
pub(super) fn note_named(context: &Context<'_>, id: i64, named: &super::letter::Named) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            "INSERT OR IGNORE INTO gap_named (gap, id, seq, author, sent_ms, words) VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![id, named.id, sql(named.seq), named.author.to_string(), named.sent_ms, named.is_words])?;
    Ok(())
}

/// What is known to stand in a gap and is not here.
const MISSING: &str = "NOT EXISTS (SELECT 1 FROM taken t WHERE t.id = n.id)
    AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = n.id)";

/// Whether anything is.
pub(super) fn is_missing(db: &Connection, id: i64) -> Result<bool, EngineError> {
    let mut statement = db.prepare_cached(&format!("SELECT 1 FROM gap_named n WHERE gap = ? AND {MISSING}"))?;
    Ok(statement.exists(params![id])?)
}

/// What is known to stand in a gap and is not here, by name.
pub(super) fn named_missing(db: &Connection, id: i64) -> Result<Vec<super::letter::Named>, EngineError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT seq, id, author, sent_ms, words FROM gap_named n WHERE gap = ? AND {MISSING}"
    ))?;
    let rows = statement.query_map(params![id], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get(3)?, row.get(4)?))
    })?;
    rows.map(|row| {
        let (seq, id, author, sent_ms, is_words) = row?;
        let author = author.parse().map_err(|_| EngineError::Damaged { what: "author" })?;
        Ok(super::letter::Named { seq: unsql(seq), id, author, sent_ms, is_words, content: None, is_deleted: false })
    })
    .collect()
}

/// Who said what is missing, also where it was nothing that a person reads.
pub(super) fn missing_authors(db: &Connection, id: i64) -> Result<BTreeSet<String>, EngineError> {
    let mut statement =
        db.prepare_cached(&format!("SELECT DISTINCT author FROM gap_named n WHERE gap = ? AND {MISSING}"))?;
    Ok(statement.query_map(params![id], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// How much is known of a gap: names, and of these those that are missing.
pub(super) fn knowledge(db: &Connection, id: i64) -> Result<(u32, u32), EngineError> {
    let sql = format!("SELECT COUNT(*), COALESCE(SUM({MISSING}), 0) FROM gap_named n WHERE gap = ?");
    Ok(db.prepare_cached(&sql)?.query_row(params![id], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// How much of somebody's words is missing, and of which time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    pub author: String,
    pub count: u32,
    pub first_ms: i64,
    pub last_ms: i64,
}

/// Who wrote what is still missing, as far as a person would have read it.
pub(super) fn missing(db: &Connection, ids: &[i64]) -> Result<Vec<Missing>, EngineError> {
    let mut all: Vec<Missing> = Vec::new();
    let mut statement = db.prepare_cached(&format!(
        "SELECT author, COUNT(*), MIN(sent_ms), MAX(sent_ms) FROM gap_named n WHERE gap = ? AND words = 1 AND {MISSING}
         GROUP BY author ORDER BY author"
    ))?;
    for id in ids {
        let rows = statement.query_map(params![id], |row| {
            Ok(Missing { author: row.get(0)?, count: row.get(1)?, first_ms: row.get(2)?, last_ms: row.get(3)? })
        })?;
        for row in rows {
            let row = row?;
            match all.iter_mut().find(|one| one.author == row.author) {
                Some(one) => {
                    one.count = one.count.saturating_add(row.count);
                    one.first_ms = one.first_ms.min(row.first_ms);
                    one.last_ms = one.last_ms.max(row.last_ms);
                }
                None => all.push(row),
            }
        }
    }
    Ok(all)
}

/// It is looked at again then, without having been asked for: rounds count from when this device can take an answer.
pub(super) fn postpone(context: &Context<'_>, id: i64, next_ms: i64) -> Result<(), EngineError> {
    context.db.prepare_cached("UPDATE gaps SET next_ms = ?, asks = 0 WHERE id = ?")?.execute(params![next_ms, id])?;
    Ok(())
}

/// Writes down which line says what is gone.
pub(super) fn set_line(
    context: &Context<'_>,
    id: i64,
    line: Option<crate::content::MessageId>,
) -> Result<(), EngineError> {
    context.db.prepare_cached("UPDATE gaps SET line = ? WHERE id = ?")?.execute(params![line, id])?;
    Ok(())
}
