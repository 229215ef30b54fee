//! Founding a conversation anew in another channel, where nobody can go on in the old one (DESIGN 4a rule 9; P-9.8): who
//! may, when, and the way to a new group. What the others do about it is in [`super::follow`].

use super::answer::{self, Kept};
use super::fault::{self, Fault, Remedy, Standing};
use super::founder::Agreed;
use super::letter::{HealLetter, NotIn, Why};
use super::{evidence, follow, joins, recover};
use crate::Heart;
use crate::channel::commit::ADDS_MAX;
use crate::channel::intent::{self, Intent, Newcomer};
use crate::channel::{self, Channel, Live};
use crate::contact;
use crate::context::{Context, stored, to_store};
use crate::conversation::{self, Conversation, ConversationId, State};
use crate::device::{self, attend};
use crate::error::EngineError;
use crate::group;
use crate::inbox::welcome::{Recipient, Welcomes};
use crate::job::{self, Job, NewChannel};
use crate::view::ConversationKind;
use aside_mls::{CheckedKeyPackage, CommitDraft, CommitStatement, GroupId, KeyPackageError, Metadata};
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::{Position, first_head};
use aside_protocol::frame::anonymous::DeviceKeyPackage;
use aside_protocol::id::ChannelId;
use aside_protocol::identity::{DirectoryAccount, KeySet};
use aside_protocol::key::PublicKey;
use minicbor::{Decode, Encode};
use rusqlite::{Connection, OptionalExtension, params};

/// How often one member's commits may stop a group before an admin founds it anew without them.
const STOPS_MAX: usize = 3;
/// Within which time, in milliseconds.
const STOPS_WITHIN_MS: i64 = 86_400_000;

/// So many times longer own devices that are in a conversation of two are waited for.
const OWN_DEVICES_FACTOR: i64 = 24;

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
    /// How often the conversation had been founded anew when it came into that channel, for who does not know it.
    #[n(5)]
    pub generation: Option<u32>,
    /// Whether the heir founded it in the place of admins who did not: a channel that an admin founds outranks it.
    #[n(6)]
    pub by_heir: bool,
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

/// When it is time for this device to found the conversation anew; `None`: it is not for this device, or is begun.
pub(super) fn due_ms(
    heart: &mut Heart,
    context: &mut Context<'_>,
    standing: &Standing,
) -> Result<Option<i64>, EngineError> {
    let Some(conversation) = conversation::find(context.db, &standing.conversation)? else { return Ok(None) };
    let is_begun = context
        .db
        .prepare_cached("SELECT 1 FROM refounding WHERE conversation = ?")?
        .exists(params![standing.conversation])?;
    if is_begun || is_being_made(context, &standing.channel)? {
        return Ok(None);
    }
    let pace = heart.options.heal;
    if conversation.kind == ConversationKind::Own {
        // Nothing is said there that the devices do not know: one of them may be away for long.
        let wait = pace.refound_alone_after_ms.saturating_mul(own_rank(heart, context)?);
        return Ok(Some(standing.since_ms.saturating_add(wait)));
    }
    let is_direct = conversation.kind == ConversationKind::Direct;
    // Without their own state members know a group only as they last showed it: they wait until all of them ask.
    let is_readd = standing.fault.remedy() == Remedy::ReAdd;
    if is_readd && !is_direct && !answer::do_all_ask(heart, context, standing)? {
        return Ok(None);
    }
    let wait = match standing.fault.remedy() {
        Remedy::Person => 0,
        Remedy::ReAdd if has_own_device(heart, context, standing)? => {
            pace.refound_alone_after_ms.saturating_mul(OWN_DEVICES_FACTOR)
        }
        Remedy::ReAdd if is_direct => pace.refound_alone_after_ms,
        Remedy::ReAdd | Remedy::ReAddOrReFound => pace.refound_after_ms,
    };
    let is_allowed = standing.is_chosen || standing.fault.remedy() != Remedy::Person;
    let Some(rank) = rank(heart, context, &conversation, standing)?.filter(|_| is_allowed) else { return Ok(None) };
    let wait = wait.saturating_mul(i64::try_from(rank).unwrap_or(0).saturating_add(1));
    Ok(Some(standing.since_ms.saturating_add(wait)))
}

