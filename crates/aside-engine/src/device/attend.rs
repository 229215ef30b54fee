//! Which of this account's devices are in which conversation: whoever finds one missing adds it, and whoever finds a
//! revoked one removes it (P-7.5, P-7.10). Several devices may find the same; they wait differently long, and the
//! compare-and-swap of commits decides.

use super::row::{self, Device};
use super::{bundle, own_log, revoke};
use crate::Heart;
use crate::account::Identity;
use crate::channel::intent::{self, Intent, Newcomer};
use crate::channel::{Channel, take_group, unheard};
use crate::context::Context;
use crate::error::EngineError;
use crate::input::{Change, ConnectionKind, Link, ServerId};
use crate::job::{self, Job, JobId};
use crate::network::Flight;
use aside_mls::KeyPackageError;
use aside_protocol::frame::account::Request;
use aside_protocol::frame::anonymous::DeviceKeyPackage;
use aside_protocol::id::{ChannelId, DeviceId};
use aside_protocol::identity::{CredentialError, DeviceRecord, DirectoryAccount, KeySet, MemberCredential};
use rusqlite::params;

/// How long another device's turn is waited for, in milliseconds, before this one does the same.
const OTHERS_FIRST_MS: i64 = 20_000;

/// How often a day KeyPackages of a device are asked for that has published none: the last of them hours apart.
const TRIES_A_DAY: u32 = 36;

/// For how long a device that was added counts as one that is about to publish its first KeyPackages, in milliseconds.
const LATELY_MS: i64 = 10 * 60_000;

/// Whether this device has to do it, or another one is likely to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    AtOnce,
    OthersFirst,
}

/// Looks through all logs of all conversations: two people may go on in either of two, also while one of them heals. A log
/// in which something is wrong is looked at once it is healed.
pub(crate) fn all(heart: &mut Heart, context: &mut Context<'_>, haste: Haste) -> Result<(), EngineError> {
    let mut statement = context.db.prepare_cached(
        "SELECT c.id FROM channels c JOIN conversations v ON v.id = c.conversation
         WHERE c.live = 1 AND c.successor IS NULL AND v.state IN (1, 7)
         AND NOT EXISTS (SELECT 1 FROM faults f WHERE f.channel = c.id)
         ORDER BY v.kind = 2 DESC, v.updated_ms DESC",
    )?;
    let channels = statement.query_map([], |row| Ok(ChannelId(row.get(0)?)))?.collect::<Result<Vec<ChannelId>, _>>()?;
    drop(statement);
    channels.into_iter().try_for_each(|id| one(heart, context, id, haste))
}

