//! The new device's side of a link: fetch the account, ask, show the code, and sign in as soon as the old device has
//! approved (P-7.2 to P-7.4). There is no account row until its keys have come.

use super::request::{self, Request};
use super::row::{self, Device};
use super::rows::{self, Rows, Value};
use super::{DeviceLetter, sync};
use crate::Heart;
use crate::account;
use crate::context::{Context, stored, to_store};
use crate::error::{CommandError, EngineError};
use crate::inbox;
use crate::input::{Change, ConnectionKind, Link, ServerId};
use crate::network::Flight;
use crate::server;
use aside_protocol::frame::account::{Request as AccountRequest, SignIn, sign_in};
use aside_protocol::frame::anonymous::{Delivery, Request as AnonymousRequest};
use aside_protocol::id::{DeliveryId, DeviceId};
use aside_protocol::identity::{
    DeviceCertificate, DeviceRecord, DirectoryAccount, KeySet, MemberCredential, verify_chain,
};
use aside_protocol::inbox::InboxEntry;
use aside_protocol::key::{PublicKey, SigningKey};
use aside_protocol::link::DeviceLink;
use aside_protocol::refusal::{Refusal, Remedy};
use minicbor::{Decode, Encode};
use rusqlite::{Connection, params};
use zeroize::Zeroizing;

/// Between two tries to sign in, in milliseconds.
const TRY_MS: i64 = 2_000;
/// After so many tries the link's token is looked at, which tells a link that was declined from one that waits.
const TRIES_A_LOOK: i64 = 3;
/// How long after its end an approval may still arrive, in milliseconds.
const GRACE_MS: i64 = 60_000;
/// How long after its end the keys may still arrive where the server has let this device in, in milliseconds. The other one
/// has sent them at once, unless it forgot that it did as an older copy of itself.
const KEYS_GRACE_MS: i64 = 24 * 3_600_000;
/// What of the account's row is each device's own, or its server's.
pub(super) const OWN_COLUMNS: &[&str] = &[
    "only_row",
    "server",
    "name",
    "device_seed",
    "record",
    "inbox_private",
    "registered",
    "refusal",
    "inbox_seq",
    "last_resort_day",
];

const NOT_THE_ACCOUNT: &str =
    "The server named other keys for this account than the link does. Nothing was taken from it; show a new link.";
const REMOVED: &str = "The account's other devices removed this one again. Show a new link there.";
const NO_KEYS: &str = "The other device approved this one and sent nothing for a day: it may have been set back to an \
     older copy of itself. Remove this one there, and show a new link.";
const ENDED: &str = "The other device declined, or the link was used already or has ended. Show a new link there.";

/// What a new device is given: the account's row but for what is each device's own, and its certificate.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct Keys {
    #[n(0)]
    pub account: Rows,
    #[n(1)]
    pub record: DeviceRecord,
    #[n(2)]
    pub name: String,
    #[n(3)]
    pub added_ms: i64,
}

/// How far a link has got, as it stands in the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The account is being fetched, or the request is on its way.
    Asking = 0,
    /// The person compares codes.
    Waiting = 1,
    /// Signed in; contacts and history are on their way.
    Receiving = 2,
    Failed = 3,
}

/// The row.
pub(crate) struct Linking {
    pub state: State,
    pub code: Option<String>,
    pub words: Option<String>,
    link: DeviceLink,
    server: ServerId,
    name: String,
    device: DeviceId,
    device_key: SigningKey,
    inbox_private: Zeroizing<Vec<u8>>,
    inbox_public: Vec<u8>,
    delivery: Option<Vec<u8>>,
    /// The link's token holds no more: one more try to sign in decides.
    has_ended: bool,
    tries: i64,
    next_try_ms: i64,
}

/// Whether this device is being linked: what the others have has not all come yet.
pub(crate) fn is_under_way(db: &Connection) -> Result<bool, EngineError> {
    Ok(db.prepare_cached("SELECT 1 FROM linking WHERE state <> ?")?.exists([State::Failed as i64])?)
}

