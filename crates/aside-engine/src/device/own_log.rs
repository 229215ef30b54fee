//! The devices' own conversation: one group of an account's devices, in whose log they tell each other what they keep alike
//! (P-7.6). Several devices may found a log for it; of these one wins, the same for all.

use super::{accept, row, sync};
use crate::Heart;
use crate::channel;
use crate::context::Context;
use crate::conversation::{self, ConversationId};
use crate::error::EngineError;
use crate::inbox::welcome::Welcomes;
use crate::job::{self, Job, NewChannel};
use crate::view::ConversationKind;
use aside_mls::{GroupId, Metadata};
use aside_protocol::channel::{Position, first_head};
use aside_protocol::id::ChannelId;
use rusqlite::{Connection, OptionalExtension, params};

/// How long another, older device is waited for to found the devices' own log, in milliseconds.
const OTHERS_FIRST_MS: i64 = 86_400_000;

/// The devices' own conversation, once there was more than one.
pub(crate) fn find(db: &Connection) -> Result<Option<conversation::Conversation>, EngineError> {
    let id: Option<ConversationId> =
        db.prepare_cached("SELECT id FROM conversations WHERE kind = 2")?.query_row([], |row| row.get(0)).optional()?;
    id.map_or(Ok(None), |id| conversation::find(db, &id))
}

/// Whether a conversation is the devices' own.
pub(crate) fn is_it(db: &Connection, id: &ConversationId) -> Result<bool, EngineError> {
    Ok(conversation::find(db, id)?.is_some_and(|row| row.kind == ConversationKind::Own))
}

/// Another device has put this one into the devices' own conversation, by a log that may not be the first one: two devices
/// may have founded one each. Which conversation that is here; its name on the other device does not count.
pub(crate) fn join(context: &mut Context<'_>, proposed: ConversationId) -> Result<ConversationId, EngineError> {
    match find(context.db)? {
        Some(own) => Ok(own.id),
        None => conversation::insert_own(context, proposed).map(|()| proposed),
    }
}

/// The devices' own conversation goes on in another log. The places in the old one count no more, and what stands there
/// others may never read: each device tells everything in the new one.
pub(crate) fn moved(context: &Context<'_>, id: &ConversationId, to: &ChannelId) -> Result<(), EngineError> {
    let is_moved =
        find(context.db)?.is_some_and(|own| own.id == *id && own.channel.is_some_and(|channel| channel != *to));
    if !is_moved {
        return Ok(());
    }
    context.db.execute("DELETE FROM synced", [])?;
    for key in sync::keys(context.db)? {
        context
            .db
            .prepare_cached("INSERT INTO unsynced (item) VALUES (?) ON CONFLICT (item) DO UPDATE SET changed = 1")?
            .execute(params![key])?;
    }
    Ok(())
}

/// Founds the devices' own channel, with this device alone in it, unless it is there.
pub(crate) fn found(heart: &mut Heart, context: &mut Context<'_>) -> Result<(), EngineError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    if find(context.db)?.is_some() {
        return Ok(());
    }
    let (id, channel) = (ConversationId(context.random()), ChannelId(context.random()));
    conversation::insert_own(context, id)?;
    let metadata = Metadata { title: String::new(), admins: vec![identity.address.clone()], picture: None };
    let mls = heart.mls.on(context.db);
    let group = mls.create_group(&identity.signer, &identity.credential(), GroupId(channel.0), &metadata)?;
    let epoch = group.epoch();
    let keys = group.channel_keys(&mls, &channel)?.public();
    let anchor = Position { seq: 0, head: first_head(&channel, epoch, &keys) };
    let server = identity.server;
    channel::insert(context, channel, id, server, epoch, anchor, channel::Live::No)?;
    channel::note_epoch(context, channel, &group)?;
    conversation::set_channel(context, id, channel)?;
    heart.groups.insert(channel, group);
    let welcomes = Welcomes { epoch, ratchet_tree: Vec::new().into(), slices: Vec::new() };
    let new = NewChannel { epoch, keys, welcomes };
    job::add(context, server, &Job::CreateChannel(channel, new))
}

/// Founds the devices' own channel where the account has further devices and this one is the oldest: otherwise two would
/// found one each. Those that a restore kept have one among themselves, or the oldest of them founds it. Who is the
/// oldest, a device knows once it has been told everything.
pub(crate) fn found_with_others(heart: &mut Heart, context: &mut Context<'_>) -> Result<(), EngineError> {
    let own = heart.identity.as_ref().map(crate::account::Identity::device);
    let has_others = row::standing(context.db)?.len() > 1;
    let knows_all = !accept::is_under_way(context.db)? && !row::waits_for_kept(context.db)?;
    // The oldest one may be lost. Should two found one each, one of these wins.
    let known = own.map_or(Ok(None), |own| row::find(context.db, &own))?;
    let is_patient = known.is_some_and(|own| own.added_ms.saturating_add(OTHERS_FIRST_MS) < context.now.unix_ms);
    match has_others && knows_all && (is_patient || row::is_oldest(context.db, own)?) {
        true => found(heart, context),
        false => Ok(()),
    }
}
