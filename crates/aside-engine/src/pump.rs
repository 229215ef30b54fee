//! The end of every input: whatever can move, moves. Jobs go out, channels are read, outboxes are sent, and the shell
//! learns when to wake the engine again.

use crate::account::{self, Identity};
use crate::channel::{self, commit, outbox, subscribe};
use crate::context::Context;
use crate::error::EngineError;
use crate::input::{ConnectionKind, Input, Link, Wanted};
use crate::job::{self, IN_FLIGHT_MAX, Job, JobId};
use crate::network::{self, Flight, LinkState};
use crate::{Heart, server, timeline};
use aside_protocol::frame::{account as account_frame, anonymous as anonymous_frame};
use aside_protocol::inbox::ChannelToken;
use rusqlite::{Connection, OptionalExtension};

/// The account link to the home server, and an anonymous one to every server that a conversation or a contact is on.
pub(crate) fn wanted(db: &Connection, identity: Option<&Identity>) -> Result<Vec<Wanted>, EngineError> {
    let Some(identity) = identity else { return Ok(Vec::new()) };
    if identity.refusal.is_some() && !identity.registered {
        return Ok(Vec::new());
    }
    let mut wanted = vec![Wanted {
        link: Link { server: identity.server, kind: ConnectionKind::Account },
        server: identity.pin.clone(),
    }];
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
            ConnectionKind::Account => {
                if let (Some(identity), Some(state)) = (&self.identity, self.links.get_mut(&link)) {
                    account::registration(context, identity, link, state);
                }
                Ok(())
            }
            ConnectionKind::Anonymous => {
                outbox::reconnected(context)?;
                self.stirred.extend(channel::of_server(context.db, link.server)?);
                self.owe_receipts(context)
            }
        }
    }

    /// Moves whatever can move.
    pub(crate) fn pump(&mut self, context: &mut Context<'_>) -> Result<(), EngineError> {
        let receipts = timeline::receipts_due(self, context)?;
        self.stir_rotations(context)?;
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
        let next = [receipts, rotation, job::next_due(context)?].into_iter().flatten().min();
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
        let sent = send_due_jobs(context, link, &mut state);
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

fn send_due_jobs(context: &mut Context<'_>, link: Link, state: &mut LinkState) -> Result<Needs, EngineError> {
    let mut needs = Needs::Nothing;
    for (id, job) in job::due(context, link)? {
        if state.jobs_in_flight() >= IN_FLIGHT_MAX {
            break;
        }
        let is_under_way = state.waits_for(|flight| match flight {
            Flight::Job(other) | Flight::CreateChannel(other, _) => *other == id,
            _ => false,
        });
        if !is_under_way && !send_job(context, link, state, id, job)? {
            needs = Needs::ChannelTokens;
        }
    }
    Ok(needs)
}

/// `false`: there is no token to pay with.
fn send_job(
    context: &mut Context<'_>,
    link: Link,
    state: &mut LinkState,
    id: JobId,
    job: Job,
) -> Result<bool, EngineError> {
    match job {
        Job::PutDeliveryToken(token, expires_day) => {
            let request = account_frame::Request::PutDeliveryToken { token, expires_day };
            state.ask_account(context, link, request, Flight::Job(id));
        }
        Job::FetchKeyPackages(_, member) => {
            // The contact may be gone, or have got another token since.
            let Some(contact) = crate::contact::find(context.db, &member)? else {
                job::done(context, id)?;
                return Ok(true);
            };
            let request = anonymous_frame::Request::FetchKeyPackages { account: member.name, token: contact.token };
            state.ask_anonymous(context, link, request, Flight::Job(id));
        }
        Job::CreateChannel(channel, new) => {
            let Some(token) = unspent_token(context, state)? else { return Ok(false) };
            let (epoch, keys) = (new.epoch, new.keys);
            let request = anonymous_frame::Request::CreateChannel { channel, token, epoch, keys };
            state.ask_anonymous(context, link, request, Flight::CreateChannel(id, token));
        }
        Job::Deliver(delivery) => {
            state.ask_anonymous(context, link, anonymous_frame::Request::Deliver(delivery), Flight::Job(id));
        }
    }
    Ok(true)
}

/// A channel token that no request under way is paying with.
fn unspent_token(context: &Context<'_>, state: &LinkState) -> Result<Option<ChannelToken>, EngineError> {
    let mut statement = context.db.prepare_cached("SELECT token FROM channel_tokens ORDER BY day, token")?;
    let tokens = statement.query_map([], |row| row.get(0).map(ChannelToken))?.collect::<Result<Vec<_>, _>>()?;
    let is_in_use = |token: &ChannelToken| {
        state.waits_for(|flight| matches!(flight, Flight::CreateChannel(_, other) if other == token))
    };
    Ok(tokens.into_iter().find(|token| !is_in_use(token)))
}

/// Whether a working connection would still move something.
pub(crate) fn is_settled(heart: &Heart, db: &Connection) -> Result<bool, EngineError> {
    let waiting: Option<i64> = db
        .prepare_cached(
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM jobs) OR EXISTS (SELECT 1 FROM outbox)
             OR EXISTS (SELECT 1 FROM pending_commits)",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    let account = heart.links.iter().find(|(link, _)| link.kind == ConnectionKind::Account);
    let is_signed_in = account.is_some_and(|(_, state)| state.ready);
    let is_quiet = heart.links.values().all(|state| state.in_flight.is_empty());
    Ok(waiting.is_none() && is_signed_in && is_quiet && heart.receipts_due.is_empty())
}