/// Reads the row, if a link was accepted and is not through.
pub(crate) fn load(db: &Connection) -> Result<Option<Linking>, EngineError> {
    let damaged = |_| EngineError::Damaged { what: "device link" };
    let mut statement = db.prepare_cached(
        "SELECT state, code, words, link, server, name, device, device_seed, inbox_private, inbox_public, delivery,
         has_ended, tries, next_try_ms FROM linking",
    )?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Linking {
        state: match row.get::<_, i64>(0)? {
            0 => State::Asking,
            1 => State::Waiting,
            2 => State::Receiving,
            _ => State::Failed,
        },
        code: row.get(1)?,
        words: row.get(2)?,
        link: row.get::<_, String>(3)?.parse().map_err(damaged)?,
        server: ServerId(row.get(4)?),
        name: row.get(5)?,
        device: DeviceId(row.get(6)?),
        device_key: SigningKey::from_seed(&Zeroizing::new(row.get::<_, [u8; 32]>(7)?)),
        inbox_private: Zeroizing::new(row.get(8)?),
        inbox_public: row.get(9)?,
        delivery: row.get(10)?,
        has_ended: row.get(11)?,
        tries: row.get(12)?,
        next_try_ms: row.get(13)?,
    }))
}

/// Begins: makes this device's keys and writes them down. The connections do the rest.
pub(crate) fn begin(
    heart: &mut Heart,
    context: &mut Context<'_>,
    link: &DeviceLink,
    name: &str,
) -> Result<(), CommandError> {
    if let Some(identity) = &heart.identity {
        return Err(CommandError::AlreadyJoined { address: identity.address.to_string() });
    }
    let name = row::check_name(name).ok_or(CommandError::DeviceName { chars_max: row::NAME_CHARS_MAX })?;
    if let Some(linking) = load(context.db)? {
        // The same link again goes on with the keys that were made.
        if linking.link == *link && linking.state != State::Failed {
            return Ok(());
        }
        forget(heart, context)?;
    }
    if context.now.unix_s() > link.expires_unix_s {
        return Err(CommandError::LinkEnded);
    }
    let server = server::remember(context, &link.server)?;
    let inbox = heart.mls.on(context.db).new_inbox_key_pair()?;
    let (device, seed) = (context.random::<16>(), Zeroizing::new(context.random::<32>()));
    context
        .db
        .prepare_cached(
            "INSERT INTO linking (only_row, state, link, server, name, device, device_seed, inbox_private, inbox_public)
             VALUES (1, 0, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![link.to_string(), server.0, name, device, &seed[..], &inbox.private[..], inbox.public])?;
    context.wanted_changed();
    context.changed(Change::State);
    Ok(())
}

/// Gives a link up, so that another can be tried.
pub(crate) fn forget(heart: &mut Heart, context: &mut Context<'_>) -> Result<(), EngineError> {
    if heart.identity.is_none() {
        context.db.execute("DELETE FROM linking", [])?;
        context.db.execute("DELETE FROM servers", [])?;
        // The next link's server may get the same number: it needs connections of its own.
        for link in std::mem::take(&mut heart.links).into_keys() {
            context.close(link, "the device link was given up")?;
        }
        context.wanted_changed();
        context.changed(Change::State);
    }
    Ok(())
}

/// Everything that was to come has come.
pub(crate) fn done(context: &mut Context<'_>) -> Result<(), EngineError> {
    if context.db.execute("DELETE FROM linking", [])? > 0 {
        context.changed(Change::State);
    }
    Ok(())
}

/// The device that linked this one was taken out: what it had not sent yet does not come, and the others tell the rest.
pub(crate) fn linker_is_out(context: &mut Context<'_>) -> Result<bool, EngineError> {
    let Some(linking) = load(context.db)?.filter(|linking| linking.state == State::Receiving) else { return Ok(false) };
    let linker = row::find(context.db, &linking.link.device)?;
    match linker.is_some_and(|linker| linker.revoked_ms.is_some()) {
        true => done(context).map(|()| true),
        false => Ok(false),
    }
}

fn fail(context: &mut Context<'_>, words: &str) -> Result<(), EngineError> {
    context.db.execute("UPDATE linking SET state = 3, words = ?", params![words])?;
    context.wanted_changed();
    context.changed(Change::State);
    Ok(())
}

/// The connections that a link needs: one to ask, one to sign in.
pub(crate) fn wanted(db: &Connection) -> Result<Vec<(Link, aside_protocol::link::ServerPin)>, EngineError> {
    let Some(linking) = load(db)?.filter(|linking| linking.state != State::Failed) else { return Ok(Vec::new()) };
    let link = |kind| (Link { server: linking.server, kind }, linking.link.server.clone());
    Ok(vec![link(ConnectionKind::Account), link(ConnectionKind::Anonymous)])
}

/// Asks what is next to be asked. Returns when to look again.
pub(crate) fn pump(heart: &mut Heart, context: &mut Context<'_>) -> Result<Option<i64>, EngineError> {
    let Some(linking) = load(context.db)?.filter(|linking| linking.state != State::Failed) else { return Ok(None) };
    let now = context.now.unix_ms;
    let ends_ms = i64::try_from(linking.link.expires_unix_s).unwrap_or(i64::MAX).saturating_mul(1_000);
    if linking.state != State::Receiving && now > ends_ms.saturating_add(GRACE_MS) {
        fail(context, "The link ended before it was approved. Show a new link on the other device.")?;
        return Ok(None);
    }
    if linking.state == State::Receiving {
        match heart.links.get(&Link { server: linking.server, kind: ConnectionKind::Account }) {
            None => return Ok(None),
            Some(state) if state.ready => {
                return wait_for_keys(context, ends_ms.saturating_add(KEYS_GRACE_MS), state.in_flight.is_empty());
            }
            Some(_) => {}
        }
    }
    if now < linking.next_try_ms {
        return Ok(Some(linking.next_try_ms));
    }
    let next = now.saturating_add(TRY_MS);
    context.db.execute("UPDATE linking SET tries = tries + 1, next_try_ms = ?", params![next])?;
    let is_look = linking.tries.checked_rem(TRIES_A_LOOK) == Some(0) && !linking.has_ended;
    ask_anonymously(heart, context, &linking, is_look);
    if matches!(linking.state, State::Waiting | State::Receiving) {
        try_to_sign_in(heart, context, &linking);
    }
    Ok(Some(next))
}

/// Signed in: everything that the inbox holds has been read once nothing is asked for any more.
fn wait_for_keys(context: &mut Context<'_>, until_ms: i64, is_read: bool) -> Result<Option<i64>, EngineError> {
    if context.now.unix_ms < until_ms {
        return Ok(Some(until_ms));
    }
    if is_read {
        fail(context, NO_KEYS)?;
    }
    Ok(None)
}

fn ask_anonymously(heart: &mut Heart, context: &mut Context<'_>, linking: &Linking, is_look: bool) {
    let link = Link { server: linking.server, kind: ConnectionKind::Anonymous };
    let Some(state) = heart.links.get_mut(&link) else { return };
    if state.waits_for(|flight| matches!(flight, Flight::LinkAccount | Flight::LinkRequest)) {
        return;
    }
    let delivery = linking.delivery.as_ref().and_then(|bytes| stored::<Delivery>(bytes, "delivery").ok());
    match (linking.state, delivery) {
        (State::Asking, Some(delivery)) => {
            state.ask_anonymous(context, link, AnonymousRequest::Deliver(delivery), Flight::LinkRequest);
        }
        (State::Asking, None) => fetch(context, linking, link, state),
        (State::Waiting, _) if is_look => fetch(context, linking, link, state),
        _ => {}
    }
}

fn fetch(context: &mut Context<'_>, linking: &Linking, link: Link, state: &mut crate::network::LinkState) {
    let account = linking.link.address.name.clone();
    let request = AnonymousRequest::FetchAccount { account, token: linking.link.secret.delivery_token() };
    state.ask_anonymous(context, link, request, Flight::LinkAccount);
}

fn try_to_sign_in(heart: &mut Heart, context: &mut Context<'_>, linking: &Linking) {
    let link = Link { server: linking.server, kind: ConnectionKind::Account };
    let Some(state) = heart.links.get_mut(&link) else { return };
    if state.waits_for(|flight| *flight == Flight::LinkSignIn) {
        return;
    }
    let signature = sign_in(&linking.device_key, &state.binding, &linking.device);
    let name = linking.link.address.name.clone();
    let request = AccountRequest::SignIn(SignIn { name, device: linking.device, signature });
    state.ask_account(context, link, request, Flight::LinkSignIn);
}

/// The account as the server shows it: checked against the link, and the request made for the device that it names.
pub(crate) fn fetched(heart: &Heart, context: &mut Context<'_>, account: &DirectoryAccount) -> Result<(), EngineError> {
    let Some(linking) = load(context.db)?.filter(|linking| linking.state == State::Asking) else { return Ok(()) };
    if linking.delivery.is_some() {
        return Ok(());
    }
    let link = &linking.link;
    let Some(record) = linking_device(link, account) else { return fail(context, NOT_THE_ACCOUNT) };
    let request = linking.request();
    let mls = heart.mls.on(context.db);
    let envelope = request::seal(&mls, link, &record.inbox_key, &request, &linking.device_key)?;
    let code = request::short_code(link, record, &aside_protocol::codec::encode(&request));
    let delivery = Delivery {
        id: DeliveryId(context.random()),
        account: link.address.name.clone(),
        device: link.device,
        token: link.secret.delivery_token(),
        envelope,
    };
    context
        .db
        .prepare_cached("UPDATE linking SET delivery = ?, code = ?, next_try_ms = 0")?
        .execute(params![to_store(&delivery), code])?;
    Ok(())
}

impl Linking {
    fn request(&self) -> Request {
        // What a record's signature covers does not depend on its certificate.
        let certificate = DeviceCertificate {
            device: self.device,
            key_set: 0,
            signature_key: self.device_key.public_key(),
            signature: aside_protocol::key::Signature([0; 64]),
        };
        let record = DeviceRecord::sign(certificate, self.inbox_public.clone(), &self.device_key);
        Request {
            device: self.device,
            signature_key: self.device_key.public_key(),
            inbox_key: self.inbox_public.clone().into(),
            record_signature: record.signature,
            name: self.name.clone(),
        }
    }
}

/// The record of the device that the link names, if the account is the link's and everything about it holds.
fn linking_device<'a>(link: &DeviceLink, account: &'a DirectoryAccount) -> Option<&'a DeviceRecord> {
    let record = account.devices.iter().find(|record| record.certificate.device == link.device)?;
    let credential = MemberCredential {
        address: link.address.clone(),
        root_key: account.root_key,
        key_sets: account.key_sets.clone(),
        certificate: record.certificate.clone(),
    };
    let holds = credential.verify_known(&link.root_key, &[]).is_ok() && record.verify().is_ok();
    holds.then_some(record)
}

