//! The old device's side of a link: it shows the link, takes requests, and on the person's word certifies the new device
//! and gives it the account's keys (P-7.1 to P-7.4).

use super::accept::Keys;
use super::request::{self, Opened, Request};
use super::row::{self, Device};
use super::{DeviceLetter, attend, bundle, own_log, rows};
use crate::Heart;
use crate::context::{Context, stored};
use crate::error::{CommandError, EngineError};
use crate::inbox;
use crate::input::{Change, History};
use crate::job::{self, Job};
use aside_protocol::id::{DeviceId, Hash};
use aside_protocol::identity::DeviceCertificate;
use aside_protocol::key::SigningKey;
use aside_protocol::limit::DEVICES_MAX;
use aside_protocol::link::{DeviceLink, DeviceLinkSecret};
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

/// How long a link works.
const LINK_SECONDS: u64 = 600;
/// Requests that wait for the person at once.
const REQUESTS_MAX: i64 = 8;
/// Milliseconds in thirty days.
const MONTH_MS: i64 = 30 * 86_400_000;

/// A device that asks to be linked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct DeviceRequest {
    /// Names it in calls: 32 hexadecimal digits.
    pub id: String,
    /// As it calls itself.
    pub name: String,
    /// Six digits, the same on both devices.
    pub code: String,
    /// When it came.
    pub at: i64,
}

/// Makes a link that is good once.
pub(crate) fn make(heart: &Heart, context: &mut Context<'_>) -> Result<DeviceLink, CommandError> {
    let identity = heart.identity.as_ref().filter(|identity| identity.registered).ok_or(CommandError::NotJoined)?;
    if row::standing(context.db)?.len() >= DEVICES_MAX {
        return Err(CommandError::TooManyDevices { max: DEVICES_MAX });
    }
    let secret = DeviceLinkSecret(context.random());
    let expires_unix_s = context.now.unix_s().saturating_add(LINK_SECONDS);
    let token = secret.delivery_token().hash();
    context
        .db
        .prepare_cached(
            "INSERT INTO device_links (secret, token_hash, expires_unix_s, registered) VALUES (?, ?, ?, 0)",
        )?
        .execute(params![secret.0, token.0, crate::context::sql(expires_unix_s)])?;
    // Servers count in days; the link's own end is kept here.
    let day = context.now.day().saturating_add(2);
    job::add(context, identity.server, &Job::PutDeliveryToken(token, Some(day)))?;
    Ok(DeviceLink {
        server: identity.pin.clone(),
        address: identity.address.clone(),
        root_key: identity.root_key,
        device: identity.device(),
        secret,
        expires_unix_s,
    })
}

/// Notes that the home server knows a token; it may be a link's.
pub(crate) fn token_is_registered(context: &mut Context<'_>, token: &Hash) -> Result<(), EngineError> {
    let links = context
        .db
        .prepare_cached("UPDATE device_links SET registered = 1 WHERE token_hash = ?")?
        .execute(params![token.0])?;
    if links > 0 {
        context.changed(Change::State);
    }
    Ok(())
}

/// Whether a link works already.
pub(crate) fn is_registered(db: &Connection, link: &DeviceLink) -> Result<bool, EngineError> {
    let mut statement = db.prepare_cached("SELECT registered FROM device_links WHERE secret = ?")?;
    Ok(statement.query_row(params![link.secret.0], |row| row.get(0)).optional()?.unwrap_or(false))
}

/// The links that stand, by their secrets.
fn secrets(context: &Context<'_>) -> Result<Vec<[u8; 32]>, EngineError> {
    let mut statement = context.db.prepare_cached("SELECT secret FROM device_links WHERE expires_unix_s > ?")?;
    let rows = statement.query_map(params![crate::context::sql(context.now.unix_s())], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Takes an envelope that may be a request. What is for no link that stands is dropped.
pub(crate) fn take_request(heart: &Heart, context: &mut Context<'_>, sealed: &[u8]) -> Result<(), EngineError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    let secrets = secrets(context)?;
    if secrets.is_empty() {
        return Ok(());
    }
    let mls = heart.mls.on(context.db);
    let opened = request::open(&mls, &identity.inbox_private, &identity.record.inbox_key, sealed);
    let Some(Opened { request, bytes, .. }) = &opened else { return Ok(()) };
    let Some(secret) = secrets.into_iter().find(|secret| opened.as_ref().is_some_and(|o| o.is_for(secret))) else {
        return Ok(());
    };
    let waiting: i64 = context.db.query_row("SELECT COUNT(*) FROM device_requests", [], |row| row.get(0))?;
    if waiting >= REQUESTS_MAX || row::find(context.db, &request.device)?.is_some() {
        return Ok(());
    }
    let link = DeviceLink {
        server: identity.pin.clone(),
        address: identity.address.clone(),
        root_key: identity.root_key,
        device: identity.device(),
        secret: DeviceLinkSecret(secret),
        expires_unix_s: 0,
    };
    let code = request::short_code(&link, &identity.record, bytes);
    context
        .db
        .prepare_cached(
            "INSERT OR IGNORE INTO device_requests (device, secret, request, code, at_ms) VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![request.device.0, secret, bytes, code, context.now.unix_ms])?;
    context.changed(Change::DeviceRequests);
    Ok(())
}

/// Those that wait for the person, the oldest first.
pub(crate) fn requests(db: &Connection) -> Result<Vec<DeviceRequest>, EngineError> {
    let mut statement = db.prepare_cached("SELECT device, request, code, at_ms FROM device_requests ORDER BY at_ms")?;
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, Vec<u8>>(1)?, row.get(2)?, row.get(3)?)))?;
    rows.map(|row| {
        let (id, bytes, code, at) = row?;
        let request: Request = stored(&bytes, "device request")?;
        Ok(DeviceRequest { id: super::row::to_hex(&DeviceId(id)), name: request.name, code, at })
    })
    .collect()
}

