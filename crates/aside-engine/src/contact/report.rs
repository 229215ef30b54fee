//! Reports to the home server's administrator: the only words that ever leave this device unencrypted by the protocol,
//! and only those that the person picked (P-8.8).

use super::requests;
use crate::Heart;
use crate::content::MessageId;
use crate::context::Context;
use crate::conversation::{self, ConversationId, State};
use crate::error::CommandError;
use crate::job::{self, Job};
use aside_protocol::address::AccountAddress;
use aside_protocol::id::ReportId;
use aside_protocol::limit::REPORT_MESSAGES_MAX;
use aside_protocol::report::{AbuseReport, ReportedMessage};
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeSet;

/// Bytes of text that the report of a request shows: the newest messages, as far as they fit a report with what stands
/// around them.
const REQUEST_BYTES_MAX: usize = 32 * 1024;

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

/// Reports who asks in a request, with what they wrote since they asked: what was talked about before is not shown.
pub(crate) fn request(
    heart: &Heart,
    context: &mut Context<'_>,
    conversation: ConversationId,
) -> Result<(), CommandError> {
    let kept = conversation::find(context.db, &conversation)?.ok_or(CommandError::UnknownConversation)?;
    if kept.state != State::Request {
        return Err(CommandError::NotARequest);
    }
    let about = requests::from(context.db, &conversation)?.ok_or(CommandError::UnknownConversation)?;
    let mut statement = context.db.prepare_cached(
        "SELECT id FROM messages WHERE conversation = ? AND sender = ? AND kind = 0 AND deleted = 0 AND position > ?
         ORDER BY position DESC LIMIT ?",
    )?;
    let newest = i64::try_from(REPORT_MESSAGES_MAX).unwrap_or(i64::MAX);
    let rows = statement
        .query_map(params![conversation, about.to_string(), kept.read_position, newest], |row| row.get(0))?
        .collect::<Result<Vec<MessageId>, _>>()?;
    drop(statement);
    let mut messages = Vec::new();
    let mut bytes_left = REQUEST_BYTES_MAX;
    for id in rows {
        let Some(message) = read(context, conversation, &id)? else { continue };
        let Some(left) = bytes_left.checked_sub(message.text.len()) else { break };
        bytes_left = left;
        messages.push(message);
    }
    messages.reverse();
    queue(heart, context, about, messages, "A message request that was not wanted.")
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
