//! Founding: fetch everybody's KeyPackages, make the group, put its channel on the server, send the Welcomes.
//!
//! The founder adds everybody before the channel exists, so the channel begins in epoch 1 and no commit can race.

use super::{
    ConversationId, IsAdmin, State, add_member, grow, insert, row, set_adding, set_channel, set_state, show_group,
};
use crate::Heart;
use crate::channel::commit::ADDS_MAX;
use crate::channel::intent::{Intent, Newcomer};
use crate::channel::{self, intent};
use crate::contact;
use crate::context::{Context, stored, to_store};
use crate::device;
use crate::error::EngineError;
use crate::heal;
use crate::inbox::welcome::{self, Recipient, Welcomes};
use crate::input::ServerId;
use crate::job::{self, Job, NewChannel};
use crate::timeline;
use crate::view::ConversationKind;
use aside_mls::{CheckedKeyPackage, CommitDraft, GroupId, Metadata, MlsError};
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::{Position, first_head};
use aside_protocol::frame::anonymous::DeviceKeyPackage;
use aside_protocol::id::ChannelId;
use aside_protocol::identity::DirectoryAccount;
use minicbor::{Decode, Encode};
use rusqlite::{OptionalExtension, params};

/// How long a group's founding waits for servers that don't answer, in milliseconds.
const ALL_WAITED_FOR_MS: i64 = 10_000;

/// Whose KeyPackages have all expired is asked for again after so long, in milliseconds.
const STALE_AGAIN_MS: i64 = 3 * 3_600_000;
/// And for so long, in milliseconds.
const STALE_WAITED_FOR_MS: i64 = 180 * 86_400_000;

/// What a person reads of somebody like that.
const STALE: &str = "they have not opened Aside for months; they need to open it once";

/// Why nobody can be added by what a directory gave.
enum Unfit {
    /// All that it has has expired: the person was away for long, and makes others on their return.
    Stale,
    No(String),
}

/// What the directory gave for one member-to-be.
#[derive(Debug, Clone, Encode, Decode)]
pub(super) struct Fetched {
    #[n(0)]
    pub account: DirectoryAccount,
    #[n(1)]
    pub key_packages: Vec<DeviceKeyPackage>,
}

/// Begins a group with contacts.
pub(crate) fn begin_group(
    context: &mut Context<'_>,
    id: ConversationId,
    title: &str,
    members: &[(AccountAddress, ServerId)],
) -> Result<(), EngineError> {
    insert(context, id, title, None, State::Pending)?;
    members.iter().try_for_each(|(member, server)| wait_for(context, id, member, *server))
}

/// Begins a direct conversation anew that only a device of one's own had begun which is out. It waits a while, for another
/// one may be about to add this device.
pub(crate) fn begin_after(
    context: &mut Context<'_>,
    id: ConversationId,
    (member, server): (&AccountAddress, ServerId),
    due_ms: i64,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("INSERT INTO founding (conversation, address, at_ms) VALUES (?, ?, ?)")?
        .execute(params![id, member.to_string(), due_ms])?;
    job::add_at(context, server, &Job::FetchKeyPackages(id, member.clone()), due_ms)
}

fn wait_for(
    context: &mut Context<'_>,
    id: ConversationId,
    member: &AccountAddress,
    server: ServerId,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("INSERT INTO founding (conversation, address, at_ms) VALUES (?, ?, ?)")?
        .execute(params![id, member.to_string(), context.now.unix_ms])?;
    add_member(context, id, member, IsAdmin::No)?;
    job::add(context, server, &Job::FetchKeyPackages(id, member.clone()))
}

/// The directory answered. `Err` inside: what it gave does not hold, and the conversation goes on without.
pub(crate) fn fetched(
    heart: &mut Heart,
    context: &mut Context<'_>,
    (id, member): (ConversationId, &AccountAddress),
    account: DirectoryAccount,
    key_packages: Vec<DeviceKeyPackage>,
) -> Result<(), EngineError> {
    // Whoever was taken off the list meanwhile is not added.
    let is_wanted = context
        .db
        .prepare_cached("SELECT 1 FROM founding WHERE conversation = ? AND address = ?")?
        .exists(params![id, member.to_string()])?;
    if !is_wanted {
        return Ok(());
    }
    let fetched = Fetched { account, key_packages };
    match check(heart, context, (id, member), &fetched)? {
        Ok(_) => {}
        // A group is founded without them once the others have been waited for.
        Err(Unfit::Stale) if ask_again(context, (id, member))? => return Ok(()),
        Err(Unfit::Stale) => return fetch_failed(heart, context, (id, member), STALE),
        Err(Unfit::No(why)) => return fetch_failed(heart, context, (id, member), &why),
    }
    if let Some((conversation, channel)) = standing_group(context, id)? {
        return grow::fetched(heart, context, (&conversation, channel), member, &fetched);
    }
    context
        .db
        .prepare_cached("UPDATE founding SET fetched = ? WHERE conversation = ? AND address = ?")?
        .execute(params![to_store(&fetched), id, member.to_string()])?;
    found_if_complete(heart, context, id)
}

