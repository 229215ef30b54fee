//! Several devices of one account. Each is a leaf of its own in every conversation and has keys that no other has; what
//! they share goes from one to another by sealed letters and through a group of their own (P-7.1 to P-7.11).
//!
//! [`link`] is what the old device does when a new one is linked, [`accept`] what the new one does; [`bundle`] carries
//! what the new one is given, [`attend`] puts it into every conversation; [`sync`] keeps them alike from then on, in a
//! log of their own, [`own_log`]; [`revoke`] takes one out.

pub(crate) mod accept;
pub(crate) mod attend;
pub(crate) mod bundle;
pub(crate) mod link;
mod order;
pub(crate) mod own_log;
pub(crate) mod request;
pub(crate) mod revoke;
pub(crate) mod row;
pub(crate) mod rows;
pub(crate) mod sync;

use crate::Heart;
use crate::account::Identity;
use crate::contact;
use crate::context::Context;
use crate::error::{CommandError, EngineError};
use crate::inbox;
use crate::inbox::welcome::Recipient;
use crate::input::{Answer, DeviceCommand};
use aside_protocol::codec::labelled_hash;
use aside_protocol::id::DeviceId;
use aside_protocol::identity::{DeviceRecord, MemberCredential};
use aside_protocol::inbox::DeliveryToken;
use minicbor::{Decode, Encode};
use rusqlite::Connection;

/// What one device of an account writes to another.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) enum DeviceLetter {
    /// To a device that was just linked.
    #[n(0)]
    Keys(#[n(0)] Box<accept::Keys>),
    /// Contacts, settings, history.
    #[n(1)]
    Part(#[n(0)] Box<bundle::Part>),
    /// A device was revoked: what the others go on with.
    #[n(2)]
    NewKeys(#[n(0)] Box<revoke::NewKeys>),
    /// The sender was away for too long to have seen all that the devices told each other.
    #[n(3)]
    AskForAll,
}

/// The delivery token by which an account's devices reach each other. It changes with the account's seed, so that a
/// revoked device does not know it.
pub(crate) fn own_token(account_seed: &[u8; 32]) -> DeliveryToken {
    DeliveryToken(labelled_hash("aside own devices v1", &[account_seed]))
}

/// Another device's inbox.
pub(crate) fn recipient(identity: &Identity, record: &DeviceRecord) -> Recipient {
    Recipient {
        address: identity.address.clone(),
        device: record.certificate.device,
        server: identity.server,
        inbox_key: record.inbox_key.clone().into(),
        token: identity.own_token,
    }
}

/// Whether this is a device of this account that is not revoked. Of two chains one continues the other: a device may not
/// have heard of the newest key set yet.
pub(crate) fn is_own(identity: &Identity, sender: &MemberCredential) -> bool {
    let length = identity.key_sets.len().min(sender.key_sets.len());
    let is_same_chain = identity.key_sets.get(..length) == sender.key_sets.get(..length);
    let is_revoked = identity.key_sets.iter().any(|set| set.revoked.contains(&sender.certificate.device));
    sender.address == identity.address
        && sender.root_key == identity.root_key
        && is_same_chain
        && !is_revoked
        && sender.certificate.device != identity.device()
}

/// Whether letters go to a device of this account: not to this very one, nor to one that is out.
pub(crate) fn is_written_to(db: &Connection, identity: &Identity, device: &DeviceId) -> Result<bool, EngineError> {
    let known = row::find(db, device)?;
    Ok(*device != identity.device() && known.is_none_or(|known| known.revoked_ms.is_none()))
}

/// A letter of another device of this account.
pub(crate) fn take(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: DeviceLetter,
) -> Result<(), EngineError> {
    if !heart.identity.as_ref().is_some_and(|identity| is_own(identity, sender)) {
        return Ok(());
    }
    match letter {
        // Only a device that is being linked takes keys, and it reads its inbox in `accept`.
        DeviceLetter::Keys(_) => Ok(()),
        DeviceLetter::Part(part) => bundle::take(heart, context, *part),
        DeviceLetter::NewKeys(keys) => revoke::take(heart, context, sender, &keys),
        DeviceLetter::AskForAll => bundle::owe_snapshot(context, &sender.certificate.device),
    }
}

/// Something in the devices' own log had expired before this device could fetch it: the others tell it everything, once
/// a day at most.
pub(crate) fn missed(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &crate::channel::Channel,
) -> Result<(), EngineError> {
    let is_own = own_log::is_it(context.db, &channel.conversation)?;
    let today = context.now.day();
    if is_own && heart.asked_for_all_day != today {
        heart.asked_for_all_day = today;
        ask_for_all(heart, context)?;
    }
    Ok(())
}

/// Asks each of the other devices for everything that they keep alike.
fn ask_for_all(heart: &Heart, context: &mut Context<'_>) -> Result<(), EngineError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    for device in row::standing(context.db)?.into_iter().filter(|device| device.id != identity.device()) {
        let to = recipient(identity, &device.record);
        inbox::send_to_device(heart, context, identity, &to, DeviceLetter::AskForAll)?;
    }
    Ok(())
}

/// Gives a device another name, on all devices.
fn rename(context: &mut Context<'_>, id: &DeviceId, name: &str) -> Result<(), CommandError> {
    let device = row::find(context.db, id)?.ok_or(CommandError::UnknownDevice)?;
    let name = row::check_name(name).ok_or(CommandError::DeviceName { chars_max: row::NAME_CHARS_MAX })?;
    Ok(row::put(context, &row::Device { name, ..device })?)
}

/// What needs the account's server cannot be done by a device that knows that it was revoked (P-7.11).
pub(crate) fn check_standing(heart: &Heart, context: &Context<'_>) -> Result<(), CommandError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    match row::is_revoked(context.db, &identity.device())? {
        true => Err(CommandError::Revoked),
        false => Ok(()),
    }
}

/// Carries a person's command out.
pub(crate) fn command(
    heart: &mut Heart,
    context: &mut Context<'_>,
    command: DeviceCommand,
) -> Result<Answer, CommandError> {
    check_standing(heart, context)?;
    match command {
        DeviceCommand::MakeLink => return link::make(heart, context).map(Answer::DeviceLink),
        DeviceCommand::Answer { device, given } => link::answer(heart, context, device, given)?,
        DeviceCommand::AcceptLink { link, name } => accept::begin(heart, context, &link, &name)?,
        DeviceCommand::ForgetLink => accept::forget(heart, context)?,
        DeviceCommand::Rename { device, name } => rename(context, &device, &name)?,
        DeviceCommand::Revoke { device, phrase } => revoke::begin(heart, context, device, phrase.as_ref())?,
    }
    Ok(Answer::Done)
}

impl Heart {
    /// Moves what linking, sharing and revoking wait for. Returns when to look again.
    pub(crate) fn pump_devices(&mut self, context: &mut Context<'_>) -> Result<Option<i64>, EngineError> {
        if self.identity.is_none() {
            return accept::pump(self, context);
        }
        sync::send(self, context)?;
        bundle::send(self, context)?;
        attend::daily(self, context)?;
        let link = link::expire(self, context)?;
        let look = contact::round::go_on(self, context)?;
        Ok([link, look].into_iter().flatten().min())
    }
}
