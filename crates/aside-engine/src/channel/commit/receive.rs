//! A commit stands in the log: one's own, which is merged and whose Welcomes go out, or another's, which is judged first.

use super::plan::changes;
use super::{Pending, next_rotation, notes, pending};
use crate::Heart;
use crate::channel::receive::Outcome;
use crate::channel::row::{note_epoch, set_rotation};
use crate::channel::{Channel, add_recipient, end, intent, outbox, remove_from_roster, take_group, unheard};
use crate::contact;
use crate::context::Context;
use crate::conversation::{self, replace};
use crate::device;
use crate::error::EngineError;
use crate::group;
use crate::heal::letter::StuckAt;
use crate::heal::{self, Fault};
use crate::inbox::{again, welcome};
use aside_mls::{
    CommitStatement, Group, KeyVerdict, Member, Metadata, MlsError, ProcessError, Processed, SealedError, StagedCommit,
};
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::{Body, Entry, Position};
use aside_protocol::identity::MemberCredential;
use rusqlite::params;

/// What of the group a commit may change.
struct Before {
    members: Vec<Member>,
    metadata: Metadata,
}

impl Before {
    fn of(group: &Group) -> Result<Self, EngineError> {
        Ok(Self { members: group.members()?, metadata: group.metadata()? })
    }
}

/// Takes a commit out of the log, which brings the channel to `position`.
pub(crate) fn received(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    entry: &Entry,
    position: Position,
) -> Result<Outcome, EngineError> {
    let Some(mut group) = take_group(heart, context, &channel.id)? else {
        return Ok(Outcome::Stopped(Fault::DamagedState.into()));
    };
    let own = pending(context, &channel.id)?;
    let is_own = |own: &Pending| {
        own.entry.header == entry.header && Body::Present(own.entry.body.clone()).hash() == entry.body.hash()
    };
    match own {
        Some(own) if is_own(&own) => return taken(heart, context, channel, group, own, position),
        Some(own) => {
            if context.defects.lost_race_forgotten() {
                intent::done(context, &own.made.intents)?;
            }
            group.clear_pending(&heart.mls.on(context.db))?;
            context
                .db
                .prepare_cached("DELETE FROM pending_commits WHERE channel = ?")?
                .execute(params![channel.id.0])?;
        }
        None => {}
    }
    // A commit that is refused leaves no trace: whoever asks again is judged from the same state.
    context.db.execute_batch("SAVEPOINT commit_is_judged")?;
    let staged = match stage(heart, context, channel, &mut group, (entry, position))? {
        Ok(staged) => staged,
        Err(fault) => {
            context.db.execute_batch("ROLLBACK TO commit_is_judged; RELEASE commit_is_judged")?;
            if fault == Fault::OldState {
                // Beyond its own commit an older copy reads nothing: with its keys it would fetch this entry for ever.
                heal::forget_group(heart, context, channel.id)?;
            }
            return Ok(Outcome::Stopped(Box::new(fault)));
        }
    };
    context.db.execute_batch("RELEASE commit_is_judged")?;
    let author = staged.committer.credential.address.clone();
    if staged.self_removed && is_swapped(heart, &staged) {
        return Ok(Outcome::Swapped);
    }
    if staged.self_removed {
        let shown: Vec<_> = staged.committer_after.as_deref().into_iter().chain(&staged.added).cloned().collect();
        group.merge_staged(&heart.mls.on(context.db), staged)?;
        device::attend::removed_by(heart, context, &shown)?;
        again::removed(heart, context, channel.id, |heart, context| end::removed(heart, context, channel, &author))?;
        return Ok(Outcome::Ended);
    }
    let is_visible = !staged.added.is_empty() || !staged.removed.is_empty() || staged.metadata_after.is_some();
    let before = if is_visible { Some(Before::of(&group)?) } else { None };
    intent::others_added(context, &channel.id, staged.added_references())?;
    heal::answer::others_added(context, &channel.id, staged.added_references())?;
    let added = staged.added.iter().map(|added| (&added.address, added.certificate.device));
    unheard::added(context, (&channel.id, position.seq), &staged.committer.credential.certificate.device, added)?;
    let added = staged.added.iter().map(|added| added.certificate.device);
    device::bundle::owe_promised(heart, context, channel, position.seq, added)?;
    let leaf = staged.committer.leaf;
    group.merge_staged(&heart.mls.on(context.db), staged)?;
    // A leaf may have come back with another chain; where its author took itself out, there is none.
    if let Ok(committer) = group.member(leaf) {
        contact::keys::saw_members(context, channel.conversation, [&committer.credential])?;
    }
    merged(heart, context, channel, group, (&author, before))
}

