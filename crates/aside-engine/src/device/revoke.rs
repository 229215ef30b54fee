//! Taking a device out: a new account key, certificates of it for the devices that remain, and in every conversation one
//! commit without the revoked leaf (P-7.8 to P-7.11). What the device holds it keeps; it reads nothing later.

use super::row::{self, Device};
use super::{DeviceLetter, accept, attend, own_log, sync};
use crate::Heart;
use crate::account;
use crate::channel::intent::{self, Intent};
use crate::channel::outbox;
use crate::contact;
use crate::context::{Context, stored, to_store};
use crate::conversation::{self, ConversationId};
use crate::error::{CommandError, EngineError};
use crate::inbox;
use crate::input::{Change, ConnectionKind, Link};
use crate::job::{self, Job, JobId, Posted};
use crate::network::Flight;
use crate::recovery::phrase::Entropy;
use crate::recovery::{TypedPhrase, confirm};
use aside_protocol::address::AccountAddress;
use aside_protocol::frame::account::{KeySetChange, Request};
use aside_protocol::frame::anonymous::Delivery;
use aside_protocol::id::{ChannelId, DeviceId};
use aside_protocol::identity::{DeviceCertificate, DeviceRecord, KeySet, KeySetSigner, MemberCredential, verify_chain};
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::key::{PublicKey, SigningKey};
use aside_protocol::refusal::Refusal;
use minicbor::{Decode, Encode};
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

/// How the renewals of a device's leaves are spread, in milliseconds.
const RENEW_WITHIN_MS: i64 = 60_000;

/// Before a conversation that only a revoked device had begun is begun anew, in milliseconds.
const BEGIN_AFTER_MS: i64 = 60_000;

/// Before a group that only a revoked device had begun is given up, in milliseconds.
const LOST_AFTER_MS: i64 = 12 * 3_600_000;

/// What the devices that remain go on with.
#[derive(Clone, Encode, Decode)]
pub(crate) struct NewKeys {
    #[cbor(n(0), with = "minicbor::bytes")]
    account_seed: Vec<u8>,
    #[n(1)]
    key_sets: Vec<KeySet>,
    #[n(2)]
    records: Vec<DeviceRecord>,
}

impl NewKeys {
    /// Of a chain that was put, and the devices that remain.
    pub fn new(account_seed: Vec<u8>, key_sets: Vec<KeySet>, records: Vec<DeviceRecord>) -> Self {
        Self { account_seed, key_sets, records }
    }
}

impl std::fmt::Debug for NewKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewKeys({} key sets)", self.key_sets.len())
    }
}

/// A change that the home server has not taken yet.
struct Pending {
    device: DeviceId,
    keys: NewKeys,
}

fn pending(context: &Context<'_>) -> Result<Option<Pending>, EngineError> {
    let row: Option<([u8; 16], Vec<u8>)> = context
        .db
        .prepare_cached("SELECT device, keys FROM key_change")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    row.map(|(device, keys)| Ok(Pending { device: DeviceId(device), keys: stored(&keys, "new keys")? })).transpose()
}

/// Whether a device that is being revoked has to be out of a conversation before anything more is said there (P-7.10).
pub(crate) fn goes_first(
    context: &Context<'_>,
    channel: &ChannelId,
    own: &AccountAddress,
) -> Result<bool, EngineError> {
    Ok(is_under_way(context.db)? || intent::removes_device_of(context, channel, own)?)
}

/// Whether a device is being revoked at this moment.
fn is_under_way(db: &Connection) -> Result<bool, EngineError> {
    Ok(db.prepare_cached("SELECT 1 FROM key_change WHERE refused IS NULL")?.exists([])?)
}

