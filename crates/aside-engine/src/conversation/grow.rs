//! Adding people to a group that stands: their KeyPackages are fetched by a job, then every device of theirs becomes an
//! intent. Who founds a group takes the same way, only with everybody at once.

use super::found::{Fetched, newcomers_of};
use super::{ConversationId, row, set_adding, set_not_added};
use crate::Heart;
use crate::channel::intent::{self, Intent};
use crate::contact;
use crate::context::Context;
use crate::error::EngineError;
use crate::group::link;
use crate::input::ServerId;
use crate::job::{self, Job};
use crate::{server, timeline};
use aside_protocol::address::AccountAddress;
use aside_protocol::id::ChannelId;
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

/// The KeyPackages of somebody expired while the group's log could not be reached: others are fetched.
pub(crate) fn again(context: &mut Context<'_>, id: ConversationId, member: &AccountAddress) -> Result<(), EngineError> {
    match reach(context, id, member)? {
        Some(reach) => begin(context, id, member, reach.server),
        None => failed(context, id, member, "their device's keys have expired; add them again"),
    }
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
    id: ConversationId,
    member: &AccountAddress,
    why: &str,
) -> Result<(), EngineError> {
    end(context, id, member)?;
    set_not_added(context, id, member)?;
    timeline::note(context, id, member, &format!("{member} could not be added: {why}"))
}

/// Somebody is not waited for any more.
pub(crate) fn end(context: &Context<'_>, id: ConversationId, member: &AccountAddress) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("DELETE FROM founding WHERE conversation = ? AND address = ?")?
        .execute(params![id, member.to_string()])?;
    Ok(())
}