/// What the person says to a request.
pub(crate) fn answer(
    heart: &mut Heart,
    context: &mut Context<'_>,
    device: DeviceId,
    given: Option<History>,
) -> Result<(), CommandError> {
    let found: Option<([u8; 32], Vec<u8>)> = context
        .db
        .prepare_cached("SELECT secret, request FROM device_requests WHERE device = ?")?
        .query_row(params![device.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (secret, bytes) = found.ok_or(CommandError::UnknownDevice)?;
    // One link, one device: whoever else asked with it is declined by this as well.
    context.db.execute("DELETE FROM device_requests WHERE secret = ?", params![secret]).map_err(EngineError::from)?;
    context.changed(Change::DeviceRequests);
    match given {
        None => Ok(end_link(heart, context, &secret)?),
        Some(history) => approve(heart, context, &stored(&bytes, "device request")?, history, &secret),
    }
}

fn approve(
    heart: &mut Heart,
    context: &mut Context<'_>,
    request: &Request,
    history: History,
    secret: &[u8; 32],
) -> Result<(), CommandError> {
    let identity = heart.identity.as_ref().ok_or(CommandError::NotJoined)?;
    let newest = identity.key_sets.last().ok_or(EngineError::Damaged { what: "key sets" })?;
    let seed = account_seed(context.db)?;
    let account_key = SigningKey::from_seed(&seed);
    let of = (&identity.address, &identity.root_key);
    let certificate = DeviceCertificate::issue(of, &account_key, newest.number, request.device, request.signature_key);
    let record = request.record(certificate);
    let device = Device {
        id: request.device,
        record: record.clone(),
        name: row::check_name(&request.name).unwrap_or_else(|| "A device".into()),
        added_ms: context.now.unix_ms,
        revoked_ms: None,
        history_from_ms: match history {
            History::All => Some(0),
            History::Month => Some(context.now.unix_ms.saturating_sub(MONTH_MS)),
            // What is said from here on it has, also in a conversation that it enters later.
            History::Nothing => Some(context.now.unix_ms),
        },
        linked_by: Some(identity.device()),
    };
    let (server, own_token) = (identity.server, identity.own_token);
    row::put(context, &device)?;
    job::add(context, server, &Job::PutDeliveryToken(own_token.hash(), None))?;
    job::add(context, server, &Job::AddDevice(record, Hash(*secret)))?;
    own_log::found_with_others(heart, context)?;
    Ok(())
}

/// The seed of the account key, which certifies devices.
pub(crate) fn account_seed(db: &Connection) -> Result<Zeroizing<[u8; 32]>, EngineError> {
    Ok(Zeroizing::new(db.query_row("SELECT account_seed FROM account", [], |row| row.get(0))?))
}

/// Withdraws a link.
fn end_link(heart: &Heart, context: &mut Context<'_>, secret: &[u8; 32]) -> Result<(), EngineError> {
    let token = DeviceLinkSecret(*secret).delivery_token().hash();
    context.db.execute("DELETE FROM device_links WHERE secret = ?", params![secret])?;
    context.db.execute("DELETE FROM device_requests WHERE secret = ?", params![secret])?;
    match &heart.identity {
        Some(identity) => job::add(context, identity.server, &Job::RevokeDeliveryToken(token)),
        None => Ok(()),
    }
}

/// The home server knows the new device: it gets the account's keys, and a place in every conversation.
pub(crate) fn added(
    heart: &mut Heart,
    context: &mut Context<'_>,
    device: &DeviceId,
    secret: &Hash,
) -> Result<(), EngineError> {
    let (Some(identity), Some(new)) = (&heart.identity, row::find(context.db, device)?) else { return Ok(()) };
    let account = rows::read(context.db, "account", super::accept::OWN_COLUMNS, "only_row = 1", [])?;
    let keys = Keys { account, record: new.record.clone(), name: new.name.clone(), added_ms: new.added_ms };
    let to = super::recipient(identity, &new.record);
    inbox::send_to_device(heart, context, identity, &to, DeviceLetter::Keys(Box::new(keys)))?;
    end_link(heart, context, &secret.0)?;
    bundle::owe_ended(context, device)?;
    attend::all(heart, context, attend::Haste::AtOnce)
}

/// The home server does not take the new device.
pub(crate) fn not_added(
    heart: &mut Heart,
    context: &mut Context<'_>,
    device: &DeviceId,
    secret: &Hash,
) -> Result<(), EngineError> {
    row::forget(context, device)?;
    end_link(heart, context, &secret.0)
}

/// Ends links whose time is over. Returns when the next one ends.
pub(crate) fn expire(heart: &Heart, context: &mut Context<'_>) -> Result<Option<i64>, EngineError> {
    let mut statement = context.db.prepare_cached("SELECT secret, expires_unix_s FROM device_links")?;
    let links = statement
        .query_map([], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, i64>(1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    drop(statement);
    let mut next: Option<i64> = None;
    for (secret, expires_unix_s) in links {
        let at = expires_unix_s.saturating_mul(1_000);
        if at > context.now.unix_ms {
            next = Some(next.map_or(at, |other| other.min(at)));
        } else {
            end_link(heart, context, &secret)?;
            context.changed(Change::DeviceRequests);
        }
    }
    Ok(next)
}
