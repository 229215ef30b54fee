//! What a person is told of a fault, and what they can choose.

use super::fault::{self, Fault, Standing};
use super::follow;
use crate::channel::end;
use crate::context::Context;
use crate::conversation::{self, Conversation, ConversationId, State};
use crate::error::{CommandError, EngineError};
use crate::input::Answer;
use crate::view::{Notice, NoticeAction, NoticeKind};
use crate::{Engine, Heart};
use aside_protocol::id::ChannelId;
use rusqlite::{Connection, params};

/// The notice of a conversation, if something is wrong with it.
pub(crate) fn of(db: &Connection, row: &Conversation) -> Result<Option<Notice>, EngineError> {
    // Who left knows that.
    if row.state == State::Left {
        return Ok(None);
    }
    if row.state == State::Removed {
        let text = row.paused.clone().unwrap_or_default();
        return Ok(Some(Notice { kind: NoticeKind::Removed, text, actions: vec![] }));
    }
    let Some(standing) = fault::find(db, &row.id)? else { return Ok(None) };
    let what = standing.fault.words();
    let what = capitalised(&what);
    let notice = match &standing.fault {
        Fault::Fork(_) if !standing.is_chosen => Notice {
            kind: NoticeKind::Fork,
            text: format!(
                "{what}. Nothing more is sent or shown here until you decide. You can go on in a new place with the same \
                 people; what was seen is kept as evidence."
            ),
            actions: vec![NoticeAction::Continue, NoticeAction::Leave],
        },
        _ if is_alone(db, &standing)? => Notice {
            kind: NoticeKind::Lost,
            text: format!("{what}, and nobody is left who could help. Ask somebody in it to add you again."),
            actions: vec![NoticeAction::Leave],
        },
        _ => Notice {
            kind: NoticeKind::Healing,
            text: format!("{what}. It is being repaired by itself; what you write goes out as soon as it is."),
            actions: vec![],
        },
    };
    Ok(Some(notice))
}

/// Whether there is nobody to ask.
fn is_alone(db: &Connection, standing: &fault::Standing) -> Result<bool, EngineError> {
    let has_roster = db
        .prepare_cached("SELECT 1 FROM roster WHERE channel = ? AND server IS NOT NULL")?
        .exists(params![standing.channel.0])?;
    Ok(standing.requests > 0 && !has_roster)
}

fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The person chose to go on in spite of a fork.
pub(crate) fn go_on(heart: &mut Heart, context: &mut Context<'_>, id: ConversationId) -> Result<(), CommandError> {
    conversation::find(context.db, &id)?.ok_or(CommandError::UnknownConversation)?;
    let Some(standing) = fault::find(context.db, &id)? else { return Err(CommandError::NothingToAccept) };
    if !matches!(standing.fault, Fault::Fork(_)) {
        return Err(CommandError::NothingToAccept);
    }
    fault::choose(context, &standing)?;
    Ok(follow::kept(heart, context, standing.channel)?)
}

/// The person gives the conversation up. What can still be said to the others is not: nothing goes out of it any more.
pub(crate) fn leave(heart: &mut Heart, context: &mut Context<'_>, id: ConversationId) -> Result<Answer, CommandError> {
    if fault::find(context.db, &id)?.is_none() {
        return Err(CommandError::NothingToAccept);
    }
    let channels: Vec<[u8; 32]> = context
        .db
        .prepare_cached("SELECT id FROM channels WHERE conversation = ?")?
        .query_map(params![id], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for channel in channels {
        end::forget(heart, context, ChannelId(channel))?;
    }
    context.db.execute("DELETE FROM faults WHERE conversation = ?", params![id])?;
    conversation::set_out(context, id, State::Left, "you left")?;
    Ok(Answer::Conversation(id))
}

/// A conversation with which something is wrong, and what is being done about it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Healing {
    /// Which.
    pub conversation_id: ConversationId,
    /// The group's title, or the other person's name.
    pub title: String,
    /// Since when, milliseconds since 1970-01-01 UTC.
    pub since: i64,
    /// How often help was asked for.
    pub requests: u32,
    /// What the person is told.
    pub notice: Notice,
}

impl Engine {
    /// The conversations with which something is wrong.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn healing(&self) -> Result<Vec<Healing>, EngineError> {
        let ids: Vec<ConversationId> = self
            .db
            .prepare_cached(
                "SELECT conversation FROM faults GROUP BY conversation ORDER BY MIN(since_ms), conversation",
            )?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut all = Vec::new();
        for id in ids {
            let (Some(row), Some(standing)) = (conversation::find(&self.db, &id)?, fault::find(&self.db, &id)?) else {
                continue;
            };
            if let Some(notice) = of(&self.db, &row)? {
                let Standing { since_ms: since, requests, .. } = standing;
                all.push(Healing { conversation_id: id, title: row.title, since, requests, notice });
            }
        }
        Ok(all)
    }
}
