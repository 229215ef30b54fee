//! Channels: a conversation's log on a server, read in order, epoch by epoch, with its hash chain checked.
//!
//! An entry's path: [`subscribe`] asks for it, [`receive`] takes it (chain, own echo, commit or message). What is sent
//! goes through [`outbox`] and [`commit`].

pub(crate) mod commit;
pub(crate) mod ephemeral;
pub(crate) mod outbox;
pub(crate) mod receive;
mod row;
pub(crate) mod subscribe;

pub(crate) use row::{
    Channel, Live, add_to_roster, authenticator_at, choose_current, find, head_at, insert, note_epoch, of_server,
    roster, set_live, set_rotation,
};

use crate::Heart;
use crate::context::Context;
use crate::error::EngineError;
use aside_mls::{Group, GroupId};
use aside_protocol::id::ChannelId;
use std::collections::btree_map::Entry;

/// The group of a channel, loaded on first use. It is taken out of the map while it works, so that an error leaves no
/// group in memory that is ahead of the disk.
pub(crate) fn take_group(
    heart: &mut Heart,
    context: &Context<'_>,
    channel: &ChannelId,
) -> Result<Option<Group>, EngineError> {
    match heart.groups.entry(*channel) {
        Entry::Occupied(entry) => Ok(Some(entry.remove())),
        Entry::Vacant(_) => Ok(heart.mls.on(context.db).load_group(&GroupId(channel.0))?),
    }
}