/// Looks at one conversation.
pub(crate) fn one(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: ChannelId,
    haste: Haste,
) -> Result<(), EngineError> {
    let Some(Compared { missing, revoked, .. }) = compare(heart, context, &channel)? else { return Ok(()) };
    let Some(identity) = &heart.identity else { return Ok(()) };
    let delay = match haste {
        Haste::AtOnce => 0,
        Haste::OthersFirst => OTHERS_FIRST_MS.saturating_add(context.random_ms(3 * OTHERS_FIRST_MS)),
    };
    let due_ms = context.now.unix_ms.saturating_add(delay);
    for device in revoked {
        intent::want_at(context, channel, &Intent::RemoveDevice(identity.address.clone(), device), due_ms)?;
        heart.stirred.insert(channel);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let is_new = context
        .db
        .prepare_cached("INSERT OR IGNORE INTO attending (channel) VALUES (?)")?
        .execute(params![channel.0])?
        == 1;
    let fetch = Job::FetchOwnKeyPackages(channel);
    match (is_new, haste) {
        (true, _) => job::add_at(context, identity.server, &fetch, due_ms),
        // What was to wait for others has become this device's own task.
        (false, Haste::AtOnce) => job::hurry(context, identity.server, &fetch),
        (false, Haste::OthersFirst) => Ok(()),
    }
}

/// The anonymous connection to a server is back: a fetch that was put off there need not wait its pause out. One that
/// waits for others still does.
pub(crate) fn reconnected(heart: &Heart, context: &Context<'_>, server: ServerId) -> Result<(), EngineError> {
    if heart.identity.as_ref().is_none_or(|identity| identity.server != server) {
        return Ok(());
    }
    let mut statement = context.db.prepare_cached("SELECT channel FROM attending")?;
    let channels = statement.query_map([], |row| Ok(ChannelId(row.get(0)?)))?.collect::<Result<Vec<_>, _>>()?;
    for channel in channels {
        let fetch = Job::FetchOwnKeyPackages(channel);
        if job::was_put_off(context, server, &fetch)? {
            job::hurry(context, server, &fetch)?;
        }
    }
    Ok(())
}

/// This account's devices in a conversation.
#[derive(Default)]
struct Compared {
    /// Those that it lacks, and those that may not know that they are in it.
    missing: Vec<Device>,
    /// Of the missing ones those that are in it.
    silent: Vec<DeviceId>,
    /// The revoked ones that it has.
    revoked: Vec<DeviceId>,
}

/// Looks at the group; `None`: this device is no member itself.
fn compare(heart: &mut Heart, context: &mut Context<'_>, channel: &ChannelId) -> Result<Option<Compared>, EngineError> {
    let devices = row::all(context.db)?;
    let Some(identity) = &heart.identity else { return Ok(None) };
    let (address, own) = (identity.address.clone(), identity.device());
    // With one device there is nothing to compare, and no group to load.
    if devices.iter().all(|device| device.id == own) {
        return Ok(None);
    }
    let Some(group) = take_group(heart, context, channel)? else { return Ok(None) };
    if !group.is_active() {
        return Ok(None);
    }
    let members = group.members()?;
    heart.groups.insert(*channel, group);
    let is_member = |device: &Device| {
        members
            .iter()
            .any(|member| member.credential.address == address && member.credential.certificate.device == device.id)
    };
    let lost = unheard::lost(context.db, channel, &address)?;
    let (standing, revoked): (Vec<_>, Vec<_>) = devices.into_iter().partition(|device| device.revoked_ms.is_none());
    let is_missing = |device: &Device| device.id != own && (!is_member(device) || lost.contains(&device.id));
    let missing: Vec<Device> = standing.into_iter().filter(is_missing).collect();
    let silent = missing.iter().filter(|device| is_member(device)).map(|device| device.id).collect();
    let revoked = revoked.into_iter().filter(is_member).map(|device| device.id).collect();
    Ok(Some(Compared { missing, silent, revoked }))
}

/// The directory gave this account's own KeyPackages.
pub(crate) fn fetched(
    heart: &mut Heart,
    context: &mut Context<'_>,
    (id, channel): (JobId, ChannelId),
    account: &DirectoryAccount,
    key_packages: &[DeviceKeyPackage],
) -> Result<(), EngineError> {
    let Compared { missing, silent, .. } = compare(heart, context, &channel)?.unwrap_or_default();
    let Some(identity) = &heart.identity else { return Ok(()) };
    let (mut is_complete, mut is_awaited) = (true, false);
    for device in &missing {
        let found = key_packages.iter().find(|package| package.device == device.id);
        let newcomer = match found.and_then(|package| package.key_package.as_ref()) {
            Some(bytes) if account.root_key == identity.root_key => newcomer(heart, context, identity, device, bytes)?,
            _ => None,
        };
        match newcomer {
            Some(newcomer) if silent.contains(&device.id) => {
                intent::want(context, channel, &Intent::Swap(newcomer))?;
            }
            Some(newcomer) => intent::want(context, channel, &Intent::Add(newcomer))?,
            // It has published nothing yet: it will, as soon as it is online.
            None => {
                is_complete = false;
                is_awaited |= context.now.unix_ms.saturating_sub(device.added_ms) < LATELY_MS;
            }
        }
    }
    heart.stirred.insert(channel);
    // One that was lost before it was here publishes none ever: the daily look begins with it again. Each log asks, and
    // many at once would use up what the server allows in a minute: only for one that was just added nobody waits long.
    let is_over = match (is_complete, is_awaited) {
        (true, _) => true,
        (false, true) => job::soon_again(context, id)? > TRIES_A_DAY,
        (false, false) => job::later(context, id)? > TRIES_A_DAY,
    };
    match is_over {
        true => gone(context, &channel).and_then(|()| job::done(context, id)),
        false => Ok(()),
    }
}

/// A KeyPackage of one's own device, checked against the account's own chain.
fn newcomer(
    heart: &Heart,
    context: &Context<'_>,
    identity: &Identity,
    device: &Device,
    bytes: &[u8],
) -> Result<Option<Newcomer>, EngineError> {
    let package = match heart.mls.on(context.db).check_key_package(bytes, context.now.unix_s()) {
        Ok(package) => package,
        Err(KeyPackageError::Mls(error)) => return Err(error.into()),
        Err(_) => return Ok(None),
    };
    let credential = package.credential();
    let is_it = credential.address == identity.address
        && credential.certificate.device == device.id
        && credential.certificate.signature_key == device.record.certificate.signature_key
        && credential.verify_known(&identity.root_key, &identity.key_sets).is_ok();
    Ok(is_it.then(|| Newcomer {
        recipient: super::recipient(identity, &device.record),
        key_package: bytes.to_vec().into(),
        reference: package.reference(),
    }))
}

/// The fetch for a conversation is over.
pub(crate) fn gone(context: &Context<'_>, channel: &ChannelId) -> Result<(), EngineError> {
    context.db.prepare_cached("DELETE FROM attending WHERE channel = ?")?.execute(params![channel.0])?;
    Ok(())
}

/// This account is out of a conversation: devices that were about to be added get what was said up to there all the same.
pub(crate) fn ended(heart: &Heart, context: &mut Context<'_>, row: &Channel) -> Result<(), EngineError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    let is_attended =
        context.db.prepare_cached("SELECT 1 FROM attending WHERE channel = ?")?.exists(params![row.id.0])?;
    gone(context, &row.id)?;
    let own = identity.device();
    let roster = crate::channel::roster(context.db, &row.id)?;
    for device in row::standing(context.db)?.into_iter().filter(|device| device.id != own) {
        // One that never said a word there may never have read it.
        let is_in = roster.iter().any(|member| member.device == device.id)
            && unheard::since(context.db, &row.id, &device.id)?.is_none();
        if is_attended || (!is_in && bundle::is_promised(context.db, identity, &device.id)?) {
            bundle::owe(context, &device.id, row.conversation, (row.id, row.position.seq))?;
        }
    }
    Ok(())
}

/// Once a day the home server is asked which devices there are, in case a change was not told.
pub(crate) fn daily(heart: &mut Heart, context: &mut Context<'_>) -> Result<(), EngineError> {
    let today = context.now.day();
    let is_due = heart.attended_day != today;
    let home = heart.identity.as_ref().filter(|identity| identity.registered).map(|identity| identity.server);
    let Some(server) = home.filter(|_| is_due) else { return Ok(()) };
    let link = Link { server, kind: ConnectionKind::Account };
    match heart.links.get_mut(&link) {
        Some(state) if state.ready => {
            heart.attended_day = today;
            state.ask_account(context, link, Request::GetAccount, Flight::GetAccount);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What the home server says of this account. Only what the account's own keys sign counts.
pub(crate) fn account_seen(
    heart: &mut Heart,
    context: &mut Context<'_>,
    account: &DirectoryAccount,
) -> Result<(), EngineError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    if account.root_key != identity.root_key {
        return Ok(());
    }
    for record in &account.devices {
        meet(heart, context, &account.key_sets, record)?;
    }
    note_revoked(heart, context, &account.key_sets)?;
    revoke::end_lost(context)?;
    own_log::found_with_others(heart, context)?;
    all(heart, context, Haste::OthersFirst)
}

/// Writes down a device of this account that another one has certified, unless it is known.
pub(crate) fn meet(
    heart: &Heart,
    context: &mut Context<'_>,
    key_sets: &[KeySet],
    record: &DeviceRecord,
) -> Result<(), EngineError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    let credential = MemberCredential {
        key_sets: key_sets.to_vec(),
        certificate: record.certificate.clone(),
        ..identity.credential()
    };
    let holds = credential.verify_known(&identity.root_key, &identity.key_sets).is_ok() && record.verify().is_ok();
    if !holds || row::find(context.db, &record.certificate.device)?.is_some() {
        return Ok(());
    }
    let device = Device {
        id: record.certificate.device,
        record: record.clone(),
        name: row::UNNAMED.into(),
        added_ms: context.now.unix_ms,
        revoked_ms: None,
        history_from_ms: Some(0),
        linked_by: None,
    };
    // That it is known is told, and whoever knows its name answers with it.
    row::put(context, &device)
}

/// Whoever shows a chain of this account that goes on from the known one and revokes this device, proves it.
pub(crate) fn note_revoked(heart: &Heart, context: &mut Context<'_>, key_sets: &[KeySet]) -> Result<(), EngineError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    let credential = MemberCredential { key_sets: key_sets.to_vec(), ..identity.credential() };
    let goes_on = key_sets.get(..identity.key_sets.len()) == Some(identity.key_sets.as_slice());
    let is_revoked = goes_on && matches!(credential.verify(), Err(CredentialError::Revoked { .. }));
    let Some(own) = row::find(context.db, &identity.device())?.filter(|own| is_revoked && own.revoked_ms.is_none())
    else {
        return Ok(());
    };
    row::put(context, &Device { revoked_ms: Some(context.now.unix_ms), ..own })?;
    context.changed(Change::State);
    context.wanted_changed();
    Ok(())
}

/// A commit took this device out of a conversation. The chain of its author, or of a device of this account that came in
/// this one's place, may say why.
pub(crate) fn removed_by(
    heart: &Heart,
    context: &mut Context<'_>,
    shown: &[MemberCredential],
) -> Result<(), EngineError> {
    let own = heart.identity.as_ref().map(|identity| &identity.address);
    let mut of_own = shown.iter().filter(|credential| own == Some(&credential.address));
    of_own.try_for_each(|credential| note_revoked(heart, context, &credential.key_sets))
}
