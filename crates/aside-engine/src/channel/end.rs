//! The end of a channel on this device: the person left, or was removed. Nothing of the group stays; the conversation with
//! what was said stays, until it is deleted.

use super::intent::{self, Intent, MetadataChange};
use super::{Channel, outbox};
use crate::Heart;
use crate::context::{Context, sql, unsql};
use crate::conversation::{self, ConversationId, State};
use crate::device::attend;
use crate::error::EngineError;
use crate::group;
use crate::heal;
use crate::timeline;
use aside_mls::GroupId;
use aside_protocol::address::AccountAddress;
use aside_protocol::id::ChannelId;
use rusqlite::{Connection, OptionalExtension, params};

/// Tables with a column `channel` that mean nothing without the group.
const TABLES: [&str; 11] = [
    "chain",
    "epochs",
    "roster",
    "unheard",
    "pending_commits",
    "intents",
    "faults",
    "readds",
    "asked_keys",
    "kept_welcomes",
    "gaps",
];
/// From these, whoever left still gives back what they said, also that they left (P-9.7).
const GIVEN_FROM: [&str; 2] = ["joins", "contents"];

/// A commit removed this device.
pub(crate) fn removed(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    by: &AccountAddress,
) -> Result<(), EngineError> {
    heal::given_up(context, channel)?;
    let row = conversation::find(context.db, &channel.conversation)?;
    let is_direct = row.as_ref().is_some_and(|row| row.peer.is_some());
    if row.is_some_and(|row| row.state == State::Leaving) {
        return left(heart, context, channel);
    }
    let words = match heart.identity.as_ref().is_some_and(|identity| identity.address == *by) {
        true => "Another of your devices took this one out of the conversation".to_owned(),
        false if is_direct => format!("{} took this device out of the conversation: it is not among yours", by.name),
        false => format!("{} removed you from the group", by.name),
    };
    taken_out(heart, context, channel, by, &words)
}

/// This device was removed while it could not read the group, as an admin tells.
pub(crate) fn was_removed(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    told_by: &AccountAddress,
) -> Result<(), EngineError> {
    heal::given_up(context, channel)?;
    // What was said up to then nobody gives it any more.
    heal::gap::open_endless(heart, context, channel, &heal::Fault::MissingState)?;
    heal::given_up(context, channel)?;
    let words =
        format!("While this device could not read it, somebody removed you from the group, says {}", told_by.name);
    taken_out(heart, context, channel, told_by, &words)
}

/// The person reads that they were removed, and nothing goes out any more.
fn taken_out(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    by: &AccountAddress,
    words: &str,
) -> Result<(), EngineError> {
    timeline::note(context, channel.conversation, by, words)?;
    conversation::set_out(context, channel.conversation, State::Removed, words)?;
    // Whoever is out of one of two logs is out of the conversation.
    let logs = super::logs(context.db, &channel.conversation)?;
    match logs.iter().any(|log| log.id == channel.id) {
        true => logs.iter().try_for_each(|log| out(heart, context, log))?,
        false => out(heart, context, channel)?,
    }
    outbox::all_failed(context, channel.conversation, words)
}

/// This person left, here or on another device, and the others know.
pub(crate) fn left(heart: &mut Heart, context: &mut Context<'_>, channel: &Channel) -> Result<(), EngineError> {
    conversation::set_out(context, channel.conversation, State::Left, "you left the group")?;
    conversation::nobody_leaves(context, channel.conversation)?;
    out(heart, context, channel)?;
    outbox::all_failed(context, channel.conversation, "you left the group")
}

fn out(heart: &mut Heart, context: &mut Context<'_>, channel: &Channel) -> Result<(), EngineError> {
    for table in ["group_links", "join_requests", "founding"] {
        let sql = format!("DELETE FROM {table} WHERE conversation = ?");
        context.db.execute(&sql, params![channel.conversation])?;
    }
    context
        .db
        .prepare_cached("INSERT OR REPLACE INTO ended_channels (channel, conversation, epoch) VALUES (?, ?, ?)")?
        .execute(params![channel.id.0, channel.conversation, sql(channel.epoch)])?;
    attend::ended(heart, context, channel)?;
    forget_group(heart, context, channel.id)
}

/// The conversation of a channel that this device was in, with the epoch that it had read it in when it was out of it.
pub(crate) fn ended(db: &Connection, id: &ChannelId) -> Result<Option<(ConversationId, u64)>, EngineError> {
    let mut statement = db.prepare_cached("SELECT conversation, epoch FROM ended_channels WHERE channel = ?")?;
    Ok(statement.query_row(params![id.0], |row| Ok((row.get(0)?, unsql(row.get(1)?)))).optional()?)
}

/// Whether this person's leaving has reached the log, or never will, and somebody is there who takes them out: then
/// nothing is left to be done here. The log's order decides who of several admins leaves last; that one appoints another.
pub(super) fn is_over(heart: &mut Heart, context: &mut Context<'_>, channel: &Channel) -> Result<bool, EngineError> {
    let conversation = conversation::find(context.db, &channel.conversation)?;
    if conversation.is_none_or(|row| row.state != State::Leaving) {
        return Ok(false);
    }
    if outbox::waits(context, channel.conversation)? {
        return Ok(false);
    }
    let Some(heir) = group::heir(heart, context, channel)? else { return Ok(true) };
    let grant = Intent::Metadata(MetadataChange::GrantAdmin(heir));
    if !intent::is_wanted(context, &channel.id, &grant)? {
        intent::want(context, channel.id, &grant)?;
        heart.stirred.insert(channel.id);
    }
    Ok(false)
}

/// Forgets a channel with its group and everything that waits for either.
pub(crate) fn forget(heart: &mut Heart, context: &mut Context<'_>, channel: ChannelId) -> Result<(), EngineError> {
    forget_group(heart, context, channel)?;
    for table in GIVEN_FROM {
        context.db.execute(&format!("DELETE FROM {table} WHERE channel = ?"), params![channel.0])?;
    }
    Ok(())
}

fn forget_group(heart: &mut Heart, context: &mut Context<'_>, channel: ChannelId) -> Result<(), EngineError> {
    heal::forget_key_packages(heart, context, channel)?;
    heart.groups.remove(&channel);
    heart.stirred.remove(&channel);
    heart.receipts_due.remove(&channel);
    heart.mls.on(context.db).delete_group(&GroupId(channel.0))?;
    for table in TABLES {
        context.db.execute(&format!("DELETE FROM {table} WHERE channel = ?"), params![channel.0])?;
    }
    context.db.execute("DELETE FROM channels WHERE id = ?", params![channel.0])?;
    Ok(())
}
