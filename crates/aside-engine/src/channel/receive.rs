//! Taking an entry of the log: the chain first, then one's own echo, then commits and messages. Whatever an entry
//! changes, it changes in the transaction that moves the cursor behind it.

use super::row::{head_at, set_position};
use super::{Channel, commit, end, outbox, take_group};
use crate::Heart;
use crate::content::Content;
use crate::content::wrapper::{Wrapper, message_id};
use crate::context::Context;
use crate::conversation;
use crate::device;
use crate::error::EngineError;
use crate::heal::{self, Fault, Fork, ForkSign};
use crate::inbox::{again, report};
use crate::timeline;
use crate::view::ConversationKind;
use aside_mls::{Member, MlsError, ProcessError, Processed};
use aside_protocol::address::AccountAddress;
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
    if is_paused(context, &channel)? || heal::is_stopped(context, &channel)? {
        return Ok(());
    }
    let before = channel.position;
    if entry.seq <= before.seq {
        return compare_replayed(heart, context, &channel, &entry);
    }
    if entry.seq != before.seq.saturating_add(1) {
        return heal::stop(heart, context, &channel, Fork::by_server(ForkSign::LeftOut, &channel, None));
    }
    let head = next_head(&id, &before.head, entry.seq, &entry.header, &entry.body.hash());
    let position = Position { seq: entry.seq, head };
    if entry.header.epoch != channel.epoch {
        let fork = Fork::by_server(ForkSign::WrongOrder, &channel, Some(position));
        return heal::stop(heart, context, &channel, fork);
    }
    if outbox::is_acknowledged_as_another(context, id, entry.seq, &entry.header.append_id)? {
        let fork = Fork::by_server(ForkSign::TakenBack, &channel, Some(position));
        return heal::stop(heart, context, &channel, fork);
    }
    let outcome = match outbox::find_own(context, &entry.header.append_id)? {
        Some(own) => outbox::echoed(heart, context, &channel, &own, position)?,
        None if entry.header.is_commit() => commit::received(heart, context, &channel, &entry, position)?,
        None => message(heart, context, &channel, &entry)?,
    };
    match outcome {
        Outcome::Taken => move_cursor(heart, context, id, position),
        Outcome::Stopped(fault) => heal::stop(heart, context, &channel, *fault),
        Outcome::Swapped => {
            move_cursor(heart, context, id, position)?;
            again::swapped(heart, context, id)
        }
        Outcome::Ended => Ok(()),
    }
}

/// What an entry came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was dealt with; the cursor moves on.
    Taken,
    /// It cannot be dealt with; the conversation stops before it.
    Stopped(Box<Fault>),
    /// It gave this device a fresh leaf in the place of the one that it has; the cursor moves on, too.
    Swapped,
    /// It ended the channel for this device; there is no cursor any more.
    Ended,
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

/// Whether the conversation is in a state in which nothing of it is read.
pub(super) fn is_paused(context: &Context<'_>, channel: &Channel) -> Result<bool, EngineError> {
    let conversation = conversation::find(context.db, &channel.conversation)?;
    Ok(conversation.is_none_or(|row| !row.state.is_read()))
}

/// The server sent an entry that this device has read: it must be the same one.
fn compare_replayed(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    entry: &Entry,
) -> Result<(), EngineError> {
    let before = head_at(context.db, &channel.id, entry.seq.saturating_sub(1))?;
    let after = head_at(context.db, &channel.id, entry.seq)?;
    let (Some(before), Some(after)) = (before, after) else { return Ok(()) };
    let head = next_head(&channel.id, &before, entry.seq, &entry.header, &entry.body.hash());
    if head == after {
        return Ok(());
    }
    let shown = Position { seq: entry.seq, head };
    heal::stop(heart, context, channel, Fork::by_server(ForkSign::HistoryChanged, channel, Some(shown)))
}

