//! What comes back on an anonymous connection.

use super::Flight;
use crate::Heart;
use crate::channel::{commit, ephemeral, outbox, subscribe};
use crate::contact;
use crate::context::Context;
use crate::conversation;
use crate::device;
use crate::error::EngineError;
use crate::group::{ask, link};
use crate::heal;
use crate::inbox::{envelope, tree};
use crate::input::Link;
use crate::job::{self, Job, JobId};
use aside_protocol::frame::ServerFrame;
use aside_protocol::frame::anonymous::{Answer, FromServer, Push};
use aside_protocol::id::ChannelId;
use aside_protocol::inbox::ChannelToken;
use aside_protocol::refusal::{Refusal, Remedy};
use rusqlite::params;

const OTHER_KIND: &str = "an answer of another kind than was asked for";
/// How often a group's link that its server does not know yet is tried again: about two minutes. A person waits before it.
const EARLY_ASKS_MAX: u32 = 8;
/// How often a friend's token that its server does not know yet is tried again to fetch their keys, while their server
/// can be reached: about a day. A person waits for it and is told.
const EARLY_FETCHES_MAX: u32 = 36;
/// The same for what is to be put into their inbox: about a fortnight. Nobody would hear of a Welcome that is given up.
const EARLY_DELIVERIES_MAX: u32 = 336;
/// How often KeyPackages are fetched to put somebody's devices anew into the logs of one conversation: each needs its own.
const REPLACED_IN_MAX: u32 = 16;

