//! Contents as they stood in the log, kept for as long as commits live: what a member gives back to a device that could
//! not get them, under the ids that they had (P-9.6). What was deleted for everybody is not kept.
//!
//! A person's own contents are known by their salt: half of it is random, half a code over the content under a key that
//! only this person's devices have. So anybody may give them back, and nobody can make them up.

use super::letter::Named;
use crate::channel;
use crate::content::mimi::MimiContent;
use crate::content::{Content, MessageId};
use crate::context::{Context, sql, unsql};
use crate::conversation::ConversationId;
use crate::device::rows::{self, Existing, Rows, Value};
use crate::error::EngineError;
use crate::timeline;
use aside_protocol::address::AccountAddress;
use aside_protocol::codec::labelled_hash;
use aside_protocol::id::ChannelId;
use aside_protocol::limit::COMMIT_DAYS;
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

const KEY_LABEL: &str = "aside own contents v1";
const SALT_LABEL: &str = "aside own salt v1";
/// Random bytes of a salt; as many of the code follow.
const SALT_HALF: usize = 8;

/// The key by which own contents are known.
fn own_key(db: &Connection) -> Result<Zeroizing<[u8; 32]>, EngineError> {
    let seed: Zeroizing<[u8; 32]> =
        Zeroizing::new(db.prepare_cached("SELECT backup_key FROM account")?.query_row([], |row| row.get(0))?);
    Ok(Zeroizing::new(labelled_hash(KEY_LABEL, &[&seed[..]])))
}

/// Writes an own content, with a salt by which it will be known again.
pub(crate) fn to_mimi(context: &mut Context<'_>, content: &Content) -> Result<MimiContent, EngineError> {
    let random: [u8; SALT_HALF] = context.random();
    let unsalted = content.to_mimi([0; 16]);
    let key = own_key(context.db)?;
    Ok(MimiContent { salt: salt(&key, random, &unsalted), ..unsalted })
}

fn salt(key: &[u8; 32], random: [u8; SALT_HALF], unsalted: &MimiContent) -> [u8; 16] {
    let code = labelled_hash(SALT_LABEL, &[key, &random, &unsalted.encode()]);
    let mut salt = [0; 16];
    let halves = salt.split_at_mut(SALT_HALF);
    halves.0.copy_from_slice(&random);
    halves.1.iter_mut().zip(code).for_each(|(to, from)| *to = from);
    salt
}

/// Whether a content was made by this person.
pub(super) fn is_own(db: &Connection, mimi: &MimiContent) -> Result<bool, EngineError> {
    let Some(random) = mimi.salt.first_chunk::<SALT_HALF>() else { return Ok(false) };
    let unsalted = MimiContent { salt: [0; 16], ..mimi.clone() };
    let key = own_key(db)?;
    Ok(salt(&key, *random, &unsalted) == mimi.salt)
}

/// What a content does, as far as keeping it is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Words = 0,
    Edit = 1,
    Delete = 2,
    Reaction = 3,
    Leave = 4,
}

/// Keeps a content of the log. The place where an id stood first is its place.
pub(crate) fn keep(
    context: &Context<'_>,
    (channel, seq): (ChannelId, u64),
    (id, author): (&MessageId, &AccountAddress),
    sent_ms: i64,
    body: &[u8],
) -> Result<(), EngineError> {
    let content = MimiContent::decode(body).and_then(|mimi| Content::from_mimi(&mimi));
    let (kind, target) = match content {
        Ok(Content::Text { .. } | Content::Unknown { .. }) => (Kind::Words, None),
        Ok(Content::Edit { target, .. }) => (Kind::Edit, Some(target)),
        Ok(Content::Delete { target }) => (Kind::Delete, Some(target)),
        Ok(Content::Reaction { target, .. }) => (Kind::Reaction, Some(target)),
        Ok(Content::Leave) => (Kind::Leave, None),
        _ => return Ok(()),
    };
    // Whoever was set back may have sent it a second time since.
    context
        .db
        .prepare_cached("UPDATE OR IGNORE contents SET seq = ?1 WHERE id = ?2 AND channel = ?3 AND seq > ?1")?
        .execute(params![sql(seq), id, channel.0])?;
    context
        .db
        .prepare_cached(
            "INSERT INTO contents (channel, seq, id, author, sent_ms, kind, target, body, day)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            channel.0,
            sql(seq),
            id,
            author.to_string(),
            sent_ms,
            kind as i64,
            target,
            body,
            context.now.day()
        ])?;
    Ok(())
}