/// A message of somebody else's.
fn message(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    entry: &Entry,
) -> Result<Outcome, EngineError> {
    let Body::Present(body) = &entry.body else {
        heal::gap::open(heart, context, channel, entry.seq, entry.seq)?;
        device::missed(heart, context, channel)?;
        return Ok(Outcome::Taken);
    };
    let Some(mut group) = take_group(heart, context, &channel.id)? else {
        return Ok(Outcome::Stopped(Fault::DamagedState.into()));
    };
    let processed = group.process(&heart.mls.on(context.db), body);
    match processed {
        Ok(Processed::Application { sender, plaintext }) => {
            heart.groups.insert(channel.id, group);
            opened(heart, context, channel, entry.seq, &sender, &plaintext)
        }
        Err(ProcessError::Mls(MlsError::Storage(error))) => Err(error.into()),
        // This very device wrote it and does not know it: its state is an older copy, and would encrypt two messages
        // under one key. It reads on, as far as the old keys go, and writes nothing more with them.
        Err(ProcessError::OwnMessage) => {
            heal::gap::open(heart, context, channel, entry.seq, entry.seq)?;
            heal::stop(heart, context, channel, Fault::OldState)?;
            Ok(Outcome::Taken)
        }
        // A member, or whoever stole the append key, can put anything here. What it was is asked of the members; whether
        // the group itself still agrees is found out between them, past the server.
        Ok(Processed::Commit(_)) | Err(_) => {
            heal::gap::open(heart, context, channel, entry.seq, entry.seq)?;
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
        heal::gap::open(heart, context, channel, seq, seq)?;
        return Ok(Outcome::Taken);
    };
    let known = head_at(context.db, &channel.id, wrapper.cited.seq)?;
    let author = &sender.credential.address;
    if known.is_some_and(|head| head != wrapper.cited.head) || wrapper.cited.seq >= seq {
        return Ok(Outcome::Stopped(Box::new(Fault::Fork(Fork {
            sign: ForkSign::ChainMismatch,
            epoch: channel.epoch,
            ours: Some(known.map_or(channel.position, |head| Position { seq: wrapper.cited.seq, head })),
            theirs: Some(wrapper.cited),
            authenticators: None,
            told_by: Some(author.clone()),
        }))));
    }
    let id = message_id(author, &wrapper.content);
    if !context.defects.dedupe_off() && !take_once(context, &id.0)? {
        return Ok(Outcome::Taken);
    }
    let conversation = conversation::find(context.db, &channel.conversation)?;
    let Some(conversation) = conversation else { return Ok(Outcome::Taken) };
    if conversation.state == conversation::State::Leaving {
        // Of what is said, only one thing matters still: who else leaves.
        if content == Content::Leave && heart.identity.as_ref().is_some_and(|own| own.address != *author) {
            conversation::set_leaving(context, conversation.id, author)?;
        }
        return Ok(Outcome::Taken);
    }
    if content == Content::Leave {
        if conversation.kind != ConversationKind::Group {
            return Ok(Outcome::Taken);
        }
        if heart.identity.as_ref().is_some_and(|identity| identity.address == *author) {
            timeline::note(context, conversation.id, author, "You left the group on another device")?;
            let sent_ms = wrapper.sent_at_unix_ms;
            heal::content::keep(context, (channel.id, seq), (&id, author), sent_ms, &wrapper.content)?;
            end::left(heart, context, channel)?;
            return Ok(Outcome::Ended);
        }
    }
    if content != Content::Leave {
        is_back(context, channel, author, wrapper.cited)?;
    }
    let sent_ms = wrapper.sent_at_unix_ms;
    heal::content::keep(context, (channel.id, seq), (&id, author), sent_ms, &wrapper.content)?;
    let taken = timeline::Taken { id, channel: channel.id, seq, author: author.clone(), sent_ms, position: None };
    timeline::take(heart, context, channel, &taken, content)?;
    Ok(Outcome::Taken)
}

/// Whoever leaves says nothing more. Whoever speaks, and has read that they left, was taken out and in again meanwhile,
/// while this device could not read it.
fn is_back(
    context: &mut Context<'_>,
    channel: &Channel,
    author: &AccountAddress,
    cited: Position,
) -> Result<(), EngineError> {
    if !conversation::leavers(context, channel.conversation)?.contains(author) {
        return Ok(());
    }
    match heal::content::left_at(context.db, &channel.id, author)?.is_none_or(|seq| seq <= cited.seq) {
        true => conversation::set_staying(context, channel.conversation, author),
        false => Ok(()),
    }
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
