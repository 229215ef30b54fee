//! Commits: made from what is wanted ([`super::intent`]), one at a time for each channel. Others' commits are checked and
//! merged in [`receive`]; the loser of a race clears its own, merges the winner's and makes its own again.
//!
//! Rule 1 of the design: ONE transaction writes the pending commit, its exact bytes, the next epoch's keys and the unsent
//! Welcomes. They are released in the one that merges the commit, when it comes back in the log.

mod notes;
mod plan;
mod receive;

pub(crate) use plan::ADDS_MAX;
pub(crate) use receive::received;

use super::intent;
use super::row::set_rotation;
use super::subscribe::{link_to, prove};
use super::{Channel, outbox, take_group};
use crate::Heart;
use crate::context::{Context, stored, to_store};
use crate::conversation::{self, State};
use crate::device;
use crate::error::EngineError;
use crate::heal;
use crate::inbox::welcome::{self, Welcomes};
use crate::network::Flight;
use crate::timeline;
use aside_mls::{CommitDraft, DeviceSigner, Group, Member, MlsError, PendingCommit, Session};
use aside_protocol::channel::{EntryHeader, EpochKeys, Position, Purpose, body_hash, next_head};
use aside_protocol::frame::anonymous::{NewEntry, Request};
use aside_protocol::id::{AppendId, ChannelId};
use aside_protocol::key::PublicKey;
use aside_protocol::limit::COMMIT_DAYS;
use minicbor::{Decode, Encode};
use plan::{Plan, Rights};
use rusqlite::{OptionalExtension, params};

/// What a pending commit was made of, and what is released when it is merged.
#[derive(Debug, Clone, Encode, Decode)]
struct Made {
    /// The intents that it carries out.
    #[n(0)]
    intents: Vec<i64>,
    /// Whether our leaf has fresh keys by it.
    #[n(1)]
    renews: bool,
    #[n(2)]
    welcomes: Option<Welcomes>,
}

/// A commit of ours that waits for the server, with its exact bytes.
struct Pending {
    entry: NewEntry,
    made: Made,
}

/// Makes a commit if something is wanted, or sends the one that is made.
pub(crate) fn send(heart: &mut Heart, context: &mut Context<'_>, channel: &Channel) -> Result<(), EngineError> {
    let link = link_to(channel.server);
    if !heart.links.get(&link).is_some_and(|state| state.may_write(&channel.id, channel.epoch)) {
        return Ok(());
    }
    let entry = match pending(context, &channel.id)? {
        Some(_) if heal::is_stopped(context, channel)? => return Ok(()),
        Some(pending) => pending.entry,
        None => match prepare(heart, context, channel)? {
            Some(entry) => entry,
            None => return Ok(()),
        },
    };
    if prove(heart, context, channel, Purpose::Commit)?
        && let Some(state) = heart.links.get_mut(&link)
    {
        let request = Request::Commit { channel: channel.id, entry };
        state.ask_anonymous(context, link, request, Flight::Commit(channel.id));
    }
    Ok(())
}

/// Whether a commit shall be made. While one is, nothing more is encrypted: what is under way is answered, the commit has
/// its turn, and a busy talker cannot keep it from coming.
pub(crate) fn is_wanted(context: &Context<'_>, channel: &Channel) -> Result<bool, EngineError> {
    let is_due = channel.rotate_at_ms.is_some_and(|at| at <= context.now.unix_ms);
    Ok(is_due || intent::is_any_due(context, &channel.id)?)
}

