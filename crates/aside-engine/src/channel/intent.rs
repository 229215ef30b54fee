//! Intents: what this device wants of a channel's group until it is so. Commits are made from them, so whoever loses a
//! race simply makes the commit again, and a crash forgets nothing.
//!
//! A command or a letter says [`want`]; `commit/plan.rs` compares what is wanted with the group as it is, whenever the
//! log may be written to. Nothing here touches the group.

use crate::context::{Context, stored, to_store};
use crate::error::EngineError;
use crate::inbox::welcome::Recipient;
use aside_mls::Member;
use aside_protocol::address::AccountAddress;
use aside_protocol::id::{ChannelId, DeviceId, Hash};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use rusqlite::params;

/// Intents that are looked at for one commit.
const CONSIDERED_MAX: i64 = 512;
/// The first wait of an intent that could not be carried out, in milliseconds; it doubles with each.
const BACKOFF_MS: i64 = 1_000;

/// A device to be added: a checked KeyPackage of it, and where its Welcome goes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Newcomer {
    #[n(0)]
    pub recipient: Recipient,
    /// As the directory or the device itself gave it; whoever makes the intent has checked whose it is.
    #[n(1)]
    pub key_package: ByteVec,
    /// Its KeyPackageRef: once a commit has added it, nobody else needs to.
    #[n(2)]
    pub reference: Hash,
}

