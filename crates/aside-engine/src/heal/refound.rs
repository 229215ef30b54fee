//! Founding a conversation anew in another channel, where nobody can go on in the old one (DESIGN 4a rule 9; P-9.8): who
//! may, when, and the way to a new group. What the others do about it is in [`super::follow`].

use super::answer::{self, Kept};
use super::fault::{self, Fault, Remedy, Standing};
use super::follow;
use super::letter::Why;
use crate::Heart;
use crate::channel::commit::ADDS_MAX;
use crate::channel::intent::{self, Intent, Newcomer};
use crate::channel::{self, Channel, Live};
use crate::contact;
use crate::context::{Context, stored, to_store};
use crate::conversation::{self, Conversation, ConversationId, State};
use crate::error::EngineError;
use crate::inbox::welcome::{Recipient, Welcomes};
use crate::job::{self, Job, NewChannel};
use crate::view::ConversationKind;
use aside_mls::{
    CheckedKeyPackage, CommitDraft, CommitStatement, GroupId, KeyPackageError, Metadata, MlsError, Picture,
};
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::{Position, first_head};
use aside_protocol::frame::anonymous::DeviceKeyPackage;
use aside_protocol::id::ChannelId;
use aside_protocol::identity::{DirectoryAccount, KeySet};
use aside_protocol::key::PublicKey;
use minicbor::{Decode, Encode};
use rusqlite::{Connection, OptionalExtension, params};

/// What a channel was founded in place of (P-9.8).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Predecessor {
    #[n(0)]
    pub channel: ChannelId,
    /// Where its founder had got to.
    #[n(1)]
    pub epoch: u64,
    #[n(2)]
    pub position: Position,
    #[n(3)]
    pub why: Why,
    /// Whom the evidence proves to have done it, with their signed statement: they are left out.
    #[n(4)]
    pub culprit: Option<(AccountAddress, Option<CommitStatement>)>,
}

/// The channel that took this one's place.
pub(crate) fn successor_of(db: &Connection, row: &Channel) -> Result<Option<ChannelId>, EngineError> {
    let mut statement = db.prepare_cached("SELECT successor FROM channels WHERE id = ?")?;
    let found: Option<Option<[u8; 32]>> = statement.query_row(params![row.id.0], |row| row.get(0)).optional()?;
    Ok(found.flatten().map(ChannelId))
}

/// What a channel was founded in place of.
pub(crate) fn predecessor_of(db: &Connection, id: &ChannelId) -> Result<Option<Predecessor>, EngineError> {
    let mut statement = db.prepare_cached("SELECT predecessor FROM channels WHERE id = ?")?;
    let found: Option<Option<Vec<u8>>> = statement.query_row(params![id.0], |row| row.get(0)).optional()?;
    found.flatten().map(|bytes| stored(&bytes, "predecessor")).transpose()
}

/// Whether it is for this device to found the conversation anew, and time to.
pub(super) fn is_due(heart: &mut Heart, context: &mut Context<'_>, standing: &Standing) -> Result<bool, EngineError> {
    let Some(conversation) = conversation::find(context.db, &standing.conversation)? else { return Ok(false) };
    let is_begun = context
        .db
        .prepare_cached("SELECT 1 FROM refounding WHERE conversation = ?")?
        .exists(params![standing.conversation])?;
    if is_begun {
        return Ok(false);
    }
    let pace = heart.options.heal;
    let is_direct = conversation.kind == ConversationKind::Direct;
    let wait = match (standing.fault.remedy(), is_direct) {
        (Remedy::Person, _) => 0,
        (Remedy::ReAddOrReFound, _) => pace.refound_after_ms,
        (Remedy::ReAdd, true) => pace.refound_alone_after_ms,
        (Remedy::ReAdd, false) => pace.refound_after_ms,
    };
    let is_allowed = standing.is_chosen || standing.fault.remedy() != Remedy::Person;
    let Some(rank) = rank(heart, context, &conversation)?.filter(|_| is_allowed) else { return Ok(false) };
    // Without its own state this device knows a group's members only as it last showed them: it waits until all of them ask.
    let is_known = is_direct || has_group(heart, context, &standing.channel)?;
    if !is_known && !answer::do_all_ask(heart, context, standing)? {
        return Ok(false);
    }
    let wait = wait.saturating_mul(i64::try_from(rank).unwrap_or(0).saturating_add(1));
    Ok(context.now.unix_ms >= standing.since_ms.saturating_add(wait))
}

