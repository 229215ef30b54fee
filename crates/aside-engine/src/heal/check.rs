//! Looking at every group's rows when a profile opens, before anything is done with them: what is missing is known before
//! a message needs it.

use super::fault::{self, Fault};
use super::{content, request};
use crate::Heart;
use crate::channel::{self, Live};
use crate::context::Context;
use crate::conversation::{self, State};
use crate::error::EngineError;
use aside_mls::{GroupId, StoredGroup};
use aside_protocol::id::ChannelId;

/// Looks once, in the first input after the profile was opened.
pub(super) fn all_once(heart: &mut Heart, context: &mut Context<'_>) -> Result<(), EngineError> {
    if std::mem::replace(&mut heart.is_checked, true) {
        return Ok(());
    }
    content::prune(context)?;
    request::prune(heart, context)?;
    let ids: Vec<ChannelId> = context
        .db
        .prepare_cached("SELECT id FROM channels WHERE successor IS NULL OR live = 1")?
        .query_map([], |row| Ok(ChannelId(row.get(0)?)))?
        .collect::<Result<_, _>>()?;
    ids.into_iter().try_for_each(|id| one(heart, context, id))
}

/// Looks at one channel's group.
pub(crate) fn one(heart: &mut Heart, context: &mut Context<'_>, id: ChannelId) -> Result<(), EngineError> {
    let Some(row) = channel::find(context.db, &id)? else { return Ok(()) };
    let Some(conversation) = conversation::find(context.db, &row.conversation)? else { return Ok(()) };
    let is_used = matches!(conversation.state, State::Active | State::Pending | State::Healing | State::Leaving);
    if !is_used
        || fault::of_channel(context.db, &id)?.is_some()
        || (row.live == Live::No && conversation.channel != Some(id))
    {
        return Ok(());
    }
    let fault = match heart.mls.on(context.db).stored_group(&GroupId(id.0))? {
        StoredGroup::At(epoch) if epoch == row.epoch => return Ok(()),
        StoredGroup::At(_) | StoredGroup::Incomplete => Fault::DamagedState,
        StoredGroup::Absent => Fault::MissingState,
    };
    lost(heart, context, id, fault)
}

/// The group of a channel cannot be loaded, or not be used: it is asked for anew.
pub(crate) fn lost(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: ChannelId,
    fault: Fault,
) -> Result<(), EngineError> {
    let Some(row) = channel::find(context.db, &id)? else { return Ok(()) };
    match fault::of_channel(context.db, &id)?.is_none() {
        true => request::stop(heart, context, &row, fault),
        false => request::forget_group(heart, context, id),
    }
}
