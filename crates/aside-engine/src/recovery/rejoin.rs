//! What follows an import: what was under way on the lost device is ended in words, and every conversation asks for
//! a fresh leaf, since no backup holds group state.

use crate::Heart;
use crate::channel;
use crate::content::MessageId;
use crate::context::Context;
use crate::conversation::{self, ConversationId};
use crate::error::EngineError;
use crate::heal;
use crate::input::Change;
use crate::timeline;
use aside_protocol::id::ChannelId;
use rusqlite::params;
use std::collections::BTreeSet;

/// Why a conversation does not go on, as half a sentence.
const NOT_BEGUN: &str = "it was only being begun when the backup was made: begin it again";

/// Brings what was imported into a state that is true.
pub(super) fn settle(heart: &mut Heart, context: &mut Context<'_>) -> Result<(), EngineError> {
    let db = context.db;
    db.execute(
        "UPDATE messages SET failure = 'It had not been sent when the backup was made.'
         WHERE own = 1 AND kind = 0 AND acknowledged = 0 AND failure IS NULL",
        [],
    )?;
    db.execute(
        "UPDATE contacts SET state = 2, failure = 'They were only being added when the backup was made: add them again.'
         WHERE state = 0",
        [],
    )?;
    // What was taken before is not taken again, should it come back through another channel.
    let today = context.now.day();
    for table in ["messages WHERE own = 0", "reactions WHERE 1"] {
        db.execute(&format!("INSERT OR IGNORE INTO taken (id, day) SELECT id, ?1 FROM {table}"), params![today])?;
    }
    db.execute("INSERT OR IGNORE INTO chain (channel, seq, head) SELECT id, seq, head FROM channels", [])?;
    db.execute("UPDATE channels SET reported_day = ?", params![today])?;
    db.execute(
        "UPDATE conversations SET state = 4, paused = COALESCE(paused, 'you left the group') WHERE state = 6",
        [],
    )?;
    let mut said = BTreeSet::new();
    for (id, channel) in conversations(context)? {
        if said.insert(id) {
            say_what_was_wrong(heart, context, id)?;
        }
        match channel.map(|channel| channel::find(context.db, &channel)).transpose()?.flatten() {
            // Whatever else was wrong with it: without group state there is one way back.
            Some(row) => {
                conversation::set_state(context, id, conversation::State::Active)?;
                heal::stop(heart, context, &row, heal::Fault::MissingState)?;
            }
            None => conversation::pause(context, id, NOT_BEGUN)?,
        }
    }
    announce(context)
}

/// What stopped the conversation before does not stand any more, since what follows begins without its keys. The person,
/// who may have had to decide about it (a server that showed two histories), is not to lose sight of it.
fn say_what_was_wrong(heart: &Heart, context: &mut Context<'_>, id: ConversationId) -> Result<(), EngineError> {
    let row = conversation::find(context.db, &id)?;
    let stopped = row.filter(|row| matches!(row.state, conversation::State::Paused | conversation::State::Healing));
    match (stopped.and_then(|row| row.paused), &heart.identity) {
        (Some(words), Some(identity)) => {
            let words = format!("When the backup was made, this was wrong here: {words}.");
            timeline::note(context, id, &identity.address, &words)
        }
        _ => Ok(()),
    }
}

/// The conversations that this person was in, each with the channels that are in use: two where both people had founded
/// it, none where it was only begun.
fn conversations(context: &Context<'_>) -> Result<Vec<(ConversationId, Option<ChannelId>)>, EngineError> {
    let mut statement = context.db.prepare(
        "SELECT conversations.id, channels.id FROM conversations LEFT JOIN channels
         ON channels.conversation = conversations.id AND channels.live = 1 AND channels.successor IS NULL
         WHERE conversations.state IN (0, 1, 3, 7) ORDER BY conversations.id, channels.id",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, Option<[u8; 32]>>(1)?.map(ChannelId))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn announce(context: &mut Context<'_>) -> Result<(), EngineError> {
    let newest: Vec<MessageId> = context
        .db
        .prepare("SELECT id FROM messages ORDER BY sent_ms DESC LIMIT 1")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    newest.into_iter().for_each(|id| context.changed(Change::Message(id)));
    Ok(())
}