/// Takes one frame. Anything that breaks the protocol closes the connection; nothing of it is believed.
pub(crate) fn frame(heart: &mut Heart, context: &mut Context<'_>, link: Link, bytes: &[u8]) -> Result<(), EngineError> {
    match FromServer::decode(bytes) {
        Ok(ServerFrame::Answer(id, answer)) => match heart.links.get_mut(&link).and_then(|s| s.in_flight.remove(&id)) {
            Some(flight) => answered(heart, context, link, flight, answer),
            None => context.close(link, "an answer to nothing that was asked"),
        },
        Ok(ServerFrame::Refused(id, refusal)) => {
            match heart.links.get_mut(&link).and_then(|s| s.in_flight.remove(&id)) {
                Some(flight) => refused(heart, context, link, flight, &refusal),
                None => context.close(link, "a refusal of nothing that was asked"),
            }
        }
        Ok(ServerFrame::Push(Push::Entry(channel, entry))) => subscribe::pushed(heart, context, link, channel, entry),
        Ok(ServerFrame::Push(Push::Ephemeral { channel, epoch, body })) => {
            ephemeral::received(heart, context, link, channel, epoch, &body)
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
        (Flight::Prove(..) | Flight::Ephemeral, Answer::Done) => Ok(()),
        (Flight::LinkAccount, Answer::Account(account)) => device::accept::fetched(heart, context, &account),
        (Flight::LinkRequest, Answer::Done) => device::accept::requested(context),
        (Flight::Subscribe(channel, epoch), Answer::Entries { entries, end, live }) => {
            subscribe::page(heart, context, (link, channel, epoch), entries, end, live)
        }
        (Flight::Append(channel, ids), Answer::Appended(positions)) if ids.len() == positions.len() => {
            let appended: Vec<_> = ids.into_iter().zip(positions).collect();
            outbox::acknowledged(heart, context, channel, &appended)
        }
        // The commit takes effect when it comes back in the log.
        (Flight::Commit(channel), Answer::Appended(_)) => {
            heart.stirred.insert(channel);
            Ok(())
        }
        (Flight::Paid(id, token), Answer::Done) => {
            spend(context, &token)?;
            paid(heart, context, id)
        }
        (Flight::Job(id), answer) => job_answered(heart, context, link, id, answer),
        _ => context.close(link, OTHER_KIND),
    }
}

/// What a job asked for is here.
fn job_answered(
    heart: &mut Heart,
    context: &mut Context<'_>,
    link: Link,
    id: JobId,
    answer: Answer,
) -> Result<(), EngineError> {
    match answer {
        Answer::Account(account) => {
            match job::find(context, id)? {
                Some(Job::AskToJoin(id)) => ask::account_is_here(heart, context, id, &account)?,
                Some(Job::FetchAccount(member)) => drop(contact::keys::saw_account(context, &member, &account)?),
                _ => {}
            }
            job::done(context, id)
        }
        Answer::Blob(bytes) => match job::find(context, id)? {
            Some(Job::FetchTree(arriving)) => tree::fetched(heart, context, id, *arriving, &bytes),
            _ => job::done(context, id),
        },
        // Their device has an account and has published nothing yet: it will, as soon as it is online.
        Answer::KeyPackages { key_packages, .. } if key_packages.iter().all(|device| device.key_package.is_none()) => {
            job::later(context, id).map(|_| ())
        }
        Answer::KeyPackages { account, key_packages } => {
            if let Some(channel) = own_fetch(context, id)? {
                return device::attend::fetched(heart, context, (id, channel), &account, &key_packages);
            }
            match job::find(context, id)? {
                Some(Job::FetchKeyPackages(conversation, member)) => {
                    conversation::fetched(heart, context, (conversation, &member), account, key_packages)?;
                }
                Some(Job::FetchToReplace(conversation, member)) => {
                    let whose = (conversation, &member);
                    let is_last = conversation::replace::fetched(heart, context, whose, account, key_packages)?;
                    if !is_last && job::later(context, id)? <= REPLACED_IN_MAX {
                        return Ok(());
                    }
                }
                Some(Job::FetchForSuccessor(conversation, member, _)) => {
                    heal::refound::fetched(heart, context, conversation, &member, Some((account, key_packages)))?;
                }
                _ => {}
            }
            job::done(context, id)
        }
        // As above: somebody without a KeyPackage of last resort has not been online yet.
        Answer::Found { key_packages, .. } if key_packages.iter().all(|device| device.key_package.is_none()) => {
            job::later(context, id).map(|_| ())
        }
        Answer::Found { account, token, key_packages } => {
            if let Some(Job::FindByName(conversation, member)) = job::find(context, id)? {
                contact::by_name::found(heart, context, (conversation, &member), account, token, key_packages)?;
            }
            job::done(context, id)
        }
        Answer::Done => job::done(context, id),
        _ => context.close(link, OTHER_KIND),
    }
}

/// The channel for which a job fetches this account's own KeyPackages, if it does.
fn own_fetch(context: &Context<'_>, id: JobId) -> Result<Option<ChannelId>, EngineError> {
    Ok(match job::find(context, id)? {
        Some(Job::FetchOwnKeyPackages(channel)) => Some(channel),
        _ => None,
    })
}

/// What a token paid for is done.
fn paid(heart: &mut Heart, context: &mut Context<'_>, id: JobId) -> Result<(), EngineError> {
    match job::find(context, id)? {
        Some(Job::CreateChannel(channel, new)) => conversation::channel_is_made(heart, context, channel, new)?,
        Some(Job::PutBlobs(mut blobs, letters)) if blobs.len() > 1 => {
            blobs.remove(0);
            return job::replace(context, id, &Job::PutBlobs(blobs, letters));
        }
        Some(Job::PutBlobs(_, letters)) => {
            letters.into_iter().try_for_each(|posted| envelope::post(context, posted))?;
        }
        _ => {}
    }
    job::done(context, id)
}

fn spend(context: &Context<'_>, token: &ChannelToken) -> Result<(), EngineError> {
    context.db.prepare_cached("DELETE FROM channel_tokens WHERE token = ?")?.execute(params![token.0])?;
    Ok(())
}

fn refused(
    heart: &mut Heart,
    context: &mut Context<'_>,
    link: Link,
    flight: Flight,
    refusal: &Refusal,
) -> Result<(), EngineError> {
    match flight {
        Flight::Prove(channel, _) | Flight::Subscribe(channel, _) => {
            subscribe::refused(heart, context, (link, channel), refusal)
        }
        Flight::Append(channel, ids) => match refusal.remedy() {
            // The rest of the epoch is on its way; it decides what is sent again.
            Remedy::CatchUp => Ok(()),
            Remedy::RetryLater => {
                heart.stirred.insert(channel);
                context.close(link, "the server cannot store at the moment")
            }
            Remedy::Person | Remedy::Fault => {
                heart.stirred.insert(channel);
                if matches!(refusal, Refusal::BadExpiry { .. }) && outbox::expires_anew(context, &ids)? {
                    return Ok(());
                }
                outbox::failed(context, &ids, &refusal.to_string())
            }
        },
        Flight::Commit(channel) => commit::refused(heart, context, channel, refusal),
        Flight::Paid(id, token) => {
            match refusal {
                Refusal::BadChannelToken => spend(context, &token)?,
                _ => job::later(context, id).map(|_| ())?,
            }
            Ok(())
        }
        Flight::LinkAccount => device::accept::not_fetched(context, refusal),
        Flight::LinkRequest => device::accept::not_requested(context, refusal),
        Flight::Job(id) => job_refused(heart, context, id, refusal),
        _ => Ok(()),
    }
}

fn job_refused(heart: &mut Heart, context: &mut Context<'_>, id: JobId, refusal: &Refusal) -> Result<(), EngineError> {
    if let Refusal::RateLimited { seconds } = refusal {
        return job::later_than(context, id, *seconds).map(|_| ());
    }
    if refusal.remedy() == Remedy::RetryLater {
        return job::later(context, id).map(|_| ());
    }
    if *refusal == Refusal::UnknownAccountOrToken {
        contact::tokens::readdress(heart, context, id)?;
        if may_be_early(context, id)? {
            return Ok(());
        }
    }
    if let Some(channel) = own_fetch(context, id)? {
        device::attend::gone(context, &channel)?;
    }
    let wanted = job::find(context, id)?;
    if let Some(Job::FetchForSuccessor(conversation, member, _)) = &wanted {
        heal::refound::fetched(heart, context, *conversation, member, None)?;
    }
    if let Some(Job::AskToJoin(conversation)) = &wanted {
        ask::failed(context, *conversation, "the link was withdrawn or has expired: ask for a new one")?;
    }
    if let Some(Job::FetchTree(arriving)) = &wanted {
        return tree::lost(context, id, arriving);
    }
    if let Some(Job::Deliver(delivery)) = &wanted {
        contact::tokens::given_up(context, id, delivery)?;
    }
    let is_by_name = matches!(wanted, Some(Job::FindByName(..)));
    if let Some(Job::FetchKeyPackages(conversation, member) | Job::FindByName(conversation, member)) = wanted {
        let why = match refusal {
            Refusal::UnknownAccountOrToken if is_by_name => {
                "nobody of this name can be found on your server: ask them for their link".into()
            }
            Refusal::UnknownAccountOrToken => {
                "their link was withdrawn, has expired, or is used up: ask for a new one".into()
            }
            other => other.to_string(),
        };
        conversation::fetch_failed(heart, context, (conversation, &member), &why)?;
    }
    job::done(context, id)
}

/// A contact's own token can arrive here before it arrives at their server, above all where that was down or their device
/// is off: such a job is put off, longer each time.
fn may_be_early(context: &mut Context<'_>, id: JobId) -> Result<bool, EngineError> {
    let attempts_max = match job::find(context, id)? {
        Some(Job::FetchKeyPackages(conversation, member))
            if link::approved(context.db, conversation, &member)?.is_some() =>
        {
            Some(EARLY_FETCHES_MAX)
        }
        Some(Job::AskToJoin(_)) => Some(EARLY_ASKS_MAX),
        Some(Job::FetchKeyPackages(_, member)) => contact::find(context.db, &member)?
            .filter(|contact| contact.state == contact::State::Active && contact.introduction.is_none())
            .map(|_| EARLY_FETCHES_MAX),
        // A link's token was known when their keys were fetched with it.
        Some(Job::Deliver(delivery)) if contact::tokens::unheard(context, id, &delivery)?.is_some() => None,
        Some(Job::Deliver(_) | Job::FetchOwnKeyPackages(_) | Job::FetchForSuccessor(..) | Job::FetchToReplace(..)) => {
            Some(EARLY_DELIVERIES_MAX)
        }
        _ => None,
    };
    match attempts_max {
        Some(max) => Ok(job::later(context, id)? <= max),
        None => Ok(false),
    }
}
