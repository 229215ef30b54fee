//! Taking an entry of the log: the chain first, then one's own echo, then commits and messages. Whatever an entry
//! changes, it changes in the transaction that moves the cursor behind it.

use super::row::{head_at, set_position};
use super::{Channel, commit, outbox, take_group};
use crate::Heart;
use crate::content::Content;
use crate::content::wrapper::{Wrapper, message_id};
use crate::context::Context;
use crate::conversation;
use crate::error::EngineError;
use crate::inbox::report;
use crate::timeline;
use aside_mls::{Member, ProcessError, Processed};
use aside_protocol::channel::{Body, Entry, Position, next_head};
use aside_protocol::id::ChannelId;
use rusqlite::params;

/// Takes the entry behind the cursor. An older one is compared and otherwise ignored.
pub(crate) fn entry(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: ChannelId,
    entry: Entry,
) -> Result<(), EngineError> {
    let Some(channel) = super::find(context.db, &id)? else { return Ok(()) };
    if is_paused(context, &channel)? {
        return Ok(());
    }
    let before = channel.position;
    if entry.seq <= before.seq {
        return compare_replayed(context, &channel, &entry);
    }
    if entry.seq != before.seq.saturating_add(1) {
        return pause(context, &channel, "the server left messages out");
    }
    let head = next_head(&id, &before.head, entry.seq, &entry.header, &entry.body.hash());
    let position = Position { seq: entry.seq, head };
    if entry.header.epoch != channel.epoch {
        return pause(context, &channel, "the server put messages of different times in a wrong order");
    }
    if outbox::is_acknowledged_as_another(context, id, entry.seq, &entry.header.append_id)? {
        return pause(context, &channel, "the server took back a message that it had acknowledged");
    }
    let outcome = match outbox::find_own(context, &entry.header.append_id)? {
        Some(own) => outbox::echoed(heart, context, &channel, &own, position)?,
        None if entry.header.is_commit() => commit::received(heart, context, &channel, &entry)?,
        None => message(heart, context, &channel, &entry)?,
    };
    match outcome {
        Outcome::Taken => move_cursor(heart, context, id, position),
        Outcome::Paused(reason) => pause(context, &channel, reason),
    }
}

/// What an entry came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was dealt with; the cursor moves on.
    Taken,
    /// It cannot be dealt with; the conversation stops before it, for this reason.
    Paused(&'static str),
}

fn move_cursor(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: ChannelId,
    position: Position,
) -> Result<(), EngineError> {
    if context.defects.cursor_outside_transaction()
        && let Some(channel) = super::find(context.db, &id)?
    {
        heart.late_cursors.entry(id).or_insert((channel.position, position)).1 = position;
    }
    set_position(context, id, position)
}

fn is_paused(context: &Context<'_>, channel: &Channel) -> Result<bool, EngineError> {
    let conversation = conversation::find(context.db, &channel.conversation)?;
    Ok(conversation.is_none_or(|row| row.state == conversation::State::Paused))
}

/// Stops the channel's conversation.
pub(crate) fn pause(context: &mut Context<'_>, channel: &Channel, reason: &str) -> Result<(), EngineError> {
    conversation::pause(context, channel.conversation, reason)
}

/// The server sent an entry that this device has read: it must be the same one.
fn compare_replayed(context: &mut Context<'_>, channel: &Channel, entry: &Entry) -> Result<(), EngineError> {
    let before = head_at(context.db, &channel.id, entry.seq.saturating_sub(1))?;
    let after = head_at(context.db, &channel.id, entry.seq)?;
    let (Some(before), Some(after)) = (before, after) else { return Ok(()) };
    match next_head(&channel.id, &before, entry.seq, &entry.header, &entry.body.hash()) == after {
        true => Ok(()),
        false => pause(context, channel, "the server shows this device another history than it had shown before"),
    }
}

/// A message of somebody else's.
fn message(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    entry: &Entry,
) -> Result<Outcome, EngineError> {
    let Body::Present(body) = &entry.body else {
        timeline::expired(context, channel.conversation)?;
        return Ok(Outcome::Taken);
    };
    let Some(mut group) = take_group(heart, context, &channel.id)? else {
        return Ok(Outcome::Paused("this device has lost the keys of the conversation"));
    };
    let processed = group.process(&heart.mls.on(context.db), body);
    match processed {
        Ok(Processed::Application { sender, plaintext }) => {
            heart.groups.insert(channel.id, group);
            opened(heart, context, channel, entry.seq, &sender, &plaintext)
        }
        Ok(Processed::Commit(_)) => {
            timeline::unreadable(context, channel.conversation)?;
            Ok(Outcome::Taken)
        }
        Err(ProcessError::Mls(error)) => Err(error.into()),
        // A member, or whoever stole the append key, can put anything here. It is noted and passed over; whether the
        // group itself still agrees is found out between the members, past the server.
        Err(_) => {
            timeline::unreadable(context, channel.conversation)?;
            report::send(heart, context, channel)?;
            Ok(Outcome::Taken)
        }
    }
}

/// Plaintext of a member: check what it cites, then act on it.
fn opened(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    seq: u64,
    sender: &Member,
    plaintext: &[u8],
) -> Result<Outcome, EngineError> {
    let wrapper = Wrapper::open(plaintext);
    let parsed = wrapper.and_then(|wrapper| {
        let content = Content::from_mimi(&wrapper.mimi()?)?;
        Ok((wrapper, content))
    });
    let Ok((wrapper, content)) = parsed else {
        timeline::unreadable(context, channel.conversation)?;
        return Ok(Outcome::Taken);
    };
    let known = head_at(context.db, &channel.id, wrapper.cited.seq)?;
    if known.is_some_and(|head| head != wrapper.cited.head) || wrapper.cited.seq >= seq {
        return Ok(Outcome::Paused("the server shows the members different histories of this conversation"));
    }
    let author = &sender.credential.address;
    let id = message_id(author, &wrapper.content);
    if !context.defects.dedupe_off() && !take_once(context, &id.0)? {
        return Ok(Outcome::Taken);
    }
    let taken =
        timeline::Taken { id, channel: channel.id, seq, author: author.clone(), sent_ms: wrapper.sent_at_unix_ms };
    timeline::take(heart, context, channel, &taken, content)?;
    Ok(Outcome::Taken)
}

/// Notes a content's id; `false` if it was noted before.
pub(crate) fn take_once(context: &Context<'_>, id: &[u8; 32]) -> Result<bool, EngineError> {
    let rows = context
        .db
        .prepare_cached("INSERT OR IGNORE INTO taken (id, day) VALUES (?, ?)")?
        .execute(params![id, context.now.day()])?;
    Ok(rows == 1)
}

impl Heart {
    /// Nothing, but for a planted defect: cursors that the transaction before should have written are written here.
    pub(crate) fn write_late_cursors(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        std::mem::take(&mut self.late_cursors)
            .into_iter()
            .try_for_each(|(id, (_, after))| set_position(context, id, after))
    }

    /// Nothing, but for a planted defect: cursors are put back to where they were when the transaction began.
    pub(crate) fn hold_late_cursors(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        self.late_cursors.iter().try_for_each(|(id, (before, _))| set_position(context, *id, *before))
    }
}
