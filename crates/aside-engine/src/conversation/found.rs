//! Founding: fetch everybody's KeyPackages, make the group, put its channel on the server, send the Welcomes.
//!
//! The founder adds everybody before the channel exists, so the channel begins in epoch 1 and no commit can race.

use super::{ConversationId, IsAdmin, State, add_member, insert, row, set_channel, set_state};
use crate::Heart;
use crate::channel;
use crate::contact;
use crate::context::{Context, stored, to_store};
use crate::error::EngineError;
use crate::inbox::welcome::{self, Recipient};
use crate::input::ServerId;
use crate::job::{self, Job, NewChannel};
use crate::timeline;
use crate::view::ConversationKind;
use aside_mls::{CheckedKeyPackage, GroupId, Metadata};
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::{Position, first_head};
use aside_protocol::frame::anonymous::DeviceKeyPackage;
use aside_protocol::id::ChannelId;
use aside_protocol::identity::DirectoryAccount;
use minicbor::{Decode, Encode};
use rusqlite::params;

/// What the directory gave for one member-to-be.
#[derive(Debug, Clone, Encode, Decode)]
struct Fetched {
    #[n(0)]
    account: DirectoryAccount,
    #[n(1)]
    key_packages: Vec<DeviceKeyPackage>,
}

/// Begins a direct conversation with a contact whose row exists.
pub(crate) fn begin_direct(
    context: &mut Context<'_>,
    id: ConversationId,
    peer: &AccountAddress,
    server: ServerId,
) -> Result<(), EngineError> {
    insert(context, id, peer.name.as_str(), Some(peer), State::Pending)?;
    wait_for(context, id, peer, server)
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

fn wait_for(
    context: &mut Context<'_>,
    id: ConversationId,
    member: &AccountAddress,
    server: ServerId,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("INSERT INTO founding (conversation, address) VALUES (?, ?)")?
        .execute(params![id, member.to_string()])?;
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
    let fetched = Fetched { account, key_packages };
    if let Err(why) = check(heart, context, member, &fetched)? {
        return fetch_failed(heart, context, (id, member), &why);
    }
    context
        .db
        .prepare_cached("UPDATE founding SET fetched = ? WHERE conversation = ? AND address = ?")?
        .execute(params![to_store(&fetched), id, member.to_string()])?;
    found_if_complete(heart, context, id)
}

/// Somebody cannot be added; the sentence says why.
pub(crate) fn fetch_failed(
    heart: &mut Heart,
    context: &mut Context<'_>,
    (id, member): (ConversationId, &AccountAddress),
    why: &str,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("UPDATE founding SET failure = ? WHERE conversation = ? AND address = ?")?
        .execute(params![why, id, member.to_string()])?;
    found_if_complete(heart, context, id)
}

/// Checks that the directory's answer is of the person whom the contact row names, and returns the usable KeyPackages.
fn check(
    heart: &Heart,
    context: &Context<'_>,
    member: &AccountAddress,
    fetched: &Fetched,
) -> Result<Result<Vec<CheckedKeyPackage>, String>, EngineError> {
    let Some(contact) = contact::find(context.db, member)? else { return Ok(Err("they are no contact".into())) };
    if fetched.account.root_key != contact.root_key {
        return Ok(Err("the server names other keys for them than their link does; ask them for a new link".into()));
    }
    let mls = heart.mls.on(context.db);
    let mut checked = Vec::new();
    for DeviceKeyPackage { device, key_package } in &fetched.key_packages {
        let Some(bytes) = key_package else { continue };
        let package = match mls.check_key_package(bytes, context.now.unix_s()) {
            Ok(package) => package,
            Err(aside_mls::KeyPackageError::Mls(error)) => return Err(error.into()),
            Err(error) => return Ok(Err(format!("their device's keys do not check out ({error})"))),
        };
        let credential = package.credential();
        let is_theirs = credential.address == *member && credential.certificate.device == *device;
        let known = credential.verify_known(&contact.root_key, &contact.key_sets);
        match (is_theirs, known) {
            (true, Ok(())) => checked.push(package),
            (false, _) => return Ok(Err("the server gave another account's keys for them".into())),
            (true, Err(error)) => return Ok(Err(format!("their device's keys do not check out ({error})"))),
        }
    }
    match checked.is_empty() {
        true => Ok(Err("they have no device that can be written to; they need to open Aside once".into())),
        false => Ok(Ok(checked)),
    }
}

fn found_if_complete(heart: &mut Heart, context: &mut Context<'_>, id: ConversationId) -> Result<(), EngineError> {
    let mut statement = context
        .db
        .prepare_cached("SELECT address, fetched, failure FROM founding WHERE conversation = ? ORDER BY address")?;
    let rows = statement
        .query_map(params![id], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<Vec<u8>>>(1)?, row.get::<_, Option<String>>(2)?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    drop(statement);
    if rows.is_empty() || rows.iter().any(|(_, fetched, failure)| fetched.is_none() && failure.is_none()) {
        return Ok(());
    }
    let Some(conversation) = super::find(context.db, &id)? else { return Ok(()) };
    let mut members = Vec::new();
    for (address, fetched, failure) in rows {
        let address: AccountAddress = address.parse().map_err(|_| EngineError::Damaged { what: "address" })?;
        match (fetched, failure) {
            (_, Some(why)) => leave_out(context, &conversation, &address, &why)?,
            (Some(bytes), None) => members.push((address, stored::<Fetched>(&bytes, "fetched keys")?)),
            (None, None) => {}
        }
    }
    if members.is_empty() {
        if conversation.kind == ConversationKind::Group {
            super::pause(context, id, "none of its members could be added; make the group again")?;
        }
        return Ok(());
    }
    found(heart, context, &conversation, &members)?;
    context.db.prepare_cached("DELETE FROM founding WHERE conversation = ?")?.execute(params![id])?;
    Ok(())
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

/// Makes the group with everybody in it, in memory and on disk; the server learns of its channel next.
fn found(
    heart: &mut Heart,
    context: &mut Context<'_>,
    conversation: &row::Conversation,
    members: &[(AccountAddress, Fetched)],
) -> Result<(), EngineError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    let channel = ChannelId(context.random());
    let mut packages = Vec::new();
    for (address, fetched) in members {
        if let Ok(mut checked) = check(heart, context, address, fetched)? {
            packages.append(&mut checked);
        }
    }
    let mut admins = vec![identity.address.clone()];
    if let Some(peer) = &conversation.peer {
        admins.push(peer.clone());
    }
    let title = if conversation.peer.is_some() { String::new() } else { conversation.title.clone() };
    let metadata = Metadata { title, admins: admins.clone() };
    let mls = heart.mls.on(context.db);
    let mut group = mls.create_group(&identity.signer, &identity.credential(), GroupId(channel.0), &metadata)?;
    let added = group.add(&mls, &identity.signer, &packages)?;
    group.merge_pending(&mls)?;
    let epoch = group.epoch();
    let keys = group.channel_keys(&mls, &channel)?.public();
    let head = first_head(&channel, epoch, &keys);
    let server = identity.server;
    channel::insert(context, channel, conversation.id, server, epoch, Position { seq: 0, head }, channel::Live::No)?;
    channel::note_epoch(context, channel, &group)?;
    set_channel(context, conversation.id, channel)?;
    add_member(context, conversation.id, &identity.address, IsAdmin::Yes)?;
    for (address, fetched) in members {
        let is_admin = if admins.contains(address) { IsAdmin::Yes } else { IsAdmin::No };
        add_member(context, conversation.id, address, is_admin)?;
        let Some(contact) = contact::find(context.db, address)? else { continue };
        for record in &fetched.account.devices {
            channel::add_to_roster(context, channel, address, contact.server, record, &contact.token)?;
        }
        contact::continue_chain(context, address, &fetched.account.key_sets)?;
    }
    heart.groups.insert(channel, group);
    let new = NewChannel { epoch, keys, welcome: added.welcome.into(), ratchet_tree: added.ratchet_tree.into() };
    job::add(context, server, &Job::CreateChannel(channel, new))
}

/// The channel is on its server: everybody gets their Welcome.
pub(crate) fn channel_is_made(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: ChannelId,
    new: &NewChannel,
) -> Result<(), EngineError> {
    let Some(row) = channel::find(context.db, &channel)? else { return Ok(()) };
    let Some(conversation) = super::find(context.db, &row.conversation)? else { return Ok(()) };
    channel::set_live(context, channel)?;
    heart.stirred.insert(channel);
    let recipients: Vec<Recipient> = channel::roster(context.db, &channel)?;
    for recipient in &recipients {
        welcome::send(heart, context, &conversation, &row, new, recipient)?;
    }
    if let Some(peer) = &conversation.peer {
        contact::set_active(context, peer)?;
    }
    if conversation.state == State::Pending {
        set_state(context, conversation.id, State::Active)?;
    }
    channel::choose_current(context, conversation.id)
}
