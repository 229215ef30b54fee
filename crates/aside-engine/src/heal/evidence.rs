//! Evidence: what showed a fork or a lie, kept word for word, with both sides. It outlives the fault, and a person can
//! export it.

use super::fault::{Fault, Fork};
use crate::Engine;
use crate::channel::Channel;
use crate::context::{Context, stored, to_store};
use crate::conversation::ConversationId;
use crate::error::EngineError;
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::Position;
use aside_protocol::codec::encode;
use aside_protocol::id::ChannelId;
use rusqlite::params;
use schemars::JsonSchema;
use serde::Serialize;

/// Pieces of evidence that are kept of one conversation, the newest.
pub const EVIDENCE_KEPT_MAX: u32 = 32;

/// A place in the log, with the head of the chain there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SeenPosition {
    /// The entry's number.
    pub seq: u64,
    /// Hexadecimal.
    pub head: String,
}

/// One piece, as it is exported. All bytes are hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Evidence {
    /// When this device saw it, milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// The channel.
    pub channel: String,
    /// What was seen, in words.
    pub what: String,
    /// The group's epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// The log as this device sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ours: Option<SeenPosition>,
    /// The log as it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theirs: Option<SeenPosition>,
    /// This device's epoch authenticator and the other one (RFC 9420, section 8.7).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authenticators: Option<[String; 2]>,
    /// Who told it; absent: the server itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_by: Option<String>,
    /// Whom it proves to have done it; absent: nobody can be blamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub culprit: Option<String>,
    /// The culprit's signed statement (P-4.8), encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
}

/// Keeps what a fault shows.
pub(super) fn keep(context: &mut Context<'_>, channel: &Channel, fault: &Fault) -> Result<(), EngineError> {
    if fault.stuck_at().is_none() && !matches!(fault, Fault::Fork(_)) {
        return Ok(());
    }
    context
        .db
        .prepare_cached("INSERT INTO evidence (conversation, channel, at_ms, body) VALUES (?, ?, ?, ?)")?
        .execute(params![channel.conversation, channel.id.0, context.now.unix_ms, to_store(fault)])?;
    context
        .db
        .prepare_cached(
            "DELETE FROM evidence WHERE conversation = ?1 AND id NOT IN
             (SELECT id FROM evidence WHERE conversation = ?1 ORDER BY id DESC LIMIT ?2)",
        )?
        .execute(params![channel.conversation, EVIDENCE_KEPT_MAX])?;
    Ok(())
}

/// How often in a conversation, since a time, commits that this account signed stopped this device.
pub(super) fn stops_by(
    context: &Context<'_>,
    id: ConversationId,
    signer: &AccountAddress,
    since_ms: i64,
) -> Result<usize, EngineError> {
    let kept: Vec<Vec<u8>> = context
        .db
        .prepare_cached("SELECT body FROM evidence WHERE conversation = ? AND at_ms >= ?")?
        .query_map(params![id, since_ms], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let faults = kept.iter().map(|body| stored::<Fault>(body, "evidence")).collect::<Result<Vec<_>, _>>()?;
    Ok(faults.iter().filter(|fault| fault.signer() == Some(signer)).count())
}

impl Engine {
    /// What was seen of forks and lies in a conversation, the oldest first.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn evidence(&self, id: &ConversationId) -> Result<Vec<Evidence>, EngineError> {
        let mut statement =
            self.db.prepare_cached("SELECT at_ms, channel, body FROM evidence WHERE conversation = ? ORDER BY id")?;
        let rows = statement
            .query_map(params![id], |row| Ok((row.get(0)?, ChannelId(row.get(1)?), row.get::<_, Vec<u8>>(2)?)))?;
        rows.map(|row| {
            let (at, channel, body) = row?;
            Ok(show(at, &channel, &stored(&body, "evidence")?))
        })
        .collect()
    }
}

fn show(at: i64, channel: &ChannelId, fault: &Fault) -> Evidence {
    let position = |position: &Position| SeenPosition { seq: position.seq, head: hex(&position.head.0) };
    let fork: Option<&Fork> = match fault {
        Fault::Fork(fork) => Some(fork),
        _ => None,
    };
    let stuck = fault.stuck_at();
    let statement = fault.statement().map(|statement| hex(&encode(statement)));
    Evidence {
        at,
        channel: hex(&channel.0),
        what: fault.words(),
        epoch: fork.map(|fork| fork.epoch).or(stuck.map(|at| at.epoch)),
        ours: fork.and_then(|fork| fork.ours.as_ref().map(position)).or(stuck.map(|at| position(&at.entry))),
        theirs: fork.and_then(|fork| fork.theirs.as_ref().map(position)),
        authenticators: fork.and_then(|fork| fork.authenticators).map(|(ours, theirs)| [hex(&ours.0), hex(&theirs.0)]),
        told_by: fork.and_then(|fork| fork.told_by.as_ref().map(ToString::to_string)),
        culprit: fault.culprit().map(ToString::to_string),
        statement,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
