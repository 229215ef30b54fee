//! The tokens by which somebody's inboxes take letters. Their devices may have told several, and one that a revoked device
//! told may never have reached its server.

use super::{Contact, State, find, keys, put};
use crate::Heart;
use crate::channel;
use crate::context::Context;
use crate::error::EngineError;
use crate::job::{self, Job, JobId};
use crate::server;
use aside_protocol::address::AccountAddress;
use aside_protocol::frame::anonymous::Delivery;
use aside_protocol::inbox::DeliveryToken;

/// Somebody took devices out: what a standing device told goes before what those had told.
pub(crate) fn prefer_standing(context: &mut Context<'_>, member: &AccountAddress) -> Result<(), EngineError> {
    let Some(contact) = find(context.db, member)? else { return Ok(()) };
    let mut standing = None;
    let mut is_of_revoked = false;
    for (device, token) in channel::tokens_of(context.db, member)? {
        match keys::is_revoked(context.db, member, &device)? {
            true => is_of_revoked |= token == contact.token,
            false => standing = standing.or(Some(token)),
        }
    }
    match standing {
        Some(token) if is_of_revoked && token != contact.token => put(context, &Contact { token, ..contact }),
        _ => Ok(()),
    }
}

/// A server does not know the token of a letter to somebody: the next attempt is made with another one that they told, if
/// there is one. The letter is sealed to the device, whatever the token. Or the device was taken out, and nobody who stands
/// could say so: the directory can.
pub(crate) fn readdress(heart: &Heart, context: &mut Context<'_>, id: JobId) -> Result<(), EngineError> {
    let (Some(Job::Deliver(delivery)), Some(server)) = (job::find(context, id)?, job::server(context, id)?) else {
        return Ok(());
    };
    let address = AccountAddress { name: delivery.account.clone(), server: server::pin(context.db, server)?.address };
    if heart.identity.as_ref().is_some_and(|identity| identity.address == address) {
        return Ok(());
    }
    // It may be the device that is not there any more.
    keys::ask_directory(context, &address)?;
    let mut tokens: Vec<DeliveryToken> = find(context.db, &address)?.map(|contact| contact.token).into_iter().collect();
    for (_, token) in channel::tokens_of(context.db, &address)? {
        if !tokens.contains(&token) {
            tokens.push(token);
        }
    }
    let tried = tokens.iter().position(|token| *token == delivery.token);
    let next = tried.map_or(0, |tried| tried.saturating_add(1));
    match tokens.get(next).or(tokens.first()).filter(|token| **token != delivery.token) {
        Some(token) => job::change(context, id, &Job::Deliver(Delivery { token: *token, ..delivery })),
        None => Ok(()),
    }
}

/// The contact to whom a letter goes, if they were added by a link and never heard from: it is what tells them of us.
pub(crate) fn unheard(context: &Context<'_>, id: JobId, delivery: &Delivery) -> Result<Option<Contact>, EngineError> {
    let Some(server) = job::server(context, id)? else { return Ok(None) };
    let address = AccountAddress { name: delivery.account.clone(), server: server::pin(context.db, server)?.address };
    Ok(find(context.db, &address)?.filter(|contact| contact.introduction.is_some()))
}

/// A letter is given up. Of somebody who was never heard from the person learns that nothing of what they write arrives.
pub(crate) fn given_up(context: &mut Context<'_>, id: JobId, delivery: &Delivery) -> Result<(), EngineError> {
    let Some(contact) = unheard(context, id, delivery)? else { return Ok(()) };
    let why = "their link ended before they could be reached: ask them for a new one";
    put(context, &Contact { state: State::Failed, failure: Some(why.into()), ..contact })
}
