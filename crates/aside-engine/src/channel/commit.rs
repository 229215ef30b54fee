//! Commits: a device renews its leaf's keys, others' commits are checked and merged, the loser of a race tries again.

use super::receive::Outcome;
use super::row::{note_epoch, set_rotation};
use super::subscribe::{link_to, prove};
use super::{Channel, outbox, take_group};
use crate::Heart;
use crate::context::{Context, stored, to_store};
use crate::conversation::{self, IsAdmin};
use crate::error::EngineError;
use crate::network::Flight;
use crate::timeline;
use aside_mls::{Group, KeyVerdict, ProcessError, Processed, SealedError, StagedCommit};
use aside_protocol::channel::{Body, Entry, EntryHeader, Purpose};
use aside_protocol::frame::anonymous::{NewEntry, Request};
use aside_protocol::id::{AppendId, ChannelId};
use aside_protocol::limit::COMMIT_DAYS;
use rusqlite::{OptionalExtension, params};

const UNREADABLE: &str = "a change to the members or keys of this conversation cannot be read by this device";
const WRONG_KEYS: &str = "a member's device announced wrong keys for this conversation";

/// Prepares a renewal of this leaf's keys when it is due, or sends the one that is prepared.
pub(crate) fn send(heart: &mut Heart, context: &mut Context<'_>, channel: &Channel) -> Result<(), EngineError> {
    let link = link_to(channel.server);
    if !heart.links.get(&link).is_some_and(|state| state.may_write(&channel.id, channel.epoch)) {
        return Ok(());
    }
    let pending = match pending(context, &channel.id)? {
        Some(entry) => entry,
        None if channel.rotate_at_ms.is_some_and(|at| at <= context.now.unix_ms) => {
            match prepare(heart, context, channel)? {
                Some(entry) => entry,
                None => return Ok(()),
            }
        }
        None => return Ok(()),
    };
    if prove(heart, context, channel, Purpose::Commit)?
        && let Some(state) = heart.links.get_mut(&link)
    {
        let request = Request::Commit { channel: channel.id, entry: pending };
        state.ask_anonymous(context, link, request, Flight::Commit(channel.id));
    }
    Ok(())
}

/// Makes the commit, with its exact bytes written down before it is sent (rule 1).
fn prepare(heart: &mut Heart, context: &mut Context<'_>, channel: &Channel) -> Result<Option<NewEntry>, EngineError> {
    // Messages that are under way in this epoch are answered first: they would all be stale.
    let waiting: i64 = context
        .db
        .prepare_cached("SELECT COUNT(*) FROM outbox WHERE channel = ? AND acked_seq IS NULL")?
        .query_row(params![channel.id.0], |row| row.get(0))?;
    let Some(identity) = &heart.identity else { return Ok(None) };
    let (signer, credential) = (identity.signer.clone(), identity.credential());
    if waiting > 0 {
        return Ok(None);
    }
    let Some(mut group) = take_group(heart, context, &channel.id)? else { return Ok(None) };
    let mls = heart.mls.on(context.db);
    let commit = group.self_update(&mls, &signer, &credential)?;
    let Some(keys) = group.pending_channel_keys(&mls, &channel.id)? else { return Ok(None) };
    let next_keys = keys.public();
    let body = group.seal_commit(&mls, &signer, &channel.id, &commit, &next_keys, context.random())?;
    let header = EntryHeader {
        epoch: channel.epoch,
        append_id: AppendId(context.random()),
        expires_day: context.now.day().saturating_add(COMMIT_DAYS),
        next_keys: Some(next_keys),
    };
    let entry = NewEntry { header, body };
    context
        .db
        .prepare_cached("INSERT INTO pending_commits (channel, append_id, entry) VALUES (?, ?, ?)")?
        .execute(params![channel.id.0, entry.header.append_id.0, to_store(&entry)])?;
    heart.groups.insert(channel.id, group);
    Ok(Some(entry))
}

fn pending(context: &Context<'_>, channel: &ChannelId) -> Result<Option<NewEntry>, EngineError> {
    let bytes: Option<Vec<u8>> = context
        .db
        .prepare_cached("SELECT entry FROM pending_commits WHERE channel = ?")?
        .query_row(params![channel.0], |row| row.get(0))
        .optional()?;
    bytes.map(|bytes| stored(&bytes, "pending commit")).transpose()
}