fn has_group(heart: &mut Heart, context: &mut Context<'_>, id: &ChannelId) -> Result<bool, EngineError> {
    let Some(group) = channel::take_group(heart, context, id)? else { return Ok(false) };
    heart.groups.insert(*id, group);
    Ok(true)
}

/// The place among those who may found it anew, so that they don't all do it at once; `None`: not allowed.
fn rank(heart: &Heart, context: &Context<'_>, conversation: &Conversation) -> Result<Option<usize>, EngineError> {
    let Some(identity) = &heart.identity else { return Ok(None) };
    let members = conversation::members(context.db, conversation.id)?;
    let may = members.iter().filter(|member| member.is_admin || conversation.kind == ConversationKind::Direct);
    let mut addresses: Vec<&AccountAddress> = may.map(|member| &member.address).collect();
    addresses.sort();
    Ok(addresses.iter().position(|address| **address == identity.address))
}

/// What is known of somebody who shall be in the new group.
struct Expected {
    address: AccountAddress,
    root_key: PublicKey,
    key_sets: Vec<KeySet>,
}

/// Those who belong into the new group: the last agreed members, without this account and without whoever is proven to
/// have broken the old one.
fn expected(
    heart: &mut Heart,
    context: &mut Context<'_>,
    conversation: &Conversation,
    standing: &Standing,
) -> Result<Vec<Expected>, EngineError> {
    let Some(own) = heart.identity.as_ref().map(|identity| identity.address.clone()) else { return Ok(Vec::new()) };
    if let Some(peer) = &conversation.peer {
        let contact = contact::find(context.db, peer)?;
        let of = |contact: contact::Contact| {
            let root_key = contact.root_key?;
            Some(Expected { address: contact.address, root_key, key_sets: Vec::new() })
        };
        return Ok(contact.and_then(of).into_iter().collect());
    }
    let Some(group) = channel::take_group(heart, context, &standing.channel)? else {
        return last_shown(context, conversation, &own);
    };
    let members = group.members()?;
    heart.groups.insert(standing.channel, group);
    let culprit = standing.fault.culprit();
    let mut all: Vec<Expected> = Vec::new();
    for member in members {
        let credential = member.credential;
        let is_out = credential.address == own || Some(&credential.address) == culprit;
        match all.iter_mut().find(|one| one.address == credential.address) {
            _ if is_out => {}
            Some(one) if one.key_sets.len() < credential.key_sets.len() => one.key_sets = credential.key_sets,
            Some(_) => {}
            None => all.push(Expected {
                address: credential.address,
                root_key: credential.root_key,
                key_sets: credential.key_sets,
            }),
        }
    }
    Ok(all)
}

/// A group's members as this device last showed them, where it has no state of the group.
fn last_shown(
    context: &Context<'_>,
    conversation: &Conversation,
    own: &AccountAddress,
) -> Result<Vec<Expected>, EngineError> {
    let mut all = Vec::new();
    for member in conversation::members(context.db, conversation.id)? {
        if member.standing != conversation::Standing::Member || member.address == *own {
            continue;
        }
        if let Some((root_key, key_sets)) = contact::keys::known(context.db, &member.address)? {
            all.push(Expected { address: member.address, root_key, key_sets });
        }
    }
    Ok(all)
}