/// The server does not show the account by the link's token.
pub(crate) fn not_fetched(context: &mut Context<'_>, refusal: &Refusal) -> Result<(), EngineError> {
    let Some(linking) = load(context.db)? else { return Ok(()) };
    match (refusal.remedy(), linking.state) {
        (Remedy::RetryLater | Remedy::CatchUp, _) => Ok(()),
        (_, State::Waiting) => {
            context.db.execute("UPDATE linking SET has_ended = 1", [])?;
            Ok(())
        }
        // The token may not have reached the server yet: the link was made a moment ago.
        (_, State::Asking) if linking.tries < 2 * TRIES_A_LOOK => Ok(()),
        (_, State::Asking) => fail(context, ENDED),
        _ => Ok(()),
    }
}

/// The request lies in the linking device's inbox.
pub(crate) fn requested(context: &mut Context<'_>) -> Result<(), EngineError> {
    context.db.execute("UPDATE linking SET state = 1, tries = 1 WHERE state = 0", [])?;
    context.changed(Change::State);
    Ok(())
}

/// The server did not take the request.
pub(crate) fn not_requested(context: &mut Context<'_>, refusal: &Refusal) -> Result<(), EngineError> {
    match refusal.remedy() {
        Remedy::RetryLater | Remedy::CatchUp => Ok(()),
        _ if *refusal == Refusal::UnknownAccountOrToken => fail(context, ENDED),
        _ => fail(context, &format!("The server did not pass the request on: {refusal}.")),
    }
}