/// Begins to revoke a device. With the recovery phrase, still on this device or typed, the change is signed by the root
/// key, which is quiet; without it by the account key before, which is loud.
pub(crate) fn begin(
    heart: &mut Heart,
    context: &mut Context<'_>,
    device: DeviceId,
    phrase: Option<&TypedPhrase>,
) -> Result<(), CommandError> {
    let identity = heart.identity.as_ref().filter(|identity| identity.registered).ok_or(CommandError::NotJoined)?;
    if device == identity.device() {
        return Err(CommandError::ThisDevice);
    }
    let standing = row::standing(context.db)?;
    if !standing.iter().any(|other| other.id == device) {
        return Err(CommandError::UnknownDevice);
    }
    if is_under_way(context.db)? {
        return Err(CommandError::RevokingAlready);
    }
    let root = match phrase {
        Some(phrase) => Some(typed_root(phrase, &identity.root_key)?),
        None => kept_root(context)?,
    };
    let signed_by = if root.is_some() { KeySetSigner::Root } else { KeySetSigner::PreviousAccountKey };
    // The server may have taken what it refused in its answer: then only the same key set goes on from there.
    let again = pending(context)?.filter(|refused| {
        let set = refused.keys.key_sets.last();
        let follows = refused.keys.key_sets.get(..identity.key_sets.len()) == Some(identity.key_sets.as_slice());
        refused.device == device && follows && set.is_some_and(|set| set.signer == signed_by)
    });
    let keys = match again {
        Some(refused) => refused.keys,
        None => new_keys(context, identity, &standing, (device, root.as_ref()))?,
    };
    context
        .db
        .prepare_cached("INSERT OR REPLACE INTO key_change (only_row, device, keys) VALUES (1, ?, ?)")
        .and_then(|mut statement| statement.execute(params![device.0, to_store(&keys)]))
        .map_err(EngineError::from)?;
    job::add(context, identity.server, &Job::PutKeySet)?;
    context.changed(Change::Devices);
    Ok(())
}

/// The root key of a phrase that somebody typed, if it is this account's.
fn typed_root(phrase: &TypedPhrase, root_key: &PublicKey) -> Result<SigningKey, CommandError> {
    let root = Entropy::read(phrase)?.root_key()?;
    match root.public_key() == *root_key {
        true => Ok(root),
        false => Err(CommandError::WrongPhrase),
    }
}

/// The root key, while the phrase was not confirmed and is still here.
fn kept_root(context: &Context<'_>) -> Result<Option<SigningKey>, EngineError> {
    confirm::entropy(context.db)?.map(|entropy| entropy.root_key()).transpose()
}

fn new_keys(
    context: &mut Context<'_>,
    identity: &account::Identity,
    standing: &[Device],
    (revoked, root): (DeviceId, Option<&SigningKey>),
) -> Result<NewKeys, EngineError> {
    let seed = super::link::account_seed(context.db)?;
    let before = SigningKey::from_seed(&seed);
    let seed = Zeroizing::new(context.random::<32>());
    let account_key = SigningKey::from_seed(&seed);
    let of = (&identity.address, &identity.root_key);
    let signer = match root {
        Some(root) => (KeySetSigner::Root, root),
        None => (KeySetSigner::PreviousAccountKey, &before),
    };
    let set = KeySet::sign(of, identity.key_sets.last(), account_key.public_key(), vec![revoked], signer);
    let records = standing.iter().filter(|device| device.id != revoked).map(|device| {
        let signature_key = device.record.certificate.signature_key;
        let certificate = DeviceCertificate::issue(of, &account_key, set.number, device.id, signature_key);
        DeviceRecord { certificate, ..device.record.clone() }
    });
    let records = records.collect();
    let mut key_sets = identity.key_sets.clone();
    key_sets.push(set);
    Ok(NewKeys { account_seed: seed.to_vec(), key_sets, records })
}

/// What the home server is asked.
pub(crate) fn request(context: &Context<'_>) -> Result<Option<Request>, EngineError> {
    let Some(Pending { keys, .. }) = pending(context)? else { return Ok(None) };
    let Some(key_set) = keys.key_sets.last().cloned() else { return Ok(None) };
    let certificates = keys.records.iter().map(|record| record.certificate.clone()).collect();
    Ok(Some(Request::PutKeySet(KeySetChange { key_set, certificates })))
}