/// Asks for the KeyPackages of somebody who is to be in a group once more after a while: whoever comes back after months
/// makes new ones. `false`: it is not a group, or they are no contact any more.
fn ask_again(context: &mut Context<'_>, (id, member): (ConversationId, &AccountAddress)) -> Result<bool, EngineError> {
    let is_group = super::find(context.db, &id)?.is_some_and(|row| row.kind == ConversationKind::Group);
    let Some(grow::Reach { server, .. }) = grow::reach(context, id, member)?.filter(|_| is_group) else {
        return Ok(false);
    };
    let since: Option<i64> = context
        .db
        .prepare_cached("SELECT at_ms FROM founding WHERE conversation = ? AND address = ?")?
        .query_row(params![id, member.to_string()], |row| row.get(0))
        .optional()?;
    if since.is_none_or(|since| since.saturating_add(STALE_WAITED_FOR_MS) < context.now.unix_ms) {
        return Ok(false);
    }
    let due_ms = context.now.unix_ms.saturating_add(STALE_AGAIN_MS);
    job::add_at(context, server, &Job::FetchKeyPackages(id, member.clone()), due_ms).map(|()| true)
}

/// Somebody cannot be added; the sentence says why.
pub(crate) fn fetch_failed(
    heart: &mut Heart,
    context: &mut Context<'_>,
    (id, member): (ConversationId, &AccountAddress),
    why: &str,
) -> Result<(), EngineError> {
    if standing_group(context, id)?.is_some() {
        return grow::failed(context, id, member, why);
    }
    context
        .db
        .prepare_cached("UPDATE founding SET failure = ? WHERE conversation = ? AND address = ?")?
        .execute(params![why, id, member.to_string()])?;
    found_if_complete(heart, context, id)
}

/// A group that was founded: whoever is fetched for it is added by a commit.
fn standing_group(
    context: &Context<'_>,
    id: ConversationId,
) -> Result<Option<(row::Conversation, ChannelId)>, EngineError> {
    let found = super::find(context.db, &id)?.filter(|row| row.kind == ConversationKind::Group);
    Ok(found.and_then(|row| row.channel.map(|channel| (row, channel))))
}

/// Checks that the directory's answer is of the person whom the contact row names, and returns the usable KeyPackages.
fn check(
    heart: &Heart,
    context: &mut Context<'_>,
    (id, member): (ConversationId, &AccountAddress),
    fetched: &Fetched,
) -> Result<Result<Vec<CheckedKeyPackage>, Unfit>, EngineError> {
    let unfit = |why: &str| Ok(Err(Unfit::No(why.into())));
    let Some(reach) = grow::reach(context, id, member)? else { return unfit("they are no contact") };
    let Some(root_key) = reach.root_key else { return unfit("their server has not named their keys yet") };
    if fetched.account.root_key != root_key {
        return unfit("the server names other keys for them than their link does; ask them for a new link");
    }
    if !contact::keys::saw_account(context, member, &fetched.account)?.is_believed() {
        return unfit("the server gave an account of theirs that does not go with what is known of it");
    }
    let mls = heart.mls.on(context.db);
    let (mut checked, mut is_stale) = (Vec::new(), false);
    for DeviceKeyPackage { device, key_package } in &fetched.key_packages {
        let Some(bytes) = key_package else { continue };
        let package = match mls.check_key_package(bytes, context.now.unix_s()) {
            Ok(package) => package,
            Err(aside_mls::KeyPackageError::Mls(error)) => return Err(error.into()),
            // A device that was away for long comes back with others.
            Err(aside_mls::KeyPackageError::Expired { .. }) => {
                is_stale = true;
                continue;
            }
            Err(error) => return unfit(&format!("their device's keys do not check out ({error})")),
        };
        let credential = package.credential();
        let is_theirs = credential.address == *member && credential.certificate.device == *device;
        let known = credential.verify_known(&root_key, &fetched.account.key_sets);
        match (is_theirs, known) {
            (true, Ok(())) => checked.push(package),
            (false, _) => return unfit("the server gave another account's keys for them"),
            (true, Err(error)) => return unfit(&format!("their device's keys do not check out ({error})")),
        }
    }
    match checked.is_empty() {
        true if is_stale => Ok(Err(Unfit::Stale)),
        true => unfit("they have no device that can be written to; they need to open Aside once"),
        false => Ok(Ok(checked)),
    }
}

