//! Channels: a conversation's log on a server, read in order, epoch by epoch, with its hash chain checked.
//!
//! An entry's path: [`subscribe`] asks for it, [`receive`] takes it (chain, own echo, commit or message). What is sent
//! goes through [`outbox`] and [`commit`]; what the group shall become stands in [`intent`].

pub(crate) mod commit;
pub(crate) mod end;
pub(crate) mod ephemeral;
pub(crate) mod intent;
pub(crate) mod outbox;
pub(crate) mod receive;
mod row;
pub(crate) mod subscribe;
pub(crate) mod unheard;

pub(crate) use row::{
    Channel, Live, add_recipient, add_to_roster, anchor, authenticator_at, choose_current, current_successor,
    entered_at, find, head_at, insert, logs, note_epoch, of_server, reachable, remove_from_roster, roster, set_live,
    set_rotation, tokens_of, ways_to,
};

use crate::Heart;
use crate::context::Context;
use crate::conversation::ConversationId;
use crate::error::EngineError;
use crate::heal::{self, Fault};
use aside_mls::{Group, GroupId, MlsError};
use aside_protocol::id::ChannelId;
use rusqlite::params;
use std::collections::btree_map::Entry;

/// Forgets every channel of a conversation with its group: this device reads and writes them no longer.
pub(crate) fn forget_all(
    heart: &mut Heart,
    context: &mut Context<'_>,
    conversation: ConversationId,
) -> Result<(), EngineError> {
    let mut statement = context.db.prepare_cached("SELECT id FROM channels WHERE conversation = ?")?;
    let rows = statement.query_map(params![conversation], |row| Ok(ChannelId(row.get(0)?)))?;
    let channels = rows.collect::<Result<Vec<_>, _>>()?;
    drop(statement);
    for channel in channels {
        outbox::epoch_ended(context, channel)?;
        end::forget(heart, context, channel)?;
    }
    Ok(())
}

/// The group of a channel, loaded on first use. It is taken out of the map while it works, so that an error leaves no
/// group in memory that is ahead of the disk. One that is damaged is asked for anew, and is `None` until then.
pub(crate) fn take_group(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &ChannelId,
) -> Result<Option<Group>, EngineError> {
    match heart.groups.entry(*channel) {
        Entry::Occupied(entry) => Ok(Some(entry.remove())),
        Entry::Vacant(_) => match heart.mls.on(context.db).load_group(&GroupId(channel.0)) {
            Err(MlsError::Incomplete(_)) => {
                heal::check::lost(heart, context, *channel, Fault::DamagedState).map(|()| None)
            }
            loaded => Ok(loaded?),
        },
    }
}