/// The server knows this device: it was approved.
pub(crate) fn signed_in(heart: &mut Heart, context: &mut Context<'_>, link: Link) -> Result<(), EngineError> {
    context.db.execute("UPDATE linking SET state = 2", [])?;
    context.changed(Change::State);
    if let Some(state) = heart.links.get_mut(&link) {
        state.ready = true;
        state.ask_account(context, link, AccountRequest::ReadInbox { after: 0 }, Flight::ReadInbox);
    }
    Ok(())
}

/// The server does not know this device: not yet, or not any more to be hoped for.
pub(crate) fn not_signed_in(context: &mut Context<'_>, refusal: &Refusal) -> Result<(), EngineError> {
    let Some(linking) = load(context.db)? else { return Ok(()) };
    match refusal {
        Refusal::UnknownDevice | Refusal::DeviceRevoked if linking.state == State::Receiving => fail(context, REMOVED),
        Refusal::UnknownDevice if linking.has_ended => fail(context, ENDED),
        Refusal::UnknownDevice => Ok(()),
        refusal if refusal.remedy() == Remedy::RetryLater => Ok(()),
        refusal => fail(context, &format!("The server did not let this device in: {refusal}.")),
    }
}

/// An envelope before there is an account: only the keys, from the device that the link named, are taken.
pub(crate) fn take(heart: &mut Heart, context: &mut Context<'_>, entry: &InboxEntry) -> Result<(), EngineError> {
    let Some(linking) = load(context.db)?.filter(|linking| linking.state == State::Receiving) else { return Ok(()) };
    let mls = heart.mls.on(context.db);
    let opened = inbox::open_device_letter(&mls, (&linking.inbox_private, &linking.inbox_public), &entry.envelope);
    let Some((sender, DeviceLetter::Keys(keys))) = opened else { return Ok(()) };
    let is_of_link = sender.address == linking.link.address
        && sender.root_key == linking.link.root_key
        && sender.certificate.device == linking.link.device;
    if !is_of_link || !keys_hold(&linking, &sender, &keys) {
        return Ok(());
    }
    write_account(context, &linking, &keys, entry.seq)?;
    let own = Device {
        id: linking.device,
        record: keys.record,
        name: keys.name,
        added_ms: keys.added_ms,
        revoked_ms: None,
        history_from_ms: None,
        linked_by: Some(linking.link.device),
    };
    row::put(context, &own)?;
    sync::settled(context)?;
    heart.identity = account::load(context.db)?;
    context.wanted_changed();
    context.changed(Change::State);
    let link = Link { server: linking.server, kind: ConnectionKind::Account };
    match heart.links.get_mut(&link) {
        Some(state) => account::signed_in(context, link, state),
        None => Ok(()),
    }
}

