//! An account's way back when every device is lost: new device keys, certified by a key set that the root key signs, and
//! everything that the backup holds.
//!
//! The phrase proves both sides. The person's: the root key signs the connection's binding. The server's: it shows a
//! backup that opens under the backup key and names this very server; before that it learns nothing but that somebody
//! with these words is here, and nothing of the account is changed (P-10.7). The words themselves are never written down;
//! if the program ends half-way, the person types them again and it goes on with the keys that it had made.

use super::backup::{self, Backups, Stored};
use super::fault::BackupFault;
use super::parts::{self, PartsReader, Slot};
use super::phrase::{BackupKey, Entropy, TypedPhrase};
use super::snapshot::{self, Counts, Found, Header};
use super::{FoundBackup, Restored, devices, look, rejoin, seal};
use crate::Heart;
use crate::account;
use crate::context::{Context, stored, to_store};
use crate::error::{CommandError, EngineError};
use crate::input::{Answer, Change, ConnectionKind, Link, Look, LostDevices, RestoreFrom, ServerId, Wanted};
use crate::network::Flight;
use aside_protocol::address::AccountAddress;
use aside_protocol::frame::account::{self as frame, KeySetChange, Request, SignInAsRoot, sign_in_as_root};
use aside_protocol::id::DeviceId;
use aside_protocol::identity::{
    DeviceCertificate, DeviceRecord, DirectoryAccount, KeySet, KeySetSigner, MemberCredential, verify_chain,
};
use aside_protocol::key::SigningKey;
use aside_protocol::limit::BACKUP_PARTS_MAX;
use aside_protocol::link::ServerPin;
use aside_protocol::refusal::Refusal;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

/// The connection of a restore: its server is not written down before it has shown that it is the right one.
const LINK: Link = Link { server: ServerId(0), kind: ConnectionKind::Account };
/// How often a newer backup may come while one is being fetched.
const GENERATIONS_MAX: u32 = 8;

/// What waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    SignIn,
    Backup(u32),
    Account,
    KeySet,
    Device,
}

/// How the server's keys came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PinIs {
    /// From a link, or from a backup that the words opened.
    Known,
    /// From whoever answered at the address.
    Claimed,
}

/// A restore that was begun. In memory only: it has the root key.
pub(crate) struct Restoring {
    pin: ServerPin,
    pin_is: PinIs,
    address: AccountAddress,
    root: SigningKey,
    key: BackupKey,
    slot: Option<Slot>,
    lost: LostDevices,
    /// Of the backup that is being fetched, with its number of parts.
    generation: (u64, u32),
    generations: u32,
    header: Option<Header>,
    counts: Counts,
    look: Look,
    /// What the person is shown; nothing more is asked until they have looked.
    pub found: Option<FoundBackup>,
    /// The account's chain as the server has it, with this device's key set.
    key_sets: Vec<KeySet>,
    /// The devices that stay, certified by the new account key.
    kept: Vec<DeviceRecord>,
    /// Why it ended.
    pub failure: Option<String>,
}

/// The keys that a restore has made, until the account stands with them.
#[derive(Encode, Decode)]
struct Made {
    #[n(0)]
    address: AccountAddress,
    #[n(1)]
    account_seed: ByteVec,
    #[n(2)]
    device_seed: ByteVec,
    #[n(3)]
    inbox_private: ByteVec,
    #[n(4)]
    key_set: KeySet,
    #[n(5)]
    record: DeviceRecord,
}

impl Restoring {
    /// The one connection that is wanted meanwhile.
    pub fn wanted(&self) -> Vec<Wanted> {
        match self.failure {
            None => vec![Wanted { link: LINK, server: self.pin.clone() }],
            Some(_) => Vec::new(),
        }
    }
}

