//! Putting somebody's devices in anew after a revocation (P-7.10): in the place of revoked ones, where none of theirs
//! could take these out, and where a revoked one had added them and they refused its Welcome.

use super::found::{Fetched, newcomers_of};
use super::grow::{self, Reach};
use super::{ConversationId, State};
use crate::Heart;
use crate::channel::intent::{self, Intent, Newcomer};
use crate::channel::{self, Channel, Live, unheard};
use crate::contact;
use crate::context::Context;
use crate::device::attend;
use crate::error::EngineError;
use crate::job::{self, Job};
use aside_mls::Member;
use aside_protocol::address::AccountAddress;
use aside_protocol::frame::anonymous::DeviceKeyPackage;
use aside_protocol::id::{ChannelId, DeviceId};
use aside_protocol::identity::DirectoryAccount;
use aside_protocol::key::PublicKey;
use std::collections::BTreeSet;

/// Before one of several members does it, in milliseconds.
const REPLACE_WITHIN_MS: i64 = 30_000;

/// Somebody took devices out. In a log where no other device of theirs is known, nobody of theirs can take the leaves out:
/// whoever else is there puts those that stand in their place.
pub(crate) fn devices_are_out(context: &mut Context<'_>, member: &AccountAddress) -> Result<(), EngineError> {
    contact::tokens::prefer_standing(context, member)?;
    for id in contact::keys::conversations_with(context.db, member)? {
        let mut is_any = false;
        for log in channel::logs(context.db, &id)? {
            is_any |= may_be_deserted(context, &log.id, member)?;
        }
        if is_any {
            look_up(context, id, member)?;
        }
    }
    Ok(())
}

/// A commit took these leaves out. Whom a revoked one of them had added may have refused its Welcome.
pub(crate) fn adders_are_out(
    heart: &mut Heart,
    context: &mut Context<'_>,
    row: &Channel,
    (before, after): (&[Member], &[Member]),
) -> Result<(), EngineError> {
    let own = heart.identity.as_ref().map(|identity| identity.address.clone());
    let revoked: BTreeSet<(PublicKey, DeviceId)> = after
        .iter()
        .flat_map(|member| member.credential.key_sets.iter().map(|set| (member.credential.root_key, set)))
        .flat_map(|(root_key, set)| set.revoked.iter().map(move |device| (root_key, *device)))
        .collect();
    let is_revoked = |old: &Member| revoked.contains(&(old.credential.root_key, old.credential.certificate.device));
    for old in before.iter().filter(|old| is_revoked(old)) {
        for address in unheard::lose(context, &row.id, &old.credential.certificate.device)? {
            match Some(&address) == own.as_ref() {
                true => attend::one(heart, context, row.id, attend::Haste::OthersFirst)?,
                false => look_up(context, row.conversation, &address)?,
            }
        }
    }
    Ok(())
}

/// This device has entered a group where others are lost: it may reach whom nobody there could. Its own account's are
/// looked after by whoever attends to the group.
pub(crate) fn find_lost(
    context: &mut Context<'_>,
    (id, channel): (ConversationId, &ChannelId),
    members: &[Member],
) -> Result<(), EngineError> {
    let people: BTreeSet<&AccountAddress> = members.iter().map(|member| &member.credential.address).collect();
    for address in people {
        if !unheard::lost(context.db, channel, address)?.is_empty() {
            look_up(context, id, address)?;
        }
    }
    Ok(())
}

/// The letters that would have told somebody of a log were given up: all devices of theirs that were never heard there are
/// lost. `false`: there is none.
pub(crate) fn find_unheard(
    context: &mut Context<'_>,
    id: ConversationId,
    member: &AccountAddress,
) -> Result<bool, EngineError> {
    let mut is_any = false;
    for log in channel::logs(context.db, &id)?.into_iter().filter(|log| log.live == Live::Yes) {
        is_any |= unheard::lose_all(context, &log.id, member)?;
    }
    Ok(is_any)
}

