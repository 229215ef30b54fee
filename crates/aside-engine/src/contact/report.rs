//! Reports to the home server's administrator: the only words that ever leave this device unencrypted by the protocol,
//! and only those that the person picked (P-8.8).

use super::requests;
use crate::Heart;
use crate::content::MessageId;
use crate::context::Context;
use crate::conversation::ConversationId;
use crate::error::CommandError;
use crate::job::{self, Job};
use aside_protocol::address::AccountAddress;
use aside_protocol::id::ReportId;
use aside_protocol::report::{AbuseReport, ReportedMessage};
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeSet;

/// Reports whoever wrote the chosen messages, or, without any, the other side of a direct conversation or request.
pub(crate) fn make(
    heart: &Heart,
    context: &mut Context<'_>,
    conversation: ConversationId,
    chosen: &[MessageId],
    note: &str,
) -> Result<(), CommandError> {
    let own = heart.identity.as_ref().ok_or(CommandError::NotJoined)?.address.clone();
    let mut messages = Vec::new();
    for id in chosen {
        messages.push(read(context, conversation, id)?.ok_or(CommandError::UnknownMessage)?);
    }
    let senders: BTreeSet<_> = messages.iter().map(|message| &message.sender).filter(|who| **who != own).collect();
    let about = match (senders.into_iter().collect::<Vec<_>>().as_slice(), messages.is_empty()) {
        ([one], _) => (*one).clone(),
        ([], true) => requests::from(context.db, &conversation)?.ok_or(CommandError::NobodyReported)?,
        _ => return Err(CommandError::NobodyReported),
    };
    queue(heart, context, about, messages, note)
}

/// Reports somebody of whom nothing is shown.
pub(crate) fn asker(heart: &Heart, context: &mut Context<'_>, about: &AccountAddress) -> Result<(), CommandError> {
    queue(heart, context, about.clone(), Vec::new(), "A message request that was not wanted.")
}

fn queue(
    heart: &Heart,
    context: &mut Context<'_>,
    about: AccountAddress,
    messages: Vec<ReportedMessage>,
    note: &str,
) -> Result<(), CommandError> {
    let server = heart.identity.as_ref().ok_or(CommandError::NotJoined)?.server;
    let report = AbuseReport { id: ReportId(context.random()), about, note: note.trim().to_owned(), messages };
    report.check_limits().map_err(|refusal| CommandError::ReportTooLarge { why: refusal.to_string() })?;
    Ok(job::add(context, server, &Job::Report(report))?)
}

fn read(
    context: &Context<'_>,
    conversation: ConversationId,
    id: &MessageId,
) -> Result<Option<ReportedMessage>, CommandError> {
    let row: Option<(String, i64, String)> = context
        .db
        .prepare_cached("SELECT sender, sent_ms, text FROM messages WHERE id = ? AND conversation = ? AND kind = 0")?
        .query_row(params![id, conversation], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((sender, sent_ms, text)) = row else { return Ok(None) };
    let sender = sender.parse().map_err(|_| crate::error::EngineError::Damaged { what: "sender" })?;
    Ok(Some(ReportedMessage { sender, sent_at_unix_ms: u64::try_from(sent_ms).unwrap_or(0), text }))
}