/// Begins a restore. A file is opened and read to its end before anybody is asked anything.
pub(crate) fn begin(
    heart: &mut Heart,
    context: &mut Context<'_>,
    phrase: &TypedPhrase,
    from: RestoreFrom,
    (lost, look): (LostDevices, Look),
) -> Result<Answer, CommandError> {
    if let Some(identity) = &heart.identity {
        return Err(CommandError::AlreadyJoined { address: identity.address.to_string() });
    }
    let entropy = Entropy::read(phrase)?;
    let (root, key) = (entropy.root_key()?, entropy.backup_key()?);
    let (pin_is, pin, address, slot, found) = match from {
        RestoreFrom::Server { address, server, is_claimed: true } => {
            (PinIs::Claimed, server, address, Slot::FromServer, None)
        }
        RestoreFrom::Server { address, server, is_claimed: false } => {
            (PinIs::Known, server, address, Slot::FromServer, None)
        }
        RestoreFrom::File => {
            let found = open(context.db, &key, Slot::FromFile).map_err(CommandError::from)?;
            let Header { server, address, .. } = found.header.clone();
            (PinIs::Known, server, address, Slot::FromFile, Some(found))
        }
    };
    let (header, counts) = found.map(|found| (found.header, found.counts)).unzip();
    let mut restoring = Restoring {
        pin_is,
        pin,
        address,
        root,
        key,
        slot: Some(slot),
        lost,
        generation: (0, 0),
        generations: 0,
        header,
        counts: counts.unwrap_or_default(),
        look,
        found: None,
        key_sets: Vec::new(),
        kept: Vec::new(),
        failure: None,
    };
    if restoring.header.as_ref().is_some_and(|header| header.root_key != restoring.root.public_key()) {
        return Err(CommandError::Backup(BackupFault::OtherWords));
    }
    restoring.address.server = restoring.pin.address.clone();
    heart.recovery.restoring = Some(restoring);
    context.wanted_changed();
    context.changed(Change::State);
    Ok(Answer::Done)
}

/// The person has looked at what was found: it goes on.
pub(crate) fn use_found(
    heart: &mut Heart,
    context: &mut Context<'_>,
    lost: Option<LostDevices>,
) -> Result<Answer, CommandError> {
    let Some(restoring) = &mut heart.recovery.restoring else { return Err(CommandError::NothingFound) };
    if restoring.found.take().is_none() {
        return Err(CommandError::NothingFound);
    }
    restoring.look = Look::UseAtOnce;
    restoring.lost = lost.unwrap_or(restoring.lost);
    context.changed(Change::State);
    // If the connection broke meanwhile, the next one comes to the same step by itself.
    ask(heart, context, Request::GetAccount, Step::Account);
    Ok(Answer::Done)
}

/// Keeps a part of a file that is to be restored.
pub(crate) fn take_file(heart: &Heart, context: &Context<'_>, part: u32, bytes: &[u8]) -> Result<Answer, CommandError> {
    if let Some(identity) = &heart.identity {
        return Err(CommandError::AlreadyJoined { address: identity.address.to_string() });
    }
    if part == 0 {
        parts::clear(context.db, Slot::FromFile)?;
    }
    parts::put(context.db, Slot::FromFile, part, bytes)?;
    Ok(Answer::Done)
}

/// Gives a restore up.
pub(crate) fn forget(heart: &mut Heart, context: &mut Context<'_>) -> Result<Answer, CommandError> {
    if heart.recovery.restoring.take().is_some() {
        heart.links.remove(&LINK);
        parts::clear(context.db, Slot::FromServer)?;
        context.wanted_changed();
        context.changed(Change::State);
        // The next one needs a challenge of its own.
        context.close(LINK, "the restore was given up")?;
    }
    Ok(Answer::Done)
}

fn open(db: &Connection, key: &BackupKey, slot: Slot) -> Result<Found, BackupFault> {
    snapshot::check(&mut seal::open(key, PartsReader::new(db, slot))?)
}

