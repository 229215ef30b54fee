//! Edits, deletions and reactions whose message is not here: a device that was linked a moment ago is still being given
//! the history. They are kept, and take effect when the message comes.

use super::take::{Taken, delete, edit, react};
use crate::content::mimi::MimiContent;
use crate::content::{Content, MessageId};
use crate::context::Context;
use crate::error::EngineError;
use crate::heal;
use rusqlite::{Connection, params};

/// For so many days they are kept; a message that comes later than that is one that expired.
const DAYS: u32 = 100;

/// Whether neither a message nor a reaction of this id is here.
pub(super) fn is_missing(db: &Connection, id: &MessageId) -> Result<bool, EngineError> {
    let mut statement = db.prepare_cached(
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM messages WHERE id = ?1) OR EXISTS (SELECT 1 FROM reactions WHERE id = ?1)",
    )?;
    Ok(!statement.exists(params![id])?)
}

/// Keeps one.
pub(super) fn keep(
    context: &mut Context<'_>,
    taken: &Taken,
    target: &MessageId,
    content: &Content,
) -> Result<(), EngineError> {
    let content = content.to_mimi([0; 16]).encode();
    put(context, (&taken.id, &taken.author.to_string()), target, &content)
}

fn put(
    context: &Context<'_>,
    (id, author): (&MessageId, &str),
    target: &MessageId,
    content: &[u8],
) -> Result<(), EngineError> {
    let today = context.now.day();
    context
        .db
        .prepare_cached("INSERT INTO orphans (target, id, author, content, day) VALUES (?, ?, ?, ?, ?)")?
        .execute(params![target, id, author, content, today])?;
    context.db.prepare_cached("DELETE FROM orphans WHERE day < ?")?.execute(params![today.saturating_sub(DAYS)])?;
    Ok(())
}

/// Another device of this account tells of an edit, deletion or reaction: it takes effect now, or when its message comes.
pub(crate) fn act_later(
    context: &mut Context<'_>,
    by: (&MessageId, &str),
    target: &MessageId,
    content: &[u8],
) -> Result<(), EngineError> {
    put(context, by, target, content)?;
    if is_missing(context.db, target)? { Ok(()) } else { catch_up(context, target) }
}

/// Whether what is here of a message is of a later edit than one of that time.
fn is_edited_after(db: &Connection, message: &MessageId, at_ms: i64) -> Result<bool, EngineError> {
    Ok(db.prepare_cached("SELECT 1 FROM messages WHERE id = ? AND edited > ?")?.exists(params![message, at_ms])?)
}

/// A message has come: what waited for it takes effect, in its order.
pub(crate) fn catch_up(context: &mut Context<'_>, message: &MessageId) -> Result<(), EngineError> {
    let mut statement =
        context.db.prepare_cached("DELETE FROM orphans WHERE target = ? RETURNING place, id, author, content")?;
    let mut orphans = statement
        .query_map(params![message], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, MessageId>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, Vec<u8>>(3)?,
            ))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    drop(statement);
    orphans.sort_by_key(|(place, ..)| *place);
    for (_, id, author, content) in orphans {
        let author = author.parse().map_err(|_| EngineError::Damaged { what: "author" })?;
        let damaged = |_| EngineError::Damaged { what: "kept content" };
        match Content::from_mimi(&MimiContent::decode(&content).map_err(damaged)?).map_err(damaged)? {
            Content::Edit { target, text } => {
                // The message may have come with the words of a later edit, which stands in another log.
                let at_ms = heal::content::sent_ms(context.db, &id)?.unwrap_or(0);
                if !is_edited_after(context.db, &target, at_ms)? {
                    edit(context, (&author, at_ms), &target, &text)?;
                }
            }
            Content::Delete { target } => delete(context, &author, &target)?,
            Content::Reaction { target, emoji } => react(context, &author, &target, &emoji, &id)?,
            _ => {}
        }
    }
    Ok(())
}
