//! What comes back on the account connection.

use super::Flight;
use crate::Heart;
use crate::account;
use crate::contact;
use crate::context::Context;
use crate::device;
use crate::error::EngineError;
use crate::group;
use crate::inbox;
use crate::input::{Change, Link};
use crate::job::{self, Job};
use crate::recovery::{backup, restore};
use aside_protocol::frame::ServerFrame;
use aside_protocol::frame::account::{Answer, FromServer, Push, Request};
use aside_protocol::inbox::InboxEntry;
use aside_protocol::refusal::{Refusal, Remedy};
use rusqlite::params;

/// After a refusal of channel tokens they are asked for again after so long, in milliseconds.
const DRAW_AGAIN_MS: i64 = 15 * 60_000;

/// Takes one frame. Anything that breaks the protocol closes the connection; nothing of it is believed.
pub(crate) fn frame(heart: &mut Heart, context: &mut Context<'_>, link: Link, bytes: &[u8]) -> Result<(), EngineError> {
    match FromServer::decode(bytes) {
        Ok(ServerFrame::Answer(id, answer)) => match heart.links.get_mut(&link).and_then(|s| s.in_flight.remove(&id)) {
            Some(flight) => answered(heart, context, link, flight, answer),
            None => context.close(link, "an answer to nothing that was asked"),
        },
        Ok(ServerFrame::Refused(id, refusal)) => {
            match heart.links.get_mut(&link).and_then(|s| s.in_flight.remove(&id)) {
                Some(flight) => refused(heart, context, link, flight, refusal),
                None => context.close(link, "a refusal of nothing that was asked"),
            }
        }
        Ok(ServerFrame::Push(Push::Envelope(entry))) => envelopes(heart, context, link, &[entry]),
        // What changed is fetched when it is needed; a credential that is out of date is refused by name.
        Ok(ServerFrame::Push(Push::AccountChanged)) => {
            if let Some(state) = heart.links.get_mut(&link).filter(|state| state.ready) {
                state.ask_account(context, link, Request::GetAccount, Flight::GetAccount);
            }
            Ok(())
        }
        Ok(ServerFrame::Goodbye(_)) => context.close(link, "the server said goodbye"),
        Ok(ServerFrame::Hello(_)) => context.close(link, "a second hello"),
        Err(_) => context.close(link, "a malformed frame"),
    }
}

fn answered(
    heart: &mut Heart,
    context: &mut Context<'_>,
    link: Link,
    flight: Flight,
    answer: Answer,
) -> Result<(), EngineError> {
    match (flight, answer) {
        (Flight::Register, Answer::Done) => {
            account::set_registered(context)?;
            heart.identity = account::load(context.db)?;
            sign_in_done(heart, context, link)
        }
        (Flight::LinkSignIn, Answer::Done) => device::accept::signed_in(heart, context, link),
        (Flight::GetAccount, Answer::Account(account)) => device::attend::account_seen(heart, context, &account),
        (Flight::SignIn, Answer::Done) => sign_in_done(heart, context, link),
        (Flight::CountKeyPackages, Answer::KeyPackageCount(count)) => {
            account::key_package_count(heart, context, link, count)
        }
        (Flight::PublishKeyPackages { last_resort }, Answer::KeyPackageCount(_) | Answer::Done) => {
            context.changed(Change::State);
            if last_resort { account::last_resort_is_published(context) } else { Ok(()) }
        }
        (Flight::ReadInbox, Answer::Inbox { entries, live }) => {
            envelopes(heart, context, link, &entries)?;
            match heart.links.get_mut(&link) {
                Some(state) if !live => account::read_inbox(context, link, state),
                _ => Ok(()),
            }
        }
        (Flight::AcknowledgeInbox, Answer::Done) => Ok(()),
        (Flight::DrawChannelTokens, Answer::ChannelTokens(tokens)) => {
            for token in tokens {
                context
                    .db
                    .prepare_cached("INSERT OR IGNORE INTO channel_tokens (token, day) VALUES (?, ?)")?
                    .execute(params![token.0, context.now.day()])?;
            }
            Ok(())
        }
        (Flight::Job(id), Answer::Done) => {
            match job::find(context, id)? {
                Some(Job::PutDeliveryToken(token, _)) => {
                    contact::links::token_is_registered(context, &token)?;
                    group::link::token_is_registered(context, &token)?;
                    device::link::token_is_registered(context, &token)?;
                }
                Some(Job::AddDevice(record, secret)) => {
                    device::link::added(heart, context, &record.certificate.device, &secret)?;
                }
                Some(Job::PutKeySet) => device::revoke::put(heart, context)?,
                _ => {}
            }
            job::done(context, id)
        }
        (Flight::PutBackup(generation), Answer::Done) => backup::part_is_put(heart, context, generation),
        (Flight::TryBackup(part), Answer::Backup { generation, parts, bytes }) => {
            backup::part_is_fetched(heart, context, (part, generation, parts), &bytes)
        }
        (Flight::Restore(step), answer) => restore::answered(heart, context, step, answer),
        _ => context.close(link, "an answer of another kind than was asked for"),
    }
}