/// The connection stands: the root key answers its challenge.
pub(crate) fn connected(heart: &mut Heart, context: &mut Context<'_>, link: Link) {
    let (Some(restoring), Some(state)) = (&heart.recovery.restoring, heart.links.get_mut(&link)) else { return };
    let name = restoring.address.name.clone();
    let signature = sign_in_as_root(&restoring.root, &state.binding, &name);
    state.ask_account(
        context,
        link,
        Request::SignInAsRoot(SignInAsRoot { name, signature }),
        Flight::Restore(Step::SignIn),
    );
}

/// Whether this is the connection of a restore.
pub(crate) fn is_of(heart: &Heart, link: Link) -> bool {
    link == LINK && heart.recovery.restoring.is_some()
}

/// The next step, after an answer.
pub(crate) fn answered(
    heart: &mut Heart,
    context: &mut Context<'_>,
    step: Step,
    answer: frame::Answer,
) -> Result<(), EngineError> {
    let Some(mut restoring) = heart.recovery.restoring.take() else { return Ok(()) };
    let outcome = advance(heart, context, &mut restoring, step, answer);
    match outcome {
        Ok(Next::Ask(request, step)) => {
            heart.recovery.restoring = Some(restoring);
            ask(heart, context, *request, step);
            Ok(())
        }
        Ok(Next::Look(found)) => {
            restoring.found = Some(*found);
            heart.recovery.restoring = Some(restoring);
            context.changed(Change::State);
            Ok(())
        }
        Ok(Next::Finish(made)) => finish(heart, context, restoring, *made),
        Err(BackupFault::Engine(error)) => {
            heart.recovery.restoring = Some(restoring);
            Err(error)
        }
        Err(fault) => {
            heart.recovery.restoring = Some(restoring);
            fail(heart, context, &fault)
        }
    }
}

/// The server said no.
pub(crate) fn refused(
    heart: &mut Heart,
    context: &mut Context<'_>,
    step: Step,
    refusal: &Refusal,
) -> Result<(), EngineError> {
    let Some(restoring) = &mut heart.recovery.restoring else { return Ok(()) };
    let fault = match (step, refusal) {
        // The person knows the server by its link: the account comes back without what was said.
        (Step::Backup(0), Refusal::NoBackup) if restoring.pin_is == PinIs::Known => {
            restoring.slot = None;
            ask(heart, context, Request::GetAccount, Step::Account);
            return Ok(());
        }
        (Step::Backup(_), Refusal::NoBackup) => BackupFault::NoBackup,
        (Step::SignIn, refusal) => BackupFault::Refused(format!(
            "the server lets nobody in with these words as {}: look at the name and the words ({refusal})",
            restoring.address
        )),
        (_, refusal) => BackupFault::Refused(refusal.to_string()),
    };
    fail(heart, context, &fault)
}

fn ask(heart: &mut Heart, context: &mut Context<'_>, request: Request, step: Step) {
    if let Some(state) = heart.links.get_mut(&LINK) {
        state.ask_account(context, LINK, request, Flight::Restore(step));
    }
}

fn fail(heart: &mut Heart, context: &mut Context<'_>, fault: &BackupFault) -> Result<(), EngineError> {
    if let Some(restoring) = &mut heart.recovery.restoring {
        restoring.failure = Some(fault.to_string());
    }
    parts::clear(context.db, Slot::FromServer)?;
    context.wanted_changed();
    context.changed(Change::State);
    context.close(LINK, "the restore ended")
}

enum Next {
    Ask(Box<Request>, Step),
    Look(Box<FoundBackup>),
    Finish(Box<Made>),
}

impl Next {
    fn ask(request: Request, step: Step) -> Self {
        Self::Ask(Box::new(request), step)
    }
}

