//! Adding people to a group that stands: their KeyPackages are fetched by a job, then every device of theirs becomes an
//! intent. Who founds a group takes the same way, only with everybody at once.

use super::found::{Fetched, newcomers_of};
use super::{ConversationId, row, set_adding, set_not_added};
use crate::Heart;
use crate::channel;
use crate::channel::intent::{self, Intent};
use crate::contact;
use crate::context::Context;
use crate::error::EngineError;
use crate::group::link;
use crate::input::ServerId;
use crate::job::{self, Job};
use crate::{server, timeline};
use aside_protocol::address::AccountAddress;
use aside_protocol::id::{ChannelId, DeviceId};
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::key::PublicKey;
use rusqlite::params;

/// Somebody who can be added: who they are, and what lets us fetch their KeyPackages and write to them.
pub(crate) struct Reach {
    pub server: ServerId,
    /// Absent until their server has named it, of somebody who was added by name.
    pub root_key: Option<PublicKey>,
    pub token: DeliveryToken,
}

/// How to reach somebody for a conversation: as a contact, or by what they said when they asked to join.
pub(crate) fn reach(
    context: &Context<'_>,
    id: ConversationId,
    member: &AccountAddress,
) -> Result<Option<Reach>, EngineError> {
    if let Some(contact) = contact::find(context.db, member)?
        && let Some(server) = contact.server
        && contact.state.is_accepted()
    {
        let contact::Contact { root_key, token, .. } = contact;
        return Ok(Some(Reach { server, root_key, token }));
    }
    let Some(asked) = link::approved(context.db, id, member)? else { return Ok(None) };
    let Some(server) = server::find_pin(context.db, &asked.server)? else { return Ok(None) };
    Ok(Some(Reach { server, root_key: Some(asked.credential.root_key), token: asked.token }))
}

/// Begins to add somebody, who is shown as being added from here on.
pub(crate) fn begin(
    context: &mut Context<'_>,
    id: ConversationId,
    member: &AccountAddress,
    server: ServerId,
) -> Result<(), EngineError> {
    set_adding(context, id, member)?;
    let is_first = context
        .db
        .prepare_cached("INSERT OR IGNORE INTO founding (conversation, address, at_ms) VALUES (?, ?, ?)")?
        .execute(params![id, member.to_string(), context.now.unix_ms])?
        == 1;
    match is_first {
        true => job::add(context, server, &Job::FetchKeyPackages(id, member.clone())),
        false => Ok(()),
    }
}

/// Before one of several members puts somebody's devices in the place of revoked ones, in milliseconds.
const REPLACE_WITHIN_MS: i64 = 30_000;

/// Somebody took devices out. In a log where no other device of theirs is known, nobody of theirs can take the leaves out:
/// whoever else is there puts those that stand in their place.
pub(crate) fn devices_are_out(context: &mut Context<'_>, member: &AccountAddress) -> Result<(), EngineError> {
    for id in contact::keys::conversations_with(context.db, member)? {
        let logs = logs_without(context, id, member)?;
        let Some(Reach { server, .. }) = reach(context, id, member)?.filter(|_| !logs.is_empty()) else { continue };
        let is_first = context
            .db
            .prepare_cached("INSERT OR IGNORE INTO founding (conversation, address, at_ms) VALUES (?, ?, ?)")?
            .execute(params![id, member.to_string(), context.now.unix_ms])?
            == 1;
        if is_first {
            let due_ms = context.now.unix_ms.saturating_add(context.random_ms(REPLACE_WITHIN_MS));
            job::add_at(context, server, &Job::FetchKeyPackages(id, member.clone()), due_ms)?;
        }
    }
    Ok(())
}

/// The logs of a conversation in which all that is known of somebody is revoked.
fn logs_without(
    context: &Context<'_>,
    id: ConversationId,
    member: &AccountAddress,
) -> Result<Vec<ChannelId>, EngineError> {
    let Some((_, chain)) = contact::keys::known(context.db, member)? else { return Ok(Vec::new()) };
    let is_out = |device: &DeviceId| chain.iter().any(|set| set.revoked.contains(device));
    let mut found = Vec::new();
    for log in channel::logs(context.db, &id)? {
        let roster = channel::roster(context.db, &log.id)?.into_iter();
        let theirs: Vec<DeviceId> = roster.filter(|it| it.address == *member).map(|it| it.device).collect();
        if !theirs.is_empty() && theirs.iter().all(is_out) {
            found.push(log.id);
        }
    }
    Ok(found)
}

/// Whether somebody is looked up who is in the conversation, or was met there meanwhile.
pub(super) fn is_replacing(
    context: &Context<'_>,
    id: ConversationId,
    member: &AccountAddress,
) -> Result<bool, EngineError> {
    let Some(row) = row::find(context.db, &id)? else { return Ok(false) };
    let is_known = row.peer.is_some() && row.channel.is_some();
    Ok(is_known || !logs_without(context, id, member)?.is_empty())
}

/// The directory's answer was checked: their devices take the place of revoked ones, where nobody else of theirs is.
pub(super) fn replace(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: ConversationId,
    member: &AccountAddress,
    fetched: &Fetched,
) -> Result<(), EngineError> {
    end(context, id, member)?;
    let newcomers = newcomers_of(heart, context, (id, member), fetched)?;
    for log in logs_without(context, id, member)? {
        // One that is in it and has never said a word there may not know of it.
        for (newcomer, _) in &newcomers {
            intent::want(context, log, &Intent::Swap(newcomer.clone()))?;
        }
        heart.stirred.insert(log);
    }
    Ok(())
}

/// The directory's answer was checked: each device that can be added becomes an intent.
pub(super) fn fetched(
    heart: &Heart,
    context: &mut Context<'_>,
    (conversation, channel): (&row::Conversation, ChannelId),
    member: &AccountAddress,
    fetched: &Fetched,
) -> Result<(), EngineError> {
    end(context, conversation.id, member)?;
    for (newcomer, _) in newcomers_of(heart, context, (conversation.id, member), fetched)? {
        intent::want(context, channel, &Intent::Add(newcomer))?;
    }
    Ok(())
}

/// Somebody cannot be added to a group that stands.
pub(super) fn failed(
    context: &mut Context<'_>,
    conversation: &row::Conversation,
    member: &AccountAddress,
    why: &str,
) -> Result<(), EngineError> {
    end(context, conversation.id, member)?;
    set_not_added(context, conversation.id, member)?;
    timeline::note(context, conversation.id, member, &format!("{member} could not be added: {why}"))
}

/// Somebody is not waited for any more.
pub(crate) fn end(context: &Context<'_>, id: ConversationId, member: &AccountAddress) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("DELETE FROM founding WHERE conversation = ? AND address = ?")?
        .execute(params![id, member.to_string()])?;
    Ok(())
}