fn sign_in_done(heart: &mut Heart, context: &mut Context<'_>, link: Link) -> Result<(), EngineError> {
    contact::by_name::tell(heart, context)?;
    match heart.links.get_mut(&link) {
        Some(state) => account::signed_in(context, link, state),
        None => Ok(()),
    }
}

fn envelopes(
    heart: &mut Heart,
    context: &mut Context<'_>,
    link: Link,
    entries: &[InboxEntry],
) -> Result<(), EngineError> {
    for entry in entries {
        inbox::take(heart, context, entry)?;
    }
    let (Some(state), Some(last)) = (heart.links.get_mut(&link), entries.last()) else { return Ok(()) };
    let request = Request::AcknowledgeInbox { through: last.seq };
    state.ask_account(context, link, request, Flight::AcknowledgeInbox);
    // Each Welcome used a KeyPackage up.
    if state.ready
        && !state.waits_for(|flight| matches!(flight, Flight::CountKeyPackages | Flight::PublishKeyPackages { .. }))
    {
        state.ask_account(context, link, Request::CountKeyPackages, Flight::CountKeyPackages);
    }
    Ok(())
}

/// For the person, who can do something about some of it.
fn why_not_signed_in(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Suspended => {
            "the server's administrator suspended your account; ask them why. What you have stays here, and what you \
             write waits"
        }
        Refusal::DeviceRevoked => "this device was removed from your account",
        _ => "the server refused to sign this device in",
    }
}

fn refused(
    heart: &mut Heart,
    context: &mut Context<'_>,
    link: Link,
    flight: Flight,
    refusal: Refusal,
) -> Result<(), EngineError> {
    context.changed(Change::State);
    match flight {
        Flight::PutBackup(_) => backup::part_is_refused(heart, context, &refusal),
        Flight::TryBackup(_) => backup::trial_is_refused(heart, context, &refusal),
        Flight::Restore(step) => restore::refused(heart, context, step, &refusal),
        Flight::Register if refusal.remedy() != Remedy::RetryLater => {
            account::set_refused(context, &refusal)?;
            heart.identity = account::load(context.db)?;
            context.wanted_changed();
            Ok(())
        }
        Flight::Register | Flight::SignIn => {
            if refusal.remedy() != Remedy::RetryLater {
                account::set_refused(context, &refusal)?;
                heart.identity = account::load(context.db)?;
            }
            context.close(link, why_not_signed_in(&refusal))
        }
        // As many as a day allows are drawn. Asking again at once would go in a circle until tomorrow.
        Flight::DrawChannelTokens => {
            let again = context.now.unix_ms.saturating_add(DRAW_AGAIN_MS);
            if let Some(state) = heart.links.get_mut(&link) {
                state.draws_from_ms = again;
            }
            context.wake_at(again);
            Ok(())
        }
        Flight::Job(id) if refusal.remedy() == Remedy::RetryLater => job::later(context, id).map(|_| ()),
        Flight::Job(id) => {
            match job::find(context, id)? {
                Some(Job::AddDevice(record, secret)) => {
                    device::link::not_added(heart, context, &record.certificate.device, &secret)?;
                }
                Some(Job::PutKeySet) => device::revoke::not_put(context, id, &refusal)?,
                _ => {}
            }
            job::done(context, id)
        }
        Flight::LinkSignIn => device::accept::not_signed_in(context, &refusal),
        _ => Ok(()),
    }
}