fn advance(
    heart: &Heart,
    context: &mut Context<'_>,
    restoring: &mut Restoring,
    step: Step,
    answer: frame::Answer,
) -> Result<Next, BackupFault> {
    match (step, answer) {
        (Step::SignIn, frame::Answer::Done) => match (restoring.slot, &restoring.header) {
            (Some(Slot::FromServer), None) => {
                // Behind what came before the connection broke.
                let (part, _) = parts::size(context.db, Slot::FromServer)?;
                let part = if restoring.generations == 0 { 0 } else { part };
                Ok(Next::ask(Request::GetBackup { part }, Step::Backup(part)))
            }
            _ => Ok(Next::ask(Request::GetAccount, Step::Account)),
        },
        (Step::Backup(part), frame::Answer::Backup { generation, parts, bytes }) => {
            fetched(context, restoring, (part, generation, parts), &bytes)
        }
        (Step::Account, frame::Answer::Account(account)) => {
            check_chain(restoring, &account)?;
            if restoring.look == Look::First {
                let found = found(context.db, restoring, &account)?;
                return Ok(Next::Look(Box::new(found)));
            }
            let made = make_keys(heart, context, restoring, &account)?;
            let is_put = account.key_sets.last() == Some(&made.key_set);
            restoring.kept = certify_kept(restoring, &made, &account)?;
            let certificates = restoring.kept.iter().map(|record| record.certificate.clone()).collect();
            restoring.key_sets = account.key_sets;
            if !is_put {
                restoring.key_sets.push(made.key_set.clone());
            }
            let (key_set, record) = (made.key_set, made.record);
            match is_put {
                true => Ok(Next::ask(Request::AddDevice(record), Step::Device)),
                false => Ok(Next::ask(Request::PutKeySet(KeySetChange { key_set, certificates }), Step::KeySet)),
            }
        }
        (Step::KeySet, frame::Answer::Done) => {
            let made = load(context.db)?.ok_or(EngineError::Damaged { what: "restore" })?;
            Ok(Next::ask(Request::AddDevice(made.record), Step::Device))
        }
        (Step::Device, frame::Answer::Done) => {
            let made = load(context.db)?.ok_or(EngineError::Damaged { what: "restore" })?;
            Ok(Next::Finish(Box::new(made)))
        }
        _ => Err(BackupFault::Refused("the server answered something else than it was asked".to_owned())),
    }
}

/// A part of the backup. With the last one it is read whole, and has to be of this account and name this server.
fn fetched(
    context: &mut Context<'_>,
    restoring: &mut Restoring,
    (part, generation, parts): (u32, u64, u32),
    bytes: &[u8],
) -> Result<Next, BackupFault> {
    if parts == 0 || parts > BACKUP_PARTS_MAX || restoring.generations >= GENERATIONS_MAX {
        return Err(BackupFault::Damaged);
    }
    if part > 0 && restoring.generation != (generation, parts) {
        return Ok(Next::ask(Request::GetBackup { part: 0 }, Step::Backup(0)));
    }
    if part == 0 {
        parts::clear(context.db, Slot::FromServer)?;
        restoring.generation = (generation, parts);
        restoring.generations = restoring.generations.saturating_add(1);
    }
    parts::put(context.db, Slot::FromServer, part, bytes)?;
    let next = part.saturating_add(1);
    if next < parts {
        return Ok(Next::ask(Request::GetBackup { part: next }, Step::Backup(next)));
    }
    let Found { header, counts } = open(context.db, &restoring.key, Slot::FromServer)?;
    if header.root_key != restoring.root.public_key() || header.address != restoring.address {
        let (found, wanted) = (header.address.to_string(), restoring.address.to_string());
        return Err(BackupFault::OtherAccount { found, wanted });
    }
    if restoring.pin_is == PinIs::Claimed && header.server != restoring.pin {
        return Err(BackupFault::OtherServer { address: restoring.pin.address.to_string() });
    }
    if header.generation != generation {
        return Err(BackupFault::Mislabelled);
    }
    restoring.pin_is = PinIs::Known;
    (restoring.header, restoring.counts) = (Some(header), counts);
    Ok(Next::ask(Request::GetAccount, Step::Account))
}