/// Begins: everybody's KeyPackages are fetched by jobs.
pub(super) fn begin(heart: &mut Heart, context: &mut Context<'_>, standing: &Standing) -> Result<(), EngineError> {
    let Some(conversation) = conversation::find(context.db, &standing.conversation)? else { return Ok(()) };
    let Some(row) = channel::find(context.db, &standing.channel)? else { return Ok(()) };
    let why = match &standing.fault {
        Fault::Fork(_) => Why::Forked,
        Fault::Gone => Why::Gone,
        fault => fault.stuck_at().map_or(Why::Lost, Why::Stuck),
    };
    let statement = match &standing.fault {
        Fault::WrongKeys(_, Some((_, statement))) => Some(statement.clone()),
        _ => None,
    };
    let culprit = standing.fault.culprit().filter(|_| conversation.peer.is_none()).cloned();
    let predecessor = Predecessor {
        channel: row.id,
        epoch: row.epoch,
        position: row.position,
        why,
        culprit: culprit.map(|address| (address, statement)),
    };
    let until = context.now.unix_ms.saturating_add(heart.options.heal.ask_again_ms.saturating_mul(4));
    context
        .db
        .prepare_cached("INSERT INTO refounding (conversation, predecessor, until_ms) VALUES (?, ?, ?)")?
        .execute(params![conversation.id, to_store(&predecessor), until])?;
    let roster = channel::roster(context.db, &row.id)?;
    for one in expected(heart, context, &conversation, standing)? {
        let known = contact::find(context.db, &one.address)?;
        let by_contact = known.and_then(|contact| Some((contact.server?, contact.token)));
        let by_roster = || roster.iter().find(|of| of.address == one.address).map(|of| (of.server, of.token));
        let Some((server, token)) = by_contact.or_else(by_roster) else { continue };
        context
            .db
            .prepare_cached("INSERT OR IGNORE INTO refounding_members (conversation, address) VALUES (?, ?)")?
            .execute(params![conversation.id, one.address.to_string()])?;
        job::add(context, server, &Job::FetchForSuccessor(conversation.id, one.address, token))?;
    }
    fault::tried(context, standing, Some(until))?;
    found_if_complete(heart, context, conversation.id)
}

/// The directory answered for one of them.
pub(crate) fn fetched(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: ConversationId,
    address: &AccountAddress,
    given: Option<(DirectoryAccount, Vec<DeviceKeyPackage>)>,
) -> Result<(), EngineError> {
    let newcomers = match given {
        Some((account, packages)) => check(heart, context, id, address, &account, &packages)?,
        None => Vec::new(),
    };
    context
        .db
        .prepare_cached("UPDATE refounding_members SET fetched = ? WHERE conversation = ? AND address = ?")?
        .execute(params![to_store(&newcomers), id, address.to_string()])?;
    found_if_complete(heart, context, id)
}

/// Checks that the answer is of the member that the old group knew, as far as each device goes.
fn check(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: ConversationId,
    address: &AccountAddress,
    account: &DirectoryAccount,
    packages: &[DeviceKeyPackage],
) -> Result<Vec<Newcomer>, EngineError> {
    let Some((predecessor, _)) = begun(context.db, &id)? else { return Ok(Vec::new()) };
    let standing = fault::of_channel(context.db, &predecessor.channel)?;
    let (Some(conversation), Some(standing)) = (conversation::find(context.db, &id)?, standing) else {
        return Ok(Vec::new());
    };
    let known = expected(heart, context, &conversation, &standing)?.into_iter().find(|one| one.address == *address);
    let Some(known) = known.filter(|known| known.root_key == account.root_key) else { return Ok(Vec::new()) };
    if !contact::keys::saw_account(context, address, account)?.is_believed() {
        return Ok(Vec::new());
    }
    let roster = channel::roster(context.db, &standing.channel)?;
    let contact = contact::find(context.db, address)?;
    let mut newcomers = Vec::new();
    for DeviceKeyPackage { device, key_package } in packages {
        let Some(bytes) = key_package else { continue };
        let package = match heart.mls.on(context.db).check_key_package(bytes, context.now.unix_s()) {
            Ok(package) => package,
            Err(KeyPackageError::Mls(error)) => return Err(error.into()),
            Err(_) => continue,
        };
        let credential = package.credential();
        let is_theirs = credential.address == *address
            && credential.certificate.device == *device
            && credential.verify_known(&known.root_key, &known.key_sets).is_ok();
        let record = account.devices.iter().find(|record| record.certificate == credential.certificate);
        let by_contact = contact.as_ref().and_then(|contact| Some((contact.server?, contact.token)));
        let by_roster = || roster.iter().find(|of| of.address == *address).map(|of| (of.server, of.token));
        let reach = by_contact.or_else(by_roster);
        let (true, Some(record), Some((server, token))) = (is_theirs, record, reach) else { continue };
        if record.verify().is_err() {
            continue;
        }
        let inbox_key = record.inbox_key.clone().into();
        let recipient = Recipient { address: address.clone(), device: *device, server, inbox_key, token };
        newcomers.push(Newcomer { recipient, key_package: bytes.clone(), reference: package.reference() });
    }
    Ok(newcomers)
}