/// A content by its name, with its body unless its author took it back.
pub(super) type WithBody = (Named, Option<Vec<u8>>);

/// What stands in a span of a log, in its order, up to a number of rows; of a message that its author took back only the
/// place.
pub(super) fn span(
    db: &Connection,
    channel: &ChannelId,
    (from, to): (u64, u64),
    limit: u32,
) -> Result<Vec<WithBody>, EngineError> {
    let mut statement = db.prepare_cached(
        "SELECT seq, id, author, sent_ms, kind, body FROM contents
         WHERE channel = ? AND seq BETWEEN ? AND ? AND (body IS NOT NULL OR kind = 0) ORDER BY seq LIMIT ?",
    )?;
    let rows = statement.query_map(params![channel.0, sql(from), sql(to), limit], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get(1)?,
            row.get::<_, String>(2)?,
            row.get(3)?,
            row.get::<_, i64>(4)?,
            row.get(5)?,
        ))
    })?;
    rows.map(|row| {
        let (seq, id, author, sent_ms, kind, body): (_, _, _, _, _, Option<Vec<u8>>) = row?;
        let is_deleted = body.is_none();
        let author = author.parse().map_err(|_| EngineError::Damaged { what: "author" })?;
        let is_words = kind == Kind::Words as i64;
        Ok((Named { seq: unsql(seq), id, author, sent_ms, is_words, content: None, is_deleted }, body))
    })
    .collect()
}

/// What acts on a content, in the order of the log: id, author and body. Of what stands in several logs the author's clock
/// tells the order.
pub(super) fn acting_on(
    db: &Connection,
    target: &MessageId,
) -> Result<Vec<(MessageId, AccountAddress, Vec<u8>)>, EngineError> {
    let mut statement = db.prepare_cached(
        "SELECT id, author, body FROM contents WHERE target = ?1 AND body IS NOT NULL ORDER BY
         IIF((SELECT COUNT(DISTINCT channel) FROM contents WHERE target = ?1) > 1, sent_ms, 0), channel, seq",
    )?;
    let rows = statement.query_map(params![target], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?)))?;
    rows.map(|row| {
        let (id, author, body) = row?;
        Ok((id, author.parse().map_err(|_| EngineError::Damaged { what: "author" })?, body))
    })
    .collect()
}

/// Whether its author edited a message again after this edit, in another log that came first.
pub(crate) fn is_edited_since(
    db: &Connection,
    (edit, author): (&MessageId, &AccountAddress),
    target: &MessageId,
) -> Result<bool, EngineError> {
    let mut edits = acting_on(db, target)?;
    let is_edit = |body: &[u8]| {
        let content = MimiContent::decode(body).and_then(|mimi| Content::from_mimi(&mimi));
        matches!(content, Ok(Content::Edit { .. }))
    };
    edits.retain(|(_, by, body)| by == author && is_edit(body));
    Ok(edits.iter().any(|(id, ..)| id == edit) && edits.last().is_some_and(|(id, ..)| id != edit))
}

/// When its author sent a content, by their clock, if it is kept here.
pub(crate) fn sent_ms(db: &Connection, id: &MessageId) -> Result<Option<i64>, EngineError> {
    let mut statement = db.prepare_cached("SELECT MAX(sent_ms) FROM contents WHERE id = ?")?;
    Ok(statement.query_row(params![id], |row| row.get(0))?)
}