/// The home server has the new key set: this device goes on with it, tells the others, and takes the revoked leaf out of
/// every conversation.
pub(crate) fn put(heart: &mut Heart, context: &mut Context<'_>) -> Result<(), EngineError> {
    let Some(Pending { device, keys }) = pending(context)? else { return Ok(()) };
    context.db.execute("DELETE FROM key_change", [])?;
    adopt(heart, context, &keys)?;
    tell(heart, context, &keys)?;
    own_log::found_with_others(heart, context)?;
    let Some(identity) = &heart.identity else { return Ok(()) };
    let address = identity.address.clone();
    // What waited for this goes out behind the removal.
    for channel in channels(context)? {
        intent::want(context, channel, &Intent::RemoveDevice(address.clone(), device))?;
        intent::want(context, channel, &Intent::Renew)?;
        heart.stirred.insert(channel);
    }
    begin_lost(heart, context)?;
    // One that was revoked before may be in some of them still: whoever revoked it was revoked itself.
    attend::all(heart, context, attend::Haste::AtOnce)
}

/// Sends the account's other devices what they go on with.
pub(crate) fn tell(heart: &Heart, context: &mut Context<'_>, keys: &NewKeys) -> Result<(), EngineError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    for record in keys.records.iter().filter(|record| record.certificate.device != identity.device()) {
        let to = super::recipient(identity, record);
        inbox::send_to_device(heart, context, identity, &to, DeviceLetter::NewKeys(Box::new(keys.clone())))?;
    }
    Ok(())
}

/// The home server does not take the key set: another device may have put one first, which is on its way to this one.
pub(crate) fn not_put(context: &mut Context<'_>, id: JobId, refusal: &Refusal) -> Result<(), EngineError> {
    // One that was made anew meanwhile is another.
    let mut others = context.db.prepare_cached("SELECT 1 FROM jobs WHERE body = ? AND id <> ?")?;
    if others.exists(params![to_store(&Job::PutKeySet), id.0])? {
        return Ok(());
    }
    drop(others);
    let words = match refusal {
        Refusal::StaleKeySet { .. } => "Another device of yours changed the account's keys at the same moment. The \
             device is removed as soon as that change has come here."
            .to_owned(),
        refusal => format!("The server did not remove the device: {refusal}. Nothing was changed; try again."),
    };
    context.db.execute("UPDATE key_change SET refused = ?", params![words])?;
    context.changed(Change::Devices);
    Ok(())
}

/// Why the last revocation was not carried out, if it was not.
pub(crate) fn trouble(db: &Connection) -> Result<Option<String>, EngineError> {
    let row: Option<Option<String>> =
        db.prepare_cached("SELECT refused FROM key_change")?.query_row([], |row| row.get(0)).optional()?;
    Ok(row.flatten())
}