/// Whether a channel that this device founded in the place of this one waits for its server, which may be down for days.
fn is_being_made(context: &Context<'_>, old: &ChannelId) -> Result<bool, EngineError> {
    for (_, job) in job::all(context)? {
        if let Job::CreateChannel(id, _) = job
            && predecessor_of(context.db, &id)?.is_some_and(|predecessor| predecessor.channel == *old)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Somebody asks for a leaf as well, or has left: it may be for this device now, which would look again only after a pause
/// that has grown.
pub(super) fn look_sooner(heart: &mut Heart, context: &mut Context<'_>, id: &ChannelId) -> Result<(), EngineError> {
    let Some(standing) = fault::of_channel(context.db, id)? else { return Ok(()) };
    match due_ms(heart, context, &standing)? {
        Some(due_ms) => fault::no_later(context, id, due_ms),
        None => Ok(()),
    }
}

/// The place among the account's devices, from one on, so that they don't all do it at once.
fn own_rank(heart: &Heart, context: &Context<'_>) -> Result<i64, EngineError> {
    let own = heart.identity.as_ref().map(|identity| identity.device());
    let standing = device::row::standing(context.db)?;
    let before = standing.iter().filter(|device| Some(device.id) < own).count();
    Ok(i64::try_from(before).unwrap_or(i64::MAX).saturating_add(1))
}

/// Whether another device of this person is in the channel: it would be left behind, and may only be switched off.
fn has_own_device(heart: &Heart, context: &Context<'_>, standing: &Standing) -> Result<bool, EngineError> {
    let Some(identity) = &heart.identity else { return Ok(false) };
    let roster = channel::roster(context.db, &standing.channel)?;
    Ok(roster.iter().any(|one| one.address == identity.address && one.device != identity.device()))
}

/// The place among those who may found it anew, so that they don't all do it at once; `None`: not allowed, or without its
/// own state this device does not know a group's last agreed members.
fn rank(
    heart: &mut Heart,
    context: &mut Context<'_>,
    conversation: &Conversation,
    standing: &Standing,
) -> Result<Option<usize>, EngineError> {
    let Some(own) = heart.identity.as_ref().map(|identity| identity.address.clone()) else { return Ok(None) };
    if conversation.kind == ConversationKind::Direct {
        return Ok(Some(usize::from(conversation.peer.as_ref().is_some_and(|peer| *peer < own))));
    }
    let agreed = agreed(heart, context, conversation, standing)?;
    // A fork is shown to each device in another way: only admins are followed out of it.
    let may_inherit = standing.fault.stuck_at().is_some();
    Ok(agreed.filter(|agreed| may_inherit || agreed.admins.contains(&own)).and_then(|agreed| agreed.rank(&own)))
}

fn agreed(
    heart: &mut Heart,
    context: &mut Context<'_>,
    conversation: &Conversation,
    standing: &Standing,
) -> Result<Option<Agreed>, EngineError> {
    let Some(row) = channel::find(context.db, &standing.channel)? else { return Ok(None) };
    match Agreed::of(heart, context, &row, standing.fault.culprit())? {
        Some(agreed) => Ok(Some(agreed)),
        None => Agreed::last_shown(context, conversation).map(Some),
    }
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
    let statement = standing.fault.statement().cloned();
    let culprit = standing.fault.culprit().filter(|_| conversation.peer.is_none()).cloned();
    let repeated = repeatedly(heart, context, &conversation, standing)?;
    let culprit = culprit.or_else(|| repeated.clone());
    let predecessor = Predecessor {
        channel: row.id,
        epoch: row.epoch,
        position: row.position,
        why,
        culprit: culprit.map(|address| (address, statement)),
        generation: Some(follow::generation(context.db, &row.id)?),
        by_heir: false,
    };
    if conversation.kind == ConversationKind::Own {
        fault::tried(context, standing, None)?;
        // The other devices are added once its server has it.
        return found(heart, context, &conversation, &predecessor, (None, Vec::new()));
    }
    let until = context.now.unix_ms.saturating_add(heart.options.heal.ask_again_ms.saturating_mul(4));
    context
        .db
        .prepare_cached("INSERT INTO refounding (conversation, predecessor, until_ms) VALUES (?, ?, ?)")?
        .execute(params![conversation.id, to_store(&predecessor), until])?;
    let roster = channel::roster(context.db, &row.id)?;
    for one in expected(heart, context, &conversation, standing)? {
        if Some(&one.address) == repeated.as_ref() {
            continue;
        }
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

/// Whose commits have stopped this device in a group so often that an admin does not take them along, whether or not they
/// mean it. Nobody is blamed for it.
fn repeatedly(
    heart: &Heart,
    context: &Context<'_>,
    conversation: &Conversation,
    standing: &Standing,
) -> Result<Option<AccountAddress>, EngineError> {
    let Some(signer) = standing.fault.signer().filter(|_| conversation.peer.is_none()) else { return Ok(None) };
    let Some(identity) = &heart.identity else { return Ok(None) };
    if !group::is_admin(context, conversation.id, &identity.address)? {
        return Ok(None);
    }
    let since = context.now.unix_ms.saturating_sub(STOPS_WITHIN_MS);
    let stops = evidence::stops_by(context, conversation.id, signer, since)?;
    Ok(Some(signer.clone()).filter(|_| stops >= STOPS_MAX))
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
    let standing = fault::of_channel(context.db, &predecessor.channel)?;
    // Otherwise it has healed meanwhile.
    let Some(standing) = standing else { return Ok(()) };
    // Nobody can be reached. Only who is left alone in a group goes on alone.
    let is_alone = conversation.peer.is_none() && expected(heart, context, &conversation, &standing)?.is_empty();
    if newcomers.is_empty() && !is_alone {
        return Ok(());
    }
    let metadata = match &conversation.peer {
        Some(_) => None,
        None => match agreed(heart, context, &conversation, &standing)? {
            Some(agreed) if may_go_without_others(heart, &agreed, &newcomers) => Some(agreed.metadata),
            Some(_) | None => return Ok(()),
        },
    };
    let own = heart.identity.as_ref().map(|identity| &identity.address);
    let by_heir = metadata.as_ref().zip(own).is_some_and(|(metadata, own)| !metadata.is_admin(own));
    found(heart, context, &conversation, &Predecessor { by_heir, ..predecessor }, (metadata, newcomers))
}

/// An admin may leave out who cannot be reached; whoever stands in for the admins takes everybody along.
fn may_go_without_others(heart: &Heart, agreed: &Agreed, newcomers: &[Newcomer]) -> bool {
    let Some(identity) = &heart.identity else { return false };
    let is_in = |one: &AccountAddress| {
        *one == identity.address || newcomers.iter().any(|newcomer| newcomer.recipient.address == *one)
    };
    agreed.metadata.is_admin(&identity.address) || agreed.accounts.iter().all(is_in)
}

/// Forgets that it was begun.
pub(super) fn end(context: &Context<'_>, id: ConversationId) -> Result<(), EngineError> {
    context.db.prepare_cached("DELETE FROM refounding WHERE conversation = ?")?.execute(params![id])?;
    context.db.prepare_cached("DELETE FROM refounding_members WHERE conversation = ?")?.execute(params![id])?;
    Ok(())
}

/// Makes the new group with everybody who can be reached; the server learns of its channel next.
fn found(
    heart: &mut Heart,
    context: &mut Context<'_>,
    conversation: &Conversation,
    predecessor: &Predecessor,
    (agreed, mut newcomers): (Option<Metadata>, Vec<Newcomer>),
) -> Result<(), EngineError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    let id = ChannelId(context.random());
    // Whoever could not be reached comes later, with the role that they had.
    let metadata = match (agreed, &conversation.peer) {
        (Some(agreed), _) => agreed,
        (None, peer) => {
            let admins = std::iter::once(identity.address.clone()).chain(peer.clone()).collect();
            Metadata { title: String::new(), admins, picture: None }
        }
    };
    // Only an admin can add more later.
    let at_once = if metadata.is_admin(&identity.address) { ADDS_MAX } else { usize::MAX };
    let later = newcomers.split_off(newcomers.len().min(at_once));
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
    let credential = identity.credential();
    let draft = CommitDraft {
        added: &packages,
        own_leaf: packages.is_empty().then_some(&credential),
        ..CommitDraft::default()
    };
    let added = group.commit(&mls, &identity.signer, &draft)?.newcomers;
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
    let welcomes = match added {
        Some(added) => Welcomes::cut(epoch, &added, devices)?,
        None => Welcomes { epoch, ratchet_tree: Vec::new().into(), slices: Vec::new() },
    };
    let new = NewChannel { epoch, keys, welcomes };
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
    // That its own account's devices belong there this one knows without any state of the old channel. They come in as
    // into any other one.
    if heart.identity.as_ref().is_some_and(|identity| device::is_own(identity, &kept.sender)) {
        return attend::one(heart, context, row.id, attend::Haste::AtOnce).map(|()| true);
    }
    let culprit = predecessor_of(context.db, &row.id)?.and_then(|predecessor| predecessor.culprit);
    let is_left_out = culprit.is_some_and(|(address, _)| address == kept.sender.address);
    let may_add = heart.identity.as_ref().is_some_and(|identity| metadata.is_admin(&identity.address));
    if is_left_out || !may_add {
        return Ok(true);
    }
    // Only who was a member when the old channel was given up, and has not been taken out of the new one since.
    let was_in = joins::has_joined(context, &row.id, &kept.sender.address)?;
    let old_group = if was_in { None } else { channel::take_group(heart, context, &old.id)? };
    let Some(group) = old_group else {
        let answer = HealLetter::NotIn(NotIn { channel: old.id, epoch: old.epoch.saturating_add(1) });
        return recover::send(heart, context, &kept.newcomer.recipient, answer).map(|()| true);
    };
    let was_member = answer::may_have_leaf(&group, &kept.sender);
    heart.groups.insert(old.id, group);
    if was_member? {
        intent::want(context, row.id, &Intent::Add(kept.newcomer.clone()))?;
        heart.stirred.insert(row.id);
    }
    Ok(true)
}