/// Makes the commit that carries out what is wanted, with everything written down before it is sent (rule 1).
fn prepare(heart: &mut Heart, context: &mut Context<'_>, channel: &Channel) -> Result<Option<NewEntry>, EngineError> {
    let conversation = conversation::find(context.db, &channel.conversation)?;
    // What is wrong with another channel of the conversation does not concern this one; of those who leave, only the last
    // admin commits, to appoint another.
    let is_open = conversation.is_some_and(|row| matches!(row.state, State::Active | State::Healing | State::Leaving));
    let own = heart.identity.as_ref().map(|identity| identity.device());
    // Nobody would follow a device that is revoked.
    let is_revoked = own.map(|own| device::row::is_revoked(context.db, &own)).transpose()?.unwrap_or_default();
    let may_commit = is_open && !is_revoked && heal::may_encrypt(context, channel)?;
    // Messages that are under way in this epoch are answered first: they would all be stale.
    if !may_commit || !is_wanted(context, channel)? || outbox::is_under_way(context, &channel.id)? {
        return Ok(None);
    }
    let Some(mut group) = take_group(heart, context, &channel.id)? else { return Ok(None) };
    let plan = plan(heart, context, channel, &group)?;
    if plan.is_empty() {
        heart.groups.insert(channel.id, group);
        return Ok(None);
    }
    // Whatever a failing commit has written is taken back; only that it failed is kept.
    context.db.execute_batch("SAVEPOINT commit_is_made")?;
    match make(heart, context, channel, &mut group, &plan) {
        Ok(entry) => {
            context.db.execute_batch("RELEASE commit_is_made")?;
            heart.groups.insert(channel.id, group);
            Ok(Some(entry))
        }
        Err(EngineError::Mls(error)) if !matches!(error, MlsError::Storage(_)) => {
            context.db.execute_batch("ROLLBACK TO commit_is_made; RELEASE commit_is_made")?;
            intent::later(context, &plan.intents)?;
            if let MlsError::Credential(_) = error {
                // A longer chain of this account's that stands in the group may revoke this device.
                let shown: Vec<_> = group.members()?.into_iter().map(|member| member.credential).collect();
                device::attend::removed_by(heart, context, &shown)?;
            }
            if plan.intents.is_empty() {
                let next = next_rotation(heart, context);
                set_rotation(context, channel.id, Some(next))?;
            }
            heart.stirred.insert(channel.id);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Compares what is wanted with the group, strikes out what is done with, and says what remains for one commit.
fn plan(heart: &Heart, context: &mut Context<'_>, channel: &Channel, group: &Group) -> Result<Plan, EngineError> {
    let Some(identity) = &heart.identity else { return Ok(Plan::default()) };
    let wanted = intent::due(context, &channel.id)?;
    let mls = heart.mls.on(context.db);
    let rights = match context.defects.forbidden_commits() {
        true => Rights::Claimed,
        false => Rights::OfRole,
    };
    let mut plan = plan::plan(&mls, group, (&identity.credential(), rights), context.now.unix_s(), wanted)?;
    plan.renews |= channel.rotate_at_ms.is_some_and(|at| at <= context.now.unix_ms);
    intent::done(context, &plan.satisfied)?;
    let own = identity.address.clone();
    for (id, about, why) in std::mem::take(&mut plan.dropped) {
        intent::done(context, &[id])?;
        timeline::note(context, channel.conversation, about.as_ref().unwrap_or(&own), &why)?;
        if let Some(address) = about {
            conversation::set_not_added(context, channel.conversation, &address)?;
        }
    }
    for (id, stranger) in std::mem::take(&mut plan.expired) {
        intent::done(context, &[id])?;
        if let Some(address) = stranger {
            conversation::grow::again(context, channel.conversation, &address)?;
        }
    }
    Ok(plan)
}

/// Stages the planned commit and writes down everything that goes with it.
fn make(
    heart: &Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    group: &mut Group,
    plan: &Plan,
) -> Result<NewEntry, EngineError> {
    let Some(identity) = &heart.identity else { return Err(MlsError::NotAMember.into()) };
    let mls = heart.mls.on(context.db);
    let credential = identity.credential();
    // A commit that removes somebody or changes metadata replaces the path to our leaf anyway.
    let has_path = plan.renews || !plan.removed.is_empty() || plan.metadata.is_some();
    let draft = CommitDraft {
        added: &plan.packages,
        removed: &plan.removed,
        metadata: plan.metadata.as_ref(),
        own_leaf: has_path.then_some(&credential),
    };
    let PendingCommit { commit, newcomers } = commit(context, group, &mls, &identity.signer, &draft)?;
    let keys = group.pending_channel_keys(&mls, &channel.id)?.ok_or(MlsError::NoPendingCommit)?;
    let (commit, next_keys) = spoiled(context, commit, keys.public());
    let body = group.seal_commit(&mls, &identity.signer, &channel.id, &commit, &next_keys, context.random())?;
    let header = EntryHeader {
        epoch: channel.epoch,
        append_id: AppendId(context.random()),
        expires_day: context.now.day().saturating_add(COMMIT_DAYS),
        next_keys: Some(next_keys),
    };
    let welcomes = newcomers
        .map(|newcomers| {
            let epoch = channel.epoch.saturating_add(1);
            let devices = plan.newcomers.iter().map(|newcomer| (newcomer.recipient.clone(), newcomer.reference));
            Welcomes::cut(epoch, &newcomers, devices)
        })
        .transpose()?;
    let entry = NewEntry { header, body };
    if context.defects.welcome_before_acknowledgement() {
        release_too_early(heart, context, channel, (&entry, &welcomes))?;
    }
    let made = Made { intents: plan.intents.clone(), renews: has_path, welcomes };
    context
        .db
        .prepare_cached("INSERT INTO pending_commits (channel, append_id, entry, made) VALUES (?, ?, ?, ?)")?
        .execute(params![channel.id.0, entry.header.append_id.0, to_store(&entry), to_store(&made)])?;
    Ok(entry)
}

#[cfg(not(feature = "planted-defects"))]
fn commit(
    _: &mut Context<'_>,
    group: &mut Group,
    session: &Session<'_>,
    signer: &DeviceSigner,
    draft: &CommitDraft<'_>,
) -> Result<PendingCommit, MlsError> {
    group.commit(session, signer, draft)
}

/// With a planted defect, what a member with ill will commits.
#[cfg(feature = "planted-defects")]
fn commit(
    context: &mut Context<'_>,
    group: &mut Group,
    session: &Session<'_>,
    signer: &DeviceSigner,
    draft: &CommitDraft<'_>,
) -> Result<PendingCommit, MlsError> {
    let external_sender = context.defects.hidden_external_sender().then(|| PublicKey(context.random()));
    match external_sender.is_some() || context.defects.forbidden_commits() {
        true => group.dangerous_commit_unchecked(session, signer, draft, external_sender),
        false => group.commit(session, signer, draft),
    }
}

/// Nothing, but for a planted defect: what a member with ill will commits.
fn spoiled(context: &mut Context<'_>, commit: Vec<u8>, next_keys: EpochKeys) -> (Vec<u8>, EpochKeys) {
    let mut commit = if context.defects.nonsense_commits() { context.random::<64>().to_vec() } else { commit };
    if context.defects.garbage_commits()
        && let Some(last) = commit.last_mut()
    {
        *last ^= 1;
    }
    let next_keys = match context.defects.wrong_next_keys() {
        true => EpochKeys { read: PublicKey(context.random()), ..next_keys },
        false => next_keys,
    };
    (commit, next_keys)
}

/// Nothing that happens, but for a planted defect: Welcomes go out although another commit may come first.
fn release_too_early(
    heart: &Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    (entry, welcomes): (&NewEntry, &Option<Welcomes>),
) -> Result<(), EngineError> {
    let Some(welcomes) = welcomes else { return Ok(()) };
    let seq = channel.position.seq.saturating_add(1);
    let head = next_head(&channel.id, &channel.position.head, seq, &entry.header, &body_hash(&entry.body));
    let anchored = Channel { epoch: welcomes.epoch, position: Position { seq, head }, ..channel.clone() };
    welcome::release(heart, context, &anchored, welcomes.clone())
}

fn pending(context: &Context<'_>, channel: &ChannelId) -> Result<Option<Pending>, EngineError> {
    let row: Option<(Vec<u8>, Vec<u8>)> = context
        .db
        .prepare_cached("SELECT entry, made FROM pending_commits WHERE channel = ?")?
        .query_row(params![channel.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((entry, made)) = row else { return Ok(None) };
    Ok(Some(Pending { entry: stored(&entry, "pending commit")?, made: stored(&made, "pending commit")? }))
}

/// The state that a commit was made in was lost before it was acknowledged, and this device has a fresh leaf in a group of
/// these members. Whether the server had taken the commit cannot be told otherwise, and its Welcomes never went out: whom it
/// did add is swapped in. Whoever asked for a fresh leaf before and was taken out since is not brought back.
pub(crate) fn was_lost(context: &mut Context<'_>, channel: ChannelId, members: &[Member]) -> Result<(), EngineError> {
    intent::others_are_out(context, &channel, members)?;
    if let Some(pending) = pending(context, &channel)? {
        intent::swap_added(context, channel, &pending.made.intents, members)?;
    }
    context.db.prepare_cached("DELETE FROM pending_commits WHERE channel = ?")?.execute(params![channel.0])?;
    Ok(())
}

/// When a leaf's keys are renewed next: the interval, half of it at random, so that members don't renew in step.
pub(crate) fn next_rotation(heart: &Heart, context: &mut Context<'_>) -> i64 {
    let every = heart.options.rotate_every_ms;
    context.now.unix_ms.saturating_add(every / 2).saturating_add(context.random_ms(every.max(1)))
}

/// The server refused the commit: another one came first (it is on its way), or it is not taken at all. What it was to
/// carry out stays wanted either way, and is tried again later.
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
            let made = pending(context, &channel)?.map(|pending| pending.made);
            if let Some(mut group) = take_group(heart, context, &channel)? {
                group.clear_pending(&heart.mls.on(context.db))?;
                heart.groups.insert(channel, group);
            }
            context.db.prepare_cached("DELETE FROM pending_commits WHERE channel = ?")?.execute(params![channel.0])?;
            if let Some(made) = made {
                intent::later(context, &made.intents)?;
                if made.renews {
                    let next = next_rotation(heart, context);
                    set_rotation(context, channel, Some(next))?;
                }
            }
            heart.stirred.insert(channel);
            Ok(())
        }
    }
}
