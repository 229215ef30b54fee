//! What comes back on an anonymous connection.

use super::Flight;
use crate::Heart;
use crate::channel::{commit, ephemeral, outbox, subscribe};
use crate::contact;
use crate::context::Context;
use crate::conversation;
use crate::error::EngineError;
use crate::input::Link;
use crate::job::{self, Job, JobId};
use aside_protocol::frame::ServerFrame;
use aside_protocol::frame::anonymous::{Answer, FromServer, Push};
use aside_protocol::inbox::ChannelToken;
use aside_protocol::refusal::{Refusal, Remedy};
use rusqlite::params;

/// How often a token that its server does not know yet is tried again: about two minutes.
const EARLY_ATTEMPTS_MAX: u32 = 8;

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
        (Flight::CreateChannel(id, token), Answer::Done) => {
            spend(context, &token)?;
            if let Some(Job::CreateChannel(channel, new)) = job::find(context, id)? {
                conversation::channel_is_made(heart, context, channel, &new)?;
            }
            job::done(context, id)
        }
        // Their device has an account and has published nothing yet: it will, as soon as it is online.
        (Flight::Job(id), Answer::KeyPackages { key_packages, .. })
            if key_packages.iter().all(|device| device.key_package.is_none()) =>
        {
            job::later(context, id).map(|_| ())
        }
        (Flight::Job(id), Answer::KeyPackages { account, key_packages }) => {
            if let Some(Job::FetchKeyPackages(conversation, member)) = job::find(context, id)? {
                conversation::fetched(heart, context, (conversation, &member), account, key_packages)?;
            }
            job::done(context, id)
        }
        (Flight::Job(id), Answer::Done) => job::done(context, id),
        _ => context.close(link, "an answer of another kind than was asked for"),
    }
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
                outbox::failed(context, &ids, &refusal.to_string())
            }
        },
        Flight::Commit(channel) => commit::refused(heart, context, channel, refusal),
        Flight::CreateChannel(id, token) => {
            match refusal {
                Refusal::BadChannelToken => spend(context, &token)?,
                _ => job::later(context, id).map(|_| ())?,
            }
            Ok(())
        }
        Flight::Job(id) => job_refused(heart, context, id, refusal),
        _ => Ok(()),
    }
}

fn job_refused(heart: &mut Heart, context: &mut Context<'_>, id: JobId, refusal: &Refusal) -> Result<(), EngineError> {
    if refusal.remedy() == Remedy::RetryLater {
        return job::later(context, id).map(|_| ());
    }
    if *refusal == Refusal::UnknownAccountOrToken && may_be_early(context, id)? {
        return Ok(());
    }
    if let Some(Job::FetchKeyPackages(conversation, member)) = job::find(context, id)? {
        let why = match refusal {
            Refusal::UnknownAccountOrToken => {
                "their link was withdrawn, has expired, or is used up: ask for a new one".into()
            }
            other => other.to_string(),
        };
        conversation::fetch_failed(heart, context, (conversation, &member), &why)?;
    }
    job::done(context, id)
}

/// A contact's own token can arrive here before it arrives at their server: such a job is put off a few times.
fn may_be_early(context: &mut Context<'_>, id: JobId) -> Result<bool, EngineError> {
    let is_of_friend = match job::find(context, id)? {
        Some(Job::FetchKeyPackages(_, member)) => contact::find(context.db, &member)?
            .is_some_and(|contact| contact.state == contact::State::Active && contact.introduction.is_none()),
        Some(Job::Deliver(_)) => true,
        _ => false,
    };
    Ok(is_of_friend && job::later(context, id)? <= EARLY_ATTEMPTS_MAX)
}