/// What a content acts on, if it does on one.
pub(super) fn target_of(body: &[u8]) -> Option<MessageId> {
    match MimiContent::decode(body).and_then(|mimi| Content::from_mimi(&mimi)).ok()? {
        Content::Edit { target, .. } | Content::Delete { target } | Content::Reaction { target, .. } => Some(target),
        _ => None,
    }
}

/// Another device of this account tells of contents that act on others, the newest first. Those that this device has not
/// taken itself take effect as if it had: at once, or when what they act on is here.
pub(crate) fn given(context: &mut Context<'_>, changes: &Rows) -> Result<(), EngineError> {
    rows::write(context.db, "contents", &[], changes, &[], Existing::Keep)?;
    for id in changes.column("id").into_iter().rev() {
        let Value::Blob(id) = id else { continue };
        let sql =
            "SELECT id, author, target, body FROM contents WHERE id = ? AND target IS NOT NULL AND body IS NOT NULL";
        let found = context.db.prepare_cached(sql)?.query_row(params![id.as_slice()], |row| {
            Ok((row.get::<_, MessageId>(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get::<_, Vec<u8>>(3)?))
        });
        let Some((id, author, target, body)) = found.optional()? else { continue };
        if target_of(&body) == Some(target) && channel::receive::take_once(context, &id.0)? {
            timeline::act_later(context, (&id, &author), &target, &body)?;
        }
    }
    Ok(())
}

/// A content turned out to stand elsewhere than was thought.
pub(super) fn move_to(context: &Context<'_>, id: &MessageId, channel: &ChannelId, seq: u64) -> Result<(), EngineError> {
    context.db.prepare_cached("UPDATE OR IGNORE contents SET channel = ?, seq = ? WHERE id = ?")?.execute(params![
        channel.0,
        sql(seq),
        id
    ])?;
    Ok(())
}

/// An author took a message back: its words are gone here, too.
pub(crate) fn forget_words(context: &Context<'_>, id: &MessageId) -> Result<(), EngineError> {
    let sql = "UPDATE contents SET body = NULL WHERE (id = ?1 AND kind <> 2) OR (target = ?1 AND kind = 1)";
    context.db.prepare_cached(sql)?.execute(params![id])?;
    Ok(())
}

/// Somebody is in a conversation again, or this person is: that anybody had left it before, whoever could not read it
/// then need not hear any more.
pub(crate) fn forget_leaves(
    context: &Context<'_>,
    id: ConversationId,
    author: Option<&AccountAddress>,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            "UPDATE contents SET body = NULL WHERE kind = 4 AND (?2 IS NULL OR author = ?2) AND channel IN
             (SELECT id FROM channels WHERE conversation = ?1
             UNION SELECT channel FROM ended_channels WHERE conversation = ?1)",
        )?
        .execute(params![id, author.map(ToString::to_string)])?;
    Ok(())
}

/// Where in a log somebody said that they leave, as far as this device knows and if they are not in again.
pub(crate) fn left_at(
    db: &Connection,
    channel: &ChannelId,
    author: &AccountAddress,
) -> Result<Option<u64>, EngineError> {
    let sql = "SELECT MAX(seq) FROM contents WHERE kind = 4 AND body IS NOT NULL AND channel = ? AND author = ?";
    let seq: Option<i64> =
        db.prepare_cached(sql)?.query_row(params![channel.0, author.to_string()], |row| row.get(0))?;
    Ok(seq.map(unsql))
}

/// The person deleted a chat from this device.
pub(crate) fn forget_conversation(context: &Context<'_>, id: ConversationId) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            "DELETE FROM contents WHERE channel IN (SELECT id FROM channels WHERE conversation = ?1
             UNION SELECT channel FROM ended_channels WHERE conversation = ?1)",
        )?
        .execute(params![id])?;
    Ok(())
}