/// A change of what the group says of itself. Only admins' are carried out.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum MetadataChange {
    #[n(0)]
    Title(#[n(0)] String),
    /// Checked; `None` takes it away.
    #[n(1)]
    Picture(#[n(0)] Option<ByteVec>),
    #[n(2)]
    GrantAdmin(#[n(0)] AccountAddress),
    #[n(3)]
    WithdrawAdmin(#[n(0)] AccountAddress),
}

/// One thing that shall become so.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Intent {
    /// The device is a member. Other accounts' are for admins; one's own account's are for everybody.
    #[n(0)]
    Add(#[n(0)] Newcomer),
    /// No device of the account is a member. For admins; never one's own account.
    #[n(1)]
    RemoveAccount(#[n(0)] AccountAddress),
    /// The device is no member. For admins, of one's own account for everybody, of another account for everybody once a
    /// leaf of that account shows that it is revoked.
    #[n(2)]
    RemoveDevice(#[n(0)] AccountAddress, #[n(1)] DeviceId),
    /// The device's old leaf is out and a fresh one is in, by one commit. For everybody.
    #[n(3)]
    Swap(#[n(0)] Newcomer),
    #[n(4)]
    Metadata(#[n(0)] MetadataChange),
    /// This device's leaf has fresh keys and the credential as it is by now.
    #[n(5)]
    Renew,
}

impl Intent {
    /// What it is about: of two with the same subject the later one stands.
    fn subject(&self) -> (i64, String) {
        let device = |recipient: &Recipient| device_subject(&recipient.address, &recipient.device);
        match self {
            Intent::Add(newcomer) => (ADD, device(&newcomer.recipient)),
            Intent::RemoveAccount(address) => (REMOVE_ACCOUNT, address.to_string()),
            Intent::RemoveDevice(address, id) => (REMOVE_DEVICE, device_subject(address, id)),
            Intent::Swap(newcomer) => (SWAP, device(&newcomer.recipient)),
            Intent::Metadata(MetadataChange::Title(_)) => (METADATA, "title".into()),
            Intent::Metadata(MetadataChange::Picture(_)) => (METADATA, "picture".into()),
            Intent::Metadata(MetadataChange::GrantAdmin(address) | MetadataChange::WithdrawAdmin(address)) => {
                (METADATA, format!("role {address}"))
            }
            Intent::Renew => (RENEW, String::new()),
        }
    }

    /// Whose membership it is about, if it is about one person's.
    pub fn person(&self) -> Option<&AccountAddress> {
        match self {
            Intent::Add(newcomer) | Intent::Swap(newcomer) => Some(&newcomer.recipient.address),
            Intent::RemoveAccount(address) | Intent::RemoveDevice(address, _) => Some(address),
            Intent::Metadata(MetadataChange::GrantAdmin(address) | MetadataChange::WithdrawAdmin(address)) => {
                Some(address)
            }
            Intent::Metadata(_) | Intent::Renew => None,
        }
    }
}

const ADD: i64 = 0;
const REMOVE_ACCOUNT: i64 = 1;
const REMOVE_DEVICE: i64 = 2;
const SWAP: i64 = 3;
const METADATA: i64 = 4;
const RENEW: i64 = 5;

fn device_subject(address: &AccountAddress, device: &DeviceId) -> String {
    let hex: String = device.0.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{address}/{hex}")
}

/// An intent as it stands in its table.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub id: i64,
    /// How often a commit with it could not be made.
    pub attempts: u32,
    pub intent: Intent,
}

/// Writes an intent down, to be carried out as soon as the log may be written to. Of two about the same subject (a title,
/// a role, a device's membership) the later one stands.
pub(crate) fn want(context: &mut Context<'_>, channel: ChannelId, intent: &Intent) -> Result<(), EngineError> {
    want_at(context, channel, intent, context.now.unix_ms)
}

/// As [`want`], but not before a time: where several devices could do the same, they wait differently long, and whoever
/// comes second finds it done.
pub(crate) fn want_at(
    context: &mut Context<'_>,
    channel: ChannelId,
    intent: &Intent,
    due_ms: i64,
) -> Result<(), EngineError> {
    let (kind, subject) = intent.subject();
    // Whoever learned of something to do in a channel that was given up, does it where the conversation goes on.
    let channel = match super::current_successor(context.db, channel)? {
        None => channel,
        Some(_) if kind == SWAP => return Ok(()),
        Some(successor) => successor,
    };
    if kind == REMOVE_ACCOUNT {
        // Whoever shall go is not waited for any more.
        let devices = format!("{subject}/");
        context
            .db
            .prepare_cached("DELETE FROM intents WHERE channel = ? AND kind IN (?, ?) AND substr(subject, 1, ?) = ?")?
            .execute(params![channel.0, ADD, SWAP, devices.len(), devices])?;
    }
    // A new row with a new id: a commit that is under way with the old one must not strike this one out.
    context
        .db
        .prepare_cached("DELETE FROM intents WHERE channel = ? AND kind = ? AND subject = ?")?
        .execute(params![channel.0, kind, subject])?;
    context
        .db
        .prepare_cached("INSERT INTO intents (channel, kind, subject, body, due_ms) VALUES (?, ?, ?, ?, ?)")?
        .execute(params![channel.0, kind, subject, to_store(intent), due_ms])?;
    Ok(())
}

/// Those that are due, in the order in which they were wanted.
pub(crate) fn due(context: &Context<'_>, channel: &ChannelId) -> Result<Vec<Wanted>, EngineError> {
    let mut statement = context.db.prepare_cached(
        "SELECT id, attempts, body FROM intents WHERE channel = ? AND due_ms <= ? ORDER BY id LIMIT ?",
    )?;
    let rows = statement.query_map(params![channel.0, context.now.unix_ms, CONSIDERED_MAX], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?))
    })?;
    rows.map(|row| {
        let (id, attempts, body) = row?;
        Ok(Wanted { id, attempts, intent: stored(&body, "intent")? })
    })
    .collect()
}

/// Whether a device of this account is to be taken out.
pub(crate) fn removes_device_of(
    context: &Context<'_>,
    channel: &ChannelId,
    address: &AccountAddress,
) -> Result<bool, EngineError> {
    let devices = format!("{address}/");
    let mut statement = context
        .db
        .prepare_cached("SELECT 1 FROM intents WHERE channel = ? AND kind = ? AND substr(subject, 1, ?) = ?")?;
    Ok(statement.exists(params![channel.0, REMOVE_DEVICE, devices.len(), devices])?)
}

/// Whether anything is due.
pub(crate) fn is_any_due(context: &Context<'_>, channel: &ChannelId) -> Result<bool, EngineError> {
    let mut statement = context.db.prepare_cached("SELECT 1 FROM intents WHERE channel = ? AND due_ms <= ?")?;
    Ok(statement.exists(params![channel.0, context.now.unix_ms])?)
}

/// The channels in which something is due.
pub(crate) fn channels_due(context: &Context<'_>) -> Result<Vec<ChannelId>, EngineError> {
    let mut statement = context.db.prepare_cached("SELECT DISTINCT channel FROM intents WHERE due_ms <= ?")?;
    let rows = statement.query_map(params![context.now.unix_ms], |row| Ok(ChannelId(row.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// When the next one that waits is due.
pub(crate) fn next_due(context: &Context<'_>) -> Result<Option<i64>, EngineError> {
    let mut statement = context.db.prepare_cached("SELECT MIN(due_ms) FROM intents WHERE due_ms > ?")?;
    Ok(statement.query_row(params![context.now.unix_ms], |row| row.get(0))?)
}

/// Strikes out what is so, or never will be.
pub(crate) fn done(context: &Context<'_>, ids: &[i64]) -> Result<(), EngineError> {
    for id in ids {
        context.db.prepare_cached("DELETE FROM intents WHERE id = ?")?.execute(params![id])?;
    }
    Ok(())
}

/// Nothing is wanted any more.
pub(crate) fn forget_all(context: &Context<'_>, channel: &ChannelId) -> Result<(), EngineError> {
    context.db.prepare_cached("DELETE FROM intents WHERE channel = ?")?.execute(params![channel.0])?;
    Ok(())
}

/// Puts off what could not be carried out, longer each time.
pub(crate) fn later(context: &mut Context<'_>, ids: &[i64]) -> Result<(), EngineError> {
    for id in ids {
        let attempts: u32 = context
            .db
            .prepare_cached("UPDATE intents SET attempts = attempts + 1 WHERE id = ? RETURNING attempts")?
            .query_row(params![id], |row| row.get(0))?;
        // The first time it is tried alone at once: another one in the same commit may have been at fault.
        let wait = match attempts {
            0 | 1 => 0,
            more => BACKOFF_MS.saturating_mul(1_i64.checked_shl(more.min(12)).unwrap_or(i64::MAX)),
        };
        let due = context.now.unix_ms.saturating_add(wait).saturating_add(context.random_ms(wait.max(1)));
        context.db.prepare_cached("UPDATE intents SET due_ms = ? WHERE id = ?")?.execute(params![due, id])?;
    }
    Ok(())
}

/// Of some intents, those that add a device which has a leaf by now become ones that give it a fresh one.
pub(super) fn swap_added(
    context: &mut Context<'_>,
    channel: ChannelId,
    ids: &[i64],
    members: &[Member],
) -> Result<(), EngineError> {
    let is_in = |device: &DeviceId| members.iter().any(|member| member.credential.certificate.device == *device);
    for wanted in due(context, &channel)?.into_iter().filter(|wanted| ids.contains(&wanted.id)) {
        if let Intent::Add(newcomer) = wanted.intent
            && is_in(&newcomer.recipient.device)
        {
            done(context, &[wanted.id])?;
            want(context, channel, &Intent::Swap(newcomer))?;
        }
    }
    Ok(())
}

/// Another member's commit added these KeyPackages: nobody adds them again.
pub(super) fn others_added(context: &Context<'_>, channel: &ChannelId, references: &[Hash]) -> Result<(), EngineError> {
    if references.is_empty() {
        return Ok(());
    }
    let mut statement =
        context.db.prepare_cached("SELECT id, body FROM intents WHERE channel = ? AND kind IN (?, ?)")?;
    let rows = statement
        .query_map(params![channel.0, ADD, SWAP], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    for (id, body) in rows {
        if let Intent::Add(newcomer) | Intent::Swap(newcomer) = stored(&body, "intent")?
            && references.contains(&newcomer.reference)
        {
            done(context, &[id])?;
        }
    }
    Ok(())
}

/// An account is out: nobody removes it again, even if it is added anew before that comes due.
pub(super) fn account_is_out(
    context: &Context<'_>,
    channel: &ChannelId,
    address: &AccountAddress,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("DELETE FROM intents WHERE channel = ? AND kind = ? AND subject = ?")?
        .execute(params![channel.0, REMOVE_ACCOUNT, address.to_string()])?;
    Ok(())
}

/// A device is out with its account: a fresh leaf that it had asked for before would bring it back in.
pub(super) fn device_is_out(
    context: &Context<'_>,
    channel: &ChannelId,
    address: &AccountAddress,
    device: &DeviceId,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("DELETE FROM intents WHERE channel = ? AND kind = ? AND subject = ?")?
        .execute(params![channel.0, SWAP, device_subject(address, device)])?;
    Ok(())
}

/// A device that comes back to a group where others went on: fresh leaves that were asked for by those whose account was
/// taken out meanwhile would bring them back in.
pub(super) fn others_are_out(
    context: &Context<'_>,
    channel: &ChannelId,
    members: &[Member],
) -> Result<(), EngineError> {
    let swaps = context
        .db
        .prepare_cached("SELECT id, body FROM intents WHERE channel = ? AND kind = ?")?
        .query_map(params![channel.0, SWAP], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    for (id, body) in swaps {
        let intent: Intent = stored(&body, "intent")?;
        let is_out = |address: &AccountAddress| !members.iter().any(|member| member.credential.address == *address);
        if intent.person().is_some_and(is_out) {
            done(context, &[id])?;
        }
    }
    Ok(())
}

/// Whether something of the same subject is wanted already.
pub(crate) fn is_wanted(context: &Context<'_>, channel: &ChannelId, intent: &Intent) -> Result<bool, EngineError> {
    let (kind, subject) = intent.subject();
    let mut statement =
        context.db.prepare_cached("SELECT 1 FROM intents WHERE channel = ? AND kind = ? AND subject = ?")?;
    Ok(statement.exists(params![channel.0, kind, subject])?)
}