/// Whether the commit that removes this device's leaf puts a fresh one in its place.
fn is_swapped(heart: &Heart, staged: &StagedCommit) -> bool {
    let Some(identity) = &heart.identity else { return false };
    let is_own =
        |added: &MemberCredential| added.address == identity.address && added.certificate.device == identity.device();
    staged.added.iter().any(is_own)
}

/// The server took our commit: it is merged, and its Welcomes go out in the same transaction.
fn taken(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    mut group: Group,
    own: Pending,
    position: Position,
) -> Result<Outcome, EngineError> {
    let Some(identity) = &heart.identity else { return Ok(Outcome::Stopped(Fault::MissingState.into())) };
    let author = identity.address.clone();
    if let Some(welcomes) = &own.made.welcomes {
        let added = welcomes.slices.iter().map(|slice| (&slice.recipient.address, slice.recipient.device));
        unheard::added(context, (&channel.id, position.seq), &identity.device(), added)?;
    }
    let before = Before::of(&group)?;
    group.merge_pending(&heart.mls.on(context.db))?;
    intent::done(context, &own.made.intents)?;
    if own.made.renews {
        let next = next_rotation(heart, context);
        set_rotation(context, channel.id, Some(next))?;
    }
    let outcome = merged(heart, context, channel, group, (&author, Some(before)))?;
    if let Some(welcomes) = own.made.welcomes {
        for slice in &welcomes.slices {
            add_recipient(context, channel.id, &slice.recipient)?;
        }
        let late = u64::from(context.defects.welcome_at_wrong_place());
        let position = Position { seq: position.seq.saturating_add(late), ..position };
        let anchored = Channel { epoch: welcomes.epoch, position, ..channel.clone() };
        welcome::release(heart, context, &anchored, welcomes)?;
    }
    Ok(outcome)
}

/// Opens, processes and judges another's commit. `Err` inside: why to stop, which names its author where a signature
/// does.
fn stage(
    heart: &Heart,
    context: &Context<'_>,
    channel: &Channel,
    group: &mut Group,
    (entry, position): (&Entry, Position),
) -> Result<Result<StagedCommit, Fault>, EngineError> {
    let (Body::Present(body), Some(next_keys)) = (&entry.body, &entry.header.next_keys) else {
        return Ok(Err(Fault::Expired));
    };
    let at = StuckAt { epoch: channel.epoch, entry: position };
    let mls = heart.mls.on(context.db);
    let opened = match group.open_commit(&mls, &channel.id, body, next_keys) {
        Ok(opened) => opened,
        Err(SealedError::Mls(MlsError::Storage(error))) => return Err(error.into()),
        Err(_) => return Ok(Err(Fault::GarbageCommit(at, None))),
    };
    let signed = match &opened.statement {
        Some(statement) => Some((group.member(statement.leaf)?.credential.address, statement.clone())),
        None => None,
    };
    let staged = match group.process(&mls, &opened.commit) {
        Ok(Processed::Commit(staged)) => staged,
        Ok(Processed::Application { .. }) => {
            return Ok(Err(Fault::GarbageCommit(at, signed.map(|(signer, _)| signer))));
        }
        Err(ProcessError::Mls(MlsError::Storage(error))) => return Err(error.into()),
        Err(error) => return Ok(Err(refusal(&error, at, signed))),
    };
    match staged.judge_keys(&mls, &channel.id, next_keys, opened.evidence)? {
        KeyVerdict::Agreed => Ok(Ok(staged)),
        KeyVerdict::LeafLied { .. } => {
            let author = staged.committer.credential.address.clone();
            Ok(Err(Fault::WrongKeys(at, opened.statement.map(|statement| (author, statement)))))
        }
        KeyVerdict::NobodyToBlame => Ok(Err(Fault::GarbageCommit(at, None))),
    }
}

