//! Once a day this device looks at each contact's account in their directory, and at one at a time, spread over the day: a
//! device of theirs that is the only one left may not know whom its person talks with, and so cannot tell them that the
//! others were revoked (P-7.10). It goes on from where it was in memory only: looking again costs one request.

use super::{Contact, State, all, keys};
use crate::Heart;
use crate::context::Context;
use crate::conversation::replace;
use crate::device;
use crate::error::EngineError;
use aside_protocol::address::AccountAddress;
use aside_protocol::id::DeviceId;

/// A whole round, in milliseconds.
const ROUND_MS: i64 = 24 * 3_600_000;
/// The first look after a program's start comes between half of this and one and a half: it may not run for a day.
const FIRST_MS: i64 = 3_600_000;
/// Between two looks it is never less.
const BETWEEN_MS_MIN: i64 = 10_000;

/// How far the round has got.
#[derive(Debug, Default)]
pub(crate) struct Round {
    next_ms: Option<i64>,
    last: Option<AccountAddress>,
}

/// Looks at the next contact if it is time. Returns when to look again.
pub(crate) fn go_on(heart: &mut Heart, context: &mut Context<'_>) -> Result<Option<i64>, EngineError> {
    let Heart { identity: Some(identity), contact_round: round, .. } = heart else { return Ok(None) };
    let now = context.now.unix_ms;
    if let Some(next) = round.next_ms.filter(|next| *next > now && *next <= now.saturating_add(ROUND_MS)) {
        return Ok(Some(next));
    }
    let own = identity.device();
    if device::row::is_revoked(context.db, &own)? {
        return Ok(None);
    }
    let mut contacts = all(context.db)?;
    contacts.retain(|contact| contact.state == State::Active && contact.server.is_some());
    let Some(count) = i64::try_from(contacts.len()).ok().filter(|count| *count > 0) else { return Ok(None) };
    let wait = match round.next_ms {
        None => {
            // Not with the same one after every start.
            let hour = now.checked_div(FIRST_MS).and_then(|hours| hours.checked_rem(count)).unwrap_or(0);
            let first = usize::try_from(hour).ok().and_then(|first| contacts.get(first));
            round.last = first.map(|contact| contact.address.clone());
            // The devices of an account, and those of its contacts, do not all look at once.
            (FIRST_MS / 2).saturating_add(own_share(&own, FIRST_MS))
        }
        Some(_) => {
            if let Some(address) = after(&contacts, round.last.take()) {
                look(context, &address)?;
                round.last = Some(address);
            }
            ROUND_MS.checked_div(count).unwrap_or(ROUND_MS).max(BETWEEN_MS_MIN)
        }
    };
    round.next_ms = Some(now.saturating_add(wait));
    Ok(round.next_ms)
}

/// A time below another one that is this device's own.
fn own_share(own: &DeviceId, below_ms: i64) -> i64 {
    let number = own.0.iter().fold(0_u32, |number, byte| number.rotate_left(5) ^ u32::from(*byte));
    i64::from(number).checked_rem(below_ms).unwrap_or(0)
}

fn after(contacts: &[Contact], last: Option<AccountAddress>) -> Option<AccountAddress> {
    let is_after = |contact: &&Contact| last.as_ref().is_none_or(|last| contact.address.to_string() > last.to_string());
    contacts.iter().find(is_after).or(contacts.first()).map(|contact| contact.address.clone())
}

/// Whoever could not be put in the place of their revoked devices when that was learnt is tried again, too: a log may have
/// become known since, or who is in it.
fn look(context: &mut Context<'_>, address: &AccountAddress) -> Result<(), EngineError> {
    keys::ask_directory(context, address)?;
    replace::devices_are_out(context, address)
}