/// Asks for somebody's KeyPackages after a while, unless that is under way. Who cannot be reached from here may be from
/// another member.
pub(crate) fn look_up(
    context: &mut Context<'_>,
    id: ConversationId,
    member: &AccountAddress,
) -> Result<(), EngineError> {
    let Some(Reach { server, .. }) = grow::reach(context, id, member)? else { return Ok(()) };
    let due_ms = context.now.unix_ms.saturating_add(context.random_ms(REPLACE_WITHIN_MS));
    job::add_once_at(context, server, &Job::FetchToReplace(id, member.clone()), due_ms)
}

/// Whether all devices that somebody was heard by in a log are revoked, if there are any.
pub(crate) fn may_be_deserted(
    context: &Context<'_>,
    log: &ChannelId,
    member: &AccountAddress,
) -> Result<bool, EngineError> {
    are_revoked(context, member, heard(context, log, member)?)
}

fn heard(context: &Context<'_>, log: &ChannelId, member: &AccountAddress) -> Result<Vec<DeviceId>, EngineError> {
    let roster = channel::roster(context.db, log)?.into_iter();
    Ok(roster.filter(|it| it.address == *member).map(|it| it.device).collect())
}

fn are_revoked(
    context: &Context<'_>,
    member: &AccountAddress,
    devices: impl IntoIterator<Item = DeviceId>,
) -> Result<bool, EngineError> {
    for device in devices {
        if !contact::keys::is_revoked(context.db, member, &device)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether nobody of somebody's devices can take the revoked ones out of a log: all that were heard are revoked, or, where
/// none was, all that have a leaf. One that has a leaf and was never heard may not know of it.
fn is_deserted(
    heart: &mut Heart,
    context: &mut Context<'_>,
    log: &ChannelId,
    member: &AccountAddress,
) -> Result<bool, EngineError> {
    let heard = heard(context, log, member)?;
    if !heard.is_empty() {
        return are_revoked(context, member, heard);
    }
    let Some(group) = channel::take_group(heart, context, log)? else { return Ok(false) };
    let members = group.members();
    heart.groups.insert(*log, group);
    let credentials = members?.into_iter().map(|leaf| leaf.credential);
    let theirs: Vec<DeviceId> =
        credentials.filter(|one| one.address == *member).map(|one| one.certificate.device).collect();
    Ok(!theirs.is_empty() && are_revoked(context, member, theirs)?)
}

/// The directory answered: their devices get fresh leaves where they are lost, or where a revoked one has their place. A
/// KeyPackage lets a device in once, so it is one log at a time. Returns whether that was the last.
pub(crate) fn fetched(
    heart: &mut Heart,
    context: &mut Context<'_>,
    (id, member): (ConversationId, &AccountAddress),
    account: DirectoryAccount,
    key_packages: Vec<DeviceKeyPackage>,
) -> Result<bool, EngineError> {
    let fetched = Fetched { account, key_packages };
    let is_active = super::find(context.db, &id)?.is_some_and(|row| row.state == State::Active);
    if !is_active {
        return Ok(true);
    }
    let newcomers = newcomers_of(heart, context, (id, member), &fetched)?;
    for log in channel::logs(context.db, &id)?.into_iter().filter(|log| log.live == Live::Yes) {
        let lost = unheard::lost(context.db, &log.id, member)?;
        let is_deserted = is_deserted(heart, context, &log.id, member)?;
        // One that is in a deserted log and has never said a word there may not know of it, either.
        let is_meant = |newcomer: &Newcomer| is_deserted || lost.contains(&newcomer.recipient.device);
        let mut meant = newcomers.iter().map(|(newcomer, _)| newcomer).filter(|it| is_meant(it)).peekable();
        if meant.peek().is_some() {
            meant.try_for_each(|it| intent::want(context, log.id, &Intent::Swap(it.clone())))?;
            heart.stirred.insert(log.id);
            return Ok(false);
        }
    }
    Ok(true)
}
