//! Whose keys are whose. Every place that meets somebody's keys (an envelope, a group's leaves, a directory's answer)
//! comes by here, and learns whether to believe them. The rules are P-3.2, P-3.3 and P-3.14:
//!
//! - the same root key and a chain whose newest link is signed by it: quiet, a note;
//! - the same root key and a chain that only account keys continued: believed, and loud: nothing is sent to this person
//!   until somebody has looked;
//! - two chains that part: the one that the root key signed wins;
//! - another root key: nothing of it is believed, and the person is told.

use super::words;
use crate::account;
use crate::context::{Context, stored, to_store};
use crate::conversation::{ConversationId, replace};
use crate::error::EngineError;
use crate::input::Change;
use crate::job::{self, Job};
use crate::timeline;
use aside_protocol::address::AccountAddress;
use aside_protocol::id::DeviceId;
use aside_protocol::identity::{DirectoryAccount, KeySet, KeySetSigner, MemberCredential, verify_chain};
use aside_protocol::key::PublicKey;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use rusqlite::{Connection, OptionalExtension, params};

/// What somebody's keys turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// This person's own account.
    Own,
    /// Nobody whose keys were seen before.
    First,
    /// Nothing new.
    Known,
    /// A device that was not seen before, by the same key set.
    NewDevice,
    /// The chain goes on, by the root key.
    Quiet,
    /// The chain goes on, and the root key has not said so.
    Loud,
    /// An older part of the known chain, on a device that is known and not revoked: it has not heard of the rest.
    Older,
    /// A chain that parts from the known one without the root key's word, an old one on an unknown device, or a device
    /// that the known chain revokes.
    Refused,
    /// The same address with another root key.
    OtherRoot,
}

impl Seen {
    /// Whether what comes with these keys counts.
    pub fn is_believed(self) -> bool {
        !matches!(self, Seen::Refused | Seen::OtherRoot)
    }
}

/// Somebody's keys, as they were shown here.
struct Shown<'a> {
    address: &'a AccountAddress,
    root_key: &'a PublicKey,
    key_sets: &'a Vec<KeySet>,
    devices: &'a [DeviceId],
}

/// A letter's author or any single leaf. The caller has verified the credential (P-3.4). Keys of somebody who was never
/// met in a group or a directory are not written down by this.
pub(crate) fn saw(context: &mut Context<'_>, credential: &MemberCredential) -> Result<Seen, EngineError> {
    let devices = [credential.certificate.device];
    judge(context, &Shown { devices: &devices, ..shown(credential) }, Unknown::Left)
}

/// The leaves of a group, after joining it or merging a commit: all of a person's devices are judged together, so that
/// somebody new is met with all of them at once.
pub(crate) fn saw_members<'a>(
    context: &mut Context<'_>,
    conversation: ConversationId,
    members: impl IntoIterator<Item = &'a MemberCredential>,
) -> Result<(), EngineError> {
    let mut people: Vec<(&MemberCredential, Vec<DeviceId>)> = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    for credential in members {
        let device = credential.certificate.device;
        let place = *places.entry((&credential.address, credential.root_key.0)).or_insert(people.len());
        match people.get_mut(place) {
            Some((longest, devices)) => {
                devices.push(device);
                if credential.key_sets.len() > longest.key_sets.len() {
                    *longest = credential;
                }
            }
            None => people.push((credential, vec![device])),
        }
    }
    for (credential, devices) in people {
        let seen = judge(context, &Shown { devices: &devices, ..shown(credential) }, Unknown::WrittenDown)?;
        if seen == Seen::OtherRoot {
            timeline::note(context, conversation, &credential.address, &words::other_root_in_group(credential))?;
        }
    }
    Ok(())
}

/// A directory's answer about an account, which only counts as far as its chain verifies.
pub(crate) fn saw_account(
    context: &mut Context<'_>,
    address: &AccountAddress,
    account: &DirectoryAccount,
) -> Result<Seen, EngineError> {
    let DirectoryAccount { root_key, key_sets, devices } = account;
    let Ok(newest) = verify_chain(address, root_key, key_sets) else { return Ok(Seen::Refused) };
    let is_certified = |credential: &MemberCredential| credential.verify().is_ok();
    let number = newest.number;
    let devices: Vec<DeviceId> = devices
        .iter()
        .filter(|record| record.certificate.key_set == number)
        .map(|record| MemberCredential {
            address: address.clone(),
            root_key: *root_key,
            key_sets: key_sets.clone(),
            certificate: record.certificate.clone(),
        })
        .filter(is_certified)
        .map(|credential| credential.certificate.device)
        .collect();
    judge(context, &Shown { address, root_key, key_sets, devices: &devices }, Unknown::WrittenDown)
}