/// What a refused commit means. MLS has checked the author's signature where one is named; `signed` is the statement beside
/// the commit. What is not even framed as a commit of this epoch is none for anybody, whatever state they are in.
fn refusal(error: &ProcessError, at: StuckAt, signed: Option<(AccountAddress, CommitStatement)>) -> Fault {
    match error {
        // This very device made it and does not know it.
        ProcessError::OwnMessage => Fault::OldState,
        ProcessError::RoleForbids { author, .. }
        | ProcessError::UnexpectedChange { author }
        | ProcessError::Credential { author, .. }
        | ProcessError::UnusableKey { author }
        | ProcessError::Metadata { author, .. } => Fault::ForbiddenCommit(at, author.credential.address.clone()),
        ProcessError::Malformed | ProcessError::OtherGroup | ProcessError::WrongEpoch { .. } => match signed {
            Some((author, statement)) => Fault::NoCommit(at, author, statement),
            None => Fault::GarbageCommit(at, None),
        },
        _ => Fault::GarbageCommit(at, signed.map(|(signer, _)| signer)),
    }
}

/// The group is in its next epoch: what was encrypted for the old one and did not come back was not taken.
fn merged(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    group: Group,
    (author, before): (&AccountAddress, Option<Before>),
) -> Result<Outcome, EngineError> {
    context.db.prepare_cached("DELETE FROM pending_commits WHERE channel = ?")?.execute(params![channel.id.0])?;
    outbox::epoch_ended(context, channel.id)?;
    note_epoch(context, channel.id, &group)?;
    match before {
        Some(before) => {
            let after = group.members()?;
            show(heart, context, channel, &group, (author, &before, &after))?;
            heart.groups.insert(channel.id, group);
            replace::adders_are_out(heart, context, channel, (&before.members, &after))?;
        }
        // A leaf was renewed: nobody came or went.
        None => drop(heart.groups.insert(channel.id, group)),
    }
    outbox::stir(heart, context, channel)?;
    Ok(Outcome::Taken)
}

/// What a person sees of a commit: members, title and picture, and a note for each.
fn show(
    heart: &Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    group: &Group,
    (author, before, members): (&AccountAddress, &Before, &[Member]),
) -> Result<(), EngineError> {
    let metadata = group.metadata()?;
    let changes = changes(&before.members, members);
    for old in &before.members {
        let certificate = &old.credential.certificate;
        if !members.iter().any(|member| member.credential.certificate.device == certificate.device) {
            // Whoever is out still gives what they said, as long as this device lacks something.
            let is_out = changes.removed.contains(&old.credential.address);
            if !is_out || !heal::gap::is_any_open(context.db, &channel.id)? {
                remove_from_roster(context, channel.id, &certificate.device)?;
            }
            if is_out {
                unheard::done(context, &channel.id, &certificate.device)?;
                intent::device_is_out(context, &channel.id, &old.credential.address, &certificate.device)?;
                heal::answer::device_is_out(context, channel.conversation, &certificate.device)?;
            }
        }
    }
    for address in &changes.added {
        heal::joins::became(context, channel, address)?;
    }
    for address in &changes.removed {
        heal::joins::was_in(context, &channel.id, address)?;
        intent::account_is_out(context, &channel.id, address)?;
    }
    let own = heart.identity.as_ref().map(|identity| &identity.address);
    contact::keys::saw_members(context, channel.conversation, members.iter().map(|member| &member.credential))?;
    notes::write(context, channel, (author, own), &changes, (&before.metadata, &metadata))?;
    // Of several logs the one that the conversation is in says who is there, whichever was read last.
    if conversation::is_current(context.db, channel.conversation, &channel.id)? {
        conversation::show_group(context, channel.conversation, members, &metadata)?;
    }
    group::take_leavers_out(heart, context, channel)
}