/// Whether the keys are of the account that the link names, newest of its chain, and certify this very device.
fn keys_hold(linking: &Linking, sender: &MemberCredential, keys: &Keys) -> bool {
    let blob = |name| match keys.account.first(name) {
        Some(Value::Blob(bytes)) => Some(bytes.to_vec()),
        _ => None,
    };
    let (Some(seed), Some(root), Some(key_sets)) = (blob("account_seed"), blob("root_key"), blob("key_sets")) else {
        return false;
    };
    let (Ok(seed), Ok(root)) = (<[u8; 32]>::try_from(seed), <[u8; 32]>::try_from(root)) else { return false };
    let Ok(key_sets) = stored::<Vec<KeySet>>(&key_sets, "key sets") else { return false };
    let credential = MemberCredential {
        address: linking.link.address.clone(),
        root_key: PublicKey(root),
        key_sets: key_sets.clone(),
        certificate: keys.record.certificate.clone(),
    };
    let newest = verify_chain(&credential.address, &credential.root_key, &key_sets);
    let certificate = &keys.record.certificate;
    PublicKey(root) == linking.link.root_key
        && key_sets == sender.key_sets
        && newest.is_ok_and(|newest| newest.account_key == SigningKey::from_seed(&seed).public_key())
        && credential.verify().is_ok()
        && certificate.device == linking.device
        && certificate.signature_key == linking.device_key.public_key()
        && keys.record.inbox_key == linking.inbox_public
        && keys.record.verify().is_ok()
}

fn write_account(context: &Context<'_>, linking: &Linking, keys: &Keys, seq: u64) -> Result<(), EngineError> {
    let seed: Vec<u8> = context.db.query_row("SELECT device_seed FROM linking", [], |row| row.get(0))?;
    let own = [
        ("only_row", Value::Integer(1)),
        ("server", Value::Integer(linking.server.0)),
        ("name", Value::Text(linking.link.address.name.to_string())),
        ("device_seed", Value::Blob(seed.into())),
        ("record", Value::Blob(to_store(&keys.record).into())),
        ("inbox_private", Value::Blob(linking.inbox_private.to_vec().into())),
        ("registered", Value::Integer(1)),
        ("inbox_seq", Value::Integer(crate::context::sql(seq))),
    ];
    rows::write(context.db, "account", OWN_COLUMNS, &keys.account, &own, rows::Existing::Keep)?;
    Ok(())
}