fn shown(credential: &MemberCredential) -> Shown<'_> {
    Shown { address: &credential.address, root_key: &credential.root_key, key_sets: &credential.key_sets, devices: &[] }
}

/// What becomes of keys that were never seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Left,
    WrittenDown,
}

fn judge(context: &mut Context<'_>, shown: &Shown<'_>, unknown: Unknown) -> Result<Seen, EngineError> {
    if account::address(context.db)?.as_ref() == Some(shown.address) {
        return Ok(Seen::Own);
    }
    let pinned: Option<Option<[u8; 32]>> = context
        .db
        .prepare_cached("SELECT root_key FROM contacts WHERE address = ?")?
        .query_row(params![shown.address.to_string()], |row| row.get(0))
        .optional()?;
    if pinned.flatten().is_some_and(|pinned| pinned != shown.root_key.0) {
        return other_root(context, shown);
    }
    let Some(known) = chain(context.db, shown.address, shown.root_key)? else {
        if unknown == Unknown::WrittenDown {
            write_down(context, shown, Attention::None)?;
            note_devices(context, shown)?;
        }
        return Ok(Seen::First);
    };
    if let Some(kept) = shown.key_sets.get(..known.len()).filter(|begin| *begin == known).map(<[KeySet]>::len) {
        return match kept == shown.key_sets.len() {
            true => same_chain(context, shown),
            false => continued(context, shown, Continued::From),
        };
    }
    if known.get(..shown.key_sets.len()).is_some_and(|begin| begin == shown.key_sets) {
        return older(context, shown, &known);
    }
    parted(context, shown, &known)
}

fn same_chain(context: &mut Context<'_>, shown: &Shown<'_>) -> Result<Seen, EngineError> {
    // A device that was linked lately was told of people, but not of each of their devices: the first are no news.
    let is_news = knows_devices(context.db, shown)?;
    if note_devices(context, shown)? == 0 || !is_news {
        return Ok(Seen::Known);
    }
    tell(context, shown.address, &words::new_device(&shown.address.name))?;
    Ok(Seen::NewDevice)
}

/// How a chain came to be longer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Continued {
    From,
    /// The known one ended in links that the root key did not sign, and the root key now says otherwise.
    InPlaceOf,
}

fn continued(context: &mut Context<'_>, shown: &Shown<'_>, how: Continued) -> Result<Seen, EngineError> {
    // Each link commits to all before it, so the root key's word for the newest is its word for the whole chain.
    let by_root = shown.key_sets.last().is_some_and(|set| set.signer == KeySetSigner::Root);
    let attention = if by_root { Attention::None } else { Attention::Needed };
    write_down(context, shown, attention)?;
    let newcomers = note_devices(context, shown)?;
    forget_revoked(context, shown)?;
    replace::devices_are_out(context, shown.address)?;
    let name = &shown.address.name;
    let words = match (by_root, how, newcomers) {
        (false, ..) => words::loud(name),
        (true, Continued::InPlaceOf, _) => words::root_decided(name),
        (true, Continued::From, _) => words::devices_changed(name),
    };
    tell(context, shown.address, &words)?;
    context.changed(Change::Contact(shown.address.clone()));
    if !by_root {
        ask_directory(context, shown.address)?;
    }
    Ok(if by_root { Seen::Quiet } else { Seen::Loud })
}

fn older(context: &Context<'_>, shown: &Shown<'_>, known: &[KeySet]) -> Result<Seen, EngineError> {
    for device in shown.devices {
        let is_revoked = known.iter().any(|set| set.revoked.contains(device));
        if is_revoked || !is_known_device(context.db, shown, device)? {
            return Ok(Seen::Refused);
        }
    }
    Ok(Seen::Older)
}

