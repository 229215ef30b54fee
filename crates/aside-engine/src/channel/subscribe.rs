//! Reading a channel: prove the epoch's read key, ask for what is behind the cursor, and again in the next epoch.

use super::{Channel, Live, receive, take_group};
use crate::Heart;
use crate::context::Context;
use crate::error::EngineError;
use crate::heal::{self, Fault, Fork, ForkSign};
use crate::inbox::report;
use crate::input::{ConnectionKind, Link, ServerId};
use crate::network::{Flight, Subscription};
use aside_protocol::channel::{Entry, Position, Proof, Purpose};
use aside_protocol::frame::anonymous::Request;
use aside_protocol::id::ChannelId;

/// The anonymous link to a server.
pub(crate) fn link_to(server: ServerId) -> Link {
    Link { server, kind: ConnectionKind::Anonymous }
}

/// Asks for the log behind the cursor, unless that is under way or live.
pub(crate) fn subscribe(heart: &mut Heart, context: &mut Context<'_>, channel: &Channel) -> Result<(), EngineError> {
    let link = link_to(channel.server);
    let is_current = heart.links.get(&link).is_some_and(|state| match state.subscriptions.get(&channel.id) {
        Some(Subscription::Asked(epoch) | Subscription::Live(epoch)) => *epoch == channel.epoch,
        None => false,
    });
    let is_stopped = heal::is_stopped(context, channel)?;
    if channel.live == Live::No || is_stopped || is_current || !heart.links.contains_key(&link) {
        return Ok(());
    }
    if !prove(heart, context, channel, Purpose::Read)? {
        return Ok(());
    }
    let Some(state) = heart.links.get_mut(&link) else { return Ok(()) };
    state.subscriptions.insert(channel.id, Subscription::Asked(channel.epoch));
    let request = Request::Subscribe { channel: channel.id, epoch: channel.epoch, after: channel.position.seq };
    state.ask_anonymous(context, link, request, Flight::Subscribe(channel.id, channel.epoch));
    Ok(())
}

/// Proves a key of the current epoch on this connection, once. `false`: this device has no such group.
pub(crate) fn prove(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    purpose: Purpose,
) -> Result<bool, EngineError> {
    let link = link_to(channel.server);
    let proof = (channel.id, channel.epoch, purpose);
    let binding = match heart.links.get(&link) {
        Some(state) if state.proofs.contains(&proof) => return Ok(true),
        Some(state) => state.binding,
        None => return Ok(false),
    };
    let Some(group) = take_group(heart, context, &channel.id)? else { return Ok(false) };
    if !group.is_active() {
        return Ok(false);
    }
    let keys = group.channel_keys(&heart.mls.on(context.db), &channel.id)?;
    heart.groups.insert(channel.id, group);
    let signed = Proof::sign(keys.of(purpose), &binding, channel.id, channel.epoch, purpose);
    if let Some(state) = heart.links.get_mut(&link) {
        // One proof of an older epoch is of no use any more.
        state.proofs.retain(|(id, epoch, _)| *id != channel.id || *epoch >= channel.epoch);
        state.proofs.insert(proof);
        state.ask_anonymous(context, link, Request::Prove(signed), Flight::Prove(channel.id, channel.epoch));
    }
    Ok(true)
}

/// A page of the log came.
pub(crate) fn page(
    heart: &mut Heart,
    context: &mut Context<'_>,
    (link, id, epoch): (Link, ChannelId, u64),
    entries: Vec<Entry>,
    end: Position,
    live: bool,
) -> Result<(), EngineError> {
    let asked = Subscription::Asked(epoch);
    match heart.links.get_mut(&link) {
        Some(state) if state.subscriptions.get(&id) == Some(&asked) => {
            if live {
                state.subscriptions.insert(id, Subscription::Live(epoch));
            } else {
                state.subscriptions.remove(&id);
            }
        }
        _ => return Ok(()),
    }
    let is_empty = entries.is_empty();
    for entry in entries {
        receive::entry(heart, context, id, entry)?;
    }
    heart.stirred.insert(id);
    let Some(channel) = super::find(context.db, &id)? else { return Ok(()) };
    // What a device is out of, or was told to look at first, it does not read: its place in the log says nothing.
    if receive::is_paused(context, &channel)? || heal::is_stopped(context, &channel)? {
        return Ok(());
    }
    if live && channel.position != end {
        let sign = match channel.position.seq == end.seq {
            true => ForkSign::HistoryChanged,
            false => ForkSign::LeftOut,
        };
        return heal::stop(heart, context, &channel, Fork::by_server(sign, &channel, Some(end)));
    }
    if live && channel.reported_day < context.now.day() {
        report::send(heart, context, &channel)?;
    }
    if !live && is_empty {
        // Nothing came, and nothing will: asking again at once would go in a circle.
        context.close(link, "an empty page that is not the last")?;
    }
    Ok(())
}

/// An entry was pushed.
pub(crate) fn pushed(
    heart: &mut Heart,
    context: &mut Context<'_>,
    link: Link,
    id: ChannelId,
    entry: Entry,
) -> Result<(), EngineError> {
    let Some(state) = heart.links.get_mut(&link) else { return Ok(()) };
    let Some(Subscription::Live(_)) = state.subscriptions.get(&id) else { return Ok(()) };
    let Some(channel) = super::find(context.db, &id)? else { return Ok(()) };
    if entry.seq > channel.position.seq.saturating_add(1) {
        // Fetch what is missing before anything is judged.
        state.subscriptions.remove(&id);
        heart.stirred.insert(id);
        return Ok(());
    }
    if entry.header.is_commit() {
        state.subscriptions.remove(&id);
        heart.stirred.insert(id);
    }
    receive::entry(heart, context, id, entry)
}

/// The server refused a proof or a subscription.
pub(crate) fn refused(
    heart: &mut Heart,
    context: &mut Context<'_>,
    (link, id): (Link, ChannelId),
    refusal: &aside_protocol::refusal::Refusal,
) -> Result<(), EngineError> {
    use aside_protocol::refusal::{Refusal, Remedy};
    if let Some(state) = heart.links.get_mut(&link) {
        state.subscriptions.remove(&id);
    }
    let Some(channel) = super::find(context.db, &id)? else { return Ok(()) };
    let fault = match refusal {
        Refusal::UnknownChannel => Fault::Gone,
        Refusal::BadProof { .. } | Refusal::NotProven { .. } => Fault::Expired,
        _ if refusal.remedy() == Remedy::RetryLater => {
            return context.close(link, "the server cannot read at the moment");
        }
        _ => return Ok(()),
    };
    heal::stop(heart, context, &channel, fault)
}