fn load(db: &Connection) -> Result<Option<Made>, EngineError> {
    let body: Option<Vec<u8>> = db.query_row("SELECT body FROM restores", [], |row| row.get(0)).optional()?;
    body.map(|body| stored(&body, "restore")).transpose()
}

/// The account at the server has to be the one of the words, and to continue the one in the backup.
fn check_chain<'a>(restoring: &Restoring, account: &'a DirectoryAccount) -> Result<&'a KeySet, BackupFault> {
    let root_key = restoring.root.public_key();
    if account.root_key != root_key {
        return Err(BackupFault::BadAccount("another root key".to_owned()));
    }
    let newest = verify_chain(&restoring.address, &root_key, &account.key_sets)
        .map_err(|error| BackupFault::BadAccount(error.to_string()))?;
    let known = restoring.header.as_ref().map(|header| header.key_sets.as_slice()).unwrap_or_default();
    if account.key_sets.get(..known.len()) != Some(known) {
        return Err(BackupFault::OlderAccount);
    }
    Ok(newest)
}

/// What the person looks at.
fn found(db: &Connection, restoring: &Restoring, account: &DirectoryAccount) -> Result<FoundBackup, BackupFault> {
    // An interrupted restore has put a key set of its own.
    let made = load(db)?.filter(|made| account.key_sets.last() == Some(&made.key_set));
    let key_sets = account.key_sets.len().saturating_sub(usize::from(made.is_some()));
    Ok(look::found(restoring.header.as_ref(), &restoring.counts, key_sets))
}

/// The account's next key set and this device's keys: those of a restore that did not get to its end, if they still
/// follow from what the server has, or new ones. They are on disk before the server learns of them.
fn make_keys(
    heart: &Heart,
    context: &mut Context<'_>,
    restoring: &Restoring,
    account: &DirectoryAccount,
) -> Result<Made, BackupFault> {
    let root_key = restoring.root.public_key();
    let newest = check_chain(restoring, account)?;
    let revoked = match restoring.lost {
        LostDevices::Revoke => account.devices.iter().map(|record| record.certificate.device).collect(),
        LostDevices::Keep => Vec::new(),
    };
    if let Some(made) = load(context.db)?.filter(|made| made.address == restoring.address) {
        let follows = made.key_set.previous == Some(newest.hash()) && made.key_set.revoked == revoked;
        if made.key_set == *newest || follows {
            return Ok(made);
        }
    }
    let (account_seed, device_seed) = (Zeroizing::new(context.random::<32>()), Zeroizing::new(context.random::<32>()));
    let (account_key, device_key) = (SigningKey::from_seed(&account_seed), SigningKey::from_seed(&device_seed));
    let of = (&restoring.address, &root_key);
    let signer = (KeySetSigner::Root, &restoring.root);
    let key_set = KeySet::sign(of, Some(newest), account_key.public_key(), revoked, signer);
    let device = DeviceId(context.random());
    let certificate = DeviceCertificate::issue(of, &account_key, key_set.number, device, device_key.public_key());
    let inbox = heart.mls.on(context.db).new_inbox_key_pair().map_err(EngineError::from)?;
    let record = DeviceRecord::sign(certificate, inbox.public.clone(), &device_key);
    let made = Made {
        address: restoring.address.clone(),
        account_seed: account_seed.to_vec().into(),
        device_seed: device_seed.to_vec().into(),
        inbox_private: inbox.private.to_vec().into(),
        key_set,
        record,
    };
    context.db.execute("INSERT OR REPLACE INTO restores (only_row, body) VALUES (1, ?)", params![to_store(&made)])?;
    Ok(made)
}

