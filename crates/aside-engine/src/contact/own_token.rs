//! Delivery tokens of one's own: one for each person, and one for each group, so that withdrawing one cuts off nobody
//! else (P-5.8).

use crate::Heart;
use crate::context::Context;
use crate::conversation::ConversationId;
use crate::error::EngineError;
use crate::job::{self, Job};
use aside_protocol::address::AccountAddress;
use aside_protocol::inbox::DeliveryToken;
use rusqlite::{OptionalExtension, params};

/// The token for one person: made once, registered with the home server.
pub(crate) fn of_person(
    heart: &Heart,
    context: &mut Context<'_>,
    address: &AccountAddress,
) -> Result<DeliveryToken, EngineError> {
    if let Some(identity) = heart.identity.as_ref().filter(|identity| identity.address == *address) {
        return Ok(identity.own_token);
    }
    of(heart, context, &address.to_string())
}

/// The token for a group: every member gets it.
pub(crate) fn of_group(
    heart: &Heart,
    context: &mut Context<'_>,
    id: ConversationId,
) -> Result<DeliveryToken, EngineError> {
    of(heart, context, &id.to_string())
}

fn of(heart: &Heart, context: &mut Context<'_>, whose: &str) -> Result<DeliveryToken, EngineError> {
    let known: Option<[u8; 32]> = context
        .db
        .prepare_cached("SELECT token FROM own_tokens WHERE whose = ?")?
        .query_row(params![whose], |row| row.get(0))
        .optional()?;
    if let Some(token) = known {
        return Ok(DeliveryToken(token));
    }
    let token = DeliveryToken(context.random());
    if let Some(identity) = &heart.identity {
        job::add(context, identity.server, &Job::PutDeliveryToken(token.hash(), None))?;
    }
    context
        .db
        .prepare_cached("INSERT INTO own_tokens (whose, token) VALUES (?, ?)")?
        .execute(params![whose, token.0])?;
    Ok(token)
}

/// Ends the token of one person, at the server too. The next one that they are given is another.
pub(crate) fn revoke(heart: &Heart, context: &mut Context<'_>, address: &AccountAddress) -> Result<(), EngineError> {
    let ended: Option<[u8; 32]> = context
        .db
        .prepare_cached("DELETE FROM own_tokens WHERE whose = ? RETURNING token")?
        .query_row(params![address.to_string()], |row| row.get(0))
        .optional()?;
    match (ended, &heart.identity) {
        (Some(token), Some(identity)) => {
            job::add(context, identity.server, &Job::RevokeDeliveryToken(DeliveryToken(token).hash()))
        }
        _ => Ok(()),
    }
}