/// Drops what nobody can ask for any more.
pub(super) fn prune(context: &Context<'_>) -> Result<(), EngineError> {
    let oldest = context.now.day().saturating_sub(COMMIT_DAYS);
    context.db.prepare_cached("DELETE FROM contents WHERE day < ?")?.execute(params![oldest])?;
    context.db.prepare_cached("DELETE FROM heal_nonces WHERE day < ?")?.execute(params![oldest])?;
    context.db.prepare_cached("DELETE FROM readd_answers WHERE day < ?")?.execute(params![context.now.day()])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Now;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn an_own_content_is_known_by_its_salt_and_nobody_else_makes_one() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE account (backup_key BLOB)").unwrap();
        db.execute("INSERT INTO account VALUES (?)", [[7_u8; 32]]).unwrap();
        let of = |text: &str| Content::Text { text: text.into(), reply_to: None }.to_mimi([0; 16]);
        let key = own_key(&db).unwrap();
        let own = MimiContent { salt: salt(&key, [1; 8], &of("mine")), ..of("mine") };
        assert!(is_own(&db, &own).unwrap());
        // As it is after a way over the wire.
        assert!(is_own(&db, &MimiContent::decode(&own.encode()).unwrap()).unwrap());
        let other_words = MimiContent { salt: own.salt, ..of("not mine") };
        assert!(!is_own(&db, &other_words).unwrap(), "a salt goes with its content");
        let other_key = MimiContent { salt: salt(&[8; 32], [1; 8], &of("mine")), ..of("mine") };
        assert!(!is_own(&db, &other_key).unwrap(), "and with its account");
    }

    const MESSAGE: MessageId = MessageId([1; 32]);

    /// A device's tables, with what it is asked of them.
    fn with_tables<T>(test: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let mut db = Connection::open_in_memory().unwrap();
        crate::schema::migrate(&mut db).unwrap();
        let mut randomness = ChaCha8Rng::from_seed([7; 32]);
        let now = Now { unix_ms: 1_767_225_600_000 };
        test(&mut Context::new(&db, now, &mut randomness, Default::default()))
    }

    /// A reaction, and an edit after it, as they stand in a log of somebody who does not have their message.
    fn changes() -> Rows {
        let bob: AccountAddress = "bob@h.example".parse().unwrap();
        with_tables(|context| {
            let log = ChannelId([9; 32]);
            let reaction = Content::Reaction { target: MESSAGE, emoji: "👍".into() };
            let edit = Content::Edit { target: MESSAGE, text: "edited".into() };
            for (place, content) in [(1_u8, reaction), (2, edit)] {
                let body = content.to_mimi([place; 16]).encode();
                let id = MessageId([place + 1; 32]);
                keep(context, (log, place.into()), (&id, &bob), i64::from(place), &body).unwrap();
            }
            rows::read(context.db, "contents", &[], "1 ORDER BY seq DESC", []).unwrap()
        })
    }

    fn write(context: &Context<'_>) {
        let sql = "INSERT INTO messages (id, conversation, position, sender, own, kind, text, sent_ms, acknowledged)
                   VALUES (?, zeroblob(32), 1, 'bob@h.example', 0, 0, 'as it was', 0, 1)";
        context.db.execute(sql, params![MESSAGE]).unwrap();
    }

    fn shown(context: &Context<'_>) -> (String, i64) {
        let sql = "SELECT text, (SELECT COUNT(*) FROM reactions) FROM messages";
        context.db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }

    #[test]
    fn what_a_sister_tells_of_a_message_that_she_does_not_have_takes_effect_where_it_is() {
        with_tables(|context| {
            write(context);
            given(context, &changes()).unwrap();
            assert_eq!(shown(context), ("edited".into(), 1));
            timeline::edit(context, ("bob@h.example".parse().as_ref().unwrap(), 3), &MESSAGE, "later").unwrap();
            given(context, &changes()).unwrap();
            assert_eq!(shown(context), ("later".into(), 1), "it is taken once");
        });
    }

    #[test]
    fn what_a_sister_tells_of_a_message_that_is_not_here_waits_for_it() {
        with_tables(|context| {
            given(context, &changes()).unwrap();
            write(context);
            timeline::catch_up(context, &MESSAGE).unwrap();
            assert_eq!(shown(context), ("edited".into(), 1));
        });
    }
}
