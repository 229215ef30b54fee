//! The end of every input: whatever can move, moves. Jobs go out, channels are read, outboxes are sent, and the shell
//! learns when to wake the engine again.

use crate::account::{self, Identity};
use crate::blob::SealedBlob;
use crate::channel::{self, commit, intent, outbox, subscribe};
use crate::context::Context;
use crate::conversation::grow;
use crate::error::EngineError;
use crate::group::ask;
use crate::heal;
use crate::inbox::envelope;
use crate::input::{ConnectionKind, Input, Link, Wanted};
use crate::job::{self, IN_FLIGHT_MAX, Job, JobId};
use crate::network::{self, Flight, LinkState};
use crate::{Heart, device, recovery, server, timeline};
use aside_protocol::frame::{account as account_frame, anonymous as anonymous_frame};
use aside_protocol::inbox::ChannelToken;
use rusqlite::{Connection, OptionalExtension};

/// The account link to the home server, and an anonymous one to every server that a conversation or a contact is on.
pub(crate) fn wanted(db: &Connection, identity: Option<&Identity>) -> Result<Vec<Wanted>, EngineError> {
    let Some(identity) = identity else {
        let linking = device::accept::wanted(db)?.into_iter();
        return Ok(linking.map(|(link, server)| Wanted { link, server }).collect());
    };
    if identity.refusal.is_some() && !identity.registered {
        return Ok(Vec::new());
    }
    let own = device::row::find(db, &identity.device())?;
    // A revoked device has nobody to speak for.
    let speaks = own.is_none_or(|own| own.revoked_ms.is_none());
    let account = speaks.then(|| Wanted {
        link: Link { server: identity.server, kind: ConnectionKind::Account },
        server: identity.pin.clone(),
    });
    let mut wanted: Vec<Wanted> = account.into_iter().collect();
    for (id, pin) in server::all(db)? {
        wanted.push(Wanted { link: Link { server: id, kind: ConnectionKind::Anonymous }, server: pin });
    }
    Ok(wanted)
}

impl Heart {
    /// Takes what the network or the clock brings.
    pub(crate) fn take(&mut self, context: &mut Context<'_>, input: Input) -> Result<(), EngineError> {
        match input {
            Input::Connected { link, binding } => {
                self.links.insert(link, LinkState::new(link, binding));
                self.connected(context, link)
            }
            Input::Disconnected { link } => {
                self.links.remove(&link);
                context.changed(crate::input::Change::State);
                Ok(())
            }
            Input::Frame { link, bytes } => match (self.links.contains_key(&link), link.kind) {
                (false, _) => context.close(link, "a frame on a connection that is not open"),
                (true, ConnectionKind::Account) => network::account::frame(self, context, link, &bytes),
                (true, ConnectionKind::Anonymous) => network::anonymous::frame(self, context, link, &bytes),
            },
            Input::Tick => Ok(()),
        }
    }

    fn connected(&mut self, context: &mut Context<'_>, link: Link) -> Result<(), EngineError> {
        match link.kind {
            ConnectionKind::Account if recovery::restore::is_of(self, link) => {
                recovery::restore::connected(self, context, link);
                Ok(())
            }
            ConnectionKind::Account => {
                if let (Some(identity), Some(state)) = (&self.identity, self.links.get_mut(&link)) {
                    account::registration(context, identity, link, state);
                }
                Ok(())
            }
            ConnectionKind::Anonymous => {
                outbox::reconnected(context)?;
                device::attend::reconnected(self, context, link.server)?;
                self.stirred.extend(channel::of_server(context.db, link.server)?);
                self.owe_receipts(context)
            }
        }
    }

    /// Moves whatever can move.
    pub(crate) fn pump(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        let receipts = timeline::receipts_due(self, context)?;
        let heals = heal::due(self, context)?;
        let devices = self.pump_devices(context)?;
        let founding = crate::conversation::found::due(self, context)?;
        self.stir_rotations(context)?;
        self.stirred.extend(intent::channels_due(context)?);
        for id in std::mem::take(&mut self.stirred) {
            if let Some(row) = channel::find(context.db, &id)? {
                subscribe::subscribe(self, context, &row)?;
                commit::send(self, context, &row)?;
                outbox::send(self, context, &row)?;
            }
        }
        let links: Vec<Link> = self.links.iter().filter(|(_, state)| state.ready).map(|(link, _)| *link).collect();
        for link in links {
            self.send_jobs(context, link)?;
        }
        let rotation: Option<i64> = context
            .db
            .prepare_cached("SELECT MIN(rotate_at_ms) FROM channels WHERE rotate_at_ms > ?")?
            .query_row([context.now.unix_ms], |row| row.get(0))?;
        let backup = recovery::backup::pump(self, context)?;
        let next =
            [receipts, heals, devices, founding, backup, rotation, intent::next_due(context)?, job::next_due(context)?]
                .into_iter()
                .flatten()
                .min();
        if let Some(at) = next {
            context.wake_at(at);
        }
        Ok(())
    }