fn channels(context: &Context<'_>) -> Result<Vec<ChannelId>, EngineError> {
    let mut statement = context.db.prepare_cached(
        "SELECT c.id FROM channels c JOIN conversations v ON v.id = c.conversation WHERE c.live = 1 AND v.state IN (0, 1)",
    )?;
    let rows = statement.query_map([], |row| Ok(ChannelId(row.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Goes on with a new account key: this device's certificate, the others', and KeyPackages that name it.
fn adopt(heart: &mut Heart, context: &mut Context<'_>, keys: &NewKeys) -> Result<(), EngineError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    let (server, own, old_token) = (identity.server, identity.device(), identity.own_token);
    let Some(record) = keys.records.iter().find(|record| record.certificate.device == own) else { return Ok(()) };
    // The last-resort KeyPackage names the old key set, too: both kinds are made anew.
    context.db.execute(
        "UPDATE account SET account_seed = ?, key_sets = ?, record = ?, last_resort_day = NULL",
        params![keys.account_seed, to_store(&keys.key_sets), to_store(record)],
    )?;
    for device in row::all(context.db)? {
        let revoked = keys.key_sets.iter().any(|set| set.revoked.contains(&device.id));
        let record = keys.records.iter().find(|record| record.certificate.device == device.id);
        let record = record.unwrap_or(&device.record).clone();
        let revoked_ms = device.revoked_ms.or(revoked.then_some(context.now.unix_ms));
        let id = device.id;
        let is_unnamed = device.name == row::UNNAMED;
        row::put(context, &Device { record, revoked_ms, ..device })?;
        if is_unnamed {
            sync::unsynced_device(context, &id)?;
        }
    }
    heart.identity = account::load(context.db)?;
    if accept::linker_is_out(context)? {
        super::ask_for_all(heart, context)?;
    }
    // A backup names the chain: with the next one, an older one can be told by it.
    heart.recovery.is_changed = true;
    for record in &keys.records {
        attend::meet(heart, context, &keys.key_sets, record)?;
    }
    let Some(identity) = &heart.identity else { return Ok(()) };
    job::add(context, server, &Job::PutDeliveryToken(identity.own_token.hash(), None))?;
    job::add(context, server, &Job::RevokeDeliveryToken(old_token.hash()))?;
    readdress(context, old_token, identity.own_token)?;
    let link = Link { server, kind: ConnectionKind::Account };
    if let Some(state) = heart.links.get_mut(&link).filter(|state| state.ready) {
        state.ask_account(context, link, Request::CountKeyPackages, Flight::CountKeyPackages);
    }
    context.changed(Change::State);
    Ok(())
}

/// Conversations that only a device had begun which is out are begun anew, by the oldest of those that stand.
fn begin_lost(heart: &Heart, context: &mut Context<'_>) -> Result<(), EngineError> {
    let own = heart.identity.as_ref().map(account::Identity::device);
    if !row::is_oldest(context.db, own)? {
        return Ok(());
    }
    let mut statement = context.db.prepare_cached(
        "SELECT id FROM conversations v WHERE kind <> 2 AND peer IS NOT NULL AND state = 0
         AND NOT EXISTS (SELECT 1 FROM channels WHERE conversation = v.id)
         AND NOT EXISTS (SELECT 1 FROM founding WHERE conversation = v.id)",
    )?;
    let lost = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<ConversationId>, _>>()?;
    drop(statement);
    for id in lost {
        let Some(peer) = conversation::find(context.db, &id)?.and_then(|row| row.peer) else { continue };
        let contact = contact::find(context.db, &peer)?.filter(|contact| contact.state.is_accepted());
        if let Some(server) = contact.and_then(|contact| contact.server) {
            let due_ms = context.now.unix_ms.saturating_add(BEGIN_AFTER_MS);
            conversation::begin_after(context, id, (&peer, server), due_ms)?;
        }
    }
    Ok(())
}

/// Groups of which this device has only heard, and that a device had begun which is out: so long after the revocation
/// nobody lets it in any more. Should somebody do, the group is back.
pub(crate) fn end_lost(context: &mut Context<'_>) -> Result<(), EngineError> {
    let before_ms = context.now.unix_ms.saturating_sub(LOST_AFTER_MS);
    let newest = row::all(context.db)?.into_iter().filter_map(|device| device.revoked_ms).max();
    if newest.is_none_or(|at_ms| at_ms > before_ms) {
        return Ok(());
    }
    let mut statement = context.db.prepare_cached(
        "SELECT id FROM conversations v WHERE kind <> 2 AND peer IS NULL AND state = 0 AND updated_ms < ?
         AND NOT EXISTS (SELECT 1 FROM channels WHERE conversation = v.id)
         AND NOT EXISTS (SELECT 1 FROM founding WHERE conversation = v.id)
         AND NOT EXISTS (SELECT 1 FROM joining WHERE conversation = v.id)",
    )?;
    let lost = statement.query_map(params![before_ms], |row| row.get(0))?;
    let lost = lost.collect::<Result<Vec<ConversationId>, _>>()?;
    drop(statement);
    for id in lost {
        let words = "the device that began this group was removed before anybody had joined; make the group again";
        conversation::set_out(context, id, conversation::State::Removed, words)?;
        outbox::all_failed(context, id, words)?;
    }
    Ok(())
}

/// Letters to one's own devices that are still here go by the new token; those to revoked ones go nowhere.
fn readdress(context: &Context<'_>, old: DeliveryToken, new: DeliveryToken) -> Result<(), EngineError> {
    let standing: Vec<DeviceId> = row::standing(context.db)?.into_iter().map(|device| device.id).collect();
    let goes_on = |delivery: Delivery| match delivery.token == old {
        true => Some(Delivery { token: new, ..delivery }).filter(|it| standing.contains(&it.device)),
        false => Some(delivery),
    };
    for (id, job) in job::all(context)? {
        match job {
            Job::Deliver(delivery) if delivery.token == old => match goes_on(delivery) {
                Some(delivery) => job::replace(context, id, &Job::Deliver(delivery))?,
                None => job::done(context, id)?,
            },
            Job::PutBlobs(blobs, letters) if letters.iter().any(|letter| letter.delivery.token == old) => {
                let letters = letters.into_iter().filter_map(|Posted { server, delivery }| {
                    goes_on(delivery).map(|delivery| Posted { server, delivery })
                });
                job::replace(context, id, &Job::PutBlobs(blobs, letters.collect()))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Another device revoked one: this one goes on with what it was given, and renews its leaves.
pub(crate) fn take(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    keys: &NewKeys,
) -> Result<(), EngineError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    let goes_on = keys.key_sets.len() > identity.key_sets.len()
        && keys.key_sets.get(..identity.key_sets.len()) == Some(identity.key_sets.as_slice())
        && keys.key_sets == sender.key_sets;
    let Ok(seed) = <[u8; 32]>::try_from(keys.account_seed.as_slice()).map(Zeroizing::new) else { return Ok(()) };
    let newest = verify_chain(&identity.address, &identity.root_key, &keys.key_sets);
    let is_newest = newest.is_ok_and(|newest| newest.account_key == SigningKey::from_seed(&seed).public_key());
    let own = keys.records.iter().find(|record| record.certificate.device == identity.device());
    let certifies = own.is_some_and(|record| {
        let credential = MemberCredential {
            key_sets: keys.key_sets.clone(),
            certificate: record.certificate.clone(),
            ..identity.credential()
        };
        credential.verify().is_ok()
            && record.certificate.signature_key == identity.device_key.public_key()
            && record.inbox_key == identity.record.inbox_key
    });
    if !goes_on || !is_newest || !certifies {
        return Ok(());
    }
    adopt(heart, context, keys)?;
    own_log::found_with_others(heart, context)?;
    for channel in channels(context)? {
        let due_ms = context.now.unix_ms.saturating_add(context.random_ms(RENEW_WITHIN_MS));
        intent::want_at(context, channel, &Intent::Renew, due_ms)?;
    }
    begin_lost(heart, context)?;
    attend::all(heart, context, attend::Haste::OthersFirst)?;
    // What this device wanted to revoke itself, it tries again on top of the new key set.
    let wanted = pending(context)?.map(|change| change.device);
    context.db.execute("DELETE FROM key_change", [])?;
    match wanted {
        Some(device) => match begin(heart, context, device, None) {
            Ok(()) | Err(CommandError::UnknownDevice | CommandError::ThisDevice) => Ok(()),
            Err(CommandError::Engine(error)) => Err(error),
            Err(_) => Ok(()),
        },
        None => Ok(()),
    }
}