/// A commit stands in the log: one's own, or another's that won.
pub(crate) fn received(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    entry: &Entry,
) -> Result<Outcome, EngineError> {
    let Some(mut group) = take_group(heart, context, &channel.id)? else {
        return Ok(Outcome::Paused("this device has lost the keys of the conversation"));
    };
    let own = pending(context, &channel.id)?;
    let mls = heart.mls.on(context.db);
    if own
        .as_ref()
        .is_some_and(|own| own.header == entry.header && Body::Present(own.body.clone()).hash() == entry.body.hash())
    {
        group.merge_pending(&mls)?;
        let next = next_rotation(heart, context);
        set_rotation(context, channel.id, Some(next))?;
        return merged(heart, context, channel, group);
    }
    if own.is_some() {
        group.clear_pending(&mls)?;
    }
    let staged = match stage(heart, context, channel, &mut group, entry)? {
        Ok(staged) => staged,
        Err(reason) => return Ok(Outcome::Paused(reason)),
    };
    let author = staged.committer.credential.address.clone();
    let (removed_self, title) = (staged.self_removed, staged.metadata_after.as_ref().map(|after| after.title.clone()));
    group.merge_staged(&heart.mls.on(context.db), staged)?;
    if removed_self {
        heart.groups.remove(&channel.id);
        return Ok(Outcome::Paused("this device is no longer a member of the conversation"));
    }
    if let Some(title) = title.filter(|title| !title.is_empty()) {
        conversation::set_title(context, channel.conversation, &title)?;
        timeline::note(context, channel.conversation, &author, &format!("{} named the group “{title}”", author.name))?;
    }
    merged(heart, context, channel, group)
}

/// Opens, processes and judges another's commit. `Err` inside: the reason to stop.
fn stage(
    heart: &Heart,
    context: &Context<'_>,
    channel: &Channel,
    group: &mut Group,
    entry: &Entry,
) -> Result<Result<StagedCommit, &'static str>, EngineError> {
    let (Body::Present(body), Some(next_keys)) = (&entry.body, &entry.header.next_keys) else {
        return Ok(Err("this device was away for so long that the server has forgotten what it missed"));
    };
    let mls = heart.mls.on(context.db);
    let opened = match group.open_commit(&mls, &channel.id, body, next_keys) {
        Ok(opened) => opened,
        Err(SealedError::Mls(error)) => return Err(error.into()),
        Err(_) => return Ok(Err(UNREADABLE)),
    };
    let staged = match group.process(&mls, &opened.commit) {
        Ok(Processed::Commit(staged)) => staged,
        Ok(Processed::Application { .. }) => return Ok(Err(UNREADABLE)),
        Err(ProcessError::Mls(error)) => return Err(error.into()),
        Err(ProcessError::RoleForbids { .. }) => {
            return Ok(Err("a member changed the group without being allowed to"));
        }
        Err(ProcessError::Credential { .. }) => {
            return Ok(Err("somebody with keys that do not check out was put into the conversation"));
        }
        Err(_) => return Ok(Err(UNREADABLE)),
    };
    match staged.judge_keys(&mls, &channel.id, next_keys, opened.evidence)? {
        KeyVerdict::Agreed => Ok(Ok(staged)),
        KeyVerdict::LeafLied { .. } => Ok(Err(WRONG_KEYS)),
        KeyVerdict::NobodyToBlame => Ok(Err(UNREADABLE)),
    }
}

/// The group is in its next epoch: what was encrypted for the old one and did not come back was not taken.
fn merged(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    group: Group,
) -> Result<Outcome, EngineError> {
    context.db.prepare_cached("DELETE FROM pending_commits WHERE channel = ?")?.execute(params![channel.id.0])?;
    outbox::epoch_ended(context, channel.id)?;
    note_epoch(context, channel.id, &group)?;
    let members = group.members()?;
    let metadata = group.metadata()?;
    conversation::clear_members(context, channel.conversation)?;
    for member in members {
        let address = &member.credential.address;
        let is_admin = if metadata.is_admin(address) { IsAdmin::Yes } else { IsAdmin::No };
        conversation::add_member(context, channel.conversation, address, is_admin)?;
    }
    heart.groups.insert(channel.id, group);
    outbox::stir(heart, context, channel)?;
    Ok(Outcome::Taken)
}

/// When a leaf's keys are renewed next: the interval, half of it at random, so that members don't renew in step.
pub(crate) fn next_rotation(heart: &Heart, context: &mut Context<'_>) -> i64 {
    let every = heart.options.rotate_every_ms;
    context.now.unix_ms.saturating_add(every / 2).saturating_add(context.random_ms(every.max(1)))
}

/// The server refused the commit: another one came first (it is on its way), or it is not taken at all.
pub(crate) fn refused(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: ChannelId,
    refusal: &aside_protocol::refusal::Refusal,
) -> Result<(), EngineError> {
    use aside_protocol::refusal::Remedy;
    match refusal.remedy() {
        // The winner arrives through the subscription, and `received` clears what is pending.
        Remedy::CatchUp => Ok(()),
        Remedy::RetryLater => {
            context.wake_at(context.now.unix_ms.saturating_add(5_000));
            Ok(())
        }
        Remedy::Person | Remedy::Fault => {
            if let Some(mut group) = take_group(heart, context, &channel)? {
                group.clear_pending(&heart.mls.on(context.db))?;
                heart.groups.insert(channel, group);
            }
            context.db.prepare_cached("DELETE FROM pending_commits WHERE channel = ?")?.execute(params![channel.0])?;
            let next = next_rotation(heart, context);
            set_rotation(context, channel, Some(next))
        }
    }
}