    fn stir_rotations(&mut self, context: &Context<'_>) -> Result<(), EngineError> {
        let mut statement = context.db.prepare_cached("SELECT id FROM channels WHERE rotate_at_ms <= ?")?;
        let rows = statement.query_map([context.now.unix_ms], |row| row.get(0))?;
        for row in rows {
            self.stirred.insert(aside_protocol::id::ChannelId(row?));
        }
        Ok(())
    }

    fn send_jobs(&mut self, context: &mut Context<'_>, link: Link) -> Result<(), EngineError> {
        let Some(mut state) = self.links.remove(&link) else { return Ok(()) };
        let sent = match &self.identity {
            Some(own) => send_due_jobs(context, own, link, &mut state),
            None => Ok(Needs::Nothing),
        };
        self.links.insert(link, state);
        match sent? {
            Needs::Nothing => Ok(()),
            Needs::ChannelTokens => {
                let home = self.identity.as_ref().map(|identity| identity.server);
                let account = self.links.iter_mut().find(|(link, state)| {
                    link.kind == ConnectionKind::Account && Some(link.server) == home && state.ready
                });
                match account {
                    Some((link, state)) => account::draw_channel_tokens(context, *link, state),
                    None => Ok(()),
                }
            }
        }
    }
}

enum Needs {
    Nothing,
    ChannelTokens,
}

fn send_due_jobs(
    context: &mut Context<'_>,
    own: &Identity,
    link: Link,
    state: &mut LinkState,
) -> Result<Needs, EngineError> {
    let mut needs = Needs::Nothing;
    for (id, job) in job::due(context, link)? {
        if state.jobs_in_flight() >= IN_FLIGHT_MAX {
            break;
        }
        let is_under_way = state.waits_for(|flight| match flight {
            Flight::Job(other) | Flight::Paid(other, _) => *other == id,
            _ => false,
        });
        if !is_under_way && !send_job(context, own, (link, &mut *state), id, job)? {
            needs = Needs::ChannelTokens;
        }
    }
    Ok(needs)
}

/// `false`: there is no token to pay with.
fn send_job(
    context: &mut Context<'_>,
    own: &Identity,
    (link, state): (Link, &mut LinkState),
    id: JobId,
    job: Job,
) -> Result<bool, EngineError> {
    match job {
        Job::PutDeliveryToken(..) | Job::RevokeDeliveryToken(_) | Job::SetFindable(_) | Job::Report(_) => {
            send_account_job(context, link, state, id, job);
        }
        Job::FetchOwnKeyPackages(_) => {
            let (account, token) = (own.name().clone(), own.own_token);
            let request = anonymous_frame::Request::FetchKeyPackages { account, token };
            state.ask_anonymous(context, link, request, Flight::Job(id));
        }
        Job::AddDevice(record, _) => {
            state.ask_account(context, link, account_frame::Request::AddDevice(record), Flight::Job(id));
        }
        Job::FindByName(..)
        | Job::FetchAccount(_)
        | Job::AskToJoin(_)
        | Job::FetchKeyPackages(..)
        | Job::FetchToReplace(..)
        | Job::FetchForSuccessor(..) => match about_account(context, job)? {
            Some(request) => state.ask_anonymous(context, link, request, Flight::Job(id)),
            None => job::done(context, id)?,
        },
        Job::PutKeySet => match device::revoke::request(context)? {
            Some(request) => state.ask_account(context, link, request, Flight::Job(id)),
            None => job::done(context, id)?,
        },
        Job::CreateChannel(channel, new) => {
            let Some(token) = unspent_token(context, state)? else { return Ok(false) };
            let (epoch, keys) = (new.epoch, new.keys);
            let request = anonymous_frame::Request::CreateChannel { channel, token, epoch, keys };
            state.ask_anonymous(context, link, request, Flight::Paid(id, token));
        }
        Job::Deliver(delivery) => {
            state.ask_anonymous(context, link, anonymous_frame::Request::Deliver(delivery), Flight::Job(id));
        }
        Job::PutBlobs(blobs, letters) => {
            let Some(SealedBlob { blob, expires_day, bytes }) = blobs.into_iter().next() else {
                letters.into_iter().try_for_each(|posted| envelope::post(context, posted))?;
                job::done(context, id)?;
                return Ok(true);
            };
            let Some(token) = unspent_token(context, state)? else { return Ok(false) };
            let blob = anonymous_frame::NewBlob { token, blob, expires_day, bytes: bytes.into() };
            state.ask_anonymous(context, link, anonymous_frame::Request::PutBlob(blob), Flight::Paid(id, token));
        }
        Job::FetchTree(arriving) => {
            let Some(reference) = arriving.missing.first() else {
                job::done(context, id)?;
                return Ok(true);
            };
            let request = anonymous_frame::Request::GetBlob { capability: reference.capability };
            state.ask_anonymous(context, link, request, Flight::Job(id));
        }
    }
    Ok(true)
}