/// What was begun, and how long those who do not answer are waited for.
fn begun(db: &Connection, id: &ConversationId) -> Result<Option<(Predecessor, i64)>, EngineError> {
    let mut statement = db.prepare_cached("SELECT predecessor, until_ms FROM refounding WHERE conversation = ?")?;
    let row: Option<(Vec<u8>, i64)> =
        statement.query_row(params![id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    row.map(|(bytes, until_ms)| Ok((stored(&bytes, "predecessor")?, until_ms))).transpose()
}

/// Founds where all have answered, or those who have not were waited for long enough.
pub(super) fn found_if_complete(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: ConversationId,
) -> Result<(), EngineError> {
    let Some((predecessor, until_ms)) = begun(context.db, &id)? else { return Ok(()) };
    let rows: Vec<Option<Vec<u8>>> = context
        .db
        .prepare_cached("SELECT fetched FROM refounding_members WHERE conversation = ? ORDER BY address")?
        .query_map(params![id], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if rows.iter().any(Option::is_none) && context.now.unix_ms < until_ms {
        return Ok(());
    }
    let mut newcomers: Vec<Newcomer> = Vec::new();
    for row in rows.into_iter().flatten() {
        newcomers.append(&mut stored(&row, "fetched keys")?);
    }
    end(context, id)?;
    let Some(conversation) = conversation::find(context.db, &id)? else { return Ok(()) };
    match newcomers.is_empty() || fault::of_channel(context.db, &predecessor.channel)?.is_none() {
        // Nobody can be reached, or it has healed meanwhile.
        true => Ok(()),
        false => found(heart, context, &conversation, &predecessor, newcomers),
    }
}

/// Forgets that it was begun.
pub(super) fn end(context: &Context<'_>, id: ConversationId) -> Result<(), EngineError> {
    context.db.prepare_cached("DELETE FROM refounding WHERE conversation = ?")?.execute(params![id])?;
    context.db.prepare_cached("DELETE FROM refounding_members WHERE conversation = ?")?.execute(params![id])?;
    Ok(())
}

/// Title, picture and admins as they were last agreed, as far as those people are in the new group.
fn metadata(
    heart: &mut Heart,
    context: &mut Context<'_>,
    conversation: &Conversation,
    predecessor: &Predecessor,
    newcomers: &[Newcomer],
) -> Result<Metadata, EngineError> {
    let Some(own) = heart.identity.as_ref().map(|identity| identity.address.clone()) else {
        return Err(MlsError::NotAMember.into());
    };
    if let Some(peer) = &conversation.peer {
        return Ok(Metadata { title: String::new(), admins: vec![own, peer.clone()], picture: None });
    }
    let Some(group) = channel::take_group(heart, context, &predecessor.channel)? else {
        let shown = conversation::members(context.db, conversation.id)?;
        let admins = shown.into_iter().filter(|row| row.is_admin && row.standing == conversation::Standing::Member);
        let picture = conversation::picture(context.db, &conversation.id)?;
        return Ok(Metadata {
            title: conversation.title.clone(),
            admins: admins.map(|row| row.address).collect(),
            picture: picture.and_then(|bytes| Picture::new(bytes).ok()),
        });
    };
    let mut metadata = group.metadata()?;
    heart.groups.insert(predecessor.channel, group);
    let culprit = predecessor.culprit.as_ref().map(|(address, _)| address);
    metadata.admins.retain(|admin| Some(admin) != culprit);
    // Whoever could not be reached comes later, with the role that they had.
    let _ = newcomers;
    Ok(metadata)
}

/// Makes the new group with everybody who can be reached; the server learns of its channel next.
fn found(
    heart: &mut Heart,
    context: &mut Context<'_>,
    conversation: &Conversation,
    predecessor: &Predecessor,
    mut newcomers: Vec<Newcomer>,
) -> Result<(), EngineError> {
    let metadata = metadata(heart, context, conversation, predecessor, &newcomers)?;
    let Some(identity) = &heart.identity else { return Ok(()) };
    let id = ChannelId(context.random());
    let later = newcomers.split_off(newcomers.len().min(ADDS_MAX));
    let mls = heart.mls.on(context.db);
    let mut packages: Vec<CheckedKeyPackage> = Vec::new();
    for newcomer in &newcomers {
        match mls.check_key_package(&newcomer.key_package, context.now.unix_s()) {
            Ok(package) => packages.push(package),
            Err(KeyPackageError::Mls(error)) => return Err(error.into()),
            Err(_) => return Ok(()),
        }
    }
    let mut group = mls.create_group(&identity.signer, &identity.credential(), GroupId(id.0), &metadata)?;
    let draft = CommitDraft { added: &packages, ..CommitDraft::default() };
    let added = group.commit(&mls, &identity.signer, &draft)?.newcomers.ok_or(MlsError::NoPendingCommit)?;
    group.merge_pending(&mls)?;
    let epoch = group.epoch();
    let keys = group.channel_keys(&mls, &id)?.public();
    let anchor = Position { seq: 0, head: first_head(&id, epoch, &keys) };
    let server = identity.server;
    channel::insert(context, id, conversation.id, server, epoch, anchor, Live::No)?;
    channel::note_epoch(context, id, &group)?;
    follow::set_predecessor(context, &id, predecessor)?;
    heart.groups.insert(id, group);
    for newcomer in &newcomers {
        channel::add_recipient(context, id, &newcomer.recipient)?;
    }
    for newcomer in later {
        intent::want(context, id, &Intent::Add(newcomer))?;
    }
    let devices = newcomers.into_iter().map(|newcomer| (newcomer.recipient, newcomer.reference));
    let new = NewChannel { epoch, keys, welcomes: Welcomes::cut(epoch, &added, devices)? };
    job::add(context, server, &Job::CreateChannel(id, new))
}

/// The channel is on its server.
pub(crate) fn made(heart: &mut Heart, context: &mut Context<'_>, row: &Channel) -> Result<(), EngineError> {
    match predecessor_of(context.db, &row.id)? {
        Some(predecessor) => follow::adopt(heart, context, row, &predecessor),
        None => follow::settle(heart, context, row.conversation, &[]).map(|_| ()),
    }
}

/// Somebody asks for a leaf in a channel that was given up: they belong into its successor. `false`: not now.
pub(super) fn add_late(
    heart: &mut Heart,
    context: &mut Context<'_>,
    old: &Channel,
    successor: ChannelId,
    kept: &Kept,
) -> Result<bool, EngineError> {
    let Some(row) = channel::find(context.db, &successor)? else { return Ok(true) };
    if let Some(next) = successor_of(context.db, &row)? {
        return add_late(heart, context, old, next, kept);
    }
    let Some(conversation) = conversation::find(context.db, &row.conversation)? else { return Ok(true) };
    if conversation.state != State::Active || row.live == Live::No {
        return Ok(false);
    }
    let Some(group) = channel::take_group(heart, context, &row.id)? else { return Ok(false) };
    let metadata = group.metadata()?;
    let has_leaf = answer::may_have_leaf(&group, &kept.sender)?;
    heart.groups.insert(row.id, group);
    // A Welcome may be on its way to them.
    let pace = heart.options.heal;
    if has_leaf && context.now.unix_ms < kept.since_ms.saturating_add(pace.ask_again_ms.saturating_mul(2)) {
        return Ok(false);
    }
    if has_leaf {
        intent::want(context, row.id, &Intent::Swap(kept.newcomer.clone()))?;
        heart.stirred.insert(row.id);
        return Ok(true);
    }
    let culprit = predecessor_of(context.db, &row.id)?.and_then(|predecessor| predecessor.culprit);
    let is_left_out = culprit.is_some_and(|(address, _)| address == kept.sender.address);
    let own = heart.identity.as_ref().map(|identity| identity.address.clone());
    let may_add = own.is_some_and(|own| metadata.is_admin(&own) || own == kept.sender.address);
    if is_left_out || !may_add {
        return Ok(true);
    }
    // Only who was a member when the old channel was given up.
    let Some(group) = channel::take_group(heart, context, &old.id)? else {
        return Ok(true);
    };
    let was_member = answer::may_have_leaf(&group, &kept.sender);
    heart.groups.insert(old.id, group);
    if was_member? {
        intent::want(context, row.id, &Intent::Add(kept.newcomer.clone()))?;
        heart.stirred.insert(row.id);
    }
    Ok(true)
}