/// Two chains of one root key part: the one that the root key signed after that wins, and without its word the known
/// one stays.
fn parted(context: &mut Context<'_>, shown: &Shown<'_>, known: &[KeySet]) -> Result<Seen, EngineError> {
    let common = known.iter().zip(shown.key_sets).take_while(|(one, other)| one == other).count();
    let says_root = |chain: &[KeySet]| chain.iter().skip(common).any(|set| set.signer == KeySetSigner::Root);
    if says_root(shown.key_sets) && !says_root(known) {
        return continued(context, shown, Continued::InPlaceOf);
    }
    let is_told = attention(context.db, shown.address, shown.root_key)? == Attention::Needed;
    if !is_told && says_root(known) == says_root(shown.key_sets) {
        set_attention(context, shown.address, Attention::Needed)?;
        tell(context, shown.address, &words::two_chains(&shown.address.name))?;
    }
    Ok(Seen::Refused)
}

/// Whether a person has to look before anything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attention {
    None = 0,
    Needed = 1,
}

fn attention(db: &Connection, address: &AccountAddress, root_key: &PublicKey) -> Result<Attention, EngineError> {
    let needed: bool = db
        .prepare_cached("SELECT attention FROM people WHERE address = ? AND root_key = ?")?
        .query_row(params![address.to_string(), root_key.0], |row| row.get(0))
        .optional()?
        .unwrap_or(false);
    Ok(if needed { Attention::Needed } else { Attention::None })
}

fn chain(db: &Connection, address: &AccountAddress, root_key: &PublicKey) -> Result<Option<Vec<KeySet>>, EngineError> {
    let bytes: Option<Vec<u8>> = db
        .prepare_cached("SELECT key_sets FROM people WHERE address = ? AND root_key = ?")?
        .query_row(params![address.to_string(), root_key.0], |row| row.get(0))
        .optional()?;
    bytes.map(|bytes| stored(&bytes, "key sets")).transpose()
}

