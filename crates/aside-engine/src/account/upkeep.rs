//! What the account connection does by itself: register or sign in, keep KeyPackages in stock, read the inbox, draw
//! channel tokens.

use super::Identity;
use crate::context::Context;
use crate::error::EngineError;
use crate::input::Link;
use crate::network::{Flight, LinkState};
use crate::{Heart, Options};
use aside_mls::KeyPackageKind;
use aside_protocol::frame::account::{KeyPackages, Registration, Request, SignIn, sign_in};
use aside_protocol::limit::KEY_PACKAGES_REFILL_BELOW;
use minicbor::bytes::ByteVec;
use rusqlite::params;

/// After so many days the last-resort KeyPackage is replaced.
const LAST_RESORT_DAYS: u32 = 30;
/// Below this stock of channel tokens more are drawn.
const CHANNEL_TOKENS_MIN: u32 = 4;
const CHANNEL_TOKENS_DRAWN: u32 = 8;

/// The first request of the account connection.
pub(crate) fn registration(context: &mut Context<'_>, identity: &Identity, link: Link, state: &mut LinkState) {
    let device = identity.device();
    let signature = sign_in(&identity.device_key, &state.binding, &device);
    let name = identity.name().clone();
    if identity.registered {
        let request = Request::SignIn(SignIn { name, device, signature });
        return state.ask_account(context, link, request, Flight::SignIn);
    }
    let request = Request::Register(Registration {
        invite: identity.invite,
        name,
        root_key: identity.root_key,
        key_sets: identity.key_sets.clone(),
        device: identity.record.clone(),
        signature,
    });
    state.ask_account(context, link, request, Flight::Register);
}

/// Everything that follows a sign-in.
pub(crate) fn signed_in(context: &mut Context<'_>, link: Link, state: &mut LinkState) -> Result<(), EngineError> {
    state.ready = true;
    context.changed(crate::input::Change::State);
    crate::contact::links::sweep(context)?;
    state.ask_account(context, link, Request::CountKeyPackages, Flight::CountKeyPackages);
    read_inbox(context, link, state)?;
    draw_channel_tokens(context, link, state)
}

/// Asks for the envelopes behind the last one that was dealt with.
pub(crate) fn read_inbox(context: &mut Context<'_>, link: Link, state: &mut LinkState) -> Result<(), EngineError> {
    let after = super::inbox_seq(context.db)?;
    state.ask_account(context, link, Request::ReadInbox { after }, Flight::ReadInbox);
    Ok(())
}

/// Draws channel tokens when the stock is low.
pub(crate) fn draw_channel_tokens(
    context: &mut Context<'_>,
    link: Link,
    state: &mut LinkState,
) -> Result<(), EngineError> {
    let stock: u32 = context.db.query_row("SELECT COUNT(*) FROM channel_tokens", [], |row| row.get(0))?;
    if stock < CHANNEL_TOKENS_MIN && state.draws_from_ms > context.now.unix_ms {
        context.wake_at(state.draws_from_ms);
        return Ok(());
    }
    if stock < CHANNEL_TOKENS_MIN && !state.waits_for(|flight| *flight == Flight::DrawChannelTokens) {
        let request = Request::DrawChannelTokens { count: CHANNEL_TOKENS_DRAWN };
        state.ask_account(context, link, request, Flight::DrawChannelTokens);
    }
    Ok(())
}

/// Fills the stock of KeyPackages up, and replaces all of them when the last-resort one is old.
pub(crate) fn key_package_count(
    heart: &mut Heart,
    context: &mut Context<'_>,
    link: Link,
    count: u32,
) -> Result<(), EngineError> {
    let (Some(identity), Some(state)) = (&heart.identity, heart.links.get_mut(&link)) else { return Ok(()) };
    let Options { key_packages, .. } = heart.options;
    let oldest: Option<u32> = context.db.query_row("SELECT last_resort_day FROM account", [], |row| row.get(0))?;
    let today = context.now.day();
    let last_resort_is_due = oldest.is_none_or(|day| today >= day.saturating_add(LAST_RESORT_DAYS));
    let is_low = (count as usize) < KEY_PACKAGES_REFILL_BELOW.min(key_packages as usize);
    if !is_low && !last_resort_is_due {
        return Ok(());
    }
    let mls = heart.mls.on(context.db);
    let credential = identity.credential();
    let make = |kind| mls.new_key_package(&identity.signer, &credential, kind, context.now.unix_s()).map(ByteVec::from);
    // A new one of last resort takes the place of all: the others are as old as it was.
    let missing = if last_resort_is_due { key_packages } else { key_packages.saturating_sub(count) };
    let once = (0..missing).map(|_| make(KeyPackageKind::Once)).collect::<Result<Vec<_>, _>>()?;
    let last_resort = last_resort_is_due.then(|| make(KeyPackageKind::LastResort)).transpose()?;
    let flight = Flight::PublishKeyPackages { last_resort: last_resort.is_some() };
    let packages = KeyPackages { once, last_resort, key_set: credential.certificate.key_set };
    state.ask_account(context, link, Request::PublishKeyPackages(packages), flight);
    Ok(())
}

/// Notes that the last-resort KeyPackage is published.
pub(crate) fn last_resort_is_published(context: &Context<'_>) -> Result<(), EngineError> {
    context.db.execute("UPDATE account SET last_resort_day = ?", params![context.now.day()])?;
    Ok(())
}