/// What a directory is asked about somebody. Whom it is about may be gone by now, or have got another token since.
fn about_account(context: &mut Context<'_>, job: Job) -> Result<Option<anonymous_frame::Request>, EngineError> {
    Ok(match job {
        Job::FindByName(_, member) => Some(anonymous_frame::Request::FindByName { account: member.name }),
        Job::FetchAccount(member) => crate::contact::find(context.db, &member)?
            .map(|contact| anonymous_frame::Request::FetchAccount { account: member.name, token: contact.token }),
        Job::AskToJoin(conversation) => ask::pending(context.db, conversation)?.map(|(asked, _)| {
            let (account, token) = (asked.address.name, asked.secret.delivery_token());
            anonymous_frame::Request::FetchAccount { account, token }
        }),
        Job::FetchKeyPackages(conversation, member) | Job::FetchToReplace(conversation, member) => {
            grow::reach(context, conversation, &member)?
                .map(|reach| anonymous_frame::Request::FetchKeyPackages { account: member.name, token: reach.token })
        }
        Job::FetchForSuccessor(_, member, token) => {
            Some(anonymous_frame::Request::FetchKeyPackages { account: member.name, token })
        }
        _ => None,
    })
}

/// Those that the account connection takes; others are none of its.
fn send_account_job(context: &mut Context<'_>, link: Link, state: &mut LinkState, id: JobId, job: Job) {
    let request = match job {
        Job::PutDeliveryToken(token, expires_day) => account_frame::Request::PutDeliveryToken { token, expires_day },
        Job::RevokeDeliveryToken(token) => account_frame::Request::RevokeDeliveryToken { token },
        Job::SetFindable(token) => account_frame::Request::SetFindable { token },
        Job::Report(report) => account_frame::Request::Report(report),
        _ => return,
    };
    state.ask_account(context, link, request, Flight::Job(id));
}

/// A channel token that no request under way is paying with.
fn unspent_token(context: &Context<'_>, state: &LinkState) -> Result<Option<ChannelToken>, EngineError> {
    let mut statement = context.db.prepare_cached("SELECT token FROM channel_tokens ORDER BY day, token")?;
    let tokens = statement.query_map([], |row| row.get(0).map(ChannelToken))?.collect::<Result<Vec<_>, _>>()?;
    let is_in_use =
        |token: &ChannelToken| state.waits_for(|flight| matches!(flight, Flight::Paid(_, other) if other == token));
    Ok(tokens.into_iter().find(|token| !is_in_use(token)))
}

/// Whether a working connection would still move something.
pub(crate) fn is_settled(heart: &Heart, db: &Connection) -> Result<bool, EngineError> {
    let waiting: Option<i64> = db
        .prepare_cached(
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM jobs) OR EXISTS (SELECT 1 FROM outbox)
             OR EXISTS (SELECT 1 FROM pending_commits) OR EXISTS (SELECT 1 FROM faults WHERE next_ms IS NOT NULL)
             OR EXISTS (SELECT 1 FROM gaps WHERE next_ms IS NOT NULL AND line IS NULL) OR EXISTS (SELECT 1 FROM refounding)
             OR EXISTS (SELECT 1 FROM exports) OR EXISTS (SELECT 1 FROM linking WHERE state <> 3)
             OR EXISTS (SELECT 1 FROM unsynced)
             OR EXISTS (SELECT 1 FROM intents i JOIN channels h ON h.id = i.channel
                        JOIN conversations c ON c.id = h.conversation WHERE c.state IN (1, 6))",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    let account = heart.links.iter().find(|(link, _)| link.kind == ConnectionKind::Account);
    let is_signed_in = account.is_some_and(|(_, state)| state.ready);
    let is_quiet = heart.links.values().all(|state| state.in_flight.is_empty());
    let is_backed_up = recovery::backup::load(db)?.sending.is_none();
    Ok(waiting.is_none() && is_backed_up && is_signed_in && is_quiet && heart.receipts_due.is_empty())
}