/// The keys by which somebody is known: a contact's, or of others those that were seen, if only one root key was.
pub(crate) fn known(
    db: &Connection,
    address: &AccountAddress,
) -> Result<Option<(PublicKey, Vec<KeySet>)>, EngineError> {
    let rows: Vec<[u8; 32]> = db
        .prepare_cached("SELECT root_key FROM people WHERE address = ?")?
        .query_map(params![address.to_string()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let of_contact = super::find(db, address)?.and_then(|contact| contact.root_key);
    let root_key = match (of_contact, rows.as_slice()) {
        (Some(root_key), _) => root_key,
        (None, [only]) => PublicKey(*only),
        (None, _) => return Ok(None),
    };
    Ok(Some((root_key, chain(db, address, &root_key)?.unwrap_or_default())))
}

fn write_down(context: &mut Context<'_>, shown: &Shown<'_>, attention: Attention) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("INSERT OR REPLACE INTO people (address, root_key, key_sets, attention) VALUES (?, ?, ?, ?)")?
        .execute(params![shown.address.to_string(), shown.root_key.0, to_store(shown.key_sets), attention as i64])?;
    Ok(())
}

fn set_attention(context: &mut Context<'_>, address: &AccountAddress, attention: Attention) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("UPDATE people SET attention = ? WHERE address = ?")?
        .execute(params![attention as i64, address.to_string()])?;
    context.changed(Change::Contact(address.clone()));
    Ok(())
}

/// Notes devices; returns how many of them are new.
fn note_devices(context: &Context<'_>, shown: &Shown<'_>) -> Result<usize, EngineError> {
    let sql = "INSERT OR IGNORE INTO people_devices (address, root_key, device) VALUES (?, ?, ?)";
    let mut statement = context.db.prepare_cached(sql)?;
    let mut count = 0_usize;
    for device in shown.devices {
        let rows = statement.execute(params![shown.address.to_string(), shown.root_key.0, device.0])?;
        count = count.saturating_add(rows);
    }
    Ok(count)
}

fn knows_devices(db: &Connection, shown: &Shown<'_>) -> Result<bool, EngineError> {
    let sql = "SELECT 1 FROM people_devices WHERE address = ? AND root_key = ?";
    Ok(db.prepare_cached(sql)?.exists(params![shown.address.to_string(), shown.root_key.0])?)
}

fn is_known_device(db: &Connection, shown: &Shown<'_>, device: &DeviceId) -> Result<bool, EngineError> {
    let sql = "SELECT 1 FROM people_devices WHERE address = ? AND root_key = ? AND device = ?";
    Ok(db.prepare_cached(sql)?.exists(params![shown.address.to_string(), shown.root_key.0, device.0])?)
}

/// Whether somebody's chain, as far as it is known, revokes a device.
pub(crate) fn is_revoked(db: &Connection, address: &AccountAddress, device: &DeviceId) -> Result<bool, EngineError> {
    let chain = known(db, address)?.map(|(_, chain)| chain).unwrap_or_default();
    Ok(chain.iter().any(|set| set.revoked.contains(device)))
}

fn forget_revoked(context: &Context<'_>, shown: &Shown<'_>) -> Result<(), EngineError> {
    let sql = "DELETE FROM people_devices WHERE address = ? AND root_key = ? AND device = ?";
    let mut statement = context.db.prepare_cached(sql)?;
    for device in shown.key_sets.iter().flat_map(|set| &set.revoked) {
        statement.execute(params![shown.address.to_string(), shown.root_key.0, device.0])?;
    }
    Ok(())
}

/// The directory may know a link of the chain that this device has not heard of: one that the root key signed, so that nobody
/// has to look, or one that says why letters are not taken any more.
pub(super) fn ask_directory(context: &mut Context<'_>, address: &AccountAddress) -> Result<(), EngineError> {
    let server = super::find(context.db, address)?.filter(|contact| contact.state.is_accepted());
    match server.and_then(|contact| contact.server) {
        Some(server) => job::add_once_at(context, server, &Job::FetchAccount(address.clone()), context.now.unix_ms),
        None => Ok(()),
    }
}

/// Writes a note into every conversation that somebody is in.
fn tell(context: &mut Context<'_>, address: &AccountAddress, words: &str) -> Result<(), EngineError> {
    for conversation in conversations_with(context.db, address)? {
        timeline::note(context, conversation, address, words)?;
        context.changed(Change::Conversation(conversation));
    }
    Ok(())
}

/// Every conversation that somebody is in; requests are none yet.
pub(crate) fn conversations_with(
    db: &Connection,
    address: &AccountAddress,
) -> Result<Vec<ConversationId>, EngineError> {
    let mut statement = db.prepare_cached(
        "SELECT c.id FROM conversations c WHERE c.request IS NULL AND (c.peer = ?1 OR EXISTS
         (SELECT 1 FROM members m WHERE m.conversation = c.id AND m.address = ?1)) ORDER BY c.id",
    )?;
    let rows = statement.query_map(params![address.to_string()], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What somebody with another root key showed; kept until the person decides.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct OtherKeys {
    #[n(0)]
    pub root_key: PublicKey,
    #[n(1)]
    pub key_sets: Vec<KeySet>,
    /// Their newest Welcome, as [`crate::inbox::welcome`] keeps requests.
    #[n(2)]
    pub welcome: Option<ByteVec>,
}

/// Nothing of it is believed. The person is told once, whatever else comes under that name until they have decided.
fn other_root(context: &mut Context<'_>, shown: &Shown<'_>) -> Result<Seen, EngineError> {
    let welcome = match other_keys(context.db, shown.address)? {
        Some(kept) if kept.root_key == *shown.root_key => kept.welcome,
        Some(_) => None,
        None => {
            let words = words::other_root(shown.address);
            let direct = super::find(context.db, shown.address)?.map(|contact| contact.conversation);
            if let Some(id) = direct.filter(|id| crate::conversation::find(context.db, id).is_ok_and(|c| c.is_some())) {
                timeline::note(context, id, shown.address, &words)?;
                context.changed(Change::Conversation(id));
            }
            None
        }
    };
    let kept = OtherKeys { root_key: *shown.root_key, key_sets: shown.key_sets.clone(), welcome };
    set_other_keys(context, shown.address, Some(&kept))?;
    Ok(Seen::OtherRoot)
}

/// Keeps the Welcome that came with other keys, so that it can be followed if the person accepts them.
pub(crate) fn keep_welcome(
    context: &mut Context<'_>,
    address: &AccountAddress,
    welcome: Vec<u8>,
) -> Result<(), EngineError> {
    let Some(kept) = other_keys(context.db, address)? else { return Ok(()) };
    set_other_keys(context, address, Some(&OtherKeys { welcome: Some(welcome.into()), ..kept }))
}

/// What somebody else showed under a contact's address, if the person has not decided about it.
pub(crate) fn other_keys(db: &Connection, address: &AccountAddress) -> Result<Option<OtherKeys>, EngineError> {
    let bytes: Option<Option<Vec<u8>>> = db
        .prepare_cached("SELECT other FROM contacts WHERE address = ?")?
        .query_row(params![address.to_string()], |row| row.get(0))
        .optional()?;
    bytes.flatten().map(|bytes| stored(&bytes, "other keys")).transpose()
}

pub(super) fn set_other_keys(
    context: &mut Context<'_>,
    address: &AccountAddress,
    other: Option<&OtherKeys>,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("UPDATE contacts SET other = ? WHERE address = ?")?
        .execute(params![other.map(to_store), address.to_string()])?;
    context.changed(Change::Contact(address.clone()));
    Ok(())
}

/// The person has looked at a chain that only account keys continued, and goes on.
pub(crate) fn looked(context: &mut Context<'_>, address: &AccountAddress) -> Result<(), EngineError> {
    set_attention(context, address, Attention::None)?;
    for conversation in conversations_with(context.db, address)? {
        context.changed(Change::Conversation(conversation));
    }
    Ok(())
}

/// The members of a conversation at whose keys the person has to look before anything is sent there.
pub(crate) fn to_look_at(db: &Connection, conversation: &ConversationId) -> Result<Vec<AccountAddress>, EngineError> {
    let mut statement = db.prepare_cached(
        "SELECT DISTINCT p.address FROM people p LEFT JOIN contacts c ON c.address = p.address
         WHERE p.attention = 1 AND (c.root_key IS NULL OR c.root_key = p.root_key) AND EXISTS
         (SELECT 1 FROM members m WHERE m.conversation = ?1 AND m.address = p.address) ORDER BY p.address",
    )?;
    let rows = statement.query_map(params![conversation], |row| row.get::<_, String>(0))?;
    rows.map(|row| row?.parse().map_err(|_| EngineError::Damaged { what: "address" })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Now;
    use aside_protocol::identity::DeviceCertificate;
    use aside_protocol::key::SigningKey;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    const LAPTOP: DeviceId = DeviceId([1; 16]);
    const PHONE: DeviceId = DeviceId([2; 16]);

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn bob() -> AccountAddress {
        "bob@h.example".parse().unwrap()
    }

    /// A chain whose links are signed as asked: each revokes what it says, and the first is the root key's.
    fn chain_of(root: &SigningKey, links: &[(KeySetSigner, u8, &[DeviceId])]) -> Vec<KeySet> {
        let mut chain: Vec<KeySet> = Vec::new();
        let mut before = key(0);
        for (signer, seed, revoked) in links {
            let by = if *signer == KeySetSigner::Root { root } else { &before };
            let of = (&bob(), &root.public_key());
            let set = KeySet::sign(of, chain.last(), key(*seed).public_key(), revoked.to_vec(), (*signer, by));
            chain.push(set);
            before = key(*seed);
        }
        chain
    }

    fn credential(root: &SigningKey, links: &[(KeySetSigner, u8, &[DeviceId])], device: DeviceId) -> MemberCredential {
        let (address, root_key, key_sets) = (bob(), root.public_key(), chain_of(root, links));
        let number = key_sets.last().unwrap().number;
        let account_key = key(links.last().unwrap().1);
        let signature_key = key(100).public_key();
        let certificate = DeviceCertificate::issue((&address, &root_key), &account_key, number, device, signature_key);
        MemberCredential { address, root_key, key_sets, certificate }
    }

    const FIRST: (KeySetSigner, u8, &[DeviceId]) = (KeySetSigner::Root, 10, &[]);

    /// A database in which bob is a contact with a conversation, met with one device.
    fn with_bob(test: impl FnOnce(&mut Context<'_>, ConversationId)) {
        let mut db = Connection::open_in_memory().unwrap();
        crate::schema::migrate(&mut db).unwrap();
        let mut randomness = ChaCha8Rng::from_seed([7; 32]);
        let now = Now { unix_ms: 1_767_225_600_000 };
        let mut context = Context::new(&db, now, &mut randomness, Default::default());
        let id = ConversationId([3; 32]);
        let state = crate::conversation::State::Active;
        crate::conversation::insert(&mut context, id, "bob", Some(&bob()), state).unwrap();
        crate::conversation::add_member(&context, id, &bob(), crate::conversation::IsAdmin::Yes).unwrap();
        let sql = "INSERT INTO contacts (address, root_key, by_name, token, conversation, state, verified)
                   VALUES (?, ?, 0, ?, ?, 1, 1)";
        db.execute(sql, params![bob().to_string(), key(1).public_key().0, [0_u8; 32], id]).unwrap();
        saw_members(&mut context, id, [&credential(&key(1), &[FIRST], LAPTOP)]).unwrap();
        assert_eq!(notes(&context), Vec::<String>::new(), "meeting somebody is no change");
        test(&mut context, id);
    }

    fn notes(context: &Context<'_>) -> Vec<String> {
        let mut statement = context.db.prepare("SELECT text FROM messages ORDER BY position").unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    fn must_look(context: &Context<'_>, id: ConversationId) -> bool {
        !to_look_at(context.db, &id).unwrap().is_empty()
    }

    #[test]
    fn the_same_keys_are_nothing_new_and_another_device_is_a_quiet_note() {
        with_bob(|context, id| {
            assert_eq!(saw(context, &credential(&key(1), &[FIRST], LAPTOP)).unwrap(), Seen::Known);
            assert_eq!(saw(context, &credential(&key(1), &[FIRST], PHONE)).unwrap(), Seen::NewDevice);
            assert_eq!(saw(context, &credential(&key(1), &[FIRST], PHONE)).unwrap(), Seen::Known);
            assert_eq!(notes(context), ["bob uses another device now."]);
            assert!(!must_look(context, id));
        });
    }

    #[test]
    fn a_chain_that_the_root_key_continues_is_quiet() {
        with_bob(|context, id| {
            let next = credential(&key(1), &[FIRST, (KeySetSigner::Root, 11, &[PHONE])], LAPTOP);
            assert_eq!(saw(context, &next).unwrap(), Seen::Quiet);
            assert_eq!(notes(context), ["bob's devices changed."]);
            assert!(!must_look(context, id));
        });
    }

    #[test]
    fn a_chain_that_only_an_account_key_continues_is_loud_until_somebody_looks_or_the_root_key_speaks() {
        let loud = (KeySetSigner::PreviousAccountKey, 11, &[PHONE][..]);
        with_bob(|context, id| {
            assert_eq!(saw(context, &credential(&key(1), &[FIRST, loud], LAPTOP)).unwrap(), Seen::Loud);
            assert!(must_look(context, id));
            looked(context, &bob()).unwrap();
            assert!(!must_look(context, id));
            assert_eq!(saw(context, &credential(&key(1), &[FIRST, loud], LAPTOP)).unwrap(), Seen::Known);
            assert!(!must_look(context, id), "what was looked at stays so");
        });
        with_bob(|context, id| {
            saw(context, &credential(&key(1), &[FIRST, loud], LAPTOP)).unwrap();
            let healed = credential(&key(1), &[FIRST, loud, (KeySetSigner::Root, 12, &[])], LAPTOP);
            assert_eq!(saw(context, &healed).unwrap(), Seen::Quiet);
            assert!(!must_look(context, id));
        });
    }

    #[test]
    fn of_two_chains_the_one_that_the_root_key_signed_wins_in_either_order() {
        let thief = (KeySetSigner::PreviousAccountKey, 66, &[LAPTOP][..]);
        let owner = (KeySetSigner::Root, 12, &[PHONE][..]);
        with_bob(|context, id| {
            assert_eq!(saw(context, &credential(&key(1), &[FIRST, thief], PHONE)).unwrap(), Seen::Loud);
            assert_eq!(saw(context, &credential(&key(1), &[FIRST, owner], LAPTOP)).unwrap(), Seen::Quiet);
            assert!(!must_look(context, id));
            assert_eq!(saw(context, &credential(&key(1), &[FIRST, thief], PHONE)).unwrap(), Seen::Refused);
        });
        with_bob(|context, id| {
            assert_eq!(saw(context, &credential(&key(1), &[FIRST, owner], LAPTOP)).unwrap(), Seen::Quiet);
            assert_eq!(saw(context, &credential(&key(1), &[FIRST, thief], PHONE)).unwrap(), Seen::Refused);
            assert!(!must_look(context, id), "a thief without the words changes nothing");
        });
    }

    #[test]
    fn two_chains_without_the_root_keys_word_are_loud_and_the_first_stays() {
        let (one, other) =
            ((KeySetSigner::PreviousAccountKey, 11, &[][..]), (KeySetSigner::PreviousAccountKey, 66, &[][..]));
        with_bob(|context, id| {
            saw(context, &credential(&key(1), &[FIRST, one], LAPTOP)).unwrap();
            looked(context, &bob()).unwrap();
            assert_eq!(saw(context, &credential(&key(1), &[FIRST, other], LAPTOP)).unwrap(), Seen::Refused);
            assert!(must_look(context, id));
            assert_eq!(saw(context, &credential(&key(1), &[FIRST, one], LAPTOP)).unwrap(), Seen::Known);
        });
    }

    #[test]
    fn an_old_chain_counts_only_on_a_device_that_is_known_and_not_revoked() {
        with_bob(|context, _| {
            saw(context, &credential(&key(1), &[FIRST], PHONE)).unwrap();
            saw(context, &credential(&key(1), &[FIRST, (KeySetSigner::Root, 11, &[PHONE])], LAPTOP)).unwrap();
            assert_eq!(saw(context, &credential(&key(1), &[FIRST], LAPTOP)).unwrap(), Seen::Older);
            assert_eq!(saw(context, &credential(&key(1), &[FIRST], PHONE)).unwrap(), Seen::Refused);
            let minted = credential(&key(1), &[FIRST], DeviceId([9; 16]));
            assert_eq!(saw(context, &minted).unwrap(), Seen::Refused, "the old key certifies nobody any more");
        });
    }

    #[test]
    fn another_root_key_is_told_once_and_nothing_of_it_is_believed() {
        with_bob(|context, id| {
            let other = credential(&key(2), &[FIRST], LAPTOP);
            assert_eq!(saw(context, &other).unwrap(), Seen::OtherRoot);
            assert_eq!(saw(context, &credential(&key(3), &[FIRST], LAPTOP)).unwrap(), Seen::OtherRoot);
            assert_eq!(notes(context).len(), 1);
            assert!(other_keys(context.db, &bob()).unwrap().is_some());
            assert!(!must_look(context, id), "what goes to the true bob is not held up by somebody else");
            assert_eq!(saw(context, &credential(&key(1), &[FIRST], LAPTOP)).unwrap(), Seen::Known);
        });
    }

    #[test]
    fn a_directory_that_swaps_the_root_key_or_shortens_or_forges_the_chain_changes_nothing() {
        with_bob(|context, id| {
            let grown = [FIRST, (KeySetSigner::Root, 11, &[][..])];
            saw(context, &credential(&key(1), &grown, LAPTOP)).unwrap();
            let account = |root: &SigningKey, key_sets| DirectoryAccount {
                root_key: root.public_key(),
                key_sets,
                devices: Vec::new(),
            };
            let swapped = account(&key(2), chain_of(&key(2), &[FIRST]));
            assert_eq!(saw_account(context, &bob(), &swapped).unwrap(), Seen::OtherRoot);
            let relabelled = account(&key(2), chain_of(&key(1), &grown));
            assert_eq!(saw_account(context, &bob(), &relabelled).unwrap(), Seen::Refused);
            let mut forged = chain_of(&key(1), &grown);
            forged.push(KeySet { number: 2, previous: forged.last().map(KeySet::hash), ..forged[1].clone() });
            assert_eq!(saw_account(context, &bob(), &account(&key(1), forged)).unwrap(), Seen::Refused);
            let shortened = account(&key(1), chain_of(&key(1), &[FIRST]));
            assert_eq!(saw_account(context, &bob(), &shortened).unwrap(), Seen::Older);
            let known = chain(context.db, &bob(), &key(1).public_key()).unwrap().unwrap();
            assert_eq!(known, chain_of(&key(1), &grown));
            assert!(!must_look(context, id));
        });
    }
}
