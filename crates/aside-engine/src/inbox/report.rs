//! Consistency reports: members compare their view of a channel through inboxes, past the server that might show each of
//! them another one (DESIGN 4a rule 6; P-6.8).

use super::envelope::{self, Letter};
use super::welcome::Recipient;
use crate::Heart;
use crate::channel::{self, Channel, authenticator_at, head_at};
use crate::content::ConsistencyReport;
use crate::context::Context;
use crate::error::EngineError;
use crate::heal::{self, Fault, Fork, ForkSign};
use aside_protocol::channel::Position;
use aside_protocol::id::Hash;
use aside_protocol::identity::MemberCredential;
use rusqlite::params;

/// Devices that one device tells in a day. If a server has split the members, each report that is sent fails to cross only
/// with the probability of its sender's share, for each of these.
const TOLD_MAX: usize = 8;

/// Tells some others on the roster, chosen anew each time, how this device sees the channel, at most once a day.
pub(crate) fn send(heart: &mut Heart, context: &mut Context<'_>, row: &Channel) -> Result<(), EngineError> {
    let today = context.now.day();
    let Some(authenticator) = authenticator_at(context.db, &row.id, row.epoch)? else { return Ok(()) };
    let is_due = context
        .db
        .prepare_cached("UPDATE channels SET reported_day = ?1 WHERE id = ?2 AND reported_day < ?1")?
        .execute(params![today, row.id.0])?
        == 1;
    if !is_due {
        return Ok(());
    }
    let report = ConsistencyReport {
        channel: row.id,
        epoch: row.epoch,
        epoch_authenticator: Hash(authenticator),
        position: row.position,
    };
    let Some(identity) = &heart.identity else { return Ok(()) };
    for recipient in some(context, channel::roster(context.db, &row.id)?) {
        envelope::send(heart, context, identity, &recipient, &Letter::Report(report))?;
    }
    Ok(())
}

/// As many as are told, by chance.
fn some(context: &mut Context<'_>, roster: Vec<Recipient>) -> Vec<Recipient> {
    let mut drawn: Vec<([u8; 8], Recipient)> = roster.into_iter().map(|one| (context.random(), one)).collect();
    drawn.sort_by_key(|(draw, _)| *draw);
    drawn.truncate(TOLD_MAX);
    drawn.into_iter().map(|(_, one)| one).collect()
}

/// Compares a member's view with this device's, as far as both have got.
pub(crate) fn take(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    report: &ConsistencyReport,
) -> Result<(), EngineError> {
    let Some(row) = channel::find(context.db, &report.channel)? else { return Ok(()) };
    let Some(group) = channel::take_group(heart, context, &row.id)? else { return Ok(()) };
    let is_sender = |member: &MemberCredential| {
        member.root_key == sender.root_key && member.certificate.is_of_same_device(&sender.certificate)
    };
    let is_member = group.members()?.iter().any(|member| is_sender(&member.credential));
    heart.groups.insert(row.id, group);
    if !is_member {
        return Ok(());
    }
    let ours = authenticator_at(context.db, &row.id, report.epoch)?;
    let head = head_at(context.db, &row.id, report.position.seq)?;
    let differs = ours.is_some_and(|ours| ours != report.epoch_authenticator.0)
        || head.is_some_and(|head| head != report.position.head);
    if !differs {
        return Ok(());
    }
    let is_other_group = ours.is_some_and(|ours| ours != report.epoch_authenticator.0);
    let fork = Fork {
        sign: if is_other_group { ForkSign::AuthenticatorMismatch } else { ForkSign::ChainMismatch },
        epoch: report.epoch,
        ours: head.map(|head| Position { seq: report.position.seq, head }),
        theirs: Some(report.position),
        authenticators: ours.map(|ours| (Hash(ours), report.epoch_authenticator)),
        told_by: Some(sender.address.clone()),
    };
    heal::stop(heart, context, &row, Fault::Fork(fork))
}