/// Founds the groups of which not everybody can be reached, once that was waited for. Returns when the next one is due.
pub(crate) fn due(heart: &mut Heart, context: &mut Context<'_>) -> Result<Option<i64>, EngineError> {
    let waiting: Vec<(ConversationId, i64)> = context
        .db
        .prepare_cached(
            "SELECT f.conversation, MIN(f.at_ms) FROM founding f JOIN conversations c ON c.id = f.conversation
             WHERE c.channel IS NULL AND c.peer IS NULL GROUP BY f.conversation HAVING COUNT(f.fetched) > 0",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut next = None;
    for (id, since_ms) in waiting {
        let due_ms = since_ms.saturating_add(ALL_WAITED_FOR_MS);
        if due_ms <= context.now.unix_ms {
            found_if_complete(heart, context, id)?;
        } else {
            next = Some(next.map_or(due_ms, |next: i64| next.min(due_ms)));
        }
    }
    Ok(next)
}

/// Founds it when everybody's directory has answered; a group also without those whose server has not for a while: they
/// are added when it does.
fn found_if_complete(heart: &mut Heart, context: &mut Context<'_>, id: ConversationId) -> Result<(), EngineError> {
    let mut statement = context.db.prepare_cached(
        "SELECT address, fetched, failure, at_ms FROM founding WHERE conversation = ? ORDER BY address",
    )?;
    let rows = statement
        .query_map(params![id], |row| {
            let given = (row.get::<_, Option<Vec<u8>>>(1)?, row.get::<_, Option<String>>(2)?);
            Ok((row.get::<_, String>(0)?, given, row.get::<_, i64>(3)?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    drop(statement);
    let Some(conversation) = super::find(context.db, &id)? else { return Ok(()) };
    let is_group = conversation.kind == ConversationKind::Group;
    let waits_until = |at_ms: i64| if is_group { at_ms.saturating_add(ALL_WAITED_FOR_MS) } else { i64::MAX };
    let now_ms = context.now.unix_ms;
    let is_open = |given: &(Option<Vec<u8>>, Option<String>)| matches!(given, (None, None));
    if rows.is_empty() || rows.iter().any(|(_, given, at_ms)| is_open(given) && now_ms < waits_until(*at_ms)) {
        return Ok(());
    }
    let is_anybody_here = rows.iter().any(|(_, given, _)| matches!(given, (Some(_), None)));
    if !is_anybody_here && rows.iter().any(|(_, given, _)| is_open(given)) {
        return Ok(());
    }
    let mut members = Vec::new();
    let mut later = Vec::new();
    for (address, given, _) in rows {
        let address: AccountAddress = address.parse().map_err(|_| EngineError::Damaged { what: "address" })?;
        match given {
            (_, Some(why)) => leave_out(context, &conversation, &address, &why)?,
            (Some(bytes), None) => members.push((address, stored::<Fetched>(&bytes, "fetched keys")?)),
            (None, None) => later.push(address),
        }
    }
    if members.is_empty() {
        if conversation.kind == ConversationKind::Group {
            super::pause(context, id, "none of its members could be added; make the group again")?;
        }
        return Ok(());
    }
    found(heart, context, &conversation, &members)?;
    for (address, _) in members {
        grow::end(context, id, &address)?;
    }
    context
        .db
        .prepare_cached("DELETE FROM founding WHERE conversation = ? AND failure IS NOT NULL")?
        .execute(params![id])?;
    later.iter().try_for_each(|address| set_adding(context, id, address))
}

fn leave_out(
    context: &mut Context<'_>,
    conversation: &row::Conversation,
    address: &AccountAddress,
    why: &str,
) -> Result<(), EngineError> {
    if conversation.kind == ConversationKind::Direct {
        return contact::set_failed(context, address, why);
    }
    context
        .db
        .prepare_cached("DELETE FROM members WHERE conversation = ? AND address = ?")?
        .execute(params![conversation.id, address.to_string()])?;
    timeline::note(context, conversation.id, address, &format!("{address} could not be added: {why}"))
}

/// Makes the group with everybody in it, in memory and on disk; the server learns of its channel next. Whoever does not
/// fit into the first commit is added by the next ones, before anything is said.
fn found(
    heart: &mut Heart,
    context: &mut Context<'_>,
    conversation: &row::Conversation,
    members: &[(AccountAddress, Fetched)],
) -> Result<(), EngineError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    let channel = ChannelId(context.random());
    let mut newcomers = Vec::new();
    for (address, fetched) in members {
        newcomers.extend(newcomers_of(heart, context, (conversation.id, address), fetched)?);
    }
    let later = newcomers.split_off(newcomers.len().min(ADDS_MAX));
    let mut admins = vec![identity.address.clone()];
    admins.extend(conversation.peer.clone());
    let title = if conversation.peer.is_some() { String::new() } else { conversation.title.clone() };
    let metadata = Metadata { title, admins, picture: None };
    let mls = heart.mls.on(context.db);
    let mut group = mls.create_group(&identity.signer, &identity.credential(), GroupId(channel.0), &metadata)?;
    let (newcomers, packages): (Vec<Newcomer>, Vec<CheckedKeyPackage>) = newcomers.into_iter().unzip();
    let draft = CommitDraft { added: &packages, ..CommitDraft::default() };
    let added = group.commit(&mls, &identity.signer, &draft)?.newcomers.ok_or(MlsError::NoPendingCommit)?;
    group.merge_pending(&mls)?;
    let epoch = group.epoch();
    let keys = group.channel_keys(&mls, &channel)?.public();
    let head = first_head(&channel, epoch, &keys);
    let server = identity.server;
    channel::insert(context, channel, conversation.id, server, epoch, Position { seq: 0, head }, channel::Live::No)?;
    channel::note_epoch(context, channel, &group)?;
    set_channel(context, conversation.id, channel)?;
    show_group(context, conversation.id, &group.members()?, &group.metadata()?)?;
    for newcomer in &newcomers {
        channel::add_recipient(context, channel, &newcomer.recipient)?;
    }
    let told = newcomers.iter().map(|newcomer| (&newcomer.recipient.address, newcomer.recipient.device));
    channel::unheard::added(context, (&channel, 0), &identity.device(), told)?;
    for (newcomer, _) in later {
        set_adding(context, conversation.id, &newcomer.recipient.address)?;
        intent::want(context, channel, &Intent::Add(newcomer))?;
    }
    heart.groups.insert(channel, group);
    let devices = newcomers.into_iter().map(|newcomer| (newcomer.recipient, newcomer.reference));
    let new = NewChannel { epoch, keys, welcomes: Welcomes::cut(epoch, &added, devices)? };
    job::add(context, server, &Job::CreateChannel(channel, new))
}

/// Somebody's devices, each with its KeyPackage and the way to its inbox.
pub(super) fn newcomers_of(
    heart: &Heart,
    context: &mut Context<'_>,
    (id, address): (ConversationId, &AccountAddress),
    fetched: &Fetched,
) -> Result<Vec<(Newcomer, CheckedKeyPackage)>, EngineError> {
    let Some(grow::Reach { server, token, .. }) = grow::reach(context, id, address)? else { return Ok(Vec::new()) };
    let Ok(packages) = check(heart, context, (id, address), fetched)? else { return Ok(Vec::new()) };
    let mut newcomers = Vec::new();
    for package in packages {
        let device = package.credential().certificate.device;
        let record = fetched.account.devices.iter().find(|record| record.certificate.device == device);
        let bytes = fetched.key_packages.iter().find(|given| given.device == device);
        let (Some(record), Some(bytes)) = (record, bytes.and_then(|given| given.key_package.clone())) else { continue };
        let inbox_key = record.inbox_key.clone().into();
        let recipient = Recipient { address: address.clone(), device, server, inbox_key, token };
        newcomers.push((Newcomer { recipient, key_package: bytes, reference: package.reference() }, package));
    }
    Ok(newcomers)
}

/// The channel is on its server: everybody gets their Welcome.
pub(crate) fn channel_is_made(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: ChannelId,
    new: NewChannel,
) -> Result<(), EngineError> {
    let Some(row) = channel::find(context.db, &channel)? else { return Ok(()) };
    let Some(conversation) = super::find(context.db, &row.conversation)? else { return Ok(()) };
    channel::set_live(context, channel)?;
    // What was lost of it while the server was asked is noticed now.
    heal::check::one(heart, context, channel)?;
    heart.stirred.insert(channel);
    welcome::release(heart, context, &row, new.welcomes)?;
    if let Some(peer) = &conversation.peer {
        contact::set_active(context, peer)?;
    }
    if conversation.state == State::Pending {
        set_state(context, conversation.id, State::Active)?;
    }
    heal::refound::made(heart, context, &row)?;
    channel::choose_current(heart, context, conversation.id)?;
    super::show_current(heart, context, conversation.id)?;
    // One's own other devices that were not founded with it.
    device::attend::one(heart, context, channel, device::attend::Haste::AtOnce)
}