/// Devices that stay are certified by the new account key: those that the account's keys have certified before, and no
/// other that the server may name.
fn certify_kept(
    restoring: &Restoring,
    made: &Made,
    account: &DirectoryAccount,
) -> Result<Vec<DeviceRecord>, BackupFault> {
    let seed = <[u8; 32]>::try_from(made.account_seed.as_slice()).map(Zeroizing::new);
    let seed = seed.map_err(|_| EngineError::Damaged { what: "restore" })?;
    let (account_key, root_key) = (SigningKey::from_seed(&seed), restoring.root.public_key());
    let stays = |record: &&DeviceRecord| {
        let device = &record.certificate.device;
        !made.key_set.revoked.contains(device) && *device != made.record.certificate.device
    };
    let certify = |record: &DeviceRecord| {
        let known = &record.certificate;
        let credential = MemberCredential {
            address: restoring.address.clone(),
            root_key,
            key_sets: account.key_sets.clone(),
            certificate: known.clone(),
        };
        credential.verify().map_err(|error| BackupFault::BadAccount(error.to_string()))?;
        record.verify().map_err(|error| BackupFault::BadAccount(error.to_string()))?;
        let of = (&restoring.address, &root_key);
        let number = made.key_set.number;
        let certificate = DeviceCertificate::issue(of, &account_key, number, known.device, known.signature_key);
        Ok(DeviceRecord { certificate, ..record.clone() })
    };
    account.devices.iter().filter(stays).map(certify).collect()
}

/// The account stands at the server with this device: everything is written down in one transaction.
fn finish(heart: &mut Heart, context: &mut Context<'_>, restoring: Restoring, made: Made) -> Result<(), EngineError> {
    let server = crate::server::remember(context, &restoring.pin)?;
    context.db.execute(
        "INSERT INTO account (only_row, server, name, invite, phrase_entropy, backup_key, account_seed, device_seed,
         root_key, key_sets, record, inbox_private, registered, inbox_seq)
         VALUES (1, ?, ?, zeroblob(16), NULL, ?, ?, ?, ?, ?, ?, ?, 1, 0)",
        params![
            server.0,
            made.address.name.as_str(),
            restoring.key.dangerous_bytes(),
            made.account_seed.as_slice(),
            made.device_seed.as_slice(),
            restoring.root.public_key().0,
            to_store(&restoring.key_sets),
            to_store(&made.record),
            made.inbox_private.as_slice(),
        ],
    )?;
    heart.identity = account::load(context.db)?;
    let backups = match restoring.slot {
        Some(slot) => import(context, &restoring, slot)?,
        None => Backups::default(),
    };
    let backup_at = restoring.header.as_ref().map(|header| header.made_ms);
    let at = context.now.unix_ms;
    let restored = Some(Restored { at, backup_at, words: look::brought_back(backup_at).to_owned() });
    backup::save(heart, context, &Backups { dirty_ms: Some(at), restored, ..backups })?;
    if restoring.slot.is_some() {
        rejoin::settle(heart, context)?;
    }
    devices::settle(heart, context, (made.account_seed.as_slice(), restoring.kept))?;
    for slot in [Slot::FromServer, Slot::FromFile] {
        parts::clear(context.db, slot)?;
    }
    context.db.execute("DELETE FROM restores", [])?;
    heart.links.remove(&LINK);
    context.wanted_changed();
    context.changed(Change::State);
    context.close(LINK, "the account is restored")
}

/// Writes everything down that the backup holds.
fn import(context: &mut Context<'_>, restoring: &Restoring, slot: Slot) -> Result<Backups, EngineError> {
    let imported = seal::open(&restoring.key, PartsReader::new(context.db, slot))
        .and_then(|mut opened| snapshot::import(context, &mut opened));
    let found = imported.map_err(|fault| match fault {
        BackupFault::Engine(error) => error,
        // It was read to its end before.
        _ => EngineError::Damaged { what: "backup" },
    })?;
    let (parts, bytes) = parts::size(context.db, slot)?;
    let Header { generation, made_ms, .. } = found.header;
    let kept = Stored { generation, made_ms, parts, bytes, counts: found.counts };
    let stored = (slot == Slot::FromServer).then_some(kept);
    Ok(Backups { stored, newest: generation, ..Backups::default() })
}
